"""Work that spans several machines of a Ray cluster: the same `outcomes` as memtools.cluster.

    engine = functools.partial(outcomes, n_hosts=2, resources={"GPU": 8})
    for item, outcome in engine(work, items): ...

Each item is done by a gang: one fresh process on each of several nodes, which all work on it at
once and know each other by TF_CONFIG, as tf.distribute.MultiWorkerMirroredStrategy wants it. What
the first one finds is the outcome. A gang stands or falls as one: when a member dies, all of it is
done again, up to RETRIES times. As many gangs work side by side as there are nodes for.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from memtools import cluster
from memtools.engines import Answers, Attempt, Lost, over_limit
from memtools.errors import ConfigError, MemtoolsError

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3  # of a gang that lost a member
_PATIENCE = 600.0  # seconds for a node to come in the place of one that was lost
_LOOK = 5.0  # seconds until somebody looks for new nodes
_MOST = 1024  # gangs at a time


def outcomes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    n_hosts: int,
    address: str | None = None,
    resources: Mapping[str, float] | None = None,
    limit: float | None = None,
) -> Answers[Item, Result]:
    """(item, work(item) or Lost) for each item, in the order in which they are finished.

    n_hosts: nodes that work on one item. resources: of each of them. The rest, and what is raised,
    as for memtools.cluster.outcomes; ConfigError, too, for fewer nodes than that.
    """
    needs = dict(resources or {"CPU": 1})
    ray = ready(address, needs, n_hosts)
    over = threading.Event()
    gangs = _Gangs(ray, n_hosts, needs, ray.put(Attempt(work, None, Path.cwd())), limit, over)
    source, pool = iter(items), concurrent.futures.ThreadPoolExecutor(_MOST)
    pending: dict[concurrent.futures.Future[Any], Item] = {}
    try:
        while True:
            room = max(1, cluster.nodes_with(ray, needs) // n_hosts) - len(pending)
            for item in itertools.islice(source, max(0, room)):
                pending[pool.submit(gangs.do, item)] = item
            if not pending:
                return
            done, _ = concurrent.futures.wait(pending, _LOOK, return_when="FIRST_COMPLETED")
            for future in done:
                yield pending.pop(future), future.result()
    finally:
        over.set()
        pool.shutdown(wait=True, cancel_futures=True)


def ready(address: str | None, needs: Mapping[str, float], n_hosts: int) -> Any:
    """The module ray, connected to a cluster with such nodes; raises as `outcomes` says."""
    ray = cluster.connected(address)
    n_nodes = cluster.nodes_with(ray, needs)
    if n_nodes < n_hosts:
        shown = ",".join(f"{name}={n:g}" for name, n in needs.items())
        raise ConfigError(
            f"{n_hosts} hosts with {shown} are asked for, and the cluster has {n_nodes}",
            hint="ask for fewer with --hosts, for less with --resources, or add nodes",
        )
    return ray


class _Member:
    """A process of a gang.

    An actor of Ray: it is fresh, and lives until the gang is through, for a member that leaves
    early would take the others with it.
    """

    def address(self) -> str:
        """host:port, which was free a moment ago."""
        util: Any = importlib.import_module("ray.util")
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{util.get_node_ip_address()}:{free.getsockname()[1]}"

    def do(
        self, addresses: list[str], number: int, attempt: Attempt[Any, Any], item: object
    ) -> Any:
        """Return what the first member finds; of the others, only what went wrong."""
        task = {"type": "worker", "index": number}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        found = attempt(item)
        return found if number == 0 or isinstance(found, Lost) else None


@dataclasses.dataclass(frozen=True)
class _Gangs:
    """Gangs of one kind.

    attempt: a reference to what they do; limit: seconds for it; over: nobody waits any more.
    """

    ray: Any
    n_hosts: int
    needs: dict[str, float]
    attempt: Any
    limit: float | None
    over: threading.Event

    def do(self, item: object) -> Any:
        """Return the outcome of a gang that came through; Lost if several have not."""
        for _ in range(1 + RETRIES):
            outcome = self._do_once(item)
            if outcome is not None or self.over.is_set():
                return outcome
        return Lost(MemtoolsError(f"{1 + RETRIES} gangs in a row lost a member"))

    def _do_once(self, item: object) -> Any:
        """The outcome, or None if a member died."""
        group = self.ray.util.placement_group([self.needs] * self.n_hosts, strategy="STRICT_SPREAD")
        members: list[Any] = []
        try:
            if not self._placed(group):
                return Lost(MemtoolsError(f"no {self.n_hosts} nodes were free for a gang"))
            members += [self._member(group, k) for k in range(self.n_hosts)]
            addresses = self.ray.get([each.address.remote() for each in members], timeout=_PATIENCE)
            working = [
                member.do.remote(addresses, k, self.attempt, item)
                for k, member in enumerate(members)
            ]
            return self._first_word(working)
        except self.ray.exceptions.RayActorError:
            return None
        except self.ray.exceptions.RayError as error:
            return cluster.lost(error)
        finally:
            for member in members:
                self.ray.kill(member)
            self.ray.util.remove_placement_group(group)

    def _placed(self, group: Any) -> bool:
        """Return whether there came to be room for it; an interrupt is not kept waiting."""
        end = time.monotonic() + _PATIENCE
        while not self.over.is_set() and time.monotonic() < end:
            if group.wait(1):
                return True
        return False

    def _first_word(self, working: list[Any]) -> Any:
        """Return what the first member finds, or any raises; RayActorError if one dies."""
        pending, end = list(working), time.monotonic() + (self.limit or float("inf"))
        while not self.over.is_set():
            late = time.monotonic() > end
            done, pending = self.ray.wait(pending, num_returns=1, timeout=0.2)
            for reference in done:
                found = self.ray.get(reference)
                if reference == working[0] or found is not None:
                    return found
            if late:
                return Lost(over_limit(self.limit or 0))  # frozen or not: Ray kills the members
        return None

    def _member(self, group: Any, number: int) -> Any:
        needs = dict(self.needs)
        strategy = self.ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            group, placement_group_bundle_index=number
        )
        actor = self.ray.remote(_Member).options(
            num_cpus=needs.pop("CPU", 0),
            num_gpus=needs.pop("GPU", 0),
            resources=needs or None,
            scheduling_strategy=strategy,
            runtime_env={"env_vars": cluster.environment(self.needs)},
        )
        return actor.remote()
