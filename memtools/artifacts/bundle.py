"""The way back: a file of estimates becomes a folder that others fetch from any static host.

    publish(Path("estimates.npz"), Path("site/mine"))    # site/mine/registry.toml
    # put the folder anywhere; then: memtools fetch mine --registry https://.../registry.toml

The folder holds the file under its new name, or in parts where it is larger than a host may
take, and README.md, croissant.json and registry.toml. The same input makes the same folder,
byte for byte. Each file appears whole or not at all, and registry.toml last: it makes the
publication complete. Publishing again finishes or repairs a folder, and leaves alone what is
right in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import string
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from memtools.arguments import StrPath, checked
from memtools.artifacts.card import write_card
from memtools.artifacts.checker import check_meaning
from memtools.artifacts.croissant import Imprint, describe
from memtools.artifacts.loader import Loaded, load
from memtools.artifacts.manifest import builtin_registry, parse_registry, write_registry
from memtools.artifacts.recognition import read_digests
from memtools.artifacts.registry import NOT_RECORDED, Artifact, Part
from memtools.errors import ConfigError, IntegrityError
from memtools.estimates.about import About, quantity_in
from memtools.estimates.file_formats import TABLES, recognise_format
from memtools.estimates.full_matrix import FullMatrix
from memtools.estimates.npz import Array
from memtools.estimates.schema import kind_of, open_arrays
from memtools.estimates.scores import Scores
from memtools.estimates.summary import outline
from memtools.files import (
    CHUNK,
    appearing,
    disk_errors,
    locked,
    new_hash,
    require_free,
    require_outside_store,
    write_atomically,
)
from memtools.progress import bars
from memtools.temporary_files import is_temporary
from memtools.wording import printable

log = logging.getLogger("memtools")

PART_SIZE = 95_000_000  # bytes: usual static hosts take no file of 100 MB
REPORT = "report"  # a folder that may stand beside the files
_LOCK = ".publish.lock"
_FELDMAN = ("high memorization = atypical", "Feldman & Zhang 2020, arXiv:2008.03703")
_JIANG = ("high C-score = typical", "Jiang et al. 2021, arXiv:2002.03206")


@checked('memtools.publish("estimates.npz", "site/mine")')
def publish(
    path: StrPath,
    to: StrPath,
    *,
    name: str = "",
    about: About | None = None,
    imprint: Imprint | None = None,
    names: bool = False,
    part_size: int = PART_SIZE,
    column: str = "",
    index: Any = None,
) -> Path:
    """Make a folder that holds a file of numbers for others to fetch; return its registry.toml.

    Args:
        path: An npz of the published schema, fetched or made here; a list of pairs; scores. A
            table, or a file that is read with `column` or `index`, is published as npz.
        to: The folder: new, empty, or begun with the same file.
        name: What others will type; that of the folder, if it is not given.
        about: What the file does not record of itself, or records wrong.
        imprint: What only the publisher knows.
        names: As for `memtools.load`.
        part_size: Bytes of each part but the last.
        column: As for `memtools.load`.
        index: As for `memtools.load`.

    Raises:
        SchemaError: The file is something else.
        ConfigError: The name is not one or is taken; something about the numbers is not known; or
            the folder holds something else.
        DiskError: The disk fails.
        BusyError: Another process is publishing there.
    """
    path, to, imprint = Path(path), Path(to), imprint or Imprint()
    if part_size < 1:
        raise ConfigError(f"parts of {part_size} bytes", hint="leave out part_size: 95 MB will do")
    name = name or to.absolute().name
    numbers = load(path, names=names, column=column, index=index)
    trusted = names or bool(numbers.about.digest)  # which is known only of what was proven
    wanted = about or About()
    with _as_archive(path, numbers, wanted, chosen=bool(column) or index is not None) as archive:
        return _publish(archive, to, name, numbers, wanted, imprint, trusted, part_size)


@contextlib.contextmanager
def _as_archive(path: Path, numbers: Loaded, wanted: About, *, chosen: bool) -> Iterator[Path]:
    """Yield the file itself, or an npz of what was read where others could not read it so."""
    if not chosen and recognise_format(path) not in TABLES and _has_kind(path, numbers):
        yield path
        return
    said = {name: value for name, value in dataclasses.asdict(wanted).items() if value}
    plain = dataclasses.replace(numbers.about, **{**said, "source": path.name, "digest": ""})
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"{path.stem}.npz"
        dataclasses.replace(numbers, about=plain).save(archive)
        yield archive


def _has_kind(path: Path, numbers: Loaded) -> bool:
    """Return whether an npz or npy has arrays of published names and shapes."""
    if not isinstance(numbers, Scores):
        return True
    arrays = open_arrays(path)
    return "scores" in arrays and arrays["scores"].shape == numbers.values.shape


def _publish(
    path: Path,
    to: Path,
    name: str,
    numbers: Loaded,
    wanted: About,
    imprint: Imprint,
    trusted: bool,
    part_size: int,
) -> Path:
    arrays = open_arrays(path, names=trusted)
    kind = kind_of(arrays)
    if isinstance(numbers, Scores) and numbers.quantity == "c_score":
        kind = "cscores"
    file = name + (".npy" if recognise_format(path) == "npy" else ".npz")
    draft = _draft(name, file, kind, _meaning(kind, numbers.about, wanted))
    check_meaning(None, path, names=trusted)
    artifact = _measured(draft, path, part_size)
    contents = outline(arrays.raw if isinstance(arrays, FullMatrix) else arrays)
    texts = {
        "README.md": write_card(artifact, contents, imprint, _n_runs(arrays)),
        "croissant.json": describe(artifact, contents, imprint),
        "registry.toml": write_registry(artifact),
    }
    _put(path, to, artifact, {file: text.encode() for file, text in texts.items()})
    if artifact.doubt:
        log.warning("%s is published with a doubt: %s", name, artifact.doubt)
    if imprint.lacking:
        log.info("croissant.json should also have: %s", ", ".join(imprint.lacking))
    return to / "registry.toml"


def _meaning(kind: str, said: About, wanted: About) -> About:
    """What the caller says, else the file, else what such a file means anyway."""
    by_kind = {"cscores": _JIANG, "scores": ("", NOT_RECORDED)}
    direction, paper = by_kind.get(kind, _FELDMAN)
    if kind == "scores" and quantity_in(said.direction) == "memorization":
        direction, paper = _FELDMAN
    known: dict[str, str] = {}
    for each in (About(direction=direction, paper=paper), said, wanted):
        lines = {
            key: printable(" ".join(value.split()))
            for key, value in dataclasses.asdict(each).items()
        }
        known |= {key: value for key, value in lines.items() if value}
    required = ("dataset", "order", "direction", "definition")
    if lacking := [key for key in required if key not in known]:
        raise ConfigError(
            f"{said.source} does not say its {', '.join(lacking)}",
            hint="say it with " + ", ".join(f"--{key}" for key in lacking),
        )
    return About(**known)


def _draft(name: str, file: str, kind: str, about: About) -> Artifact:
    """The entry without sizes and digests; ConfigError if nobody could fetch by it."""
    artifact = Artifact(
        name=name,
        file=file,
        parts=(Part(file),),
        dataset=about.dataset,
        kind=kind,
        order=about.order,
        definition=about.definition,
        direction=about.direction,
        paper=about.paper,
        doubt=about.doubt,
    )
    try:
        registry = parse_registry(write_registry(artifact), where="registry.toml", base="")
    except ConfigError as error:
        hint = "nothing was written; choose another --name, --order, --dataset or --definition"
        raise ConfigError(str(error), hint=hint) from error
    builtin_registry().merged(registry, "the registry that comes with memtools")
    return artifact


def _measured(draft: Artifact, path: Path, part_size: int) -> Artifact:
    """The same with size, parts and digests: all of them from one pass over the bytes."""
    whole = {algorithm: new_hash(algorithm) for algorithm in ("md5", "sha256")}
    parts = []
    with disk_errors(path), path.open("rb", buffering=0) as source, bars() as show:
        size = path.stat().st_size
        for file, n_bytes in _cut(draft, size, part_size):
            own = {algorithm: new_hash(algorithm, n_bytes) for algorithm in ("git_blob", "sha256")}
            for data in _read(source, n_bytes, path):
                for each in (*whole.values(), *own.values()):
                    each.update(data)
                show(f"reading {path.name}", source.tell(), size)
            parts.append(
                Part(file, n_bytes, own["git_blob"].hexdigest(), own["sha256"].hexdigest())
            )
    return dataclasses.replace(
        draft,
        parts=tuple(parts),
        size=size,
        md5=whole["md5"].hexdigest(),
        sha256=whole["sha256"].hexdigest(),
    )


def _cut(draft: Artifact, size: int, part_size: int) -> list[tuple[str, int]]:
    """(name, bytes) of each file: the whole one, or `NAME_split_aa.bin`, `_ab.bin`, ..."""
    if size <= part_size:
        return [(draft.file, size)]
    sizes = [min(part_size, size - start) for start in range(0, size, part_size)]
    width = next(n for n in itertools.count(2) if 26**n >= len(sizes))
    endings = map("".join, itertools.product(string.ascii_lowercase, repeat=width))
    return [(f"{draft.name}_split_{next(endings)}.bin", n_bytes) for n_bytes in sizes]


def _read(source: BinaryIO, n_bytes: int, path: Path) -> Iterator[bytes]:
    """The next bytes of a file, chunk by chunk."""
    while n_bytes:
        with disk_errors(path):
            data = source.read(min(CHUNK, n_bytes))
        if not data:
            raise _changing(path)
        n_bytes -= len(data)
        yield data


def _n_runs(arrays: Mapping[str, Array]) -> int | None:
    """How many models are behind the numbers, if the file has counts."""
    if "tr_n_in" not in arrays or "tr_n_out" not in arrays:
        return None
    return int((arrays["tr_n_in"] + arrays["tr_n_out"]).max(initial=0))


def _put(path: Path, to: Path, artifact: Artifact, texts: Mapping[str, bytes]) -> None:
    """Write what the folder lacks, the registry last."""
    require_outside_store(to / _LOCK)
    with disk_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    with locked(to / _LOCK, wait=False, waiting=lambda: None), disk_errors(to):
        lacking = _lacking(to, artifact, texts)
        new = [part for part in artifact.parts if part.file in lacking]
        n_bytes = sum(part.size or 0 for part in new) + sum(map(len, texts.values()))
        require_free(to, n_bytes, artifact.name)
        _copy(path, to, artifact, lacking)
        for file, text in texts.items():
            if file in lacking:
                write_atomically(to / file, text, ours=True)


def _lacking(to: Path, artifact: Artifact, texts: Mapping[str, bytes]) -> list[str]:
    """The files that are missing, or damaged in a folder whose registry is ours.

    ConfigError for a folder that holds anything but what an earlier start has left.
    """
    ours = [*(part.file for part in artifact.parts), *texts]
    right = {file for file, text in texts.items() if _holds(to / file, text)}
    right |= {part.file for part in artifact.parts if _is_copy(to / part.file, part)}
    others = {path.name for path in to.iterdir()} - right - {_LOCK, REPORT}
    others = {file for file in others if not is_temporary(file)}  # of a start that was killed
    if others and "registry.toml" not in right:
        raise ConfigError(
            f"{to} is not empty, and {min(others)} is not of this publication",
            hint="choose an empty folder: each publication has one of its own",
        )
    return [file for file in ours if file not in right]


def _holds(path: Path, text: bytes) -> bool:
    return path.is_file() and path.read_bytes() == text


def _is_copy(path: Path, part: Part) -> bool:
    if not path.is_file() or path.stat().st_size != part.size:
        return False
    return read_digests(path, ("sha256",))["sha256"] == part.sha256


def _copy(path: Path, to: Path, artifact: Artifact, lacking: list[str]) -> None:
    """Write the parts that are lacking; the bytes must be those that were measured."""
    with disk_errors(path), path.open("rb", buffering=0) as source, bars() as show:
        for part in artifact.parts:
            n_bytes = part.size or 0
            if part.file not in lacking:
                source.seek(n_bytes, 1)
                continue
            digest = new_hash("sha256")
            with disk_errors(to / part.file), appearing(to / part.file, ours=True) as target:
                for data in _read(source, n_bytes, path):
                    target.write(data)
                    digest.update(data)
                    show(f"writing {part.file}", target.tell(), n_bytes)
                if digest.hexdigest() != part.sha256:
                    raise _changing(path)


def _changing(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path} changes while it is read",
        hint="run the same command again when nobody writes to it",
    )
