"""Work of several nodes of a Ray cluster at once: a gang stands or falls as one."""

import functools
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nodes import ON_RAY, cluster_of_nodes

from memtools import gang
from memtools.cluster import connected
from memtools.engines import Lost
from memtools.errors import ConfigError
from memtools.runs.store import RunStore

pytestmark = ON_RAY


@pytest.fixture(scope="module")
def nodes():
    with cluster_of_nodes(1, 1) as started:
        yield started


@pytest.fixture
def engine(nodes):
    return functools.partial(gang.outcomes, n_hosts=2, address=nodes.address)


def number():
    return json.loads(os.environ["TF_CONFIG"])["task"]["index"]


def host():
    import ray

    return ray.get_runtime_context().get_node_id()


def leave(note, text):
    """A file that is whole as soon as it is there."""
    note.with_suffix(".new").write_text(text)
    note.with_suffix(".new").rename(note)


def introduce(directory, item):
    """Each member leaves a note of who it is; the first waits for the others'."""
    facts = {"pid": os.getpid(), "host": host(), "who": os.environ["TF_CONFIG"]}
    leave(directory / f"{item}-{number()}", json.dumps(facts))
    while number() == 0 and not (directory / f"{item}-1").exists():
        time.sleep(0.01)
    return item, number()


def test_members_are_fresh_processes_on_several_nodes_that_know_each_other(engine, tmp_path):
    found = dict(engine(functools.partial(introduce, tmp_path), range(3)))
    assert found == {n: (n, 0) for n in range(3)}
    facts = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert len(facts) == len({each["pid"] for each in facts.values()}) == 6
    for item in range(3):
        members = [facts[f"{item}-{k}"] for k in range(2)]
        assert len({each["host"] for each in members}) == 2
        configs = [json.loads(each["who"]) for each in members]
        assert [each["task"] for each in configs] == [
            {"type": "worker", "index": k} for k in range(2)
        ]
        assert configs[0]["cluster"] == configs[1]["cluster"]
        assert len(set(configs[0]["cluster"]["worker"])) == 2


def test_more_hosts_than_there_are_is_refused_at_once(nodes, memtools, tmp_path):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"3 hosts with CPU=1 are asked for.* has 2"):
        list(gang.outcomes(introduce, [1], n_hosts=3, address=nodes.address))
    assert time.monotonic() - begun < 60


def fall(directory, item):
    """The second member dies once, while the first waits for it as in a collective."""
    died, again = directory / f"{item}-died", directory / f"{item}-again"
    if number() == 1:
        if not died.exists():
            died.touch()
            os._exit(1)
        again.touch()
    while not again.exists():
        time.sleep(0.01)
    return item


def test_when_a_member_dies_the_whole_gang_begins_again(engine, tmp_path):
    assert list(engine(functools.partial(fall, tmp_path), [4, 5])) == [(4, 4), (5, 5)]


def wait_for_ever(directory, item):
    """The first time for ever; the second time only for the other member's note."""
    attempt = "second" if (directory / "go").exists() else "first"
    leave(directory / f"{attempt}-{number()}", host())
    while attempt == "first" or not (directory / f"second-{1 - number()}").exists():
        time.sleep(0.01)
    return item


def test_a_gang_whose_node_is_killed_begins_again_on_another(nodes, tmp_path):
    connected(nodes.address)  # to a node that stays
    doomed, spare = (nodes.add_node(num_cpus=1, resources={"big": 1}) for _ in range(2))
    big = functools.partial(
        gang.outcomes, n_hosts=2, address=nodes.address, resources={"CPU": 1, "big": 1}
    )
    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(lambda: list(big(functools.partial(wait_for_ever, tmp_path), [1])))
        while len(list(tmp_path.glob("first-?"))) < 2:
            time.sleep(0.02)
        (tmp_path / "go").touch()
        nodes.remove_node(doomed, allow_graceful=False)  # SIGKILL
        other = nodes.add_node(num_cpus=1, resources={"big": 1})
        assert found.result(100) == [(1, 1)]
    hosts = {(tmp_path / f"second-{k}").read_text() for k in range(2)}
    assert hosts == {spare.node_id, other.node_id}
    for each in (spare, other):
        nodes.remove_node(each)


def hang(item):
    time.sleep(600 if item else 0)
    return item


def test_a_gang_that_hangs_beyond_its_limit_is_lost_at_once(engine):
    since = time.monotonic()
    found = dict(engine(hang, [1, 0], limit=2.0))
    assert found[0] == 0 and "not done within its limit of 2 seconds" in str(found[1].error)
    assert time.monotonic() - since < 60


def freeze(item):
    if item and number() == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    while item:
        time.sleep(0.1)
    return item


def test_a_gang_with_a_frozen_member_is_ended_and_its_nodes_are_free_again(engine):
    found = list(engine(freeze, [1, 0, 0], limit=3.0))
    assert [item for item, _ in found] == [1, 0, 0]
    assert "not done within its limit of 3 seconds" in str(found[0][1].error)
    assert [outcome for _, outcome in found[1:]] == [0, 0]


def trouble(item):
    if item == 1 and number() == 1:
        raise ValueError("one")
    if item == 2 and number() == 1:
        os._exit(1)
    if item > 0:
        time.sleep(600)
    return item


def test_what_a_member_raises_or_always_dies_of_is_lost_and_the_others_are_not(engine):
    found = dict(engine(trouble, [1, 0, 2]))
    assert found[0] == 0
    assert isinstance(found[1], Lost) and isinstance(found[1].error, ValueError)
    assert isinstance(found[2], Lost) and "lost a member" in str(found[2].error)


SHORT = ("digits-demo", "--set", "epochs=6", "--set", "hidden=[8]", "--set", "stack=1")


def test_runs_of_two_hosts_are_those_of_one_to_rounding(nodes, memtools, tmp_path):
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    on_two = ("--engine", "ray", "--address", nodes.address, "--hosts", 2)
    stores = []
    for name, more in (("one", ("--engine", "serial")), ("two", on_two)):
        run = ("sweep", "run", *SHORT, "--runs", "0:2", "--to", tmp_path / name, *more)
        shown = memtools(*run, env=quiet, timeout=200)
        assert shown.returncode == 0, shown.stderr
        stores.append(list(RunStore.open(tmp_path / name)))
    for one, two in zip(*stores, strict=True):
        assert np.array_equal(one.mask, two.mask)
        assert np.mean(one.test_correct != two.test_correct) < 0.01
        assert np.abs(one.test_margin - two.test_margin).max() < 0.05
    assert (stores[1][0].facts["mode"], stores[1][0].facts["replicas"]) == ("data-parallel", 2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--hosts", 2), "--hosts is for --engine ray"),
        (("--hosts", 2, "--engine", "ray", "--set", "stack=4"), "train one run at a time"),
    ],
)
def test_a_gang_of_what_does_not_span_hosts_is_refused(memtools, tmp_path, more, words):
    shown = memtools("sweep", "run", *SHORT, "--runs", "0:2", "--to", tmp_path / "runs", *more)
    assert shown.returncode == 2 and words in shown.stderr
    assert not (tmp_path / "runs").exists()
