"""compare: two scores of the same examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memtools_cli.numbers import open_scores
from memtools_cli.options import Cache, Json, Meaning, Mirror, Names, Registries
from memtools_cli.output import print_table, show, show_json

if TYPE_CHECKING:
    from memtools.alignment.comparison import Comparison

_COMMON = 0.05  # the share of examples with one score from which on ties are mentioned


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(compare)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A name, or a file of your own.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    direction_a: Annotated[
        Meaning | None, typer.Option(help="What a high score of A means, if A does not record it.")
    ] = None,
    direction_b: Annotated[
        Meaning | None, typer.Option(help="What a high score of B means, if B does not record it.")
    ] = None,
    column_a: Annotated[str, typer.Option(metavar="NAME", help="Column of A's scores.")] = "",
    column_b: Annotated[str, typer.Option(metavar="NAME", help="Column of B's scores.")] = "",
    index_a: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Positions of A's values, or a mask of all examples."),
    ] = None,
    index_b: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Positions of B's values, or a mask of all examples."),
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="Data set of files that record none.")
    ] = "",
    dataset_a: Annotated[str, typer.Option(metavar="NAME", help="Data set of A alone.")] = "",
    dataset_b: Annotated[str, typer.Option(metavar="NAME", help="Data set of B alone.")] = "",
    order: Annotated[
        str,
        typer.Option(
            metavar="ORDER",
            help="Order of files that record none: official, published, tfds, file.",
        ),
    ] = "",
    order_a: Annotated[str, typer.Option(metavar="ORDER", help="Order of A alone.")] = "",
    order_b: Annotated[str, typer.Option(metavar="ORDER", help="Order of B alone.")] = "",
    definition_a: Annotated[str, typer.Option(metavar="TEXT", help="What A's scores are.")] = "",
    definition_b: Annotated[str, typer.Option(metavar="TEXT", help="What B's scores are.")] = "",
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Size of the tops that overlap; else a tenth."),
    ] = None,
    by_class: Annotated[bool, typer.Option("--by-class", help="Show each class, too.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them: .png.")] = None,
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
    as_json: Json = False,
) -> None:
    """Compare two scores of the same examples.

    A C-score is high where memorization is low: spearman is positive where both call the same
    examples atypical, spearman_raw compares the numbers as they are. Examples are joined by file
    name, by ids, or by position within one known order. What is tied is said.
    """
    from memtools.alignment.comparison import compare as compare_scores

    shared = {"cache": cache, "registry": registry, "mirror": mirror, "names": names}
    a = open_scores(
        first,
        **shared,
        column=column_a,
        index=index_a,
        dataset=dataset_a or dataset,
        order=order_a or order,
        direction=direction_a,
        definition=definition_a,
    )
    b = open_scores(
        second,
        **shared,
        column=column_b,
        index=index_b,
        dataset=dataset_b or dataset,
        order=order_b or order,
        direction=direction_b,
        definition=definition_b,
    )
    found = compare_scores(a, b, top_k=top)
    if plot is not None:
        _draw(found, (a, b), (first, second), plot)
    if as_json:
        show_json(_without_nan(_document(found, by_class)))
        return
    _show(found, by_class)
    if plot is not None:
        show(plot)


def _document(found: Comparison, by_class: bool) -> dict[str, Any]:
    from memtools.alignment.ranking import most_common

    common = [most_common(each) for each in (found.first, found.second)]
    document: dict[str, Any] = {
        "n": found.n,
        "spearman": found.spearman,
        "spearman_raw": found.spearman_raw,
        "pearson": found.pearson,
        "pearson_raw": found.pearson_raw,
        "top_k": found.top_k,
        "overlap": found.overlap,
        "overlap_by_chance": found.top_overlap.by_chance,
        "overlap_at_best": found.top_overlap.at_best,
        "tied_at_boundary": list(found.top_overlap.n_tied),
        "most_common": [{"score": score, "n": n} for score, n in common],
        "n_infinite": found.n_infinite,
        "proof": found.proof,
    }
    if by_class:
        document["by_class"] = {str(label): each[1] for label, each in found.by_class.items()}
    return document


def _show(found: Comparison, by_class: bool) -> None:
    from memtools.alignment.ranking import most_common

    tops = found.top_overlap
    show(f"{found.n:,} examples, {found.proof}")
    show(f"Spearman  {found.spearman:+.3f}   (raw {found.spearman_raw:+.3f})")
    show(f"Pearson   {found.pearson:+.3f}   (raw {found.pearson_raw:+.3f})")
    if found.n_infinite:
        show(f"Pearson is not defined: {found.n_infinite:,} examples have an infinite score")
    show(
        f"of the {found.top_k:,} highest of A, {found.overlap:.0%} are among those of B;"
        f" chance alone gives {tops.by_chance:.0%}"
    )
    for side, n_tied in zip("AB", tops.n_tied, strict=True):
        if n_tied:
            show(f"ties: {n_tied:,} examples of {side} compete for the last of these places")
    if any(tops.n_tied):
        show(f"ties: each of them counts in part; full agreement would give {tops.at_best:.0%}")
    for side, values in (("A", found.first), ("B", found.second)):
        score, n = most_common(values)
        if n > max(1, _COMMON * found.n):
            show(f"ties: {score:.6g} is the score of {n:,} of {found.n:,} examples of {side}")
    if by_class:
        rows = [(str(k), f"{n:,}", f"{value:+.3f}") for k, (n, value) in found.by_class.items()]
        print_table(("class", "examples", "Spearman"), rows)


def _draw(found: Comparison, sides: tuple[Any, Any], files: tuple[str, str], plot: Path) -> None:
    import numpy as np

    from memtools_cli.extras import needing

    with needing("report"):
        from memtools.report import figures
    from memtools.alignment.comparison import scores_of

    titles = tuple(
        f"{scores_of(side).quantity} ({Path(file).name})"
        for side, file in zip(sides, files, strict=True)
    )
    title = (
        f"{found.n:,} examples, Spearman {found.spearman_raw:+.2f}"
        f"{' (the directions are opposite)' if found.sign < 0 else ''}"
    )
    finite = np.isfinite(found.first) & np.isfinite(found.second)
    a, b = found.first[finite], found.second[finite]
    figures.scatter(a, b, (titles[0], titles[1]), title, plot)


def _without_nan(value: Any) -> Any:
    """Return a document in which null stands for NaN and text for infinity: JSON has neither."""
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return None if isinstance(value, float) and value != value else value
