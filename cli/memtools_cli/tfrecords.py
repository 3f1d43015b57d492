"""tfrecords build, check, info: indexed TFRecords of ImageNet."""

from __future__ import annotations

import collections
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtools_cli import engines
from memtools_cli.extras import needing
from memtools_cli.options import ClassFolders, Json, Names
from memtools_cli.output import note, print_table, show, show_json

if TYPE_CHECKING:
    from memtools.estimates.model import ExampleIndex

SHOWN = 30  # converted images that are named
_PROVEN = {
    "sha256": "sha256 as built",
    "structure": "sha256 as built, structure of each image",
    "decode": "sha256 as built, each image decoded",
}

Where = Annotated[str, typer.Argument(metavar="DIR", help="Directory of the set, or gs://...")]
Index = Annotated[
    str,
    typer.Option(metavar="NAME|FILE", help="File names and labels by position: the index."),
]
SplitName = Literal["train", "test", "val", "validation"]
OnlySplit = Annotated[
    SplitName | None,
    typer.Option("--split", help="One split; val, validation and test are the same."),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes side by side, about 0.5 GB each.",
        show_default="one per CPU",
    ),
]
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

group = typer.Typer(
    help="Images into indexed TFRecords that carry the published index.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Register the group and its commands."""
    group.command()(build)
    group.command()(check)
    group.command()(info)
    app.add_typer(group, name="tfrecords")


def build(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="ILSVRC2012_img_train.tar or _val.tar as they are or packed again, a folder of"
            " class folders, a flat folder, or a list of the paths of images (txt, csv, json).",
        ),
    ],
    to: Annotated[str, typer.Option(metavar="DIR", help="Write the set here; may be gs://...")],
    split: Annotated[
        SplitName,
        typer.Option(help="Which split it is; val, validation and test are the same."),
    ],
    index: Index = "imagenet-index",
    class_names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Words of each class: LOC_synset_mapping.txt, or synset TAB words."
        ),
    ] = None,
    class_folders: ClassFolders = "auto",
    skip_bad: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Base names to leave out, one in a line.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Build from a source that lacks images.")
    ] = False,
    verify: Annotated[
        Literal["structure", "decode"],
        typer.Option(help="Look at each image's structure, or decode its pixels, too."),
    ] = "structure",
    verify_source: Annotated[
        bool, typer.Option("--verify-source", help="First compare the tar's md5 with the known.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of the shuffling over all shards.")
    ] = 0,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=99_999, metavar="N", help="Files.", show_default="1024; 128 of validation"
        ),
    ] = None,
    workers: engines.Workers = None,
    engine: engines.Name = "process",
    address: engines.Address = None,
    resources: engines.Resources = None,
    names: Names = False,
) -> None:
    """Make indexed TFRecords of a split.

    Images are shuffled over all shards; each carries its published index. All names are
    compared with the index before the first shard. A rerun builds what is missing.
    The set takes as much disk as the images (148 GB of train, 6.7 GB of validation).
    """
    from memtools.tfrecords.class_names import read_class_names
    from memtools.tfrecords.plan import synsets_of
    from memtools.tfrecords.sources import open_source

    with needing("tf"):
        from memtools.tfrecords import builder
    opened = open_source(source, split=split)
    examples = _index(index, names)
    built = builder.build(
        opened,
        to,
        examples,
        split=split,
        seed=seed,
        n_shards=shards,
        engine=engines.engine_of(engine, workers=workers, address=address, resources=resources),
        decode=verify == "decode",
        verify_source=verify_source,
        allow_missing=allow_missing,
        skip=_lines(skip_bad) if skip_bad else (),
        texts=read_class_names(class_names, synsets_of(examples)) if class_names else None,
        class_folders=class_folders,
    )
    _say_converted(built.converted)
    if left := built.n_examples - built.n_records:
        note(f"{left:,} images of the index are left out")
    show(to)


def check(
    where: Where,
    index: Index = "imagenet-index",
    verify: Annotated[
        Literal["sha256", "structure", "decode"],
        typer.Option(help="How far to look into the images."),
    ] = "structure",
    workers: Workers = CPUS,
    names: Names = False,
    split: OnlySplit = None,
) -> None:
    """Prove that a set is whole.

    Digests, checksums, counts, every index once, names and labels, images. Decoding is not
    verification: a damaged image may decode. What proves a shard is its sha256 as built; what
    was built is as good as its source, which --verify-source proves.
    """
    with needing("tf"):
        from memtools.tfrecords import checker
    found = checker.check(
        where, _index(index, names), how=verify, n_workers=workers, only=split or ""
    )
    for name, proven in found:
        source = "the publisher's tar" if proven.source_md5 else "a source that was not verified"
        show(
            f"{name}: {proven.n_records:,} records in {proven.n_shards} shards, each index once,"
            f" names and labels of the index; {_PROVEN[verify]}; from {source}"
        )


def info(where: Where, as_json: Json = False, split: OnlySplit = None) -> None:
    """Show what a set holds: splits, shards, what was converted.

    Shards that are missing or of another size than as built are an error that names them.
    """
    from memtools.files import human_size
    from memtools.tfrecords.completeness import require_undamaged
    from memtools.tfrecords.ledger import open_set

    with needing("tf"):
        ledger = open_set(where)
    splits = ledger.select(split or "")
    for name, recorded in splits.items():
        require_undamaged(ledger.store, name, recorded)
    if as_json:
        found = {name: dataclasses.asdict(recorded) for name, recorded in splits.items()}
        show_json(found)
        return
    rows = [
        (
            name,
            f"{each.n_records:,} of {each.n_examples:,}",
            f"{len(each.shards)} of {each.n_shards}",
            human_size(sum(facts.n_bytes for facts in each.shards.values())),
            str(each.seed),
            _counted(each.converted),
            "publisher's tar" if each.source_md5 else "not verified",
        )
        for name, each in splits.items()
    ]
    heading = ("split", "examples", "shards built", "size", "seed", "converted", "source")
    print_table(heading, rows)


def _index(what: str, names: bool) -> ExampleIndex:
    """Names and labels by position, out of whatever has them."""
    from memtools.artifacts.loader import load
    from memtools.errors import ConfigError
    from memtools.estimates.model import Estimates

    loaded = load(what, names=names)
    if not isinstance(loaded, Estimates):
        raise ConfigError(
            f"{what} holds no file names and labels of both splits",
            hint="use imagenet-index, or a file of its form",
        )
    return loaded.index


def _say_converted(converted: dict[str, str]) -> None:
    if converted:
        shown = ", ".join(sorted(converted)[:SHOWN])
        rest = f" and {len(converted) - SHOWN} more" if len(converted) > SHOWN else ""
        note(f"converted to RGB JPEG: {_counted(converted)} ({shown}{rest})")


def _counted(converted: dict[str, str]) -> str:
    counts = collections.Counter(converted.values())
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "none"


def _lines(path: Path) -> list[str]:
    from memtools.documents import read_utf8
    from memtools.errors import ConfigError

    text = read_utf8(path, error=ConfigError, hint="write a name in a line, in UTF-8")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]
