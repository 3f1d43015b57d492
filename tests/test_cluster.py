"""Work on a Ray cluster of real node processes: nothing is lost, whatever dies."""

import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from nodes import ON_RAY, cluster_of_nodes
from PIL import Image

from memtools import cluster
from memtools.engines import Lost
from memtools.errors import ConfigError, NetworkError
from memtools.estimates.about import About, save
from memtools.runs.store import RunStore

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
    assert [found[n] for n in (0, 1, 2, 4, 6, 8, 9)] == [0, 1, 2, 4, 6, 8, 9]


def test_a_node_that_is_killed_in_the_middle_costs_nothing_but_time(nodes, engine):
    doomed = nodes.add_node(num_cpus=2)
    found = []
    for item, outcome in engine(slow, range(24)):
        found.append((item, outcome))
        if len(found) == 4:
            nodes.remove_node(doomed, allow_graceful=False)  # SIGKILL
    assert sorted(found) == [(n, n) for n in range(24)]


def test_more_than_a_node_has_is_refused_at_once(engine):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match="no node of the cluster has CPU=64; all of it has CPU="):
        list(engine(square, range(3), resources={"CPU": 64}))
    with pytest.raises(ConfigError, match="has TPU=4"):
        list(engine(square, range(3), resources={"CPU": 1, "TPU": 4}))
    assert time.monotonic() - begun < 10


def test_an_address_that_does_not_answer_is_said_soon(memtools, tmp_path):
    arguments = ("sweep", "run", "digits-demo", "--runs", "0:4", "--to", tmp_path / "runs")
    for address, code in (("127.0.0.1:1", 3), ("nowhere", 2)):
        begun = time.monotonic()
        shown = memtools(*arguments, "--engine", "ray", "--address", address)
        assert shown.returncode == code, shown.stderr
        assert len(shown.stderr.splitlines()) == 2 and address in shown.stderr
        assert time.monotonic() - begun < 30
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
        shown = memtools(*build, to, *more, cwd=tmp_path, timeout=120)
        assert shown.returncode == 0, shown.stderr
    shards = sorted(path.name for path in (tmp_path / "serial").glob("train-*"))
    assert len(shards) == 4
    for name in shards:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "serial" / name).read_bytes()


SHORT = ("digits-demo", "--set", "epochs=6", "--set", "hidden=[8]", "--set", "stack=2")


def sweep(nodes, to, *more):
    command = [sys.executable, "-c", "from memtools_cli.main import app; app()", "sweep", "run"]
    command += [*SHORT, "--runs", "0:16", "--to", str(to), *more]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=environment, stdout=-3, stderr=subprocess.PIPE, text=True)


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
    one, two = (list(RunStore.open(tmp_path / name / "runs")) for name in ("serial", "ray"))
    assert len(one) == len(two) == 16
    for alone, spread in zip(one, two, strict=True):
        assert alone.digest == spread.digest
        assert np.array_equal(alone.test_margin, spread.test_margin)
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
