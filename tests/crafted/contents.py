"""Bytes and documents that are not what they were.

spoil(rng, data)                         # cut, flipped, repeated
craft_json(rng, text), craft_toml(rng, text), craft_pickle(rng, data)
"""

from __future__ import annotations

import json
import os
import pickle

import numpy as np

TEXTS = [
    *("", " ", ".", "..", "../x", "/", "a/b", "x" * 5_000, "\x00", "a\x00b", "\x1b[31mred", "\n"),
    *("\u202egnp", "\ud800", "é", "\U0001f600", "NaN", "inf", "-0", "1e999", "9" * 400, "None"),
    *("index", "score", "label", "__class__", "%s%n", "{0}", "=1+1", "'", '"', "\\", "true"),
]


VALUES = [
    *(0, 1, -1, 0.5, -0.0, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400, 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), -float("inf"), None, True, [], {}, [[]], [1], {"a": 1}),
]


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


def craft_json(rng, text: str) -> str:
    """Change a value, a name or the text of a JSON document."""
    if rng.random() < 0.25:
        return rng.choice(
            [
                *("", "[]", "{}", "null", "1", '"x"', "NaN", "[NaN, Infinity]", "[" * 50_000),
                *('{"a":' * 20_000, "[1e999]", "[1e-999, 2]", f"[{'9' * 5_000}]", "[-0, -0.0]"),
                *('{"score": [1, 2], "score": [3, 4]}', '["\\ud800", "\\udfff"]', "[[1], [2, 3]]"),
                *('[{"score": 1}, {"score": "x"}]', '[{"score": [1]}, {"score": [2]}]', "[{}, {}]"),
                *(
                    '{"about": 1, "rows": 2}',
                    '{"about": {"types": 3}, "rows": []}',
                    "[{}]",
                    '{"": 1}',
                ),
                *('{"about": {"types": {"score": "O"}}, "rows": [{"score": 1}]}', "[true, false]"),
                *(
                    '{"about": {"types": {"score": "x y"}}, "rows": [{"score": 1}]}',
                    '{"a.png": 1e999}',
                ),
                *(
                    '{"a": {"0": 1}, "b": {"0": 2}}',
                    '{"score": {"0": 1, "1": []}}',
                    '{"score": {}}',
                ),
                *(
                    '{"about": {"n": "x"}, "rows": [{"index": 0, "score": 1}]}',
                    "[9223372036854775808]",
                ),
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
    *(
        "1979-05-27",
        "07:32:00",
        "9" * 400,
        "9" * 5_000,
        "1e999",
        '"\\u0000"',
        '"\\u001b[2J"',
        '".."',
    ),
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
                lines.insert(
                    at, rng.choice([f"x = {rng.choice(_TOML)}", "[a]", "[[b]]", "\x1b", "="])
                )
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
                    *(
                        b"cos\nsystem\n(S'id'\ntR.",
                        b"\x8e" + b"\xff" * 8 + b"x",
                        b"0.",
                        b"e.",
                        b"u.",
                    ),
                    *(
                        b"I" + b"9" * 9_999 + b"\n.",
                        b"\x8b\xff\xff\xff\x7f.",
                        b"h\x00.",
                        b"(l" * 5_000,
                    ),
                    *(
                        b"cnumpy\nndarray\n(I99999999999\ntR.",
                        b"B\xff\xff\xff\xff.",
                        b"r\xff\xff\xff\x7f.",
                    ),
                    *(b"cnumpy\ndtype\n(S'f8'\ntR.", b"]" + b"]a" * 9 + b".", b"\x94" * 9 + b"."),
                    *(b"N" + b"\x85" * 30_000 + b".", b"p99999999999999999999\n."),
                ]
            )
        case _:
            return spoil(rng, data)


def document(rng) -> str:
    """Return what memtools records, or not quite."""
    fields = ("dataset", "order", "definition", "direction", "paper", "doubt", "source", "digest")
    facts = {name: rng.choice(TEXTS) for name in fields if rng.random() < 0.7}
    if rng.random() < 0.3:
        facts[rng.choice([*fields, "other"])] = rng.choice(VALUES)
    text = json.dumps(facts)
    return rng.choice(
        [text] * 5 + ["[]", "1", "null", "{", "", "[" * 3_000, text[:-2], '"\\ud800"']
    )
