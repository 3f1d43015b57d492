"""gzip as it streams by, put down and taken up again."""

import gzip
import random

import numpy as np
import pytest

from memtools.checkpoints.inflater import CutError, Inflater
from memtools.errors import IntegrityError

RAW = np.random.default_rng(0).integers(0, 40, 3_000_000, np.uint8).tobytes() + b"abc" * 99_999
DATA = gzip.compress(RAW[:900_000], 6) + gzip.compress(RAW[900_000:], 1) + b"\0" * 70_000


def inflated(data, chunk=100_000, point=None, *, stopping=False):
    inflater, found, points = Inflater(point), [], []
    for start in range(inflater.position, len(data), chunk):
        for view in inflater.feed(data[start : start + chunk], stopping=stopping):
            found.append(bytes(view))
            points += [inflater.point()] if stopping and inflater.point() else []
    inflater.finish()
    assert inflater.position == len(data)
    inflater.close()
    return b"".join(found), points


@pytest.mark.parametrize("chunk", [777, 100_000, 10_000_000])
def test_members_follow_one_another_and_zeros_may_follow_them(chunk):
    assert inflated(DATA, chunk)[0] == RAW


def test_it_goes_on_from_every_point():
    _, points = inflated(DATA, 777, stopping=True)
    assert len(points) > 50 and {point.bits for point in points} == set(range(8))
    for point in points:
        assert inflated(DATA, 12_345, point)[0] == RAW[point.offset :]


def test_every_cut_and_every_flipped_bit_is_noticed():
    random.seed(1)
    whole = len(DATA) - 70_000
    for at in random.sample(range(1, whole), 60):
        if at != len(gzip.compress(RAW[:900_000], 6)):
            with pytest.raises(CutError, match="cut"):
                inflated(DATA[:at])
        flipped = bytearray(DATA[:whole])
        flipped[at] ^= 1 << random.randrange(8)
        with pytest.raises(IntegrityError):
            inflated(bytes(flipped))


def test_names_and_comments_in_a_header_are_passed_over():
    header = b"\x1f\x8b\x08" + bytes([4 + 8 + 16 + 2]) + b"\0" * 6 + b"\3\0xyz" + b"n\0c\0" + b"hc"
    data = header + gzip.compress(b"words", mtime=0)[10:]
    for chunk in (1, 1000):
        assert inflated(data, chunk)[0] == b"words"


@pytest.mark.parametrize(
    "data",
    [b"<html>no</html>", b"PK\3\4", gzip.compress(b"a") + b"more"],
    ids=["page", "zip", "more behind it"],
)
def test_what_is_no_gzip_is_said(data):
    with pytest.raises(IntegrityError, match="damaged near byte"):
        inflated(data)


def test_nothing_is_no_gzip():
    with pytest.raises(CutError):
        inflated(b"")
