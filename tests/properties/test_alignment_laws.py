"""Whatever the order, the names and the subset: the right numbers, or a refusal."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memtools.alignment.alignment import align
from memtools.alignment.pixels import Reference
from memtools.alignment.selection import bottom, closest, select, top
from memtools.datasets.listing import Listing
from memtools.errors import AlignmentError
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimates.scores import Scores

SYNSETS = ["n01440764", "n01443537", "n02102040", "n02979186"]
CASES = 10_000


def name(label, number, style):
    base, synset = f"{SYNSETS[label]}_{number}", SYNSETS[label]
    return {
        0: f"{base}.JPEG",
        1: base,
        2: f"train/{synset}/{base}.JPEG",
        3: f"{base}_{synset}.JPEG",
        4: f"{base}.JPEG".encode(),
    }[style]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_permutation_renaming_and_subset_is_undone(data):
    n = data.draw(st.integers(4, 20))
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    index = ExampleIndex(
        About(order="published"),
        labels,
        np.array([name(label, k, 0) for k, label in enumerate(labels)]),
        None,
        None,
    )
    order = np.array(data.draw(st.permutations(range(n))))
    chosen = order[: data.draw(st.integers(1, n))]
    style = st.integers(0, 4)
    theirs = [name(labels[k], k, data.draw(style)) for k in chosen]
    found = align(index, to=theirs, labels=labels[chosen], allow_missing=True)
    values = np.random.default_rng(0).random(n)
    assert np.array_equal(found.take(values), values[chosen])
    assert np.array_equal(found.missing, np.setdiff1d(np.arange(n), chosen))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ties_go_to_the_lower_position_in_whatever_order_the_data_are(data):
    n = data.draw(st.integers(3, 15))
    values = np.array(
        data.draw(st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=n, max_size=n))
    )
    names = np.array([f"{k}.png" for k in range(n)])
    scores = Scores(About(order="published"), "score", values, None, names)
    k = data.draw(st.integers(1, n))
    criterion = data.draw(st.sampled_from([top(k), bottom(k), closest(0.3, k)]))
    chosen = select(scores, [criterion])
    order = np.array(data.draw(st.permutations(range(n))))
    alignment = align(scores, to=names[order])
    elsewhere = select(scores, [criterion], alignment=alignment)
    assert sorted(order[elsewhere.index]) == chosen.index.tolist()
    last = {"top": values[chosen.index].min(), "bottom": values[chosen.index].max()}
    if criterion.kind in last:
        tied = np.flatnonzero(values == last[criterion.kind])
        inside = np.isin(tied, chosen.index)
        assert not (np.diff(inside.astype(int)) > 0).any()  # the lower ones first


def corrupted(rng, kind, images, labels):
    """(images, labels, true positions) of a data set that is not what it seems to be."""
    n = len(labels)
    place = np.arange(n)
    if kind == "shifted":
        return np.roll(images, rng.integers(1, n), axis=0), labels, None
    if kind == "shuffled within classes":
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            place[of_class] = rng.permutation(of_class)
        return images[place], labels, place
    if kind == "relabelled":
        return images, (labels + rng.integers(1, 4, n) * (rng.random(n) < 0.3)) % 4, place
    place = rng.permutation(n)
    return images[place], labels[place], place


def test_no_wrong_number_is_ever_given_in_silence():
    """By pixels: the truth, or a refusal. By declaration: refused, or said what is not seen."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 2, 2, 3), np.uint8)
    outcomes = {"right": 0, "refused": 0, "said": 0}
    for case in range(CASES):
        labels = rng.integers(0, 4, 12)
        about = About(dataset="d", order="official")
        scores = Scores(about, "score", np.arange(12.0), labels)
        kinds = ["shifted", "shuffled within classes", "relabelled", "permuted"]
        theirs, their_labels, _ = corrupted(rng, kinds[case % 4], images, labels)
        reference = Reference.of(Listing(images=images, labels=labels), dataset="d")
        truth = {image.tobytes(): k for k, image in enumerate(images)}
        right = [truth[image.tobytes()] for image in theirs]
        try:
            found = align(scores, theirs, labels=their_labels, reference=reference)
            assert found.take(scores.values).tolist() == right
            assert np.array_equal(labels[right], their_labels)
            outcomes["right"] += 1
        except AlignmentError:
            assert not np.array_equal(labels[right], their_labels)
            outcomes["refused"] += 1
        try:
            found = align(scores, their_labels, order="official")
            assert "would not have been seen" in found.proof
            assert np.array_equal(labels, their_labels)
            outcomes["said"] += 1
        except AlignmentError:
            assert not np.array_equal(labels, their_labels)
    assert min(outcomes.values()) > 1000, outcomes


def test_names_that_do_not_belong_to_their_labels_are_refused():
    rng = np.random.default_rng(1)
    for _ in range(500):
        labels = rng.integers(0, 4, 12)
        names = np.array([name(label, k, 0) for k, label in enumerate(labels)])
        index = ExampleIndex(About(order="published"), labels, names, None, None)
        shift = int(rng.integers(1, 12))
        listing = Listing(names.tolist(), np.roll(labels, shift))
        try:
            align(index, listing)
            assert np.array_equal(np.roll(labels, shift), labels)
        except AlignmentError:
            assert not np.array_equal(np.roll(labels, shift), labels)
        clean = dataclasses.replace(listing, labels=labels)
        assert np.array_equal(align(index, clean).position, np.arange(12))
