"""memtools train: many at once, and wrong requests in two lines."""

import os

import numpy as np
import pytest

from memtools.runs.store import RunStore
from memtools.training.config import presets

pytestmark = pytest.mark.timeout(300)  # each command imports TensorFlow
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
SHORT = ("digits-demo", "--set", "epochs=2", "--set", "hidden=[8]", "--set", "stack=2")


def test_workers_train_the_same_runs_to_the_last_bit(memtools, tmp_path):
    for workers in (1, 2):
        shown = memtools(
            *(
                "train",
                *SHORT,
                "--runs",
                "0:5",
                "--workers",
                workers,
                "--to",
                tmp_path / str(workers),
            ),
            env=QUIET,
        )
        assert shown.returncode == 0, shown.stderr
    one, two = (list(RunStore.open(tmp_path / str(workers))) for workers in (1, 2))
    assert len(one) == len(two) == 5
    for alone, beside in zip(one, two, strict=True):
        assert alone.digest == beside.digest
        assert np.array_equal(alone.test_probability, beside.test_probability)


def test_the_configuration_beside_the_runs_replays_them(memtools, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    shown = memtools("train", *SHORT, "--runs", "3", "--to", first, env=QUIET)
    assert shown.returncode == 0, shown.stderr
    shown = memtools("train", first / "config.toml", "--runs", "3", "--to", again, env=QUIET)
    assert shown.returncode == 0, shown.stderr
    assert RunStore.open(first).read(3).digest == RunStore.open(again).read(3).digest


def test_a_run_that_fails_is_told_apart_from_those_that_do_not(memtools, tmp_path):
    wild = ("--set", "peak_lr=1e30")
    shown = memtools("train", *SHORT, *wild, "--runs", "0:2", "--to", tmp_path / "r", env=QUIET)
    lines = shown.stderr.splitlines()
    assert shown.returncode == 1 and len(lines) == 2
    assert "2 of 2 runs failed, the first of them 0: the loss is not finite" in lines[0]
    assert sorted(RunStore.open(tmp_path / "r").failures()) == [0, 1]


def test_the_help_names_every_preset(memtools):
    words = memtools("train", "--help").stdout.replace(",", " ").replace(".", " ").split()
    assert set(presets()) <= set(words)


def test_wrong_requests_are_two_lines(memtools, tmp_path):
    for arguments, code, words in (
        (("digit-demo", "--runs", "0:4"), 2, "no preset 'digit-demo'"),
        (("digits-demo", "--runs", "x"), 2, "names no runs"),
        (("digits-demo", "--runs", "0", "--set", "epoch=2"), 2, "no key of a configuration"),
        (("digits-demo", "--runs", "0", "--set", "batch_size=2000"), 2, "larger than the subset"),
        (("cifar100-resnet50", "--runs", "0", "--set", "dataset=none"), 2, "not a data set"),
        ((*SHORT, "--runs", "0", "--strategy", "tpu"), 2, "there is no TPU here"),
        ((*SHORT, "--runs", "0", "--strategy", "mirrored"), 2, "mirrored needs several devices"),
        ((*SHORT, "--runs", "0", "--strategy", "tpu", "--workers", "2"), 2, "on one device in"),
        ((*SHORT, "--runs", "0", "--mode", "data-parallel"), 2, "and stack is 2"),
        ((*SHORT, "--runs", "0", "--set", "stack=90000000"), 2, "models at a time need at least"),
    ):
        shown = memtools("train", *arguments, "--to", tmp_path / "runs", env=QUIET)
        lines = shown.stderr.splitlines()
        assert shown.returncode == code and len(lines) == 2, shown.stderr
        assert words in lines[0]
