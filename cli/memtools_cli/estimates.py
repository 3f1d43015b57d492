"""info, export, pairs: what is in the estimates."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memtools_cli import engines
from memtools_cli.numbers import open_numbers
from memtools_cli.options import (
    Column,
    Dataset,
    Definition,
    Direction,
    Directory,
    Index,
    Json,
    Mirror,
    Names,
    Order,
    Registries,
    a_number,
)
from memtools_cli.output import print_table, show, show_json

if TYPE_CHECKING:
    from memtools.estimates.pairs import HighInfluencePairs
    from memtools.estimation.pair_scan import Engine

What = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="An artifact, a group, or a file of your own.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write here: .csv, .tsv, .json, .parquet or .npz."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which help shows them."""
    app.command()(info)
    app.command()(export)
    app.command()(pairs)


def info(
    what: What,
    column: Column = "",
    index: Index = None,
    dataset: Dataset = "",
    order: Order = "",
    direction: Direction = None,
    definition: Definition = "",
    to: Directory = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
    as_json: Json = False,
) -> None:
    """Show what a file holds and means.

    Arrays, ranges, order, definition, direction, and a histogram.
    What is not here is fetched first. Every array is read once, for its range.
    """
    from memtools.estimates.model import Estimates
    from memtools.estimates.scores import Scores
    from memtools.estimates.summary import bars, histogram, summarise

    loaded = open_numbers(
        what,
        cache=to,
        registry=registry,
        mirror=mirror,
        names=names,
        column=column,
        index=index,
        dataset=dataset,
        order=order,
        direction=direction,
        definition=definition,
    )
    facts = summarise(loaded.arrays)
    if isinstance(loaded, Estimates):
        scores = loaded.scores if "tr_mem" in loaded.arrays else None
    else:
        scores = loaded if isinstance(loaded, Scores) else None
    counts, edges = histogram(scores.values) if scores else ((), ())
    if as_json:
        document = {
            "about": dataclasses.asdict(loaded.about),
            "arrays": [dataclasses.asdict(each) for each in facts],
            "quantity": loaded.quantity if isinstance(loaded, Scores) else None,
            "notes": list(loaded.notes) if isinstance(loaded, Scores) else [],
            "histogram": {"counts": [*map(int, counts)], "edges": [*map(float, edges)]},
        }
        show_json(document)
        return
    show(*repr(loaded).split("\n"), "")
    print_table(("array", "type", "shape", "range"), [each.in_words for each in facts])
    if scores:
        show("", f"{scores.quantity}, number of examples:", *bars(counts, edges))


def export(
    what: What,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Write here: .csv, .tsv, .json, .parquet or .npz."
        ),
    ],
    column: Column = "",
    index: Index = None,
    dataset: Dataset = "",
    order: Order = "",
    direction: Direction = None,
    definition: Definition = "",
    to: Directory = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
) -> None:
    """Write a table with a row for each example.

    The columns are index, label, file name and score; the path is printed.
    Standard errors and counts are added where they are known. The index is the position
    in the order that `memtools info` names. A list of pairs has one row for each pair.
    """
    from memtools.estimates.model import Estimates
    from memtools.estimates.pairs import HighInfluencePairs
    from memtools.estimates.tables import write_pairs, write_scores
    from memtools.outputs import require_not_input

    require_not_input(out, what, index)
    loaded = open_numbers(
        what,
        cache=to,
        registry=registry,
        mirror=mirror,
        names=names,
        column=column,
        index=index,
        dataset=dataset,
        order=order,
        direction=direction,
        definition=definition,
    )
    if isinstance(loaded, HighInfluencePairs):
        write_pairs(out, loaded)
    else:
        write_scores(out, loaded.scores if isinstance(loaded, Estimates) else loaded)
    show(out)


def pairs(
    what: What,
    min_mem: Annotated[
        float,
        typer.Option(
            min=-1, max=1, callback=a_number, help="Least memorization of the training example."
        ),
    ] = 0.25,
    min_infl: Annotated[
        float,
        typer.Option(min=-1, max=1, callback=a_number, help="Least influence on the test example."),
    ] = 0.15,
    top: Annotated[int, typer.Option(min=0, help="How many of them to print.")] = 20,
    cross_class: Annotated[
        bool, typer.Option("--cross-class", help="Of a store of runs: pairs of any two classes.")
    ] = False,
    engine: Annotated[
        engines.Which | None,
        typer.Option(help="Where blocks of --cross-class are looked at; else in threads."),
    ] = None,
    address: engines.Address = None,
    resources: engines.Resources = None,
    out: Out = None,
    dataset: Dataset = "",
    order: Order = "",
    definition: Definition = "",
    to: Directory = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
    as_json: Json = False,
) -> None:
    """Show pairs of a memorized training example and a test example that it helps on.

    The thresholds of Feldman & Zhang (2020) are the defaults. A published list of pairs
    is complete from these thresholds on; lower ones need the influence matrices. Of a store
    of runs all pairs can be looked at, across classes, too: the matrix is never held.
    """
    import numpy as np

    from memtools.errors import ConfigError
    from memtools.estimates.scores import Scores
    from memtools.estimates.tables import pair_columns, rows, write_pairs
    from memtools.outputs import require_not_input

    require_not_input(out, what)
    if engine and not cross_class:
        raise ConfigError(
            "--engine is for --cross-class", hint="say --cross-class, or leave it out"
        )
    on = engines.engine_of(engine or "process", address=address, resources=resources)
    if Path(what).is_dir():
        found = _pairs_of_runs(Path(what), min_mem, min_infl, cross_class, on if engine else None)
    elif cross_class:
        raise ConfigError(
            f"{what} holds influence within classes only",
            hint="give the store of the runs: all pairs are looked at there",
        )
    else:
        loaded = open_numbers(
            what,
            cache=to,
            registry=registry,
            mirror=mirror,
            names=names,
            dataset=dataset,
            order=order,
            definition=definition,
        )
        if isinstance(loaded, Scores):
            raise ConfigError(
                f"{what} holds scores, not influence", hint="memtools list shows what holds pairs"
            )
        found = loaded.pairs(min_mem, min_infl)
    columns = pair_columns(found)
    if out is not None:
        write_pairs(out, found)
    facts: dict[str, Any] = {
        "n_pairs": len(found),
        "n_train": found.n_train,
        "n_test": found.n_test,
        "min_mem": min_mem,
        "min_infl": min_infl,
    }
    if as_json:
        show_json(facts, indent=None)
        return
    if top:
        strongest = np.argsort(-found.influence, kind="stable")[:top]
        shown = {name: column[strongest] for name, column in columns.items()}
        print_table(tuple(shown), [tuple(f"{v:.6g}" for v in row) for row in rows(shown)])
        show("")
    show(
        f"{len(found)} pairs of {found.n_train} training and {found.n_test} test examples,"
        f" memorization >= {min_mem:g}, influence >= {min_infl:g}"
    )


def _pairs_of_runs(
    root: Path, min_mem: float, min_infl: float, cross_class: bool, engine: Engine | None
) -> HighInfluencePairs:
    from memtools.estimation import estimator, pair_scan
    from memtools.runs.stores import open_stores

    stores = open_stores([root])
    if cross_class:
        return pair_scan.high_influence(stores, min_mem, min_infl, engine)
    return estimator.estimate(stores).pairs(min_mem, min_infl)
