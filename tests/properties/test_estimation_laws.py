"""Laws of estimation: the definition, whatever the order, the split, or the block."""

import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "estimation"))
from worlds_of_runs import exact, labelled, packed, rounded

from memtools.estimates.about import About
from memtools.estimation import counts, pair_scan
from memtools.estimation.estimator import finish
from memtools.estimation.statistics import Statistics


@st.composite
def sweeps(draw):
    n_runs, n_train, n_test = (draw(st.integers(1, most)) for most in (12, 6, 5))
    seed, share = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.1, 0.5, 0.7, 1.0]))
    rng = np.random.default_rng(seed)
    return tuple(
        rng.random((n_runs, n)) < p for n, p in ((n_train, share), (n_train, 0.7), (n_test, 0.4))
    )


def arrays_of(bits, pieces=None):
    n_train, n_test = bits[0].shape[1], bits[2].shape[1]
    examples = labelled(n_train, n_test, 2)
    total = Statistics.empty(examples, n_train, n_test)
    for runs in pieces or [np.arange(len(bits[0]))]:
        piece = tuple(each[runs] for each in bits)
        one = Statistics.empty(examples, n_train, n_test).add(packed(piece))
        total = total.merge(one) if len(runs) % 2 else total.add(packed(piece))
    return finish(total, examples, About()).arrays


@settings(deadline=None, max_examples=60)
@given(sweeps())
def test_estimates_are_the_definition_rounded_once(bits):
    mask, train, test = bits
    arrays = arrays_of(bits)
    for i in range(mask.shape[1]):
        memorization = rounded(exact(mask[:, i], train[:, i]))
        assert np.array_equal(arrays["tr_mem"][i], memorization, equal_nan=True)
    for label in (0, 1):
        if f"tr_classidx_{label}" not in arrays:
            continue
        block = arrays[f"infl_matrix_class{label}"]
        for row, i in enumerate(arrays[f"tr_classidx_{label}"]):
            for column, j in enumerate(arrays[f"tt_classidx_{label}"]):
                value = rounded(exact(mask[:, i], test[:, j]))
                assert np.array_equal(block[row, column], value, equal_nan=True)


@settings(deadline=None, max_examples=40)
@given(sweeps(), st.randoms(use_true_random=False))
def test_no_order_and_no_split_of_runs_changes_a_byte(bits, random):
    order = list(range(len(bits[0])))
    random.shuffle(order)
    cuts = sorted(random.sample(range(len(order) + 1), min(3, len(order))))
    pieces = [p for p in np.split(np.array(order), cuts) if len(p)]
    once, pieced = arrays_of(bits), arrays_of(bits, pieces)
    assert once.keys() == pieced.keys()
    assert all(once[name].tobytes() == pieced[name].tobytes() for name in once)


@settings(deadline=None, max_examples=40)
@given(sweeps(), st.integers(1, 5), st.sampled_from([0.05, 0.15, 0.5]))
def test_no_block_changes_what_a_scan_finds(bits, rows, least):
    outcomes, results = packed(bits), []
    before = pair_scan.ROWS, counts.kernels
    try:
        for size, kernels in ((8192, before[1]), (rows, before[1]), (rows, None)):
            pair_scan.ROWS, counts.kernels = size, kernels
            results.append(pair_scan.scan(outcomes, per_test=2, per_train=2, least=least))
    finally:
        pair_scan.ROWS, counts.kernels = before
    for kept in ("pairs", "per_test", "per_train"):
        first, *others = (vars(getattr(result, kept)) for result in results)
        for other in others:
            assert all(np.array_equal(first[n], other[n], equal_nan=True) for n in first)
