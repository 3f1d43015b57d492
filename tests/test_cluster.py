"""Work on a Ray cluster of real node processes: nothing is lost, whatever dies."""

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import faulty
import numpy as np
import pytest
from nodes import ON_RAY, cluster_of_nodes
from PIL import Image
from processes import wait_for

from memtools import cluster
from memtools.engines import Lost
from memtools.errors import ConfigError, NetworkError
from memtools.estimates.about import About, save
from memtools.runs.store import RunStore
from memtools.runs.sweep import run_missing

pytestmark = ON_RAY


@pytest.fixture(scope="module")
def nodes():
    with cluster_of_nodes(2) as started:
        yield started


@pytest.fixture
def engine(nodes):
    return functools.partial(cluster.outcomes, address=nodes.address)


def square(n):
    return n * n


def trouble(n):
    if n == 3:
        raise ValueError("three")
    if n == 5:
        os._exit(1)
    if n == 7:
        time.sleep(600)
    return n


def freeze(n):
    if n == 2:
        os.kill(os.getpid(), signal.SIGSTOP)
    return n


def test_a_frozen_task_is_killed_by_the_driver_and_the_others_go_on(engine, monkeypatch):
    monkeypatch.setattr(cluster, "GRACE", 1.0)
    monkeypatch.setattr(cluster, "_LOOK", 0.5)
    found = dict(engine(freeze, range(6), limit=1.0))
    assert [n for n, each in found.items() if isinstance(each, Lost)] == [2]
    assert "not done within its limit of 1 seconds" in str(found[2].error)
    assert len(found) == 6


def slow(n):
    time.sleep(0.5)
    return n


def test_every_item_is_worked_on_once(engine):
    assert sorted(engine(square, range(40))) == [(n, n * n) for n in range(40)]


def test_what_raises_dies_or_hangs_is_lost_and_the_others_are_not(engine):
    found = dict(engine(trouble, range(10), limit=4.0))
    assert {n for n, each in found.items() if isinstance(each, Lost)} == {3, 5, 7}
    assert isinstance(found[3].error, ValueError)
    assert "was lost" in str(found[5].error)
    assert "not done within its limit of 4 seconds" in str(found[7].error)
    assert [found[n] for n in (0, 1, 2, 4, 6, 8, 9)] == [0, 1, 2, 4, 6, 8, 9]


def test_a_node_that_is_killed_in_the_middle_costs_nothing_but_time(nodes, engine):
    doomed = nodes.add_node(num_cpus=2)
    found = []
    for item, outcome in engine(slow, range(24)):
        found.append((item, outcome))
        if len(found) == 4:
            nodes.remove_node(doomed, allow_graceful=False)  # SIGKILL
    assert sorted(found) == [(n, n) for n in range(24)]


def mark_and_fill(directory, n):
    (directory / str(n)).touch()
    return bytes([n]) * (1 << 20)  # so large that it stays on the node until it is asked for


def test_results_that_die_with_their_node_before_they_are_read_are_made_again(nodes, tmp_path):
    doomed, other = (nodes.add_node(num_cpus=1, resources={"spare": 1}) for _ in range(2))
    engine = functools.partial(cluster.outcomes, address=nodes.address, resources={"spare": 1})
    found = engine(functools.partial(mark_and_fill, tmp_path), range(8))
    first = next(found)
    wait_for(lambda: len(list(tmp_path.iterdir())) >= 4)  # all that were given out have begun
    nodes.remove_node(doomed, allow_graceful=False)  # SIGKILL
    assert sorted([first, *found]) == [(n, bytes([n]) * (1 << 20)) for n in range(8)]
    nodes.remove_node(other)


def test_more_than_a_node_has_is_refused_at_once(engine):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match="no node of the cluster has CPU=64; all of it has CPU="):
        list(engine(square, range(3), resources={"CPU": 64}))
    with pytest.raises(ConfigError, match="has TPU=4"):
        list(engine(square, range(3), resources={"CPU": 1, "TPU": 4}))
    assert time.monotonic() - begun < 60


def test_an_address_that_does_not_answer_is_said_soon(memtools, tmp_path):
    arguments = ("sweep", "run", "digits-demo", "--runs", "0:4", "--to", tmp_path / "runs")
    for address, code in (("127.0.0.1:1", 3), ("nowhere", 2)):
        begun = time.monotonic()
        shown = memtools(*arguments, "--engine", "ray", "--address", address)
        assert shown.returncode == code, shown.stderr
        assert len(shown.stderr.splitlines()) == 2 and address in shown.stderr
        assert time.monotonic() - begun < 60
    with pytest.raises(NetworkError):
        cluster._require_answer("127.0.0.1:1")


def test_shards_are_built_on_the_cluster_with_the_same_bytes(nodes, memtools, tmp_path):
    names, synsets = [], ["n01440764", "n01443537"]
    for k in range(12):
        synset = synsets[k % 2]
        names.append(f"{synset}_{k}.JPEG")
        path = tmp_path / "train" / synset / names[-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (20 * k, 100, 3)).save(path)
    index = {"tr_filenames": np.array(names), "tr_labels": np.arange(12) % 2}
    save(tmp_path / "index.npz", index, About(dataset="imagenet"))
    build = ("tfrecords", "build", "train", "--split", "train", "--shards", 4)
    build += ("--index", "index.npz", "--to")
    ray_options = ("--engine", "ray", "--address", nodes.address)
    for to, more in (("serial", ("--engine", "serial")), ("ray", ray_options)):
        shown = memtools(*build, to, *more, cwd=tmp_path, timeout=240)
        assert shown.returncode == 0, shown.stderr
    shards = sorted(path.name for path in (tmp_path / "serial").glob("train-*"))
    assert len(shards) == 4
    for name in shards:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "serial" / name).read_bytes()


def mark(directory, n):
    (directory / f"{n}-begun").touch()
    while len(list(directory.glob("*-begun"))) < 3:
        time.sleep(0.05)
    return n


def test_nodes_that_come_later_work_too(nodes, tmp_path):
    """One task at a time fits on what there is; three must run at once for any of them to end."""
    first = nodes.add_node(num_cpus=1, resources={"late": 1})
    engine = functools.partial(cluster.outcomes, address=nodes.address, resources={"late": 1})
    found = engine(functools.partial(mark, tmp_path), range(6))
    with ThreadPoolExecutor(1) as beside:
        all_of_it = beside.submit(list, found)
        while not list(tmp_path.glob("*-begun")):
            time.sleep(0.05)
        others = [nodes.add_node(num_cpus=1, resources={"late": 1}) for _ in range(2)]
        assert sorted(all_of_it.result(100)) == [(n, n) for n in range(6)]
    for node in (first, *others):
        nodes.remove_node(node)


def where(n):
    return os.getcwd()


def test_relative_paths_begin_where_the_driver_is(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(engine(where, [1])) == [(1, str(tmp_path))]


def test_what_dies_is_tried_as_often_as_was_asked_for(engine, tmp_path):
    found = dict(engine(functools.partial(count, tmp_path), [0, 1]))
    assert isinstance(found[0], Lost) and found[1] == 1
    assert len(list(tmp_path.iterdir())) == 1


def count(directory, n):
    if n == 0:
        (directory / str(time.time_ns())).touch()
        os._exit(1)
    return n


def test_somebody_who_is_no_cluster_is_not_waited_for(tmp_path, memtools, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        run = ("sweep", "run", "digits-demo", "--runs", "0:4", "--to", tmp_path / "runs")
        begun = time.monotonic()
        shown = memtools(*run, "--engine", "ray", "--address", address)
    assert time.monotonic() - begun < 60  # Ray itself tries for minutes
    assert (shown.returncode, len(shown.stderr.splitlines())) == (3, 2), shown.stderr
    assert f"no Ray cluster answers at {address}" in shown.stderr
    assert not (tmp_path / "runs").exists()


def test_without_ray_it_says_what_to_install(tmp_path, memtools):
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError(name='ray')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = ("sweep", "run", "digits-demo", "--runs", "0:4", "--to", tmp_path / "runs")
    shown = memtools(*run, "--engine", "ray", env=environment)
    assert shown.returncode == 1 and "pip install 'memtools[ray]'" in shown.stderr


def test_one_process_has_one_cluster(nodes):
    connected = cluster.connected(nodes.address)
    assert cluster.connected(nodes.address) is connected is cluster.connected("auto")
    with pytest.raises(ConfigError, match=r"is connected to .* not 127\.0\.0\.1:6379"):
        cluster.connected("127.0.0.1:6379")


SHORT = ("digits-demo", "--set", "epochs=6", "--set", "hidden=[8]", "--set", "stack=2")


def sweep(nodes, to, *more):
    command = [sys.executable, "-c", "from memtools_cli.main import app; app()", "sweep", "run"]
    command += [*SHORT, "--runs", "0:16", "--to", str(to), *more]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=environment, stdout=-3, stderr=subprocess.PIPE, text=True)


def same(one, two):
    """Both stores hold the same 16 runs, to the last bit."""
    one, two = list(RunStore.open(one)), list(RunStore.open(two))
    assert len(one) == len(two) == 16
    for alone, spread in zip(one, two, strict=True):
        assert alone.digest == spread.digest
        assert np.array_equal(alone.test_margin, spread.test_margin)


def test_whatever_goes_wrong_each_run_is_there_once_and_as_in_a_serial_sweep(nodes, tmp_path):
    """One raises, one dies, one hangs, a node is killed; then the disk of the driver is full."""
    from memtools.training.config import load_config
    from memtools.training.datasets import load_dataset
    from memtools.training.trainer import store_of

    serial = sweep(nodes, tmp_path / "serial", "--engine", "serial")
    config = load_config("digits-demo", {"epochs": 6, "hidden": [8], "stack": 2})
    store = store_of(tmp_path / "ray", config, load_dataset(config))
    faults, doomed = {1: "raises", 4: "dies", 6: "hangs"}, [nodes.add_node(num_cpus=2)]
    (tmp_path / "marks").mkdir()
    train = functools.partial(faulty.train, config, tmp_path / "marks", faults)

    def engine(work, items):
        for each in cluster.outcomes(work, items, address=nodes.address, limit=20.0):
            yield each
            while doomed:
                nodes.remove_node(doomed.pop(), allow_graceful=False)  # SIGKILL

    assert run_missing(store, range(12), train, group=2, engine=engine, attempts=2) == {}
    assert len(list((tmp_path / "marks").iterdir())) == 3
    command = "from memtools_cli.main import app; app()"
    options = f"--runs 0:16 --to {store.root} --engine ray --address {nodes.address}"
    script = f"ulimit -f 4; {sys.executable} -c '{command}' sweep run {' '.join(SHORT)} {options}"
    full = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert full.returncode == 6 and "limit on file sizes" in full.stderr, full.stderr
    assert store.run_ids() == list(range(12))
    again = sweep(nodes, store.root, "--engine", "ray", "--address", nodes.address)
    assert again.communicate(timeout=120)[1] is not None and again.returncode == 0
    assert serial.communicate(timeout=120)[1] is not None and serial.returncode == 0
    same(tmp_path / "serial", store.root)


def test_a_driver_that_is_killed_goes_on_and_all_is_as_in_a_serial_sweep(nodes, memtools, tmp_path):
    serial = sweep(nodes, tmp_path / "serial" / "runs", "--engine", "serial")
    options = ("--engine", "ray", "--address", nodes.address)
    driver = sweep(nodes, tmp_path / "ray" / "runs", *options)
    records = tmp_path / "ray" / "runs" / "records"
    while driver.poll() is None and len(list(records.glob("*.npz"))) < 4:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    n_before = len(list(records.glob("*.npz")))
    assert 4 <= n_before < 16
    written = {path.name: path.stat().st_mtime_ns for path in records.glob("*.npz")}
    again = sweep(nodes, tmp_path / "ray" / "runs", *options)
    said = again.communicate(timeout=120)[1]
    assert again.returncode == 0, said
    assert serial.communicate(timeout=120)[1] is not None and serial.returncode == 0
    assert all((records / name).stat().st_mtime_ns == t for name, t in written.items())
    same(tmp_path / "serial" / "runs", tmp_path / "ray" / "runs")
    for name in ("serial", "ray"):
        estimate = ("estimate", "runs", "--out", tmp_path / f"{name}.npz")
        assert memtools(*estimate, cwd=tmp_path / name).returncode == 0
    assert (tmp_path / "ray.npz").read_bytes() == (tmp_path / "serial.npz").read_bytes()
    across = ("pairs", records.parent, "--cross-class", "--min-mem", 0, "--min-infl", 0.1)
    for to, more in (("threads.csv", ()), ("ray.csv", options)):
        shown = memtools(*across, *more, "--out", to, cwd=tmp_path, timeout=100)
        assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "threads.csv").read_bytes()
    assert (tmp_path / "ray.csv").read_text().count("\n") > 100
