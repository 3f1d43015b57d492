"""Crafted files of every kind that a command reads, and the commands that meet them.

    what, commands = KINDS["numbers"](random.Random(7), Base.write(root), scratch)

A command that begins with "!" must hold if `verify`, before it, accepted the file.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np

N, N_TEST, N_CLASSES, N_RUNS = 12, 6, 3, 16
LABELS, TEST_LABELS = np.arange(N) % N_CLASSES, np.arange(N_TEST) % N_CLASSES
NAMES = np.array([f"img_{k:03d}.png" for k in range(N)])
DTYPES = (
    "<f2 >f2 <f4 >f4 <f8 >f8 g >g <i1 <i2 >i4 >i8 <u1 >u2 >u4 <u8 >u8 ? S1 S8 <U1 <U8 >U8 <c8 >c16"
    " <M8[s] >m8[D] V4 O"
).split()
TEXTS = [
    *("", " ", ".", "..", "../x", "/", "a/b", "x" * 5_000, "\x00", "a\x00b", "\x1b[31mred", "\n"),
    *("\u202egnp", "\ud800", "é", "\U0001f600", "NaN", "inf", "-0", "1e999", "9" * 400, "None"),
    *("index", "score", "label", "__class__", "%s%n", "{0}", "=1+1", "'", '"', "\\", "true"),
]
VALUES = [
    *(0, 1, -1, 0.5, -0.0, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400, 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), -float("inf"), None, True, [], {}, [[]], [1], {"a": 1}),
]
FORMATS = ("npz", "csv", "tsv", "json", "parquet")


# ---- what is there before anything is changed


@dataclasses.dataclass
class Base:
    """Whole files of each kind. numbers: estimates, pairs, scores, by name."""

    root: Path
    numbers: dict[str, Path]
    arrays: dict[str, dict[str, np.ndarray]]

    @classmethod
    def write(cls, root: Path) -> Base:
        """Write all of them."""
        from memtools.estimates.score_columns import Reading
        from memtools.estimates.score_files import read_numbers
        from memtools.estimates.tables import write_pairs, write_scores

        root.mkdir(parents=True)
        arrays = {
            "estimates": _estimates(),
            "full": _full(),
            "pairs": _pairs(),
            "scores": _scores(),
            "index": {"tr_labels": LABELS, "tr_filenames": NAMES},
        }
        base = cls(root, {}, arrays)
        for name, each in arrays.items():
            base.numbers[name] = root / f"{name}.npz"
            np.savez(base.numbers[name], **each)
        np.save(root / "plain.npy", arrays["scores"]["scores"])
        np.save(root / "positions.npy", np.array([3, 1, 5]))
        (root / "names.txt").write_text("".join(f"{name}\n" for name in NAMES))
        for ending in FORMATS:
            write_scores(root / f"own.{ending}", read_numbers(base.numbers["scores"], Reading()))
            write_pairs(root / f"pairs.{ending}", read_numbers(base.numbers["pairs"], Reading()))
        _write_store(root / "store")
        _write_registry(root)
        _write_records(root / "records")
        _write_cifar(root)
        (root / "config.toml").write_text(
            'dataset = "digits"\nmodel = "mlp"\nepochs = 1\nbatch_size = 8\npeak_lr = 0.1\n'
            "hidden = [8]\ndrops = [0.5]\nschedule = 'steps'\n"
        )
        return base


def _estimates():
    rng = np.random.default_rng(1)
    arrays = {"tr_mem": rng.random(N), "tr_labels": LABELS, "tt_labels": TEST_LABELS}
    arrays |= {"tr_filenames": NAMES, "tr_mem_se": np.full(N, 0.1)}
    arrays |= {"tr_n_in": np.full(N, 7), "tr_n_out": np.full(N, 3)}
    for k in range(N_CLASSES):
        rows, columns = np.flatnonzero(k == LABELS), np.flatnonzero(k == TEST_LABELS)
        arrays |= {f"tr_classidx_{k}": rows, f"tt_classidx_{k}": columns}
        arrays[f"infl_matrix_class{k}"] = rng.random((len(rows), len(columns)))
    return arrays


def _full():
    rng = np.random.default_rng(2)
    return {"memorization": rng.random(N), "influence": rng.random((N_TEST, N))}


def _pairs():
    return {
        "tr_idx": np.array([0, 3, 5]),
        "tt_idx": np.array([0, 3, 2]),
        "infl": np.array([0.2, 0.3, 0.4]),
        "mem": np.array([0.3, 0.9, 0.5]),
    }


def _scores():
    rng = np.random.default_rng(3)
    return {"scores": rng.random(N), "labels": LABELS, "filenames": NAMES}


def _write_store(root):
    from memtools.estimates.about import About
    from memtools.estimates.model import ExampleIndex
    from memtools.runs.record import RunRecord, RunSpec
    from memtools.runs.store import RunStore, Sweep

    rng = np.random.default_rng(4)
    sweep = Sweep("mine", "file", 0.5, N, N_TEST)
    store = RunStore.create(root, sweep, ExampleIndex(About(), LABELS, None, TEST_LABELS, None))
    for run_id in range(N_RUNS):
        mask = np.zeros(N, bool)
        mask[rng.permutation(N)[: N // 2]] = True
        correct, test = mask | (rng.random(N) < 0.6), rng.random(N_TEST) < 0.7
        store.add(RunRecord(RunSpec(run_id, sweep.digest), mask, correct, test))
    (root / "failed" / "99.json").write_text('{"run_id": 99, "reason": "NaN", "step": 1}')
    (root / "asked.json").write_text(json.dumps([*range(N_RUNS), 99]))


def _write_registry(root):
    import hashlib

    data = (root / "scores.npz").read_bytes()
    (root / "registry.toml").write_text(
        '[[artifact]]\nname = "thing"\nfile = "thing.npz"\ndataset = "mine"\nkind = "cscores"\n'
        'order = "file"\ndefinition = "a test"\ndirection = "high = typical"\npaper = "none"\n'
        f'md5 = "{hashlib.md5(data).hexdigest()}"\nsize = {len(data)}\n'
        f'[[artifact.parts]]\nurl = "scores.npz"\nsize = {len(data)}\n[groups]\nall = ["thing"]\n'
    )


def _write_records(root):
    root.mkdir()
    shard = b"x" * 64
    (root / "train-00000-of-00001").write_bytes(shard)
    facts = {"n_records": 1, "n_bytes": 64, "sha256": "0" * 64, "converted": {"a.png": "png"}}
    split = {"index": "a", "images": "b", "seed": 0, "n_shards": 1, "n_records": 1, "n_examples": 1}
    document = {"train": {**split, "shards": {"train-00000-of-00001": facts}}}
    (root / "dataset.json").write_text(json.dumps({"format": 1, "splits": document}))


def _write_cifar(root):
    pixels = np.zeros((4, 3072), np.uint8)
    (root / "batch.pickle").write_bytes(
        pickle.dumps({b"data": pixels, b"fine_labels": [0, 1, 2, 3]}, protocol=2)
    )
    (root / "names.pickle").write_bytes(pickle.dumps(np.array(["a", "b"], object), protocol=2))


# ---- bytes


def spoil(rng, data: bytes) -> bytes:
    """Cut, flip, repeat, fill or lengthen some bytes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        if not data:
            break
        at, n = rng.randrange(len(data)), rng.choice([1, 1, 2, 4, 8, 64])
        match rng.randrange(7):
            case 0:
                del data[at:]
            case 1:
                del data[at : at + n]
            case 2:
                data[at] ^= 1 << rng.randrange(8)
            case 3:
                data[at : at + n] = rng.randbytes(n)
            case 4:
                data[at : at + n] = rng.choice([b"\0", b"\xff", b"\x7f"]) * n
            case 5:
                data[at:at] = data[at : at + n] * rng.choice([1, 3, 50])
            case 6:
                data += rng.choice([b"\0", b"PK\5\6", rng.randbytes(n)])
    return bytes(data)


# ---- npy


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
            f"{{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': [('', '<f8')], 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '<f4,<f4', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': 'M8[{big}s]', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': {'[' * 90}1{']' * 90}, 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}",
            f"{{'descr': '{descr}', 'fortran_order': False}}",
            f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, 'x': 1}}",
            f"{{'descr': '{descr}, 'fortran_order': False, 'shape': {shape}, }}",
            *("", "{", "(" * 5_000, "[" * 200, "'", '"""', "\\", "{[]: 1}", "{{}: 1}", "1_", "0777"),
            *("{'descr': f'{1}'}", "__import__('os')", "-" * 9_000, "\0", "{'a'\0: 1}", "𝟙", "\t\n"),
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


# ---- npz


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
    data = _zip(rng, {**{f"{n}.npy": npy(np.asarray(a)) for n, a in arrays.items()}, **members})
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


def document(rng) -> str:
    """Return what memtools records, or not quite."""
    fields = ("dataset", "order", "definition", "direction", "paper", "doubt", "source", "digest")
    facts = {name: rng.choice(TEXTS) for name in fields if rng.random() < 0.7}
    if rng.random() < 0.3:
        facts[rng.choice([*fields, "other"])] = rng.choice(VALUES)
    text = json.dumps(facts)
    return rng.choice([text] * 5 + ["[]", "1", "null", "{", "", "[" * 3_000, text[:-2], '"\\ud800"'])


def _zip(rng, members: dict[str, bytes]) -> bytes:
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
                whole[start : start + size] = (value % 256 ** size).to_bytes(size, "little")
            return f"{name} {value}", bytes(whole)


def _ends(rng):
    return (*(rng.choice([0, 1, 65_535]) for _ in range(4)), rng.choice([0, 46, 2**32 - 1]), 10**9)


# ---- text


def craft_json(rng, text: str) -> str:
    """Change a value, a name or the text of a JSON document."""
    if rng.random() < 0.25:
        return rng.choice(
            [
                *("", "[]", "{}", "null", "1", '"x"', "NaN", "[NaN, Infinity]", "[" * 50_000),
                *('{"a":' * 20_000, "[1e999]", "[1e-999, 2]", f"[{'9' * 5_000}]", "[-0, -0.0]"),
                *('{"score": [1, 2], "score": [3, 4]}', '["\\ud800", "\\udfff"]', "[[1], [2, 3]]"),
                *('[{"score": 1}, {"score": "x"}]', '[{"score": [1]}, {"score": [2]}]', "[{}, {}]"),
                *('{"about": 1, "rows": 2}', '{"about": {"types": 3}, "rows": []}', "[{}]", '{"": 1}'),
                *('{"about": {"types": {"score": "O"}}, "rows": [{"score": 1}]}', "[true, false]"),
                *('{"about": {"types": {"score": "x y"}}, "rows": [{"score": 1}]}', '{"a.png": 1e999}'),
                *('{"a": {"0": 1}, "b": {"0": 2}}', '{"score": {"0": 1, "1": []}}', '{"score": {}}'),
                *('{"about": {"n": "x"}, "rows": [{"index": 0, "score": 1}]}', "[9223372036854775808]"),
                *('{"indices": 3}', '{"indices": {}}', '{"indices": [[1], 2]}', "[1, [2, [3]]]"),
            ]
        )
    holder = [json.loads(text)]
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = list(_places(holder))
        container, key = rng.choice(places[1:] or places)
        value = rng.choice([*VALUES, *TEXTS, "drop", "rename"])
        if value == "drop" and container is not holder:
            del container[key]
        elif value == "rename" and isinstance(container, dict):
            container[rng.choice(TEXTS)] = container.pop(key)
        elif value not in ("drop", "rename"):
            container[key] = value
    try:
        return json.dumps(holder[0])
    except ValueError:  # 10**400 has more digits than text may
        return "[1e999]"


def _places(container):
    keys = container if isinstance(container, dict) else range(len(container))
    for key in list(keys):
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _places(container[key])


_TOML = [
    *("1", "-1", "0", "1.5", "inf", "nan", "true", '""', '"x"', "[]", "[[]]", "{}", "2024-02-30"),
    *("1979-05-27", "07:32:00", "9" * 400, "9" * 5_000, "1e999", '"\\u0000"', '"\\u001b[2J"', '".."'),
    *('"../x"', '"\\uFFFF"', "[1, 'a']", "{a = 1}", "[" * 3_000, "1_", "0x" + "f" * 5_000, "'''"),
    *("9223372036854775808", "-9223372036854775809", "1e308", "1e-320", '"/dev/zero"', '"tfds:x"'),
    *('"http://127.0.0.1:9/x"', '"\U0001f600"', '"a/b"', '"file:///etc/passwd"', "1" * 30),
]


def craft_toml(rng, text: str) -> str:
    """Change a value or a line of a TOML document."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        match rng.randrange(5):
            case 0 | 1 | 2 if equals:
                lines[at] = f"{key}= {rng.choice(_TOML)}"
            case 3:
                del lines[at]
            case _:
                lines.insert(at, rng.choice([f"x = {rng.choice(_TOML)}", "[a]", "[[b]]", "\x1b", "="]))
        if not lines:
            break
    return "\n".join(lines) + "\n"


def craft_table(rng, text: str, delimiter: str) -> str:
    """Change cells, rows or columns of a csv or tsv."""
    rows = [line.split(delimiter) for line in text.splitlines()]
    for _ in range(rng.choice([1, 1, 2, 4])):
        row = rng.choice(rows) if rows else [""]
        match rng.randrange(7):
            case 0 | 1 | 2 if row:
                row[rng.randrange(len(row))] = str(rng.choice([*TEXTS, *map(_spelt, VALUES)]))
            case 3:
                rows.append(list(row))
            case 4 if rows:
                rows.remove(row)
            case 5:
                row.append("x")
            case _:
                for each in rows:
                    del each[:1]
    text = "\n".join(delimiter.join(row) for row in rows)
    return rng.choice([text, text, text + "\n", "\ufeff" + text, text.replace("\n", "\r")])


def _spelt(value):
    return "1e400" if value == 10**400 else repr(value)


def encoded(rng, text: str) -> bytes:
    """Return text as bytes, most often UTF-8."""
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        return rng.choice([text.encode("utf-16", "replace"), b"\xff" + data, data + b"\xc3"])
    return spoil(rng, data) if rng.random() < 0.15 else data


def craft_pickle(rng, data: bytes) -> bytes:
    """Return a pickle that holds, or asks for, something else."""
    rows = np.zeros((4, 3072), np.uint8)
    odd = [
        *({}, [], 1, None, "x", b"", {b"data": 1}, {b"data": rows}, {"data": rows, "labels": [1]}),
        *({b"data": rows, b"labels": [1, 2]}, {b"data": rows, b"labels": [10**30] * 4}, os.getcwd),
        *({b"data": rows[:, :5], b"labels": [1] * 4}, {b"data": rows.astype("f4"), b"labels": [1]}),
        *({b"data": rows, b"labels": ["a"] * 4}, {b"data": rows, b"labels": [[1], [2, 3]]}),
        *({b"data": rows, b"labels": [float("nan")] * 4}, {b"data": rows, b"labels": None}),
    ]
    match rng.randrange(3):
        case 0:
            return pickle.dumps(rng.choice(odd), protocol=rng.choice([0, 2, 4]))
        case 1:
            return rng.choice(
                [
                    *(b"", b".", b"N.", b"]" * 9 + b".", b"(" * 99_999 + b".", b"\x80\xff.", b"2."),
                    *(b"cos\nsystem\n(S'id'\ntR.", b"\x8e" + b"\xff" * 8 + b"x", b"0.", b"e.", b"u."),
                    *(b"I" + b"9" * 9_999 + b"\n.", b"\x8b\xff\xff\xff\x7f.", b"h\x00.", b"(l" * 5_000),
                    *(b"cnumpy\nndarray\n(I99999999999\ntR.", b"B\xff\xff\xff\xff.", b"r\xff\xff\xff\x7f."),
                    *(b"cnumpy\ndtype\n(S'f8'\ntR.", b"]" + b"]a" * 9 + b".", b"\x94" * 9 + b"."),
                    *(b"N" + b"\x85" * 30_000 + b".", b"p99999999999999999999\n."),
                ]
            )
        case _:
            return spoil(rng, data)


# ---- kinds of files, and the commands that meet them


def numbers(rng, base: Base, scratch: Path):
    """Estimates, pairs or scores, as npz."""
    kind = rng.choice(sorted(base.arrays))
    path = scratch / "x.npz"
    what = craft_npz(rng, base.arrays[kind], path)
    return f"{kind}: {what}", [["verify", path], *_must(rng, kind, path, scratch), *_few(rng, base, path, scratch)]


def _must(rng, kind, path, scratch):
    commands = [["!", "info", path]]
    if kind != "index":
        commands += [["!", "export", path, "--out", scratch / f"all.{each}"] for each in FORMATS]
        commands += [["!", "verify", scratch / f"all.{rng.choice(['npz', 'npz', 'csv'])}"]]
    return commands


def tables(rng, base: Base, scratch: Path):
    """Scores or pairs as npy, csv, tsv, json or parquet."""
    ending = rng.choice(["npy", "csv", "tsv", "json", "json", "parquet"])
    path = scratch / f"x.{ending}"
    source = base.root / (rng.choice(["own", "pairs"]) + f".{ending}")
    if ending == "npy":
        array = rng.choice([base.arrays["scores"]["scores"], np.array([3, 1, 5])])
        data = rng.choice([lambda: header(rng, array), lambda: npy(warp(rng, array)[1])])()
        path.write_bytes(spoil(rng, data) if rng.random() < 0.2 else data)
    elif ending == "json":
        path.write_bytes(encoded(rng, craft_json(rng, source.read_text())))
    elif ending == "parquet":
        _craft_parquet(rng, source, path)
    else:
        delimiter = "\t" if ending == "tsv" else ","
        path.write_bytes(encoded(rng, craft_table(rng, source.read_text(), delimiter)))
        beside = Path(f"{source}.about.json").read_text()
        if rng.random() < 0.6:
            beside = craft_json(rng, beside) if rng.random() < 0.5 else beside
            Path(f"{path}.about.json").write_bytes(encoded(rng, beside))
    must = [["!", "info", path]] + [["!", "export", path, "--out", scratch / f"all.{e}"] for e in FORMATS]
    return ending, [["verify", path], *must, *_few(rng, base, path, scratch)]


def _craft_parquet(rng, source: Path, path: Path):
    import pyarrow
    import pyarrow.parquet

    if rng.random() < 0.4:
        path.write_bytes(spoil(rng, source.read_bytes()))
        return
    table = pyarrow.parquet.read_table(source)
    metadata = dict(table.schema.metadata or {})
    odd = [
        pyarrow.array([None] * len(table)),
        pyarrow.array([[1]] * len(table)),
        pyarrow.array([b"\xff"] * len(table)),
        pyarrow.array(["a"] * len(table)).dictionary_encode(),
        pyarrow.array([1] * len(table), pyarrow.timestamp("ns")),
        pyarrow.array([1] * len(table), pyarrow.decimal128(38, 3)),
        pyarrow.array([2**64 - 1] * len(table), pyarrow.uint64()),
        pyarrow.array([0.5] * len(table), pyarrow.float16()) if rng.random() < 0.5 else pyarrow.array([{"a": 1}] * len(table)),
        pyarrow.array([1, None] * (len(table) // 2) + [None] * (len(table) % 2)),
    ]
    name = rng.choice([*table.column_names, *TEXTS[3:9], "score", "index"])
    if name in table.column_names and rng.random() < 0.7:
        table = table.set_column(table.column_names.index(name), name, rng.choice(odd))
    else:
        table = table.append_column(name.encode("utf-8", "replace").decode(), rng.choice(odd))
    if rng.random() < 0.3:
        table = table.slice(0, rng.choice([0, 1]))
    if b"memtools" in metadata and rng.random() < 0.4:
        metadata[b"memtools"] = encoded(rng, craft_json(rng, metadata[b"memtools"].decode()))
    if rng.random() < 0.2:
        metadata[b"pandas"] = craft_json(rng, '{"index_columns": [{"kind": "range", "start": 0, "stop": 12, "step": 1}]}').encode()
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)


def _few(rng, base: Base, path: Path, scratch: Path):
    """Return some of the commands that read numbers, a list of examples, or positions."""
    scores, names = base.numbers["scores"], base.root / "names.txt"
    out, said = ["--out", scratch / f"y.{rng.choice(FORMATS)}"], ["--order", "file", "--dataset", "mine"]
    commands = [
        ["info", path, "--json"],
        ["info", path, "--column", rng.choice(["scores", "x", "labels", "about"]), *said],
        ["pairs", path, "--min-mem", "-1", "--min-infl", "-1", *out],
        ["pairs", path, "--json"],
        ["select", path, "--top", "3", "--out", scratch / "s.json", *said],
        ["select", path, "--bottom", "1", "--per-class", "--out", scratch / "s.csv", *said],
        ["select", scores, "--random", "2", "--within", path, "--out", scratch / "s.npy"],
        ["compare", path, scores, *said],
        ["compare", scores, path, *said, "--by-class", "--json"],
        ["align", path, "--to", names, *out],
        ["align", path, "--to", names, *said, "--direction", "typical", *out],
        ["align", scores, "--to", path, *said, *out],
        ["align", scores, "--to", names, "--labels", path, "--order", "file", *out],
        ["align", scores, "--to", path, "--reference", path, *out],
        ["info", base.root / "plain.npy", "--index", path],
        ["export", path, "--index", path, *out],
        ["publish", path, "--to", scratch / "pub", "--name", "a", "--no-report", *said],
        ["estimate", base.root / "store", *out],
        ["import", path, "--to", scratch / "in", "--dataset", "mine", "--order", "file"],
        ["import", base.root / "plain.npy", "--margins", path, "--train-margins", path]
        + ["--to", scratch / "in", "--dataset", "mine", "--order", "file"],
        ["import", path, "--to", scratch / "in", "--dataset", "mine", "--order", "file", "--labels", path],
        ["verify", path, "--names"],
        ["checkpoints", "reorder", base.root / "store", "--to", scratch / "o", "--ids", path, path],
        ["tfrecords", "info", path],
        ["report", path, "--to", scratch / "page"],
    ]
    chosen = rng.sample(commands[:-1], k=3)
    return chosen + ([commands[-1]] if rng.random() < 0.04 else [])


def stores(rng, base: Base, scratch: Path):
    """A store of runs of which one file is not what it was."""
    import shutil

    store = scratch / "store"
    shutil.copytree(base.root / "store", store)
    which = rng.choice(["record", "record", "record", "sweep.toml", "examples.npz", "failed", "asked.json"])
    if which == "record":
        path = store / "records" / f"{rng.randrange(N_RUNS):06d}.npz"
    else:
        path = store / ("failed/99.json" if which == "failed" else which)
    what = which
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            arrays = {name: arrays[name] for name in arrays.files}
        what += ": " + craft_npz(rng, arrays, path)
    elif path.suffix == ".toml":
        path.write_bytes(encoded(rng, craft_toml(rng, path.read_text())))
    else:
        path.write_bytes(encoded(rng, craft_json(rng, path.read_text())))
    commands = [
        ["sweep", "status", store],
        ["sweep", "status", store, "--json"],
        ["estimate", store, "--out", scratch / "e.npz"],
        ["estimate", store, "--out", scratch / "e.npz", "--report", "--of", "margin"],
        ["pairs", store, "--cross-class", "--top", "3"],
        ["pairs", store],
        ["checkpoints", "reorder", store, "--to", scratch / "o"],
    ]
    return what, rng.sample(commands, k=3)


def registries(rng, base: Base, scratch: Path):
    """A registry, or a receipt, with the commands of fetching."""
    registry = scratch / "registry.toml"
    (scratch / "scores.npz").write_bytes((base.root / "scores.npz").read_bytes())
    text = (base.root / "registry.toml").read_text()
    cache = ["--to", scratch / "cache"]
    if rng.random() < 0.6:
        registry.write_bytes(encoded(rng, craft_toml(rng, text)))
        given = ["--registry", registry]
        commands = [["list", *given, *cache], ["fetch", "thing", *given, *cache]]
        commands += [["verify", *given, *cache], ["list", "--json", *given, *cache]]
        commands += [["join", "thing", "--from", base.root, *given, *cache], ["clean", *given, *cache]]
        return "registry", commands[:3] + rng.sample(commands[3:], k=1)
    registry.write_text(text)
    given = ["--registry", registry]
    receipt = scratch / "cache" / ".thing.npz.receipt.json"
    receipt.parent.mkdir()
    (receipt.parent / "thing.npz").write_bytes((base.root / "scores.npz").read_bytes())
    parts = [{"name": "scores.npz", "size": 9, "git_blob": "0" * 40}]
    facts = {"artifact": "thing", "digests": {"md5": "0" * 32}, "parts": parts, "proven": True}
    facts |= {"verified": "2024-01-01T00:00:00+00:00", "stamp": [1, 2, 3, 4], "memtools": "1"}
    receipt.write_bytes(encoded(rng, craft_json(rng, json.dumps(facts))))
    (receipt.parent / "thing.npz.part.json").write_bytes(receipt.read_bytes())
    commands = [["list", *given, *cache], ["fetch", "thing", *given, *cache]]
    commands += [["verify", "thing", *given, *cache], ["clean", "--all", *given, *cache]]
    return "receipt", commands


def others(rng, base: Base, scratch: Path):
    """Configurations, manifests, ledgers, pickles, archives and their indices."""
    return rng.choice([_config, _manifest, _ledger, _cifar, _archive, _names, _aux, _npz_data])(
        rng, base, scratch
    )


def _config(rng, base, scratch):
    path = scratch / "c.toml"
    text = craft_toml(rng, (base.root / "config.toml").read_text())
    path.write_bytes(encoded(rng, text.replace('"digits"', f'"{scratch}/none.npz"')))
    given = [path, "--runs", "0", "--to", scratch / "runs"]
    return "config", [["train", *given], ["sweep", "run", *given, "--engine", "serial"]]


def _npz_data(rng, base, scratch):
    images = np.zeros((6, 4, 4, 1), np.uint8)
    arrays = {f"{side}_{name}": each for side in ("train", "test") for name, each in
              (("images", images), ("labels", np.arange(6) % 2))}
    what = craft_npz(rng, arrays, scratch / "d.npz")
    path = scratch / "c.toml"
    text = (base.root / "config.toml").read_text().replace('"digits"', f'"{scratch}/d.npz"')
    path.write_text(text.replace("batch_size = 8", "batch_size = 512"))
    return f"data: {what}", [["train", path, "--runs", "0", "--to", scratch / "runs", "--set", "epochs=-1"],
                             ["align", base.numbers["scores"], "--to", scratch / "d.npz", "--order", "file"]]


def _manifest(rng, base, scratch):
    made = scratch / "m.json"
    request = {"what": str(base.numbers["scores"]), "within": None, "to": None, "labels": None}
    request |= {"split": "train", "align_order": "", "class_folders": "auto", "allow_missing": False}
    request |= {"column": "", "index": None, "dataset": "", "direction": None, "definition": ""}
    facts = {"request": request, "inputs": {}, "criteria": [{"kind": "top", "n": 3}]}
    facts |= {"per_class": False, "control": False, "seed": 0}
    made.write_bytes(encoded(rng, craft_json(rng, json.dumps(facts))))
    return "manifest", [["select", "--replay", made, "--out", scratch / "s.npy"]]


def _ledger(rng, base, scratch):
    import shutil

    root = scratch / "records"
    shutil.copytree(base.root / "records", root)
    path = root / "dataset.json"
    path.write_bytes(encoded(rng, craft_json(rng, path.read_text())))
    return "ledger", [["tfrecords", "info", root], ["tfrecords", "info", root, "--json"],
                      ["tfrecords", "info", root, "--split", "val"]]


def _cifar(rng, base, scratch):
    root = scratch / "cifar-100-python"
    root.mkdir()
    (root / "train").write_bytes(craft_pickle(rng, (base.root / "batch.pickle").read_bytes()))
    (root / "test").write_bytes((base.root / "batch.pickle").read_bytes())
    out = ["--out", scratch / "k.npz"]
    return "cifar", [["align", "--reference", root, *out],
                     ["align", base.numbers["scores"], "--to", root, "--order", "official"]]


def _names(rng, base, scratch):
    """Names that are pickled in an npz, which are read only if the user says so."""
    payload = craft_pickle(rng, (base.root / "names.pickle").read_bytes())
    start = npy(np.array([], object)).partition(b"\n")[0].replace(b"(0,)", b"(2,)") + b"\n"
    members = {f"{k}.npy": npy(v) for k, v in base.arrays["estimates"].items() if k != "tr_filenames"}
    path = scratch / "x.npz"
    path.write_bytes(_zip(rng, {**members, "tr_filenames.npy": start + payload}))
    return "names", [["verify", path], ["verify", path, "--names"], ["info", path, "--names"]]


def _aux(rng, base, scratch):
    """A released run in a directory, to be imported."""
    arrays = _aux_arrays()
    path = scratch / "runs" / rng.choice(["0.5", "0.7", "0.50", "99", "0", "9" * 400]) / "3" / "aux_arrays.npz"
    if len(str(path)) > 400:
        path = scratch / "runs" / "7.5" / ("9" * 30) / "aux_arrays.npz"
    path.parent.mkdir(parents=True)
    what = craft_npz(rng, arrays, path)
    given = ["--to", scratch / "in", "--dataset", "mine", "--order", "file"]
    return f"aux: {what}", [["import", scratch / "runs", *given]]


def _aux_arrays():
    order = np.random.default_rng(5).permutation(N)
    parts = {"train": order[: N // 2], "removed": order[N // 2 :], "test": np.arange(N_TEST)}
    arrays = {f"index_{name}": index for name, index in parts.items()}
    return arrays | {f"correctness_{name}": np.ones(len(i), bool) for name, i in parts.items()}


def _archive(rng, base, scratch):
    """An archive of released models, its members, or its index."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])) as tar:
        for run in range(2):
            inner = scratch / "inner.npz"
            craft_npz(rng, _aux_arrays(), inner)
            data = inner.read_bytes()
            ratio = rng.choice(["0.5", "0.5", "0.7", "9" * 80, "0.0"])
            name = rng.choice([f"m/{ratio}/{run}/aux_arrays.npz"] * 4 + [f"../{ratio}/1/aux_arrays.npz", f"m/0.5/{'9' * 50}/aux_arrays.npz"])
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type = rng.choice([tarfile.REGTYPE] * 5 + [tarfile.SYMTYPE, tarfile.DIRTYPE])
            tar.addfile(info, io.BytesIO(data))
    tar = stream.getvalue()
    tar = spoil(rng, tar) if rng.random() < 0.4 else tar
    data = gzip.compress(tar, 1)
    path = scratch / "m.tar.gz"
    path.write_bytes(spoil(rng, data) if rng.random() < 0.4 else data)
    given = ["--to", scratch / "out", "--unverified", "--dataset", "mine", "--order", "file"]
    index = scratch / "i"
    again = ["checkpoints", "aux", path, *given, "--index", index]
    if rng.random() < 0.3:
        index.write_bytes(rng.choice([b"", b"SQLite format 3\0" + bytes(84), rng.randbytes(200), _index(rng)]))
    return "archive", [again, again, ["checkpoints", "get", path, "--runs", "0", "--to", scratch / "g", "--unverified", "--index", index]]


def _index(rng):
    """Return an index whose rows are not those of any archive."""
    import sqlite3

    from memtools.checkpoints.index import _TABLES

    connection = sqlite3.connect(":memory:")
    connection.executescript(_TABLES)
    odd = [0, 1, -1, 2**40, 2**62, -(2**63), None, "x", b"\xff", 1.5, b"\0" * 32_768]
    connection.execute("INSERT INTO archive VALUES (?, ?)", (rng.choice(["m.tar.gz"] * 4 + odd), rng.choice(["a", None, 3])))
    for table, n in (("halt", 11), ("member", 4), ("ended", 2)):
        for _ in range(rng.randrange(3)):
            row = [rng.choice(odd) for _ in range(n)]
            if table == "halt" and rng.random() < 0.7:
                row = [rng.choice([0, 20, 400]), 10, rng.randrange(8), 3, bytes(rng.choice([0, 9, 32_768])), 1, 1, 512, rng.choice([0, 512, 2**50]), 0, rng.choice([None, b"x" * 92])]
            if table == "member" and rng.random() < 0.7:
                row = [512, rng.choice(["m/0.5/1/aux_arrays.npz", "../../x/0.5/1/aux_arrays.npz"]), rng.choice([10, 2**60, -5]), 1]
            if rng.random() < 0.9:
                try:
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * n)})", row)
                except (sqlite3.Error, OverflowError):
                    pass
    connection.commit()
    return connection.serialize()


KINDS = {
    "numbers": numbers,
    "tables": tables,
    "stores": stores,
    "registries": registries,
    "others": others,
}
