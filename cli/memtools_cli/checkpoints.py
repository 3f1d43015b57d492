"""checkpoints aux, get, reorder, convert, evaluate: what the released archives hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtools_cli.options import Json, Mirror, Registries, a_number
from memtools_cli.output import print_table, show, show_json

if TYPE_CHECKING:
    from memtools.checkpoints.harvest import Released, Terms
    from memtools.runs.ordering import Ordering

app = typer.Typer(
    help="The released models, out of archives of hundreds of gigabytes that are never unpacked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|URL|FILE|-", help="An artifact, an archive of that kind, or a pipe."
    ),
]
Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT",
        help="The prefix .../ckpt-99, its .index file, or the directory of a run that holds one.",
    ),
]
Ratio = Annotated[
    list[float] | None,
    typer.Option(metavar="R", callback=a_number, help="Only this subset ratio. Repeatable."),
]
_IDS = typer.Option(
    metavar="TRAIN TEST",
    help="TFDS ids of the training and of the test examples, in the order of the runs, or their"
    " official positions, which bring the runs into the official order. Without them the order of"
    " CIFAR is computed.",
)
IndexFile = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="FILE",
        help="Index of the archive, written and read; else archive.index in DIR.",
    ),
]
Md5 = Annotated[str | None, typer.Option(metavar="HEX", help="Of the whole archive.")]
Unverified = Annotated[
    bool, typer.Option("--unverified", help="Take it although no md5 could be checked.")
]


def add_to(parent: typer.Typer) -> None:
    """Register the commands."""
    for command in (aux, get, reorder, convert, evaluate):
        app.command()(command)
    parent.add_typer(app, name="checkpoints")


def aux(
    source: Source,
    to: Annotated[Path, typer.Option(metavar="DIR", help="A store for each ratio goes there.")],
    ratio: Ratio = None,
    runs: Annotated[
        str | None, typer.Option(metavar="RUNS", help="Only these: 0:64, or 0,17,123.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; of an artifact it is known.")
    ] = None,
    order: Annotated[
        Literal["official", "published", "tfds", "file"] | None,
        typer.Option(help="Order of the examples, if it is not that of the artifact."),
    ] = None,
    official: Annotated[
        bool,
        typer.Option(
            "--official", help="Bring runs of CIFAR into the official order, which is computed."
        ),
    ] = False,
    ids: Annotated[tuple[Path, Path] | None, _IDS] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="npz with tr_labels and tt_labels in the order of the stores."
        ),
    ] = None,
    index: IndexFile = None,
    md5: Md5 = None,
    unverified: Unverified = False,
    registry: Registries = None,
    mirror: Mirror = None,
) -> None:
    """Take which examples each released model saw and got right; print the stores.

    One pass over the archive, of which nothing else is kept: 0.65 GB of ImageNet's 367. Killed
    at any instant, it goes on where it was. The runs are provisional until the md5 of the whole
    archive holds; memtools estimate makes estimates of them.
    """
    from memtools.checkpoints.outcomes import collect
    from memtools.runs.sweep import parse_runs
    from memtools_cli.runs import examples_of

    released = _released(source, registry, mirror, md5, dataset, order)
    stores = collect(
        released,
        to,
        ratios=ratio or (),
        run_ids=parse_runs(runs) if runs else (),
        examples=examples_of(labels) if labels else None,
        ordering=_ordering(ids, released if official else None),
        terms=_terms(index, unverified),
    )
    for store in stores:
        show(store.root)


def get(
    source: Source,
    runs: Annotated[str, typer.Option(metavar="RUNS", help="Which: 0,17,123, or 0:8.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the runs go.")],
    ratio: Ratio = None,
    index: IndexFile = None,
    md5: Md5 = None,
    unverified: Unverified = False,
    registry: Registries = None,
    mirror: Mirror = None,
) -> None:
    """Take chosen models out of an archive as files; print their directories.

    The first pass reads the whole archive and leaves an index of it; with that, whether of this
    command or of aux, only the bytes around the chosen runs are read.
    """
    from memtools.checkpoints.extraction import extract
    from memtools.runs.sweep import parse_runs

    directories = extract(
        _released(source, registry, mirror, md5),
        to,
        run_ids=parse_runs(runs),
        ratios=ratio or (),
        terms=_terms(index, unverified),
    )
    for directory in directories:
        show(directory)


def reorder(
    stores: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Stores in the order of TFDS.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A store for each goes there.")],
    ids: Annotated[tuple[Path, Path] | None, _IDS] = None,
) -> None:
    """Bring runs from the order of TFDS into the official one; print the stores.

    The order of CIFAR in TFDS is computed. Ids that are given take precedence; where they differ
    from the computed order, a warning says so.
    """
    from memtools.errors import ConfigError
    from memtools.files import first_clash
    from memtools.runs.ordering import reorder as reordered
    from memtools.runs.stores import open_stores

    opened = open_stores(stores)
    if clash := first_clash(store.root.name for store in opened):
        raise ConfigError(
            f"of the names of the stores {clash}", hint="give each a directory of its own with --to"
        )
    ordering = _ordering(ids)
    for store in opened:
        show(reordered(store, to / store.root.name, ordering).root)


def convert(
    checkpoint: Checkpoint,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Write it here: .keras, .safetensors or .npz.")
    ],
) -> None:
    """Turn a released model into a file for Keras, PyTorch or NumPy; print its path.

    The architecture is found, and every variable is accounted for. Weights of .safetensors and
    .npz have PyTorch's names and layout.
    """
    from memtools_cli.extras import needing

    with needing("tf"):
        from memtools.checkpoints.conversion import convert as write
    write(checkpoint, out)
    show(out)


def evaluate(
    checkpoint: Checkpoint,
    data: Annotated[
        str,
        typer.Option(metavar="DATA", help="tfds:NAME, tfrecords:DIR, or the path of an npz."),
    ],
    aux: Annotated[Path, typer.Option(metavar="FILE", help="The aux_arrays.npz of the same run.")],
    as_json: Json = False,
) -> None:
    """Compare what a released model gets right with what its run recorded.

    Computes it anew on all examples, in evaluation mode, and counts the mismatches among those
    that were trained on, removed, and of the test set.
    """
    from memtools_cli.extras import needing

    with needing("tf"):
        from memtools.checkpoints import evaluation
        from memtools.checkpoints.restoration import restore
    parts = evaluation.evaluate(restore(checkpoint), data, aux)
    if as_json:
        show_json([dataclasses.asdict(part) for part in parts], indent=None)
        return
    rows = [
        (p.name, f"{p.n:,}", f"{p.n_mismatches:,}", f"{p.accuracy:.4f}", f"{p.recorded:.4f}")
        for p in parts
    ]
    print_table(("part", "examples", "mismatches", "accuracy", "recorded"), rows)


def _terms(index: Path | None, unverified: bool) -> Terms:
    from memtools.checkpoints.harvest import Terms

    return Terms(unverified=unverified, index=index)


def _ordering(ids: tuple[Path, Path] | None, computed: Released | None = None) -> Ordering | None:
    """Return the order of ids, else the computed one of an archive, if any of them is given."""
    from memtools.runs.ordering import Ordering

    if ids:
        return Ordering.of(*ids)
    return Ordering.computed(computed.dataset) if computed else None


def _released(
    source: str,
    registry: list[str] | None,
    mirror: str | None,
    md5: str | None,
    dataset: str | None = None,
    order: str | None = None,
) -> Released:
    """Where the archive is, and what the registry and the user know of it."""
    from memtools.artifacts.settings import Settings
    from memtools.checkpoints.harvest import Released, base_name
    from memtools.errors import ConfigError

    settings = Settings.of(registries=registry or (), mirror=mirror)
    at_hand = Path(source).exists() and not Path(source).is_dir()  # a pipe is at hand, too
    if "://" in source or source == "-" or at_hand:
        where, artifact = source, settings.artifact_of(base_name(source))
    else:
        artifact = settings.registry()[source]
        where = artifact.parts[0].url
    if "://" in where and settings.offline:
        raise ConfigError(
            f"{source} is on the network, and offline is set",
            hint="run again without MEMTOOLS_OFFLINE, or give the archive as a file",
        )
    if artifact and artifact.kind != "checkpoints":
        raise ConfigError(
            f"{source} is no archive of models", hint="memtools list shows which artifacts are"
        )
    return Released(
        where,
        dataset or (artifact.dataset if artifact else "unknown"),
        order or (artifact.order if artifact else "file"),
        md5.lower() if md5 else artifact.md5 if artifact else None,
        artifact.total_size if artifact else None,
        Path(source).stat().st_size if at_hand else artifact.approximate_size if artifact else None,
        artifact.file if artifact else "",
    )
