"""Clusters of real node processes of Ray, on this machine."""

import contextlib
from pathlib import Path

import pytest

# Ray leaves sockets and files of its own open, and warns of its future.
ON_RAY = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(300),
]


@contextlib.contextmanager
def cluster_of_nodes(*n_cpus):
    """A head without CPUs, and a node with each of these numbers."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_worker_niceness", "0")  # or they starve beside other tests
        environment.setenv("PYTHONPATH", str(Path(__file__).parent))  # of the tests' functions
        started = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for n in n_cpus:
            started.add_node(num_cpus=n)
        yield started
        ray.shutdown()
        started.shutdown()
