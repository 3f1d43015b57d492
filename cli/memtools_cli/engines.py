"""--engine, --address, --resources: where independent work is done."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

Which = Literal["process", "ray", "serial"]
Name = Annotated[Which, typer.Option(help="Where independent work is done.")]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="A Ray cluster; else one of this machine."),
]
Resources = Annotated[
    str, typer.Option(metavar="NAME=N,...", help="Of a task on Ray: TPU=4,CPU=8.")
]
Hosts = Annotated[
    int, typer.Option(min=1, metavar="N", help="Machines of a Ray cluster that share one task.")
]


def engine_of(
    name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    resources: str = "CPU=1",
    hosts: int = 1,
    limit: float | None = None,
) -> Callable[..., Any]:
    """`outcomes` of that engine, with its options; ConfigError for some that it has not."""
    from memtools.errors import ConfigError

    if name != "ray" and address is not None:
        raise ConfigError("--address is for --engine ray", hint="say --engine ray")
    if name != "ray" and hosts > 1:
        raise ConfigError("--hosts is for --engine ray", hint="say --engine ray")
    if name == "serial" and limit is not None:
        raise ConfigError("--limit-minutes needs processes to end", hint="say --engine process")
    if name == "ray":
        from memtools import cluster, gang

        one = functools.partial(gang.outcomes, n_hosts=hosts) if hosts > 1 else cluster.outcomes
        return functools.partial(one, address=address, resources=_parsed(resources), limit=limit)
    from memtools.engines import outcomes

    n_workers = 1 if name == "serial" else workers or os.cpu_count() or 1
    return functools.partial(outcomes, n_workers=n_workers, limit=limit)


def _parsed(text: str) -> dict[str, float]:
    from memtools.errors import ConfigError

    try:
        pairs = (part.split("=") for part in text.split(","))
        found = {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        found = {}
    if not found or min(found.values()) < 0:
        raise ConfigError(f"{text!r} are no resources", hint="write TPU=4,CPU=8")
    return found
