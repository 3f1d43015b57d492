"""What is in an image file, by its content: never by its name, and without decoding it.

    describe(data)     # Image(kind="JPEG", height=375, width=500, n_channels=3, ...)

ImageNet holds a PNG and 22 CMYK files that are called `.JPEG`, and downloads are cut. A
file is walked from marker to marker; dimensions, components and the end are checked. That
proves structure, not pixels: a flipped bit inside the compressed data decodes to
something else without a word.
"""

from __future__ import annotations

import dataclasses
import struct

from memtools.errors import RecordError

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF = (b"GIF87a", b"GIF89a")
_END = b"\xff\xd9"
MAX_PIXELS = 178_956_970  # as in Pillow: beyond it an image is a bomb, not a photograph
# Start of frame, baseline to lossless; C4, C8 and CC are tables, not frames.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_HINT = "get the image again, or list it in a --skip-bad file"


@dataclasses.dataclass(frozen=True)
class Image:
    """The content of an image file.

    Attributes:
        kind: JPEG, PNG, GIF or WEBP.
        height: In pixels.
        width: In pixels.
        n_channels: As stored; a JPEG of 4 is CMYK.
    """

    kind: str
    height: int
    width: int
    n_channels: int

    @property
    def is_rgb_jpeg(self) -> bool:
        """Whether it may go into a record as it is. Grey JPEGs decode to RGB like any other."""
        return self.kind == "JPEG" and self.n_channels != 4


def describe(data: bytes) -> Image:
    """The facts of an image file; RecordError if it is none, empty, cut, or a bomb."""
    image = _described(data)
    if image.height * image.width > MAX_PIXELS:
        raise RecordError(f"the image claims {image.height} x {image.width} pixels", hint=_HINT)
    return image


def _described(data: bytes) -> Image:
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_GIF):
        return _gif(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if not data:
        raise RecordError("the file is empty", hint=_HINT)
    start = "a web page" if data.lstrip()[:1] == b"<" else f"{data[:4].hex(' ')} ..."
    raise RecordError(f"the file is no image: it begins with {start}", hint=_HINT)


def _jpeg(data: bytes) -> Image:
    """Marker by marker to the first scan; then the end marker must stand behind it."""
    position, frame = 2, None
    while True:
        while data[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if data[position : position + 1] != b"\xff" or position + 4 > len(data):
            raise RecordError("the JPEG is cut in its header", hint=_HINT)
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker in _FRAMES and position + 10 <= len(data):
            _, height, width, n_channels = struct.unpack_from(">BHHB", data, position + 4)
            frame = Image("JPEG", height, width, n_channels)
        if marker == 0xDA:
            break
        position += 2 + max(length, 2)
    if frame is None or 0 in (frame.height, frame.width):
        raise RecordError("the JPEG has no dimensions", hint=_HINT)
    # Inside a scan this pair of bytes cannot stand; behind it anything may, as cameras write.
    if not data.endswith(_END) and data.find(_END, position) < 0:
        raise RecordError("the JPEG is cut: it has no end marker", hint=_HINT)
    return frame


def _png(data: bytes) -> Image:
    """Header and end chunk."""
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise RecordError("the PNG is cut in its header", hint=_HINT)
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    end = data.rfind(b"IEND")
    if end < 0 or end + 8 > len(data):
        raise RecordError("the PNG is cut: it has no end chunk", hint=_HINT)
    if 0 in (height, width) or colour not in _PNG_CHANNELS:
        raise RecordError("the PNG has no dimensions", hint=_HINT)
    return Image("PNG", height, width, _PNG_CHANNELS[colour])


def _gif(data: bytes) -> Image:
    """Block by block to the trailer."""
    cut = RecordError("the GIF is cut", hint=_HINT)
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        position = 13 + _colours(flags)
        while data[position] != 0x3B:
            if data[position] == 0x2C:  # an image: its colours, then its code size
                position += 10 + _colours(data[position + 9]) + 1
            else:  # an extension: its kind
                position += 2
            while data[position]:  # blocks of data, each after its length
                position += 1 + data[position]
            position += 1
    except (IndexError, struct.error):
        raise cut from None
    return Image("GIF", height, width, 3)


def _webp(data: bytes) -> Image:
    """Read the size of the container and the header of its first chunk (RFC 9649)."""
    if len(data) < 30 or len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise RecordError("the WebP is cut", hint=_HINT)
    kind = data[12:16]
    if kind == b"VP8X":  # 24 bits each, one less than the size
        sides = (int.from_bytes(data[n : n + 3], "little") + 1 for n in (24, 27))
    elif kind == b"VP8L" and data[20] == 0x2F:  # 14 bits each, one less than the size
        bits = int.from_bytes(data[21:25], "little")
        sides = ((bits >> shift & 0x3FFF) + 1 for shift in (0, 14))
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":  # 14 bits each
        sides = (int.from_bytes(data[n : n + 2], "little") & 0x3FFF for n in (26, 28))
    else:
        raise RecordError("the WebP has no dimensions", hint=_HINT)
    width, height = sides
    if 0 in (width, height):
        raise RecordError("the WebP has no dimensions", hint=_HINT)
    return Image("WEBP", height, width, 3)


def _colours(flags: int) -> int:
    """Bytes of the table of colours that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
