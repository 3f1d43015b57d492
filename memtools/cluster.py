"""Work on many items, on a Ray cluster: the same `outcomes` as memtools.engines.

    engine = functools.partial(outcomes, address="auto", resources={"CPU": 1})
    for item, outcome in engine(work, items): ...

Tasks of Ray Core, nothing else of it. Ray executes at least once: a task whose node dies is done
again elsewhere; so results must be kept once by whoever drives. A cluster of this machine alone is
started where no address is given. Each node needs memtools of the same version; for nodes of one
cluster Ray wants one token (`ray get-auth-token --generate`, RAY_AUTH_TOKEN_PATH).
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from memtools.engines import Attempt, Lost
from memtools.errors import ConfigError, MemtoolsError, NetworkError

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3  # by Ray, of a task whose node or process died
_AHEAD = 2  # tasks given out for each that can run
_PATIENCE = 10.0  # seconds for a cluster to answer


def outcomes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    address: str | None = None,
    resources: Mapping[str, float] | None = None,
    limit: float | None = None,
) -> Iterator[tuple[Item, Result | Lost]]:
    """(item, work(item) or Lost) for each item, in the order in which they are finished.

    address: `host:port` or `auto` of a cluster that runs; None: this machine. resources: of one
    task, by Ray's names (CPU, GPU, TPU, ...); one CPU without them. limit: seconds for an item.

    Raises MemtoolsError if Ray is not installed; NetworkError if the address does not answer;
    ConfigError for more resources than the cluster has.
    """
    ray = connected(address)
    needs = dict(resources or {"CPU": 1})
    task = ray.remote(_attempt).options(
        num_cpus=needs.pop("CPU", 1),
        num_gpus=needs.pop("GPU", 0),
        resources=needs or None,
        max_retries=RETRIES,
        runtime_env={"env_vars": environment(resources)},
    )
    window = _AHEAD * _slots(ray, dict(resources or {"CPU": 1}))
    source, attempt = iter(items), ray.put(Attempt(work, limit))
    pending = {task.remote(attempt, item): item for item in itertools.islice(source, window)}
    try:
        while pending:
            done, _ = ray.wait(list(pending), num_returns=1)
            for reference in done:
                item = pending.pop(reference)
                yield item, _result(ray, reference)
                for following in itertools.islice(source, 1):
                    pending[task.remote(attempt, following)] = following
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)


def _attempt(attempt: Attempt[Item, Result], item: Item) -> Result | Lost:
    return attempt(item)


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return lost(error)


def lost(error: Exception) -> Lost:
    """For what Ray says of a task that has no result."""
    cause = getattr(error, "cause", None) or error  # what the worker raised, if it could
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return Lost(MemtoolsError(f"a worker of the cluster was lost: {reason}"))


def connected(address: str | None) -> Any:
    """The module ray, connected to that cluster; raises as `outcomes` says."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MemtoolsError("Ray is not installed", hint="pip install 'memtools[ray]'") from error
    if ray.is_initialized():
        return ray
    if address not in (None, "auto", "local"):
        _require_answer(str(address))
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address else False,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NetworkError(
            f"no Ray cluster at {address or 'this machine'}: {str(error).splitlines()[0]}",
            url=str(address),
            hint="start one (ray start --head), or leave out --address",
        ) from error
    return ray


def _require_answer(address: str) -> None:
    """Raise NetworkError unless somebody listens there: Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        number = int(port)
        with socket.create_connection((host, number), timeout=_PATIENCE):
            return
    except ValueError as error:
        raise ConfigError(f"{address!r} is no address", hint="write host:port, or auto") from error
    except OSError as error:
        raise NetworkError(
            f"nobody answers at {address}: {error}",
            url=address,
            hint="is the head node up, and the port the one that ray start printed?",
        ) from error


def _slots(ray: Any, needs: Mapping[str, float]) -> int:
    """How many tasks the cluster can run at a time; ConfigError if it is none."""
    has = ray.cluster_resources()
    nodes = _nodes(ray)
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
    return max(1, min(int(has.get(name, 0) // n) for name, n in needs.items() if n > 0))


def nodes_with(ray: Any, needs: Mapping[str, float]) -> int:
    """How many nodes have all of that."""
    return sum(all(node.get(name, 0) >= n for name, n in needs.items()) for node in _nodes(ray))


def _nodes(ray: Any) -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def environment(resources: Mapping[str, float] | None) -> dict[str, str]:
    """Of a task: TensorFlow uses the CPUs that it was given, not all of the node."""
    n_cpus = str(max(1, int((resources or {}).get("CPU", 1))))
    return {
        "TF_NUM_INTRAOP_THREADS": n_cpus,
        "TF_NUM_INTEROP_THREADS": n_cpus,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
