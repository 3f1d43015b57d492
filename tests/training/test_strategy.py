"""A run is what its spec says, on whatever devices it is trained."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import processes
import pytest

from memtools.errors import ConfigError
from memtools.runs.store import RunStore
from memtools.training.config import load_config
from memtools.training.datasets import load_dataset
from memtools.training.strategy import choose
from memtools.training.trainer import Trainer

HERE = Path(__file__).parent
PRESET = "cifar10-resnet18"
pytestmark = pytest.mark.timeout(300)  # programs for four devices take long to compile
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What on_devices.py wrote, on four logical CPUs."""
    target = tmp_path_factory.mktemp("devices") / "found.npz"
    command = [sys.executable, str(HERE / "on_devices.py"), str(target)]
    done = processes.run(command, env=QUIET, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(target)


def test_a_replica_trains_its_run_as_if_it_were_alone(found):
    assert np.array_equal(found["replica-parallel/2"], found["alone/2"])
    assert np.array_equal(found["replica-parallel/2"], found["other neighbours/2"])
    assert not np.array_equal(found["replica-parallel/1"], found["alone/2"])


def test_replicas_may_train_stacks(found):
    for run in ("4", "5"):
        assert np.array_equal(found[f"stacks/{run}"], found[f"one stack/{run}"])


@pytest.mark.parametrize("data", ["digits", "bars"])
def test_one_model_on_four_devices_is_that_of_one_device_norms_included(found, data):
    names = [name for name in found.files if name.startswith(f"{data}/one/")]
    assert len(names) > 7
    for name in names:
        np.testing.assert_allclose(
            found[name], found[name.replace("/one/", "/shared/")], rtol=1e-3, atol=1e-5
        )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_processes_train_one_model_together(start, tmp_path):
    labels = np.arange(60) % 3
    pixels = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3), np.uint8)
    pixels[np.arange(60), labels * 2] = 255
    arrays = {"train_images": pixels[:40], "train_labels": labels[:40]}
    np.savez(tmp_path / "d.npz", **arrays, test_images=pixels[40:], test_labels=labels[40:])
    settings = ["dataset=d.npz", "epochs=1", "batch_size=4", "peak_lr=0.001"]
    command = [sys.executable, "-c", "from memtools_cli.main import app; app()", "train", PRESET]
    command += [word for setting in settings for word in ("--set", setting)]
    command += ["--runs", "0:2"]

    def train(to, **environment):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return start(*command, "--to", to, cwd=tmp_path, env=QUIET | environment, **pipes)

    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    tasks = [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": k}}) for k in range(2)
    ]
    started = [train("two", TF_CONFIG=task) for task in tasks] + [train("one")]
    said = [process.communicate(timeout=280) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert [out for out, _ in said] == ["two\n", "", "one\n"]  # the chief alone keeps results
    one, two = (list(RunStore.open(tmp_path / name)) for name in ("one", "two"))
    assert [run.spec for run in one] == [run.spec for run in two] and len(two) == 2
    for alone, together in zip(one, two, strict=True):
        assert together.facts["mode"] == "data-parallel" and together.facts["replicas"] == 2
        for loss in ("loss_in", "loss_out", "loss_test"):
            assert together.facts[loss] == pytest.approx(alone.facts[loss], abs=1e-5)


def test_what_is_not_there_is_not_replaced_by_something_else(monkeypatch):
    with pytest.raises(ConfigError, match="no TPU here"):
        choose("tpu")
    with pytest.raises(ConfigError, match="TensorFlow sees one CPU"):
        choose("mirrored")
    with pytest.raises(ConfigError, match="names no cluster"):
        choose("multiworker")
    monkeypatch.setenv("TF_CONFIG", "worker 3")
    with pytest.raises(ConfigError, match="TF_CONFIG is no JSON"):
        choose("auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ConfigError, match="asks for a GPU, and TensorFlow sees none"):
        choose("auto")


def test_one_model_on_all_devices_leaves_no_room_for_a_stack():
    config = load_config("digits-demo")
    with pytest.raises(ConfigError, match="data-parallel trains one model at a time"):
        Trainer(config, load_dataset(config), choose("one", "data-parallel"))
