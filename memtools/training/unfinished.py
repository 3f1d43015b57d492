"""What a group of runs has reached, on disk: so that a kill costs minutes, not the run.

    unfinished = Unfinished(store / "unfinished" / "000000", identity)
    unfinished.save(step, arrays)
    step, arrays = unfinished.load(arrays)   # of the same shapes; (0, arrays) if there is none

Checkpoints of TensorFlow: the older one goes when the newer is whole.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memtools.errors import ConfigError, DiskError
from memtools.estimates.npz import Array
from memtools.extras import needing

with needing("tf"):
    import tensorflow as tf

_log = logging.getLogger("memtools.training")


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """root: a directory of its own. identity: configuration and runs; what else would it be?"""

    root: Path
    identity: str

    def save(self, step: int, arrays: Sequence[Array]) -> None:
        """Keep the state after a step; DiskError if there is no room."""
        try:
            self._manager(step, arrays)[0].save(step)
        except tf.errors.OpError as error:
            raise DiskError(
                f"{self.root}: no checkpoint could be written: {error.message.splitlines()[0]}",
                hint="free some space, then run the same command again",
            ) from error

    def load(self, like: Sequence[Array]) -> tuple[int, list[Array]]:
        """The last step and state that were kept; (0, like) if there are none.

        Raises ConfigError for a checkpoint of another configuration. One that is damaged is
        dropped, with a warning: the runs begin anew and end the same.
        """
        manager, step, _, values = self._manager(0, like)
        path = manager.latest_checkpoint
        if path is None:
            return 0, list(like)
        try:
            if tf.train.load_checkpoint(path).get_tensor(_IDENTITY).decode() != self.identity:
                raise ConfigError(
                    f"{path} is a checkpoint of another configuration",
                    hint=f"remove {self.root}, or choose another directory",
                )
            manager.checkpoint.restore(path).assert_consumed()
        except (tf.errors.OpError, AssertionError, RuntimeError, ValueError) as error:
            _log.warning("%s is damaged, so these runs begin anew: %s", path, error)
            self.remove()
            return 0, list(like)
        return int(step), [value.numpy() for value in values]

    def remove(self) -> None:
        """It is finished."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _manager(
        self, step: int, arrays: Sequence[Array]
    ) -> tuple[tf.train.CheckpointManager, tf.Variable, tf.Variable, list[tf.Variable]]:
        with tf.device("CPU:0"):
            variables = [tf.Variable(np.asarray(array)) for array in arrays]
            at, identity = tf.Variable(step), tf.Variable(self.identity)
        checkpoint = tf.train.Checkpoint(step=at, identity=identity, values=variables)
        manager = tf.train.CheckpointManager(checkpoint, str(self.root), max_to_keep=1)
        return manager, at, identity, variables


_IDENTITY = "identity/.ATTRIBUTES/VARIABLE_VALUE"
