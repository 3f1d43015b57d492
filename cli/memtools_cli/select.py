"""select: examples chosen by their score."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memtools_cli.align import AllowMissing, DataOrder, Labels, To, align_to
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
    a_number,
)
from memtools_cli.output import show

if TYPE_CHECKING:
    from memtools.alignment.alignment import Alignment
    from memtools.alignment.criteria import Criterion
    from memtools.estimates.model import Estimates
    from memtools.estimates.scores import Scores

_LOADING = ("column", "index", "dataset", "direction", "definition")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(select)


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
        typer.Option(
            "--closest-to", callback=a_number, metavar="VALUE N", help="The N nearest to VALUE."
        ),
    ] = (0.0, 0),
    random: Annotated[int, typer.Option(min=0, metavar="N", help="Any N.")] = 0,
    at_least: Annotated[
        float | None, typer.Option(callback=a_number, metavar="VALUE", help="All from VALUE on.")
    ] = None,
    at_most: Annotated[
        float | None, typer.Option(callback=a_number, metavar="VALUE", help="All up to VALUE.")
    ] = None,
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
    split: Annotated[
        str, typer.Option(help="Split of the data set: train; test, val or validation.")
    ] = "train",
    order: DataOrder = "",
    class_folders: ClassFolders = "auto",
    allow_missing: AllowMissing = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A manifest: select the same again, into --out."),
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
    """Choose examples by their score, and write their positions.

    The k most, least, middle or any. Positions are those of the scores' order, or with --to those
    of the data set; which is printed. Several criteria make a mix: later ones leave what earlier
    ones took. Ties go to the lower position. The manifest beside the file holds everything that
    decided it.
    """
    from memtools.alignment import selection as kinds
    from memtools.errors import ConfigError
    from memtools.estimates.position_files import read_positions
    from memtools.outputs import require_not_input

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
        "split": split,
        "align_order": order,
        "class_folders": class_folders,
        "allow_missing": allow_missing,
        "column": column,
        "index": index,
        "dataset": dataset,
        "direction": direction,
        "definition": definition,
    }
    asked = {name: str(v) if isinstance(v, Path) else v for name, v in asked.items()}
    expected: dict[str, str] = {}
    if replay is not None:
        manifest = _manifest(replay)
        request = kinds.Request.of(manifest)
        wanted, per_class = list(request.criteria), request.per_class
        control, seed = request.control, request.seed
        asked, expected = {**asked, **manifest["request"]}, manifest["inputs"]
    if out is None or asked["what"] is None or not wanted:
        raise ConfigError(
            "say what to select, and where to write it",
            hint="memtools select cifar100 --top 3000 --out forget.json",
        )
    require_not_input(
        out, replay, *(asked[name] for name in ("what", "within", "to", "labels", "index"))
    )
    shared = {"cache": cache, "registry": registry, "mirror": mirror, "names": names}
    loaded = _load(asked, shared)
    inputs = _digests(loaded.about.source, asked)
    if expected and inputs != expected:
        changed = [n for n in {*inputs, *expected} if inputs.get(n) != expected.get(n)]
        raise ConfigError(
            f"{', '.join(sorted(changed))} changed since this was selected",
            hint="the manifest can be replayed on the same files only",
        )
    chosen = kinds.select(
        loaded,
        wanted,
        per_class=per_class,
        within=read_positions(Path(asked["within"])) if asked["within"] else None,
        alignment=_alignment(loaded, asked),
        control=control,
        seed=seed,
    )
    chosen = dataclasses.replace(
        chosen, manifest={**chosen.manifest, "request": asked, "inputs": inputs}
    )
    chosen.save(out)
    show(
        f"{len(chosen):,} examples, scores {chosen.scores.min():.3g} to {chosen.scores.max():.3g};"
        f" positions in {chosen.counted_in}"
    )
    show(out)


def _load(asked: dict[str, Any], shared: dict[str, Any]) -> Estimates | Scores:
    """Load the scores; without a data set the declared order is theirs alone."""
    from memtools.estimates.model import Estimates

    order = "" if asked["to"] else asked["align_order"]
    said = {name: asked[name] for name in _LOADING}
    loaded = open_scores(asked["what"], **shared, **said, order=order)
    return loaded.scores if isinstance(loaded, Estimates) else loaded


def _alignment(loaded: Estimates | Scores, asked: dict[str, Any]) -> Alignment | None:
    if not asked["to"]:
        return None
    return align_to(
        loaded,
        Path(asked["to"]),
        Path(asked["labels"]) if asked["labels"] else None,
        asked["split"],
        asked["align_order"],
        None,
        asked["class_folders"],
        asked["allow_missing"],
    )


def _bin(text: str) -> Criterion:
    from memtools.alignment.selection import quantile_bin
    from memtools.errors import ConfigError

    which, slash, n_bins = text.partition("/")
    if not (slash and which.isdigit() and n_bins.isdigit()):
        raise ConfigError(f"{text!r} is not a bin", hint="write --bin 9/10 for the highest tenth")
    return quantile_bin(int(which), int(n_bins))


def _manifest(path: Path) -> dict[str, Any]:
    from memtools.documents import read_json
    from memtools.errors import ConfigError

    hint = "give *.manifest.json"
    document: dict[str, Any] = read_json(path, error=ConfigError, hint=hint)
    document = document.get("manifest", document) if isinstance(document, dict) else {}
    request, inputs = (
        document.get(name) if isinstance(document, dict) else None for name in ("request", "inputs")
    )
    if not isinstance(request, dict) or not isinstance(inputs, dict):
        raise ConfigError(f"{path} is not a manifest of memtools select", hint=hint)
    for name, value in request.items():
        is_text = value is None or (isinstance(value, str) and "\0" not in value)
        if not (isinstance(value, bool) if name == "allow_missing" else is_text):
            raise ConfigError(f"{path}: {name} is {value!r:.40}", hint=hint)
    return document


def _digests(source: str, asked: dict[str, Any]) -> dict[str, str]:
    """Return the sha256 of every file that decides a selection."""
    from memtools.files import digest_file, disk_errors

    options = ("within", "to", "labels", "index")
    files = {"scores": source, **{name: asked.get(name) for name in options}}
    found = {}
    for name, file in files.items():
        if file and Path(file).is_file():
            with disk_errors(Path(file)):
                found[name] = digest_file(Path(file), ("sha256",))["sha256"]
    return found
