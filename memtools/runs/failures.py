"""Notes of the runs that failed: `failed/17.json`, with why and at which step.

write_failure(root / "failed", 17, "the loss is NaN", step=120)
read_failures(root / "failed")           # {17: "the loss is NaN"}
remove_failure(root / "failed", 17)      # it has succeeded since
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memtools.documents import read_json
from memtools.errors import RecordError
from memtools.files import disk_errors, write_atomically

_HINT = "remove it: the run is trained again all the same"


def write_failure(directory: Path, run_id: int, reason: str, **facts: Any) -> None:
    """Note that a run failed, and why."""
    content = json.dumps({"run_id": run_id, "reason": reason, **facts}, indent=1)
    path = directory / f"{run_id}.json"
    with disk_errors(path):
        write_atomically(path, content.encode(), ours=True)


def remove_failure(directory: Path, run_id: int) -> None:
    """Remove the note of a run, if there is one."""
    path = directory / f"{run_id}.json"
    with disk_errors(path):
        path.unlink(missing_ok=True)


def read_failures(directory: Path) -> dict[int, str]:
    """Return why each failed run failed; RecordError for a note that is damaged."""
    with disk_errors(directory):
        paths = sorted(directory.glob("*.json"))
    found = {}
    for path in paths:
        note = read_json(path, error=RecordError, hint=_HINT)
        if not (
            isinstance(note, dict)
            and type(note.get("run_id")) is int
            and isinstance(note.get("reason"), str)
        ):
            raise RecordError(f"{path} does not say which run failed, and why", hint=_HINT)
        found[note["run_id"]] = note["reason"]
    return found
