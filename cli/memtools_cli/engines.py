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
    typer.Option(metavar="HOST:PORT", help="A Ray cluster; else RAY_ADDRESS, or this machine."),
]
Resources = Annotated[
    str | None, typer.Option(metavar="NAME=N,...", help="Of a task on Ray: TPU=4,CPU=8.")
]
Hosts = Annotated[
    int, typer.Option(min=1, metavar="N", help="Machines of a Ray cluster that share one task.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Processes; without it one for each CPU.")
]
_NOT_OURS = {"memory", "object_store_memory"}  # which Ray takes in another way


def engine_of(
    name: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    resources: str | None = None,
    hosts: int = 1,
    limit: float | None = None,
) -> Callable[..., Any]:
    """`outcomes` of that engine, with its options; ConfigError for some that it has not.

    A cluster is connected to at once, and raises if it is none, or too small.
    """
    from memtools.errors import ConfigError

    of_ray = {"--address": address, "--resources": resources, "--hosts": hosts > 1 or None}
    for option, value in of_ray.items():
        if name != "ray" and value is not None:
            raise ConfigError(f"{option} is for --engine ray", hint="say --engine ray")
    if name != "process" and workers is not None:
        raise ConfigError("--workers is for --engine process", hint="say --engine process")
    if name == "serial" and limit is not None:
        raise ConfigError("--limit-minutes needs processes to end", hint="say --engine process")
    if name == "ray":
        from memtools import cluster, gang

        needs = _parsed(resources or "CPU=1")
        one: Callable[..., Any] = cluster.outcomes
        if hosts > 1:
            gang.ready(address, needs, hosts)
            one = functools.partial(gang.outcomes, n_hosts=hosts)
        else:
            cluster.ready(address, needs)
        return functools.partial(one, address=address, resources=needs, limit=limit)
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
    some = any(found.values()) and all(0 <= n < float("inf") for n in found.values())
    if not some or _NOT_OURS & set(found):
        raise ConfigError(f"{text!r} are no resources", hint="write TPU=4,CPU=8")
    return found
