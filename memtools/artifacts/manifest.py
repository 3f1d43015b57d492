"""A registry file, parsed strictly, so that a mistake is named by file and line; and written.

    parse_registry(text, where="mine.toml", base="https://example.org/data/")
    write_registry(artifact)             # the text that is parsed so

The file is TOML: `[[artifact]]` tables with the fields of `Artifact`, each with
`[[artifact.parts]]` tables with the fields of `Part`, in the order in which the
parts are joined; `[groups]` gives names to lists of artifacts. A part's `url` may
be relative to the registry, so that a folder works from any static host, or from
a disk.

Names in a registry become file names here, so they are checked hard: what comes
from outside chooses neither a path nor an overwritten file.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tomli_w

from memtools.artifacts.registry import KINDS, ORDERS, Artifact, Part, Registry
from memtools.documents import require_small_integers
from memtools.errors import ConfigError
from memtools.files import first_clash, is_plain_name

BUILTIN = Path(__file__).with_name("registry.toml")

_DIGEST_LENGTHS = {"md5": 32, "sha256": 64, "git_blob": 40}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
# Files that memtools makes beside an artifact end so: unfinished bytes, their state, locks.
_OURS = re.compile(r".*(\.part(\..*)?|\.lock|\.tmp|\.receipt\.json)", re.IGNORECASE)


def builtin_registry() -> Registry:
    """The registry that comes with memtools."""
    return parse_registry(BUILTIN.read_text("utf-8"), where=BUILTIN.name, base="https://")


def parse_registry(text: str, *, where: str, base: str) -> Registry:
    """A registry from TOML text; `ConfigError` with file and line if anything is off.

    where: the file or URL, for messages. base: what relative part URLs are
    relative to: a URL that ends in `/`, or a local directory.
    """
    try:
        document = tomllib.loads(text)
        require_small_integers(document, bits=1024)  # a digest without quotes has a line to name
    except (ValueError, RecursionError) as error:  # also a number that no int takes, deep nesting
        raise ConfigError(f"{where}: not valid TOML: {error}", hint="correct the file") from error
    return _Parser(text, where, base).registry(document)


def write_registry(artifact: Artifact) -> str:
    """The TOML text of a registry of one artifact; what is not known or false is left out."""
    facts = {key: value for key, value in dataclasses.asdict(artifact).items() if value}
    parts = [{key: value for key, value in part.items() if value} for part in facts["parts"]]
    return tomli_w.dumps({"artifact": [{**facts, "parts": parts}]})


class _Parser:
    """Checks one document; knows its text only to name the line of a mistake."""

    def __init__(self, text: str, where: str, base: str) -> None:
        self.lines = text.split("\n")  # as TOML does: nothing else ends a line there
        self.where = where
        self.base = base

    def registry(self, document: dict[str, Any]) -> Registry:
        self._known_keys(document, ("artifact", "groups"), 0)
        tables = document.get("artifact", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._fail("artifacts are [[artifact]] tables", 0)
        starts = self._headers(r"\[\[\s*artifact\s*\]\]", 0, len(self.lines))
        starts += [0] * (len(tables) - len(starts))
        artifacts = [self._artifact(*pair) for pair in zip(tables, starts, strict=False)]
        groups = document.get("groups", {})
        if not isinstance(groups, dict):
            self._fail("[groups] is a table of lists", 0, "groups")
        names = [artifact.name for artifact in artifacts]
        places = [(start, "name") for start in starts] + [(0, group) for group in groups]
        self._distinct([*names, *groups], places)
        self._distinct([each.file for each in artifacts], [(start, "file") for start in starts])
        for group, members in groups.items():
            if not (isinstance(members, list) and members and all(m in names for m in members)):
                self._fail(f"group {group!r} is not a list of names in this file", 0, group)
        return Registry(
            dict(zip(names, artifacts, strict=True)),
            {group: tuple(members) for group, members in groups.items()},
        )

    def _artifact(self, table: dict[str, Any], start: int) -> Artifact:
        fields = _field_names(Artifact)
        self._known_keys(table, fields, start)
        for key in ("name", "file", "dataset", "kind", "order", "definition", "direction", "paper"):
            self._typed(table, key, str, start, required=True)
        self._typed(table, "doubt", str, start)
        self._typed(table, "huge", bool, start)
        self._size(table, "approximate_size", start)
        self._size(table, "size", start)
        self._digests(table, ("md5", "sha256"), start)
        if not _NAME.fullmatch(table["name"]):
            self._fail(
                f"{table['name']!r} is not a name: use a-z, 0-9, '.', '_', '-'", start, "name"
            )
        self._plain_file(table["file"], start, "file")
        for key in ("name", "file"):
            if _OURS.fullmatch(table[key]):
                self._fail(f"{table[key]!r} ends like the temporary files of memtools", start, key)
        for key, choices in (("kind", KINDS), ("order", ORDERS)):
            if table[key] not in choices:
                self._fail(f"{key} is {table[key]!r}, not one of {', '.join(choices)}", start, key)
        parts = table.get("parts")
        if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
            self._fail(f"{table['name']!r} has no [[artifact.parts]]", start)
        return Artifact(**{**table, "parts": self._parts(parts, table, start)})

    def _parts(
        self, tables: Sequence[dict[str, Any]], artifact: dict[str, Any], start: int
    ) -> tuple[Part, ...]:
        starts = self._headers(r"\[\[\s*artifact\s*\.\s*parts\s*\]\]", start, len(self.lines))
        starts += [start] * (len(tables) - len(starts))
        parts = tuple(self._part(*pair) for pair in zip(tables, starts, strict=False))
        self._distinct([part.file for part in parts], [(each, "url") for each in starts])
        sizes = [part.size for part in parts]
        if None not in sizes and artifact.get("size", sum(filter(None, sizes))) != sum(
            filter(None, sizes)
        ):
            self._fail(f"the parts have {sum(filter(None, sizes))} bytes together", start, "size")
        return parts

    def _part(self, table: dict[str, Any], start: int) -> Part:
        self._known_keys(table, _field_names(Part), start)
        self._typed(table, "url", str, start, required=True)
        self._size(table, "size", start)
        self._digests(table, ("git_blob", "sha256"), start)
        part = Part(**{**table, "url": self._resolve(table["url"], start)})
        self._plain_file(part.file, start, "url")
        return part

    def _resolve(self, url: str, start: int) -> str:
        """An absolute https URL, or what a relative one means beside this registry."""
        try:
            split = urllib.parse.urlsplit(url)
        except ValueError as error:
            self._fail(f"{url!r} is not a URL: {error}", start, "url")
        if not urllib.parse.unquote(url).isprintable():
            self._fail(f"{url!r} holds characters that cannot be printed", start, "url")
        if split.scheme in ("http", "https") and split.netloc:
            return urllib.parse.urlunsplit(split._replace(scheme="https"))
        names = urllib.parse.unquote(split.path).split("/")
        relative = not (split.scheme or split.netloc or url.startswith("/") or "\\" in url)
        if not relative or {"", ".", ".."} & {*names}:
            self._fail(f"{url!r} is neither an https URL nor a plain relative one", start, "url")
        if "://" in self.base:
            return urllib.parse.urljoin(self.base, url)
        if set("?#") & set(url) or any(set("\\:") & set(name) for name in names):
            self._fail(f"{url!r} is not the path of a file beside the registry", start, "url")
        return str(Path(self.base, *names))

    def _typed(
        self, table: dict[str, Any], key: str, kind: type, start: int, *, required: bool = False
    ) -> None:
        if key not in table:
            if required:
                self._fail(f"{key} is missing", start)
        elif not isinstance(table[key], kind) or table[key] == "":
            self._fail(f"{key} is not {'true or false' if kind is bool else 'text'}", start, key)

    def _size(self, table: dict[str, Any], key: str, start: int) -> None:
        value = table.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            self._fail(f"{key} is not a positive number of bytes", start, key)

    def _digests(self, table: dict[str, Any], keys: Iterable[str], start: int) -> None:
        for key in keys:
            length = _DIGEST_LENGTHS[key]
            value = table.get(key, "0" * length)
            if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{length}}}", value):
                self._fail(f"{key} is not {length} lower-case hex digits: {value!r}", start, key)

    def _plain_file(self, name: str, start: int, key: str) -> None:
        if not is_plain_name(name):
            self._fail(f"{name[:60]!r} is not a plain file name", start, key)

    def _distinct(self, names: Sequence[str], places: Sequence[tuple[int, str]]) -> None:
        """Fail at the first name that an earlier one equals, letter case aside."""
        if first_clash(names):
            later = next(n for n in range(len(names)) if first_clash(names[: n + 1]))
            self._fail(first_clash(names) or "", *places[later])

    def _known_keys(self, table: Mapping[str, Any], known: Sequence[str], start: int) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0)
                self._fail(f"unknown key {key!r}; the nearest known one is {near[0]!r}", start, key)

    def _headers(self, pattern: str, first: int, stop: int) -> list[int]:
        return [n for n in range(first, stop) if re.match(rf"\s*{pattern}", self.lines[n])]

    def _fail(self, what: str, start: int, needle: str = "") -> NoReturn:
        """Raise, naming the first line from `start` on that sets the key `needle`, or holds it."""
        word = re.escape(needle)
        for pattern in (rf"\s*[\"']?{word}[\"']?\s*[.=]", rf".*{word}") if needle else ():
            lines = (n for n in range(start, len(self.lines)) if re.match(pattern, self.lines[n]))
            start = next(lines, start)
        line = start + 1
        raise ConfigError(f"{self.where}, line {line}: {what}", hint="correct the registry file")


def _field_names(dataclass: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(dataclass))
