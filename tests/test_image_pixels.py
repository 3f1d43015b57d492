"""Pixels of images: decoded, or refused by the name of the file."""

import pytest

from memtools.datasets.image_pixels import decode_images, read_images
from memtools.errors import ConfigError


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\xff" * 8 + b"\x08\x02\0\0\0" + bytes(4),
        b"GIF89a" + b"\xff" * 30,
        b"BM" + b"\xff" * 60,
        b"II*\0" + b"\xff" * 60,
        b"P6 99999999 99999999 255 ",
        b"P6 20000 20000 255 ",
    ],
)
def test_a_file_that_is_not_an_image_is_named_whatever_the_decoder_raises(tmp_path, data):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    path = tmp_path / "0.png"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"0\.png: it is (not )?an image"):
        read_images([str(path)])
    assert decode_images([data]) is None
