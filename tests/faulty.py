"""Training of which some runs go wrong, each only once: it raises, dies, or hangs.

train = functools.partial(faulty.train, config, tmp_path, {2: "raises", 5: "dies", 8: "hangs"})
"""

import os
import time

from memtools.training.trainer import train_group


def train(config, directory, faults, run_ids):
    """What memtools trains, unless it is the first time for one of these runs."""
    for run_id in run_ids:
        mark = directory / f"{run_id}-{faults.get(run_id)}"
        if run_id in faults and not mark.exists():
            mark.touch()
            go_wrong(faults[run_id])
    return train_group(config, run_ids)


def go_wrong(how):
    """As it is called."""
    if how == "raises":
        raise ValueError("once")
    if how == "dies":
        os._exit(1)
    time.sleep(600)
