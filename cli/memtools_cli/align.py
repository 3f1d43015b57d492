"""align: numbers that meet a data set of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memtools_cli.numbers import open_scores
from memtools_cli.options import (
    Cache,
    ClassFolders,
    Column,
    Dataset,
    Definition,
    Direction,
    Index,
    Mirror,
    Names,
    Registries,
)
from memtools_cli.output import show

if TYPE_CHECKING:
    from memtools.alignment.alignment import Alignment
    from memtools.alignment.pixels import Reference
    from memtools.estimates.model import Estimates
    from memtools.estimates.scores import Scores

To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DATA",
        help="A directory of images; .txt, .csv, .json, .parquet of names; .npz of images.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Labels of the data set: npy, int [n].")
]
DataOrder = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="ORDER",
        help="Order of the data set, and of numbers that record none: official, tfds, published,"
        " file. Labels are compared.",
    ),
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Accept examples that only one side has.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(align)


def align(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE]", help="An artifact, a group, or a file of your own."),
    ] = None,
    to: To = None,
    labels: Labels = None,
    split: Annotated[
        str, typer.Option(help="Split of the data set: train; test, val or validation.")
    ] = "train",
    order: DataOrder = "",
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Keys of pixels; or an official copy of CIFAR or MNIST, to make them.",
        ),
    ] = None,
    class_folders: ClassFolders = "auto",
    allow_missing: AllowMissing = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write .npz, .csv, .tsv, .json or .parquet: the aligned scores."
        ),
    ] = None,
    column: Column = "",
    index: Index = None,
    dataset: Dataset = "",
    direction: Direction = None,
    definition: Definition = "",
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
) -> None:
    """Bring numbers and a data set into one order.

    Joins by file name, by ids of TFDS, by pixels, or by the positions that a data set object in a
    known order tells; by position alone only if --order says so. Labels are compared wherever both
    sides have them. Anything short of a full match is refused. Without --to, the numbers of all
    examples are brought into the --order, where it can be computed.

    memtools align --reference cifar-100-binary --out keys.npz makes the keys for a join by pixels.
    """
    from memtools.errors import ConfigError
    from memtools.outputs import require_not_input

    require_not_input(out, what, to, labels, index, reference)
    known = read_reference(reference, split)
    if what is None:
        if known is None or out is None:
            raise ConfigError(
                "there is nothing to align", hint="memtools align NAME|FILE --to DATA"
            )
        known.save(out)
        show(f"{len(known.keys):,} keys of {known.about.dataset}, {known.about.order} order: {out}")
        return
    loaded = open_scores(
        what,
        cache=cache,
        registry=registry,
        mirror=mirror,
        names=names,
        column=column,
        index=index,
        dataset=dataset,
        direction=direction,
        definition=definition,
    )
    found = align_to(loaded, to, labels, split, order, known, class_folders, allow_missing)
    n_numbers = _count_numbers(loaded, found)
    n = len(found.position)
    show(f"{n_numbers:,} of {n:,} examples, {found.proof}")
    show(f"missing in the data set: {len(found.missing):,}; without a number: {n - n_numbers:,}")
    if out is not None:
        _write(out, loaded, found)
        show(out)


def _count_numbers(loaded: Estimates | Scores, found: Alignment) -> int:
    """Return how many examples of the data set have a number: a position may hold NaN."""
    import numpy as np

    from memtools.alignment.comparison import scores_of
    from memtools.estimates.scores import Scores

    if found.split != "train" or not (isinstance(loaded, Scores) or "tr_mem" in loaded.arrays):
        return int(found.found.sum())
    return int((~np.isnan(found.take(scores_of(loaded).values))).sum())


def read_reference(path: Path | None, split: str) -> Reference | None:
    """Read the keys of pixels; of a directory, make them."""
    from memtools.alignment.pixels import Reference

    return None if path is None else Reference.of_path(path, split)


def align_to(
    loaded: Estimates | Scores,
    to: Path | None,
    labels: Path | None,
    split: str,
    order: str,
    reference: Any,
    class_folders: str,
    allow_missing: bool,
) -> Alignment:
    """Align numbers with the data set that the options describe."""
    from memtools.alignment import alignment
    from memtools.datasets.data_sources import listing_of
    from memtools.estimates.npz import read_npy

    listing = None
    if to is not None:
        given = None if labels is None else read_npy(labels)
        listing = listing_of(to, given, split=split, class_folders=class_folders)
    return alignment.align(
        loaded,
        listing,
        split=split,
        order=order,
        reference=reference,
        allow_missing=allow_missing,
    )


def _write(out: Path, loaded: Estimates | Scores, found: Alignment) -> None:
    """Write the scores in the order of the data set; in an npz also the positions both ways."""
    import numpy as np

    from memtools.alignment.aligned_scores import take_scores
    from memtools.alignment.comparison import scores_of
    from memtools.errors import ConfigError
    from memtools.estimates.about import save
    from memtools.estimates.tables import ENDINGS, write_scores

    if out.suffix.lower() not in (".npz", *ENDINGS):
        raise ConfigError(
            f"{out}: unknown ending", hint=f"choose one of .npz, {', '.join(ENDINGS)}"
        )
    scores = scores_of(loaded)
    aligned = take_scores(scores, found) if found.split == "train" else None
    if out.suffix.lower() == ".npz":
        arrays: dict[str, Any] = {
            "position": found.position,
            "inverse": found.inverse,
            "found": found.found,
        }
        if aligned is not None:
            arrays |= {**aligned.arrays, "quantity": np.array(aligned.quantity)}
        save(out, arrays, scores.about if aligned is None else aligned.about)
    elif aligned is None:
        raise ConfigError(
            f"the {len(found.inverse):,} examples of this split have no scores",
            hint="write .npz: it holds the positions",
        )
    else:
        write_scores(out, aligned, {"source_position": found.position})
