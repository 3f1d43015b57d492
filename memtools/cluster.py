"""Work on many items, on a Ray cluster: the same `outcomes` as memtools.engines.

    engine = functools.partial(outcomes, address="auto", resources={"CPU": 1})
    for item, outcome in engine(work, items): ...

Tasks of Ray Core, nothing else of it. A task whose node dies is done again elsewhere, perhaps from
the beginning to the end; so results must be kept once by whoever drives. Nodes may come and go. A
cluster of this machine alone is started where neither an address nor RAY_ADDRESS is given. Each
node needs memtools of the same version; for nodes of one cluster Ray wants one token
(`ray get-auth-token --generate`, RAY_AUTH_TOKEN_PATH).
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from memtools.engines import GRACE, Answers, Attempt, Lost, over_limit
from memtools.errors import ConfigError, MemtoolsError, NetworkError
from memtools.extras import needing

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3  # of an item whose node died
_AHEAD = 2  # tasks given out for each that can run
_LOOK = 5.0  # seconds until somebody looks for new nodes
_PATIENCE = 25.0  # seconds for a cluster to answer
_joined: tuple[str, ...] = ()  # the names of the cluster that this process is connected to
_PROBE = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False)"


def outcomes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    address: str | None = None,
    resources: Mapping[str, float] | None = None,
    limit: float | None = None,
) -> Answers[Item, Result]:
    """Yield (item, work(item) or Lost) for each item, in the order in which they are finished.

    An item whose process dies is Lost; one whose node dies is done again, up to RETRIES times.

    Args:
        work: What is done; it must pickle, as must the items.
        items: Taken as they are needed.
        address: `host:port` or `auto` of a cluster that runs; None: RAY_ADDRESS, else this machine.
        resources: Of one task, by Ray's names (CPU, GPU, TPU, ...); one CPU without them.
        limit: Seconds for an item from when it begins. After them its process ends itself; one
            that is frozen is killed by the driver, GRACE seconds later or at most _LOOK more.

    Raises:
        MemtoolsError: Ray is not installed.
        NetworkError: The address does not answer.
        ConfigError: More resources are asked for than the cluster has.
    """
    needs = dict(resources or {"CPU": 1})
    ray = ready(address, needs)
    task = ray.remote(_attempt).options(
        num_cpus=needs.get("CPU", 1),
        num_gpus=needs.get("GPU", 0),
        resources={name: n for name, n in needs.items() if name not in ("CPU", "GPU")} or None,
        max_retries=0,  # Ray makes no difference between a node that dies and a process
        num_returns="streaming",
        runtime_env={"env_vars": environment(resources)},
    )
    source, attempt = iter(items), ray.put(Attempt(work, limit, Path.cwd()))
    pending: dict[Any, _Task] = {}
    window, looked = 0, float("-inf")
    try:
        while True:
            if time.monotonic() - looked >= _LOOK:  # nodes come and go
                window, looked = _AHEAD * _slots(ray, needs), time.monotonic()
                _cancel_late(ray, pending, limit)
            for item in itertools.islice(source, max(0, window - len(pending))):
                pending[task.remote(attempt, item)] = _Task(item)
            if not pending:
                return
            done, _ = ray.wait(list(pending), num_returns=1, timeout=_LOOK)
            for stream in done:
                given = pending[stream]
                outcome = _next(ray, stream, given, limit)
                if outcome is _BEGUN:
                    given.begun = time.monotonic()
                    continue
                del pending[stream]
                if outcome is _NODE_DIED:
                    pending[task.remote(attempt, given.item)] = _Task(
                        given.item, given.n_deaths + 1
                    )
                    continue
                yield given.item, outcome
    finally:
        for stream in pending:
            ray.cancel(stream, force=True)


_BEGUN, _NODE_DIED = object(), object()  # what a stream may say in place of an outcome


@dataclasses.dataclass
class _Task:
    """An item that is given out: how often its node died, and when it began."""

    item: Any
    n_deaths: int = 0
    begun: float | None = None


def _attempt(attempt: Attempt[Item, Result], item: Item) -> Iterator[Result | Lost | None]:
    """Yield None when the task begins, for it may wait for long in a queue; then the outcome."""
    yield None
    yield attempt(item)


def _next(ray: Any, stream: Any, given: _Task, limit: float | None) -> Any:
    """Return the outcome of a task that has something to say, or _BEGUN, or _NODE_DIED."""
    try:
        outcome = ray.get(next(stream))
    except ray.exceptions.RayError as error:
        gone = (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError)
        if isinstance(error, gone) and given.n_deaths < RETRIES:  # or it died with its result
            return _NODE_DIED
        if limit is not None and given.begun and time.monotonic() - given.begun >= limit:
            return Lost(over_limit(limit))
        return lost(error)
    return _BEGUN if given.begun is None else outcome


def _cancel_late(ray: Any, pending: Mapping[Any, _Task], limit: float | None) -> None:
    """Kill the processes that have not ended themselves: Ray ends even one that is frozen."""
    if limit is None:
        return
    for stream, given in pending.items():
        if given.begun and time.monotonic() - given.begun >= limit + GRACE:
            ray.cancel(stream, force=True)


def lost(error: Exception) -> Lost:
    """Return what Ray says of a task that has no result."""
    cause = getattr(error, "cause", None) or error  # what the worker raised, if it could
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return Lost(MemtoolsError(f"a worker of the cluster was lost: {reason}"))


def ready(address: str | None, needs: Mapping[str, float]) -> Any:
    """The module ray, connected to a cluster that can run such tasks; raises as `outcomes` says."""
    ray = connected(address)
    _require_room(ray, needs)
    return ray


def connected(address: str | None) -> Any:
    """The module ray, connected to that cluster; raises as `outcomes` says."""
    global _joined
    with needing("ray"):
        import ray
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if ray.is_initialized():
        if _joined and address not in {"auto", "local", *_joined}:
            raise ConfigError(
                f"this process is connected to the Ray cluster at {_joined[1]}, not {address}",
                hint="ray.shutdown(), or a process of its own",
            )
        return ray
    if address not in ("auto", "local"):
        _require_answer(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == "local" else None,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NetworkError(
            f"no Ray cluster at {address}: {str(error).splitlines()[0]}",
            url=address,
            hint="start one (ray start --head), or leave out --address",
        ) from error
    _joined = address, ray.get_runtime_context().gcs_address
    return ray


def _require_answer(address: str) -> None:
    """Raise NetworkError unless a cluster answers there.

    Ray itself would try for minutes. So another process tries, and is ended; if anybody listens.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        number = int(port)
        socket.create_connection((host, number), timeout=_PATIENCE / 2).close()
    except ValueError as error:
        raise ConfigError(
            f"{address!r} is not an address", hint="write host:port, or auto"
        ) from error
    except OSError as error:
        raise NetworkError(
            f"nobody answers at {address}: {error}",
            url=address,
            hint="is the head node up, and the port the one that ray start printed?",
        ) from error
    probe = [sys.executable, "-c", _PROBE, address]
    try:
        subprocess.run(  # noqa: S603 - our own
            probe, capture_output=True, text=True, timeout=_PATIENCE, check=True
        )
    except subprocess.SubprocessError as error:
        said = f"{error.output} {error.stderr}"  # type: ignore[attr-defined]
        token = "AuthToken" in said
        raise NetworkError(
            f"no Ray cluster answers at {address}"
            + (": it wants another token" if token else ", though somebody listens there"),
            url=address,
            hint="RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN says the token of its head node"
            if token
            else "is this machine one of its nodes, and the port the one that ray start printed?",
        ) from error


def _require_room(ray: Any, needs: Mapping[str, float]) -> None:
    """Raise ConfigError unless some node could run a task."""
    nodes, has = _nodes(ray), ray.cluster_resources()
    lacking = [
        f"{name}={n:g}"
        for name, n in needs.items()
        if n > max((node.get(name, 0) for node in nodes), default=0)
    ]
    if lacking:
        shown = ", ".join(
            f"{k}={v:g}" for k, v in sorted(has.items()) if k in ("CPU", "GPU", "TPU")
        )
        raise ConfigError(
            f"no node of the cluster has {', '.join(lacking)}; all of it has {shown or 'nothing'}",
            hint="ask for less with --resources, or add nodes",
        )


def _slots(ray: Any, needs: Mapping[str, float]) -> int:
    """How many tasks the cluster can run at a time, as it is now; at least one can wait."""
    of_nodes = [
        min(node.get(name, 0) // n for name, n in needs.items() if n > 0) for node in _nodes(ray)
    ]
    return max(1, int(sum(of_nodes)))


def nodes_with(ray: Any, needs: Mapping[str, float]) -> int:
    """How many nodes have all of that."""
    return sum(all(node.get(name, 0) >= n for name, n in needs.items()) for node in _nodes(ray))


def _nodes(ray: Any) -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def environment(resources: Mapping[str, float] | None) -> dict[str, str]:
    """Return the environment of a task: TensorFlow uses its CPUs, not all of the node."""
    n_cpus = str(max(1, int((resources or {}).get("CPU", 1))))
    return {
        "TF_NUM_INTRAOP_THREADS": n_cpus,
        "TF_NUM_INTEROP_THREADS": n_cpus,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
