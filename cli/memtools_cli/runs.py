"""import: runs that others have trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memtools_cli.output import show

if TYPE_CHECKING:
    from memtools.estimates.model import ExampleIndex


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_runs)


def import_runs(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="A directory of <ratio>/<run>/aux_arrays.npz; or npz files with"
            " trainset_mask, trainset_correctness, testset_correctness; or the masks (npy).",
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="The store, or its parent.")],
    dataset: Annotated[str, typer.Option(help="Name of the data set.")],
    order: Annotated[
        str, typer.Option(help="Order of the examples: official, published, tfds, file.")
    ],
    margins: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With masks: margins of the test examples.")
    ] = None,
    train_margins: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With masks: margins of the training ones.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="npz with tr_labels and tt_labels, for influence."),
    ] = None,
) -> None:
    """Bring runs of others into a store.

    Importing the same again changes nothing. Runs whose masks seem inverted, or whose outcomes
    are not in one order, are refused, and nothing is written. What is in a released archive,
    memtools checkpoints aux takes out of it as it streams by.
    """
    from memtools.errors import ConfigError
    from memtools.estimates.about import ORDERS
    from memtools.runs import importers

    if order not in ORDERS:
        raise ConfigError(f"--order is {order!r}", hint=f"known orders are {', '.join(ORDERS)}")
    examples = examples_of(labels) if labels else None
    if margins or train_margins:
        if not (margins and train_margins) or len(sources) != 1:
            raise ConfigError(
                "masks need margins of the training and of the test examples",
                hint="memtools import MASKS.npy --margins FILE --train-margins FILE",
            )
        stores = [
            importers.import_margins(
                sources[0],
                margins,
                train_margins,
                to,
                dataset=dataset,
                order=order,
                examples=examples,
            )
        ]
    elif all(source.suffix == ".npz" for source in sources):
        stores = [
            importers.import_stacked(sources, to, dataset=dataset, order=order, examples=examples)
        ]
    else:
        stores = [
            store
            for source in sources
            for store in importers.import_aux(
                source, to, dataset=dataset, order=order, examples=examples
            )
        ]
    for store in stores:
        show(store.root)


def examples_of(path: Path) -> ExampleIndex:
    """Labels of both splits; ConfigError for a file without any."""
    from memtools.errors import ConfigError
    from memtools.estimates.about import About
    from memtools.estimates.model import Estimates
    from memtools.estimates.schema import open_arrays

    examples = Estimates(open_arrays(path), About(source=str(path))).index
    if examples.labels is None and examples.test_labels is None:
        raise ConfigError(
            f"{path} holds neither tr_labels nor tt_labels",
            hint="write both with numpy.savez: they are the labels in the order of the runs",
        )
    return examples
