"""Arrays and archives that do not hold what their headers promise.

craft_npz(rng, {"scores": array}, path)
header(rng, array)                       # an npy
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

from crafted.base import N
from crafted.contents import TEXTS, VALUES, document, spoil

DTYPES = [
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "g",
    ">g",
    "<i1",
    "<i2",
    ">i4",
    ">i8",
    "<u1",
    ">u2",
    ">u4",
    "<u8",
    ">u8",
    "?",
    "S1",
    "S8",
    "<U1",
    "<U8",
    ">U8",
    "<c8",
    ">c16",
    "<M8[s]",
    ">m8[D]",
    "V4",
    "O",
]


def header(rng, array: np.ndarray) -> bytes:
    """Return an npy whose header is not true, or not a header."""
    descr, shape = array.dtype.str, array.shape
    body = array.tobytes()
    big = rng.choice([2**31, 2**40, 2**62, 2**63, 2**64, 10**30])
    text = rng.choice(
        [
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({big},), }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({big}, 0), }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (-{len(array)},), }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (-1, -{len(array)}), }}",
            f"{{'descr': '{descr}', 'fortran_order': True, 'shape': {shape}, }}",
            f"{{'descr': '{descr}', 'fortran_order': 3, 'shape': {shape}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape[0] or 1}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape[0]}.0,), }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (True, {shape[0]}), }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {(1,) * 70}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {(1,) * 30}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape[0]}L,), }}",
            f"{{'descr': '{rng.choice(DTYPES)}', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '<U{big}', 'fortran_order': False, 'shape': (0,), }}",
            f"{{'descr': '<U0', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': ('<f4', ({big},)), 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': [('a', 'f4'), ('a', 'f4')], 'fortran_order': False, 'shape': {shape}}}",
            f"{{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': [('', '<f8')], 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '<f4,<f4', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': 'M8[{big}s]', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': {'[' * 90}1{']' * 90}, 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False}}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, 'x': 1}}",
            f"{{'descr': '{descr}, 'fortran_order': False, 'shape': {shape}, }}",
            *(
                "",
                "{",
                "(" * 5_000,
                "[" * 200,
                "'",
                '"""',
                "\\",
                "{[]: 1}",
                "{{}: 1}",
                "1_",
                "0777",
            ),
            *(
                "{'descr': f'{1}'}",
                "__import__('os')",
                "-" * 9_000,
                "\0",
                "{'a'\0: 1}",
                "\U0001d7d9",
                "\t\n",
            ),
            *("1" + "0" * 5_000, "{**{}}", "{'descr'}", "lambda: 0", "b'\\xff'", "1" * 12_000),
        ]
    )
    encoded = text.encode("utf-8", "surrogatepass")
    version = rng.choice([(1, 0)] * 6 + [(2, 0), (3, 0), (0, 0), (1, 1), (255, 255)])
    length = rng.choice([len(encoded)] * 8 + [0, 1, 65_535, len(encoded) + 7])
    if version == (1, 0):
        size = struct.pack("<H", min(length, 65_535))
    else:
        size = struct.pack("<I", rng.choice([length] * 3 + [2**31, 2**32 - 1]))
    return b"\x93NUMPY" + bytes(version) + size + encoded + body


def npy(array: np.ndarray) -> bytes:
    """Return an array as npy; objects are pickled."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def warp(rng, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Return an array of another type, shape or content, and what was done."""
    with np.errstate(all="ignore"):
        match rng.randrange(13):
            case 0 | 1 | 2 | 3:
                dtype = rng.choice(DTYPES)
                try:
                    return f"as {dtype}", _cast(array, dtype)
                except (ValueError, TypeError):
                    return "empty", array[:0]
            case 4:
                return "empty", array[:0]
            case 5:
                return "no dimension", array.reshape(-1)[0] if array.size else np.array(0)
            case 6:
                return "a column", array.reshape(-1, 1)
            case 7:
                return "a row", array.reshape(1, -1)
            case 8:
                return "one", array[:1]
            case 9:
                return "shorter", array[:-1]
            case 10:
                return "dimensions", array.reshape((1,) * 20 + array.shape)
            case 11:
                return "fortran", np.asfortranarray(np.stack([array, array]))
            case _:
                return "values", _revalued(rng, array)


def _cast(array, dtype):
    if dtype == "V4":
        return np.zeros(array.shape, "V4")
    if dtype[1:2] in "Mm" and array.dtype.kind == "f":
        array = np.nan_to_num(array).astype(np.int64)
    return array.astype(dtype)


def _revalued(rng, array):
    array = array.copy()
    flat = array.reshape(-1)
    where = rng.sample(range(flat.size), k=rng.choice([1, flat.size])) if flat.size else []
    for k in where:
        if array.dtype.kind in "US":
            text = rng.choice(TEXTS)[:7]
            flat[k] = text if array.dtype.kind == "U" else text.encode("utf-8", "replace")
        elif array.dtype.kind == "f":
            flat[k] = rng.choice([np.nan, np.inf, -np.inf, -1, 2, 1e300, -0.0, 5e-324])
        elif array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            choice = rng.choice([-1, 0, 1, N, 2**31, limits.min, limits.max])
            flat[k] = min(max(choice, limits.min), limits.max)
        else:
            flat[k] = rng.choice([0, 1])
    return array


def craft_npz(rng, arrays: dict[str, np.ndarray], path: Path) -> str:
    """Write an npz out of some arrays that were changed, and return what was done."""
    arrays, done = dict(arrays), []
    members: dict[str, bytes] = {}
    for _ in range(rng.choice([0, 1, 1, 1, 2, 4])):
        name = rng.choice(sorted(arrays)) if arrays else "scores"
        match rng.randrange(8):
            case 0 | 1 | 2 | 3 if arrays and np.ndim(arrays[name]):
                what, arrays[name] = warp(rng, arrays[name])
                done.append(f"{name} {what}")
            case 4 if arrays and np.ndim(arrays[name]):
                members[f"{name}.npy"] = header(rng, arrays.pop(name))
                done.append(f"{name} header")
            case 5 if arrays:
                del arrays[name]
                done.append(f"{name} left out")
            case 6:
                other = rng.choice([*_ODD_NAMES, *TEXTS])
                arrays[other] = rng.choice(list(arrays.values()) or [np.zeros(3)])
                done.append(f"{other!r:.20} added")
            case _:
                name, array = _recorded(rng)
                arrays[name] = array
                done.append(f"{name} recorded")
    data = pack(rng, {**{f"{n}.npy": npy(np.asarray(a)) for n, a in arrays.items()}, **members})
    if rng.random() < 0.35:
        what, data = _spoiled_zip(rng, data)
        done.append(what)
    path.write_bytes(data)
    return ", ".join(done)


_ODD_NAMES = [
    *("tr_classidx_-1", "tr_classidx_99", "infl_matrix_class\u0663", "infl_matrix_class007"),
    *("infl_matrix_class" + "9" * 30, "infl_matrix_class", "infl_matrix_classX", "tr_classidx_"),
    *("tr_mem", "tr_idx", "scores", "labels", "filenames", "index", "id", "standard_error"),
    *("n_in", "n_out", "infl_matrix", "memorization", "influence", "position", "name", "image"),
    *("tt_filenames", "tr_filenames", "tr_n_in", "tr_n_out", "tr_mem_low", "Unnamed: 0", "found"),
]


def _recorded(rng):
    """Return an array that only memtools writes, with anything in it."""
    name = rng.choice(["about", "about", "quantity", "partial", "min_mem", "min_infl", "inverse"])
    if name == "about":
        return name, np.array(document(rng)) if rng.random() < 0.8 else np.arange(3)
    value = rng.choice([*TEXTS, *VALUES])
    try:
        array = np.array(value)
        return name, array if array.dtype != object else np.array(str(value))
    except ValueError:
        return name, np.array(0)


def pack(rng, members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    method = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode().replace("\0", "_"))
            archive.writestr(info, data, method)
    return stream.getvalue()


def _spoiled_zip(rng, data: bytes) -> tuple[str, bytes]:
    """Return an archive that does not hold what its headers promise."""
    whole = bytearray(data)
    central = [k for k in range(len(whole) - 46) if whole[k : k + 4] == b"PK\1\2"]
    local = [k for k in range(len(whole) - 30) if whole[k : k + 4] == b"PK\3\4"]
    what = rng.randrange(12)
    if not central or what == 0:
        return "bytes", spoil(rng, data)
    at, first = rng.choice(central), rng.choice(local)
    offsets = {"flag": 8, "method": 10, "crc": 16, "compressed": 20, "size": 24, "offset": 42}
    match what:
        case 1:
            whole[at + 8] |= 1
            whole[first + 6] |= 1
            return "encrypted", bytes(whole)
        case 2:
            method = struct.pack("<H", rng.choice([1, 8, 9, 12, 14, 93, 95, 97, 99, 65_535]))
            for start, shift in ((at, 10), (first, 8)):
                whole[start + shift : start + shift + 2] = method
            return "method", bytes(whole)
        case 3:
            stream = io.BytesIO(data)
            with zipfile.ZipFile(stream, "a") as archive:
                name = archive.namelist()[0]
                archive.writestr(zipfile.ZipInfo(name), b"twice")
            return "twice", stream.getvalue()
        case 4:
            stream = io.BytesIO()
            n_bytes = rng.choice([10, 70, 400]) << 20
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                zeros = npy(np.zeros(0))[:-1].replace(b"(0,)", f"({n_bytes // 8},)".encode())
                archive.writestr("scores.npy", zeros + b"\n" + bytes(n_bytes))
            return f"bomb of {n_bytes >> 20} MiB", stream.getvalue()
        case 5:
            return "central directory cut", bytes(whole[: at + rng.randrange(46)])
        case 6:
            stream = io.BytesIO(data)
            with zipfile.ZipFile(stream, "a") as archive:
                name = rng.choice(["../x.npy", "/etc/x.npy", "a/", "x", "..\\x.npy", "\x1b[2J.npy"])
                archive.writestr(zipfile.ZipInfo(name), npy(np.arange(3)))
            return f"member {name!r}", stream.getvalue()
        case 7:
            return "in front", b"#!/bin/sh\n" * rng.choice([1, 400]) + data
        case 8:
            return "end", data[:-22] + struct.pack("<4s4H2LH", b"PK\5\6", *_ends(rng), 0)
        case _:
            name = rng.choice(sorted(offsets))
            size = 2 if name in ("flag", "method") else 4
            value = rng.choice([0, 1, 5, 2**31 - 1, 2**32 - 1, 2**32 - 2, rng.randrange(2**32)])
            for k in central if rng.random() < 0.3 else [at]:
                start = k + offsets[name]
                whole[start : start + size] = (value % 256**size).to_bytes(size, "little")
            return f"{name} {value}", bytes(whole)


def _ends(rng):
    return (*(rng.choice([0, 1, 65_535]) for _ in range(4)), rng.choice([0, 46, 2**32 - 1]), 10**9)
