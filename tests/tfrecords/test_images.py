"""What an image file is, by its content, and that a cut one is noticed."""

import io

import numpy as np
import pytest
from PIL import Image

from memtools.errors import RecordError
from memtools.tfrecords.images import describe


def saved(mode, format, size=(40, 30), **options):
    rng = np.random.default_rng(0)
    channels = {"RGB": 3, "CMYK": 4, "L": 1}[mode]
    pixels = rng.integers(0, 255, (size[1], size[0], channels), dtype=np.uint8)
    stream = io.BytesIO()
    Image.frombytes(mode, size, pixels.tobytes()).save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "format", "n_channels", "as_it_is"),
    [
        ("RGB", "JPEG", 3, True),
        ("L", "JPEG", 1, True),
        ("CMYK", "JPEG", 4, False),
        ("RGB", "PNG", 3, False),
        ("L", "PNG", 1, False),
        ("RGB", "GIF", 3, False),
    ],
)
def test_kind_size_and_channels_are_those_of_the_content(mode, format, n_channels, as_it_is):
    image = describe(saved(mode, format))
    assert (image.kind, image.height, image.width) == (format, 30, 40)
    assert (image.n_channels, image.is_rgb_jpeg) == (n_channels, as_it_is)


def test_progressive_files_and_a_thumbnail_before_the_image_are_understood():
    assert describe(saved("RGB", "JPEG", progressive=True)).width == 40
    thumbnail = saved("RGB", "JPEG", size=(8, 8))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    whole = saved("RGB", "JPEG")
    assert describe(whole[:2] + segment + whole[2:]).width == 40


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_every_cut_of_a_jpeg_is_noticed(options):
    whole = saved("RGB", "JPEG", **options)
    for stop in range(len(whole)):
        with pytest.raises(RecordError, match=r"cut|empty|no image"):
            describe(whole[:stop])


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_every_cut_of_another_image_is_noticed(format):
    whole = saved("RGB", format)
    for stop in range(len(whole)):
        with pytest.raises(RecordError, match=r"cut|empty|no image"):
            describe(whole[:stop])


def test_bytes_behind_the_end_of_a_jpeg_are_left_alone():
    assert describe(saved("RGB", "JPEG") + b"\0" * 100 + b"camera").height == 30


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"GARBAGE!", "no image: it begins with 47 41 52 42"),
        (b"\xff\xd8\xff\xd9", "cut in its header"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(data, words):
    with pytest.raises(RecordError, match=words):
        describe(data)


def test_a_jpeg_without_dimensions_is_refused():
    whole = bytearray(saved("RGB", "JPEG"))
    frame = whole.index(b"\xff\xc0")
    whole[frame + 5 : frame + 7] = b"\0\0"
    with pytest.raises(RecordError, match="no dimensions"):
        describe(bytes(whole))


def test_an_image_that_claims_more_than_a_photograph_has_is_a_bomb():
    whole = bytearray(saved("RGB", "JPEG"))
    frame = whole.index(b"\xff\xc0")
    whole[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(RecordError, match="claims 65535 x 65535 pixels"):
        describe(bytes(whole))
