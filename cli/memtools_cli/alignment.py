"""align, select, compare: numbers that meet a data set of one's own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from memtools_cli.options import Json, Mirror, Names, Registries
from memtools_cli.output import print_table

if TYPE_CHECKING:
    from memtools.estimates.alignment import Alignment
    from memtools.estimates.model import Estimates
    from memtools.estimates.scores import Scores
    from memtools.estimates.selection import Criterion

What = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="An artifact, a group, or a file of your own.")
]
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
Order = Annotated[
    str,
    typer.Option(metavar="ORDER", help="Trust this order; only labels (--labels) are compared."),
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Accept examples that only one side has.")
]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory of fetched files, instead of MEMTOOLS_CACHE."),
]
Direction = Literal["typical", "atypical"]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which help shows them."""
    app.command()(align)
    app.command()(select)
    app.command()(compare)


def align(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE]", help="An artifact, a group, or a file of your own."),
    ] = None,
    to: To = None,
    labels: Labels = None,
    split: Annotated[Literal["train", "test"], typer.Option(help="Of the data set.")] = "train",
    order: Order = "",
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR", help="Keys of pixels; or an official copy of CIFAR, to make them."
        ),
    ] = None,
    allow_missing: AllowMissing = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write .npz: positions, mask, aligned memorization."),
    ] = None,
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
) -> None:
    """Bring numbers and a data set together; say how, what is missing, what is too much.

    Joins by file name, by ids of TFDS, or by pixels; never by position unless --order says so.
    Labels are compared wherever both sides have them. Anything short of a full match is refused.

    memtools align --reference cifar-100-binary --out keys.npz makes the keys for a join by pixels.
    """
    from memtools.errors import ConfigError
    from memtools.estimates.pixels import Reference

    if what is None:
        if reference is None or out is None:
            raise ConfigError(
                "there is nothing to align", hint="memtools align NAME|FILE --to DATA"
            )
        made = _reference(reference, split)
        made.save(out)
        print(f"{len(made.keys):,} keys of {made.about.dataset}, {made.about.order} order: {out}")
        return
    if to is None:
        raise ConfigError("align it to what?", hint="--to DATA, for example a directory of images")
    loaded = _load(what, cache, registry, mirror, names)
    known: Reference | None = _reference(reference, split) if reference else None
    found = _aligned(loaded, to, labels, split, order, known, allow_missing)
    print(f"{int(found.found.sum()):,} of {len(found.position):,} examples, {found.proof}")
    print(
        f"missing in the data set: {len(found.missing):,}; without a number: {len(found.extra):,}"
    )
    if out is not None:
        _write(out, loaded, found)
        print(out)


def select(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE]", help="An artifact, a group, or a file of your own."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write .npy, .txt, .csv or .json.")
    ] = None,
    top: Annotated[int, typer.Option(min=0, metavar="N", help="The N highest.")] = 0,
    bottom: Annotated[int, typer.Option(min=0, metavar="N", help="The N lowest.")] = 0,
    closest: Annotated[
        tuple[float, int],
        typer.Option("--closest-to", metavar="VALUE N", help="The N nearest to VALUE."),
    ] = (0.0, 0),
    random: Annotated[int, typer.Option(min=0, metavar="N", help="Any N.")] = 0,
    at_least: Annotated[
        float | None, typer.Option(metavar="VALUE", help="All from VALUE on.")
    ] = None,
    at_most: Annotated[float | None, typer.Option(metavar="VALUE", help="All up to VALUE.")] = None,
    quantile: Annotated[
        str, typer.Option("--bin", metavar="I/K", help="The I-th of K equal bins, from 0.")
    ] = "",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="So many of each class, not in all.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control", help="As many others at random, instead of them.")
    ] = False,
    within: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Choose among these: .npy, .txt, .json positions."),
    ] = None,
    to: To = None,
    labels: Labels = None,
    order: Order = "",
    allow_missing: AllowMissing = False,
    seed: Annotated[int, typer.Option(help="Of random choices.")] = 0,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A manifest: select the same again, into --out."),
    ] = None,
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
) -> None:
    """Choose examples by their score: the k most, least, middle or any; write their positions.

    Positions are those of the scores' order, or with --to those of the data set. Several criteria
    make a mix: later ones leave what earlier ones took. Ties go to the lower position. The manifest
    beside the file holds everything that decided it.
    """
    from memtools.errors import ConfigError
    from memtools.estimates import selection as kinds

    wanted: list[Criterion] = [
        *([kinds.top(top)] if top else []),
        *([kinds.bottom(bottom)] if bottom else []),
        *([kinds.closest(*closest)] if closest[1] else []),
        *([kinds.random(random)] if random else []),
        *([kinds.at_least(at_least)] if at_least is not None else []),
        *([kinds.at_most(at_most)] if at_most is not None else []),
        *([_bin(quantile)] if quantile else []),
    ]
    asked: dict[str, Any] = {
        "what": what,
        "within": within,
        "to": to,
        "labels": labels,
        "align_order": order,
        "allow_missing": allow_missing,
    }
    asked = {name: str(v) if isinstance(v, Path) else v for name, v in asked.items()}
    expected: dict[str, str] = {}
    if replay is not None:
        manifest = _manifest(replay)
        request = kinds.Request.of(manifest)
        wanted, per_class = list(request.criteria), request.per_class
        control, seed = request.control, request.seed
        asked, expected = manifest["request"], manifest["inputs"]
    if out is None or asked["what"] is None or not wanted:
        raise ConfigError(
            "say what to select, and where to write it",
            hint="memtools select cifar100 --top 3000 --out forget.json",
        )
    loaded = _load(asked["what"], cache, registry, mirror, names)
    inputs = _digests(loaded.about.source, asked)
    if expected and inputs != expected:
        changed = [n for n in {*inputs, *expected} if inputs.get(n) != expected.get(n)]
        raise ConfigError(
            f"{', '.join(sorted(changed))} changed since this was selected",
            hint="the manifest can be replayed on the same files only",
        )
    alignment = None
    if asked["to"]:
        label_file = Path(asked["labels"]) if asked["labels"] else None
        alignment = _aligned(
            loaded,
            Path(asked["to"]),
            label_file,
            "train",
            asked["align_order"],
            None,
            asked["allow_missing"],
        )
    chosen = kinds.select(
        loaded,
        wanted,
        per_class=per_class,
        within=_positions(Path(asked["within"])) if asked["within"] else None,
        alignment=alignment,
        control=control,
        seed=seed,
    )
    chosen = dataclasses.replace(
        chosen, manifest={**chosen.manifest, "request": asked, "inputs": inputs}
    )
    chosen.save(out)
    print(
        f"{len(chosen):,} examples, scores {chosen.scores.min():.3g} to {chosen.scores.max():.3g}"
    )
    print(out)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A name, or a file: npz, npy, csv.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    direction_a: Annotated[
        Direction | None, typer.Option(help="What a high score of A means, if A is your own.")
    ] = None,
    direction_b: Annotated[Direction | None, typer.Option(help="The same for B.")] = None,
    dataset: Annotated[str, typer.Option(help="The data set of files of your own.")] = "",
    order: Annotated[str, typer.Option(help="The order of files of your own.")] = "",
    top: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="For the overlap; else a tenth.")
    ] = None,
    by_class: Annotated[bool, typer.Option("--by-class", help="Each class, too.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them: .png.")] = None,
    cache: Cache = None,
    registry: Registries = None,
    mirror: Mirror = None,
    names: Names = False,
    as_json: Json = False,
) -> None:
    """Compare two scores of the same examples, direction-aware.

    A C-score is high where memorization is low: spearman is positive where both call the same
    examples atypical, spearman_raw compares the numbers as they are. Examples are joined by file
    name, or by position within one known order.
    """
    from memtools.estimates import comparison as scoring

    sides: list[Estimates | Scores] = []
    for what, direction in ((first, direction_a), (second, direction_b)):
        path = Path(what)
        if direction is not None and path.is_file() and path.suffix in (".npy", ".csv"):
            sides.append(
                scoring.read_scores(path, direction=direction, dataset=dataset, order=order)
            )
        else:
            sides.append(_redirected(_load(what, cache, registry, mirror, names), direction))
    found = scoring.compare(*sides, top_k=top)
    facts = {
        "n": found.n,
        "spearman": found.spearman,
        "spearman_raw": found.spearman_raw,
        "pearson": found.pearson,
        "pearson_raw": found.pearson_raw,
        "top_k": found.top_k,
        "overlap": found.overlap,
    }
    if plot is not None:
        from memtools_cli.extras import needing

        with needing("report"):
            from memtools.report import figures
        titles = tuple(
            f"{scoring.scores_of(side).quantity} ({name})"
            for side, name in zip(sides, (Path(first).name, Path(second).name), strict=True)
        )
        title = (
            f"{found.n:,} examples, Spearman {found.spearman_raw:+.2f}"
            f"{' (the directions are opposite)' if found.sign < 0 else ''}"
        )
        figures.scatter(found.first, found.second, (titles[0], titles[1]), title, plot)
    if as_json:
        classes = {str(label): each[1] for label, each in found.by_class.items()}
        document = {**facts, "proof": found.proof, **({"by_class": classes} if by_class else {})}
        print(json.dumps({k: _finite(v) for k, v in document.items()}, indent=1))
        return
    print(f"{found.n:,} examples, {found.proof}")
    print(f"Spearman  {found.spearman:+.3f}   (raw {found.spearman_raw:+.3f})")
    print(f"Pearson   {found.pearson:+.3f}   (raw {found.pearson_raw:+.3f})")
    print(f"of the {found.top_k:,} highest of A, {found.overlap:.0%} are among those of B")
    if by_class:
        rows = [(str(k), f"{n:,}", f"{value:+.3f}") for k, (n, value) in found.by_class.items()]
        print_table(("class", "examples", "Spearman"), rows)
    if plot is not None:
        print(plot)


def _load(
    what: str, cache: Path | None, registry: Any, mirror: str | None, names: bool
) -> Estimates | Scores:
    from memtools.artifacts.loader import load
    from memtools.estimates.comparison import scores_of
    from memtools.estimates.pairs import HighInfluencePairs

    loaded = load(what, cache=cache, registries=registry or (), mirror=mirror, names=names)
    return scores_of(loaded) if isinstance(loaded, HighInfluencePairs) else loaded


def _redirected(loaded: Estimates | Scores, direction: Direction | None) -> Estimates | Scores:
    if direction is None:
        return loaded
    return dataclasses.replace(
        loaded, about=dataclasses.replace(loaded.about, direction=f"high = {direction}")
    )


def _reference(path: Path, split: str) -> Any:
    from memtools.estimates.pixels import Reference, read_official

    if path.is_dir():
        dataset, listing = read_official(path, split)
        return Reference.of(listing, dataset=dataset)
    return Reference.open(path)


def _aligned(
    loaded: Estimates | Scores,
    to: Path,
    labels: Path | None,
    split: str,
    order: str,
    reference: Any,
    allow_missing: bool,
) -> Alignment:
    from memtools.estimates import alignment
    from memtools.estimates.npz import read_npy

    return alignment.align(
        loaded,
        to,
        labels=None if labels is None else read_npy(labels),
        split=split,
        order=order,
        reference=reference,
        allow_missing=allow_missing,
    )


def _write(out: Path, loaded: Estimates | Scores, found: Alignment) -> None:
    """Positions both ways, which have numbers, and the scores in the order of the data set."""
    from memtools.errors import ConfigError
    from memtools.estimates.about import save
    from memtools.estimates.comparison import scores_of

    if out.suffix != ".npz":
        raise ConfigError(f"{out}: unknown ending", hint="use .npz")
    arrays = {"position": found.position, "inverse": found.inverse, "found": found.found}
    scores = scores_of(loaded)
    if len(scores) == len(found.inverse):
        arrays["scores"] = found.take(scores.values)
    about = dataclasses.replace(loaded.about, order="", doubt=f"aligned {found.proof}")
    save(out, arrays, about)


def _bin(text: str) -> Criterion:
    from memtools.errors import ConfigError
    from memtools.estimates.selection import quantile_bin

    which, slash, n_bins = text.partition("/")
    if not (slash and which.isdigit() and n_bins.isdigit()):
        raise ConfigError(f"{text!r} is no bin", hint="write --bin 9/10 for the highest tenth")
    return quantile_bin(int(which), int(n_bins))


def _manifest(path: Path) -> dict[str, Any]:
    from memtools.errors import ConfigError
    from memtools.files import disk_errors

    try:
        with disk_errors(path):
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        document = document.get("manifest", document)
        if {"request", "inputs"} <= document.keys():
            return document
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{path} is no manifest: {error}", hint="give *.manifest.json") from error
    raise ConfigError(f"{path} is no manifest of memtools select", hint="give *.manifest.json")


def _digests(source: str, asked: dict[str, Any]) -> dict[str, str]:
    """sha256 of every file that decides a selection."""
    from memtools.files import digest_file, disk_errors

    files = {"scores": source, "within": asked["within"], "to": asked["to"]}
    found = {}
    for name, file in files.items():
        if file and Path(file).is_file():
            with disk_errors(Path(file)):
                found[name] = digest_file(Path(file), ("sha256",))["sha256"]
    return found


def _positions(path: Path) -> Any:
    """Positions or a mask, of a file."""
    import numpy as np

    from memtools.errors import ConfigError
    from memtools.estimates.npz import read_npy
    from memtools.files import disk_errors

    if path.suffix == ".npy":
        return read_npy(path)
    try:
        with disk_errors(path):
            text = path.read_text("utf-8")
        if path.suffix == ".json":
            document = json.loads(text)
            document = document["indices"] if isinstance(document, dict) else document
            return np.array(document, np.int64)
        return np.array([int(line) for line in text.split()], np.int64)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} holds no positions: {error}", hint="integers: npy, json, or one in a line"
        ) from error


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and value != value else value
