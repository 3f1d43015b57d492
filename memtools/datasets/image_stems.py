"""Stems, common to all names of an image, of a whole column of names at once.

    stems, claims = parse_names(NameColumn.of(["train/n01440764/n01440764_10026.JPEG"]))
    stems[0], claims[0]      # "n01440764_10026", 1440764

The definition is `identify` in identity.py, for one name. Here the last 64 bytes of each name are
laid in a row, and the places of slashes and underscores in it become the bits of one integer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtools.datasets.identity import identify
from memtools.datasets.names import NameColumn

_WIDTH = 64  # bytes of a row, so that one bit for each byte makes a uint64
_BLOCK = 1 << 14  # rows of 64 bytes that stay in a cache of 1 MB
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_EXTENSIONS = {4: (b"jpeg", b"tiff", b"webp"), 3: (b"jpg", b"png", b"ppm", b"bmp", b"pgm", b"tif")}


def parse_names(names: NameColumn) -> tuple[NameColumn, NDArray[np.int64]]:
    """Return the stem of each name, and the synset that its folder or suffix claims.

    Args:
        names: n names in any writing.

    Returns:
        The stems, n names that share the buffer of `names`, and the claims, int64 [n]: 1440764
        for n01440764, -1 where neither folder nor suffix is a synset.
    """
    starts, ends = np.empty(len(names), np.int64), np.empty(len(names), np.int64)
    claims = np.empty(len(names), np.int64)
    for k in range(0, len(names), _BLOCK):
        part = slice(k, k + _BLOCK)
        starts[part], ends[part], claims[part] = _parse_block(names[part])
    return NameColumn(names.data, starts, ends), claims


def synset_codes(stems: NameColumn) -> NDArray[np.int64]:
    """Return the synset at the beginning of each stem, int64 [n]; -1 where there is none.

    It is n01440764 in n01440764_10026, as the code 1440764.
    """
    codes = np.empty(len(stems), np.int64)
    for k in range(0, len(stems), _BLOCK):
        part = stems[k : k + _BLOCK]
        rows = part.rows(part.starts, 16)
        every = np.arange(len(part), dtype=np.int64)
        found = _codes(rows, every, np.zeros_like(every))
        named = (part.lengths > 9) & (rows[:, 9] == ord("_"))
        codes[k : k + _BLOCK] = np.where(named, found, -1)
    return codes


def _parse_block(names: NameColumn) -> tuple[NDArray[np.int64], ...]:
    """Return starts and ends of the stems, and the claims; columns of a row count from 0 to 63."""
    rows = names.rows(names.ends - _WIDTH, _WIDTH)
    first = _WIDTH - names.lengths  # the column in which the name begins; negative if it is longer
    slashes = _bits((rows == ord("/")) | (rows == ord("\\"))) & _from(first)
    slash = _highest(slashes)
    begin = np.where(slash < 0, first, slash + 1)
    end = _WIDTH - _extension_lengths(rows, begin)
    claims = np.full(len(rows), -1, np.int64)
    inside = np.flatnonzero(_is_folder(slashes, slash, first))
    claims[inside] = _codes(rows, inside, slash[inside] - 9)
    row = np.arange(len(rows)) * _WIDTH
    behind = np.flatnonzero(rows.reshape(-1).take(row + end - 10) == ord("_"))
    suffixes = _codes(rows, behind, end[behind] - 9)
    before = _bits(rows[behind] == ord("_")) & _from(begin[behind]) & ~_from(end[behind] - 10)
    suffixed = (suffixes >= 0) & (before != 0)
    claims[behind[suffixed]] = suffixes[suffixed]
    end[behind[suffixed]] -= 10
    shift = names.ends - _WIDTH
    begin, end = begin + shift, end + shift
    for k in np.flatnonzero((first < 0) & (slash < 10)).tolist():  # too long for a row
        begin[k], end[k], claims[k] = _parse_one(names, k)
    return begin, end, claims


def _parse_one(names: NameColumn, k: int) -> tuple[int, int, int]:
    raw = names.data[names.starts[k] : names.ends[k]].tobytes()
    stem, claim = identify(raw.decode("latin-1"))  # one character for each byte
    begin = int(names.starts[k]) + max(raw.rfind(b"/"), raw.rfind(b"\\")) + 1
    return begin, begin + len(stem), int(claim[1:]) if claim else -1


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return flags [m, 64] as uint64 [m]; bit k is column k."""
    return np.packbits(flags.reshape(-1), bitorder="little").view("<u8").astype(np.uint64)


def _from(column: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the bits of all columns from `column` on; a shift by 64 gives zero in NumPy."""
    return _ALL << column.clip(0, _WIDTH).astype(np.uint64)


def _highest(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the place of the highest bit that is set, int64 [m]; -1 where there is none."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits = bits | (bits >> np.uint64(shift))
    return np.bitwise_count(bits).astype(np.int64) - 1


def _extension_lengths(rows: NDArray[np.uint8], begin: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many bytes the extension of an image takes with its dot: 0, 4 or 5."""
    lengths = np.zeros(len(rows), np.int64)
    words = np.ascontiguousarray(rows.view("<u4")[:, -1])
    for size, extensions in _EXTENSIONS.items():
        known = np.zeros(len(rows), np.bool_)
        lower, drop = np.uint32(0x20202020), np.uint32(8 * (4 - size))
        letters = (words >> drop) | (lower >> drop)
        for extension in extensions:
            known |= letters == np.uint32(int.from_bytes(extension, "little"))
        known &= rows[:, -size - 1] == ord(".")
        lengths[known & (begin < _WIDTH - size - 1)] = size + 1
    return lengths


def _is_folder(
    slashes: NDArray[np.uint64], slash: NDArray[np.int64], first: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return where the folder before the last slash has nine bytes."""
    earlier = (slashes >> (slash - 10).clip(0).astype(np.uint64)) & np.uint64(1)
    after_slash: NDArray[np.bool_] = (slash >= 10) & (earlier == 1)
    at_start: NDArray[np.bool_] = first == slash - 9
    return (slash >= 9) & (after_slash | at_start)


def _codes(
    rows: NDArray[np.uint8], chosen: NDArray[np.int64], column: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the synsets that begin in `column`, int64 [m], of the rows `chosen`, int64 [m].

    The value is that of the eight digits, or -1 for what is not a synset. Eight digits are one
    uint64: four bits of each are its value, and neighbours are added in pairs.
    """
    at = chosen * rows.shape[1] + column
    letter = rows.reshape(-1).take(at) == ord("n")
    every = np.ndarray((rows.size - 7,), "V8", rows, strides=(1,))
    words = every[at + 1].view("<u8").astype(np.uint64, copy=False)
    high, low = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x0F0F0F0F0F0F0F0F)
    threes, six = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606)
    digits = ((words & high) == threes) & (((words + six) & high) == threes)
    number = ((words & low) * np.uint64(2561)) >> np.uint64(8)
    number = ((number & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    number = ((number & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return np.where(letter & digits, number.astype(np.int64), -1)
