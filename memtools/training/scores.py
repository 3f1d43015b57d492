"""From logits to the record of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from memtools.estimates.npz import Array
from memtools.runs.record import RunRecord, RunSpec

_FLOAT16 = 6e4  # margins beyond it are cut off there


def record_of(
    spec: RunSpec,
    mask: Array,
    sides: dict[str, tuple[Array, Array]],
    facts: dict[str, Any],
    *,
    keep_scores: bool,
) -> RunRecord:
    """The record of one run.

    mask: bool [n_train]. sides: for "train" and "test" the logits, float32 [n, n_classes], and the
    labels, int64 [n], of all examples. keep_scores: probabilities and margins, not bits alone.
    """
    of = {side: scores(*found) for side, found in sides.items()}
    correct = {side: of[side]["margin"] > 0 for side in sides}
    kept = {
        f"{side}_{kind}": of[side][kind].astype(np.float16)
        for side in sides
        for kind in ("probability", "margin")
        if keep_scores
    }
    facts = {
        "loss_in": float(of["train"]["loss"][mask].mean()),
        "loss_out": float(of["train"]["loss"][~mask].mean()),
        "loss_test": float(of["test"]["loss"].mean()),
        "accuracy_in": float(correct["train"][mask].mean()),
        "accuracy_out": float(correct["train"][~mask].mean()),
        "accuracy_test": float(correct["test"].mean()),
        **facts,
    }
    return RunRecord(spec, mask, correct["train"], correct["test"], **kept, facts=facts)


def scores(logits: Array, labels: Array) -> dict[str, Array]:
    """Of each example: probability of the true label, margin, loss; float64 [n].

    margin: logit of the true label minus the largest other; a tie is not correct.
    """
    logits = logits.astype(np.float64)
    of_label = np.take_along_axis(logits, labels[:, None], 1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, 1)
    top = logits.max(1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    return {
        "probability": np.exp(of_label - log_sum),
        "margin": np.clip(of_label - others.max(1), -_FLOAT16, _FLOAT16),
        "loss": log_sum - of_label,
    }
