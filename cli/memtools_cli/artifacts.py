"""list, fetch, join, verify, clean: the published files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from memtools.errors import MemtoolsError
from memtools_cli.options import Column, Directory, Json, Mirror, Names, Registries, a_number
from memtools_cli.output import print_table, show, show_error, show_json

Chosen = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Artifacts or groups; see `memtools list`.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="An artifact; see `memtools list`.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Exit 7 if another process is at work on the same file.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands, in the order in which help shows them."""
    app.command("list")(list_)
    app.command()(fetch)
    app.command()(join)
    app.command()(verify)
    app.command()(clean)


def list_(to: Directory = None, registry: Registries = None, as_json: Json = False) -> None:
    """Show what can be fetched, what is here, and what is half-done."""
    from memtools.artifacts.cache import inventory
    from memtools.artifacts.settings import Settings
    from memtools.files import human_size

    settings = Settings.of(cache=to, registries=registry or ())
    known = settings.registry()
    items = inventory(known, settings.cache)
    if as_json:
        show_json([item.to_json() for item in items])
        return
    rows = [
        (
            item.artifact.name,
            "about " * item.size_is_approximate + human_size(item.size) if item.size else "?",
            item.artifact.order,
            item.state_in_words,
            item.artifact.definition + f" ({item.artifact.doubt})" * bool(item.artifact.doubt),
        )
        for item in items
    ]
    print_table(("name", "size", "order", "state", "what it is"), rows)
    show("", f"files are kept in {settings.cache}")
    for group, members in known.groups.items():
        show(f"group {group}: {', '.join(members)}")


def fetch(
    names: Chosen,
    to: Directory = None,
    registry: Registries = None,
    mirror: Mirror = None,
    huge: Annotated[
        bool, typer.Option("--huge", help="Allow archives of 200 GB and more.")
    ] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Allow files that no digest or size can prove.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a symbolic link by the file itself.")
    ] = False,
    no_wait: NoWait = False,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            callback=a_number,
            metavar="SECONDS",
            help="Seconds without a byte after which to reconnect and resume.",
        ),
    ] = 30.0,
    min_speed: Annotated[
        float,
        typer.Option(
            min=0,
            callback=a_number,
            metavar="BYTES",
            help="Bytes per second below which to reconnect and resume.",
        ),
    ] = 1024.0,
) -> None:
    """Download, join and verify; print the path of each file.

    Interrupt it at any time and run it again: it goes on where it stopped. A path that
    is printed is a file whose every known digest held. What is here costs no request.
    """
    from memtools.artifacts.fetcher import Terms, bring
    from memtools.artifacts.settings import Settings
    from memtools.transfer.patience import Patience

    settings = Settings.of(cache=to, registries=registry or (), mirror=mirror)
    patience = Patience(connect=min(10.0, timeout), read=timeout, min_speed=min_speed)
    terms = Terms(unverified, huge, force, not no_wait, patience)
    chosen = settings.registry().select(names)
    _each(chosen, lambda artifact: show(bring(artifact, settings, terms)), "fetched")


def join(
    name: Name,
    parts_in: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="Directory that holds the parts.")
    ],
    to: Directory = None,
    registry: Registries = None,
    no_wait: NoWait = False,
) -> None:
    """Join parts that you have already, verify, and print the path.

    Parts are found by their published names; other files there are ignored.
    """
    from memtools.artifacts.fetcher import Terms
    from memtools.artifacts.fetcher import join as join_parts

    terms = Terms(wait=not no_wait)
    show(join_parts(name, parts_in, to, registries=registry or (), terms=terms))


def verify(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...",
            help="Artifacts, groups or files; without any, all that is here.",
        ),
    ] = None,
    column: Column = "",
    to: Directory = None,
    registry: Registries = None,
    names: Names = False,
    as_json: Json = False,
) -> None:
    """Read files again: every digest that is known, then what the arrays must mean.

    A broken part is named where the sizes of the parts are known. Of a file that no
    registry knows, the arrays are checked: lengths, ranges, and indices that partition
    the labels.
    """
    from memtools.artifacts.cache import inventory
    from memtools.artifacts.checker import verify as verify_one
    from memtools.artifacts.settings import Settings

    settings = Settings.of(cache=to, registries=registry or ())
    known = settings.registry()
    asked: list[str] = []
    for each in what or [i.artifact.name for i in inventory(known, settings.cache) if i.is_here]:
        asked += known.groups.get(each, (each,))
    verdicts: list[dict[str, Any]] = []

    def one(each: str) -> None:
        verdict = verify_one(
            each,
            cache=settings.cache,
            registries=settings.registries,
            names=names,
            column=column,
        )
        verdicts.append(verdict.to_json())
        if not as_json:
            show(f"{verdict.path}: {verdict.in_words}")

    try:
        _each(asked, one, "verified")
    finally:
        if as_json:
            show_json(verdicts)


def clean(
    to: Directory = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the fetched files of the cache, too.")
    ] = False,
    registry: Registries = None,
) -> None:
    """Remove half-done downloads that no process is working on."""
    from memtools.artifacts.cache import remove
    from memtools.artifacts.settings import Settings
    from memtools.files import human_size

    settings = Settings.of(cache=to, registries=registry or ())
    n_bytes = 0
    for path, size in remove(settings.registry(), settings.cache, everything=everything):
        show(f"removed {path}")
        n_bytes += size
    show(f"{human_size(n_bytes)} freed")


def _each(items: Sequence[Any], work: Callable[[Any], None], done: str) -> None:
    """Do the work for each item; one failure does not keep the others from theirs.

    A single item fails with its own error; of several, each error is printed and
    the count of what was done decides.
    """
    failures: list[MemtoolsError] = []
    for item in items:
        try:
            work(item)
        except MemtoolsError as error:
            failures.append(error)
            if len(items) > 1:
                show_error(error)
    if len(items) == 1 and failures:
        raise failures[0]
    if failures:
        summary = MemtoolsError(
            f"{len(items) - len(failures)} of {len(items)} {done}",
            hint="see the errors above; run the same command again for the rest",
        )
        codes = {error.exit_code for error in failures}
        if len(failures) == len(items) and len(codes) == 1:
            summary.exit_code = codes.pop()  # type: ignore[misc]
        raise summary
