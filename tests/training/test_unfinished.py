"""A killed run goes on where it was, and ends the same."""

import contextlib
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from processes import LONG, wait_for

from memtools.errors import ConfigError
from memtools.runs.store import RunStore
from memtools.training.unfinished import Unfinished

ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([-1, 4])]


def test_what_was_kept_is_found_again(tmp_path):
    unfinished = Unfinished(tmp_path / "0", "mine")
    empty = [np.zeros_like(each) for each in ARRAYS]
    step, arrays = unfinished.load(empty)
    assert step == 0 and all(a is b for a, b in zip(arrays, empty, strict=True))
    unfinished.save(500, empty)
    unfinished.save(1000, ARRAYS)
    step, arrays = unfinished.load(empty)
    assert step == 1000
    for kept, array in zip(arrays, ARRAYS, strict=True):
        assert np.array_equal(kept, array) and kept.dtype == array.dtype
    assert len(list(tmp_path.glob("0/*.index"))) == 1  # the older one is gone
    unfinished.remove()
    assert unfinished.load(empty)[0] == 0


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    Unfinished(tmp_path / "0", "mine").save(500, ARRAYS)
    with pytest.raises(ConfigError, match="checkpoint of another configuration"):
        Unfinished(tmp_path / "0", "yours").load(ARRAYS)


def test_a_damaged_checkpoint_is_dropped_and_said(tmp_path, caplog):
    Unfinished(tmp_path / "0", "mine").save(500, ARRAYS)
    (data,) = tmp_path.glob("0/*.data-*")
    damaged = bytearray(data.read_bytes())
    damaged[3] ^= 255
    data.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, "memtools.training"):
        logging.getLogger("memtools").propagate = True
        step, _ = Unfinished(tmp_path / "0", "mine").load(ARRAYS)
    assert step == 0 and "damaged, so these runs begin anew" in caplog.text
    assert not (tmp_path / "0").exists()


TRAIN = [
    sys.executable,
    "-c",
    "import memtools.training.feeds as feeds; feeds.InMemory.__init__.__defaults__ = (50,)\n"
    "from memtools_cli.main import app; app()",
    *("train", "digits-demo", "--runs", "0:2", "--set", "epochs=600", "--set", "stack=2"),
    *("--set", "hidden=[32]", "--checkpoint-minutes", "0", "--to"),
]


@pytest.mark.timeout(300)
def test_killed_again_and_again_a_run_ends_the_same(start, tmp_path):
    quiet = {"env": {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, "stderr": subprocess.DEVNULL}
    assert start(*TRAIN, tmp_path / "undisturbed", **quiet).wait(LONG) == 0

    def kept():
        """Return what names the newest checkpoint, or nothing."""
        for path in (tmp_path / "killed").glob("unfinished/*/checkpoint"):
            with contextlib.suppress(FileNotFoundError):
                return path.read_bytes()
        return b""

    seen = []
    for n_checkpoints in (1, 2, 3):
        process, last = start(*TRAIN, tmp_path / "killed", **quiet), kept()
        for _ in range(n_checkpoints):
            wait_for(lambda before=last: kept() not in {b"", before}, process)
            last = kept()
        process.kill()  # in the middle of whatever comes then
        process.wait()
        seen.append(kept())
    assert b"" not in seen and len(set(seen)) == 3  # each went further than the one before
    assert start(*TRAIN, tmp_path / "killed", **quiet).wait(LONG) == 0
    undisturbed, killed = (list(RunStore.open(tmp_path / n)) for n in ("undisturbed", "killed"))
    assert len(killed) == 2
    for one, other in zip(undisturbed, killed, strict=True):
        assert one.digest == other.digest
        assert np.array_equal(one.test_margin, other.test_margin)
        assert np.array_equal(one.train_probability, other.train_probability)
        assert one.facts["loss_test"] == other.facts["loss_test"]
    assert not (tmp_path / "killed" / "unfinished").exists()
