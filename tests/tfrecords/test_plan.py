"""Names against the index, and a permutation that knows nothing of the source."""

import dataclasses

import numpy as np
import pytest

from memtools.errors import ConfigError, IntegrityError, RecordError
from memtools.tfrecords.plan import make_plan, synsets_of
from memtools.tfrecords.source_listing import Listing
from memtools.tfrecords.sources import open_source


def listing_of(rows):
    return Listing.of((name.encode(), synset.encode(), 0, 0) for name, synset in rows)


def train_rows(imagenet):
    index = imagenet.index
    return [
        (str(name), imagenet.synsets[label])
        for name, label in zip(index.filenames, index.labels, strict=True)
    ]


@pytest.fixture
def rows(imagenet):
    return train_rows(imagenet)


def planned(rows, imagenet, **options):
    options = {"split": "train", "seed": 0, "n_shards": 8, **options}
    return make_plan(listing_of(rows), imagenet.index, **options)


def test_every_position_is_dealt_out_once_and_shuffled(rows, imagenet):
    shards = planned(rows, imagenet)
    every = np.concatenate([shard.index for shard in shards])
    assert sorted(every) == list(range(2000))
    assert [len(shard.index) for shard in shards] == [250] * 8
    of_first = imagenet.index.labels[shards[0].index]
    assert len(set(of_first)) > 150  # not class after class
    for shard in shards:
        assert (imagenet.index.filenames[shard.index] == shard.names.astype(str)).all()
        assert (imagenet.index.labels[shard.index] == shard.labels).all()
        assert (np.array(imagenet.synsets)[shard.labels] == shard.synsets.astype(str)).all()


def test_the_order_is_that_of_the_seed_and_of_nothing_else(rows, imagenet):
    def order(rows, **options):
        return [shard.index.tolist() for shard in planned(rows, imagenet, **options)]

    assert order(rows) == order(rows[::-1])
    assert order(rows) != order(rows, seed=1)


def test_places_follow_the_names(imagenet):
    tar = open_source(imagenet.train_tar())
    listing = tar.listing()
    shard = make_plan(listing, imagenet.index, split="train", seed=0, n_shards=8)[3]
    data = tar.read(shard.names[5], shard.folders[5], shard.places[5])
    assert data == imagenet.data[shard.names[5].decode()]


def test_a_flat_source_takes_its_labels_from_the_index(flat, imagenet):
    listing = open_source(flat).listing()
    shards = make_plan(listing, imagenet.index, split="validation", seed=0, n_shards=4)
    every = np.concatenate([shard.index for shard in shards])
    labels = np.concatenate([shard.labels for shard in shards])
    assert (imagenet.index.test_labels[every] == labels).all() and len(every) == 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[30:], r"30 missing \(.*, .* and 10 more\)"),
        (lambda rows: [*rows, ("new.JPEG", rows[0][1])], r"1 not in the index \(new\.JPEG\)"),
        (lambda rows: [*rows, rows[7]], "1 there twice"),
        (
            lambda rows: [(rows[0][0], rows[1][1]), *rows[1:]],
            "1 in a folder of another class",
        ),
        (lambda rows: [], "2,000 missing"),
    ],
)
def test_names_that_are_not_those_of_the_index_are_listed(rows, imagenet, change, words):
    with pytest.raises(RecordError, match=words) as caught:
        planned(change(rows), imagenet)
    assert caught.value.exit_code == 5


def test_all_troubles_are_told_at_once(rows, imagenet):
    with pytest.raises(RecordError, match=r"1 missing .*; 1 not in the index .*; 1 there twice"):
        planned([*rows[1:], rows[5], ("new.JPEG", "")], imagenet)


def test_a_deliberate_subset_is_allowed_but_strangers_are_not(rows, imagenet):
    shards = planned(rows[500:], imagenet, allow_missing=True)
    assert sum(len(shard.index) for shard in shards) == 1500
    with pytest.raises(RecordError, match="1 not in the index"):
        planned([*rows[500:], ("new.JPEG", "")], imagenet, allow_missing=True)


def test_skipped_images_are_neither_missing_nor_there(rows, imagenet):
    skip = [rows[0][0], rows[1][0]]
    for source in (rows, rows[2:]):
        shards = planned(source, imagenet, skip=skip)
        names = np.concatenate([shard.names for shard in shards]).astype(str)
        assert len(names) == 1998 and not set(skip) & set(names)


def test_an_index_without_names_is_refused(rows, imagenet):
    bare = dataclasses.replace(imagenet.index, filenames=None)
    with pytest.raises(ConfigError, match="no names and labels of the training images"):
        synsets_of(bare)
    bare = dataclasses.replace(imagenet.index, test_filenames=None)
    with pytest.raises(ConfigError, match="no names and labels of the validation images"):
        make_plan(listing_of(rows), bare, split="validation", seed=0, n_shards=4)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: {"test_labels": index.test_labels + 1},
        lambda index: {"test_labels": index.test_labels - 1},
        lambda index: {"test_labels": index.test_labels[:-1]},
        lambda index: {"labels": index.labels[:-1]},
        lambda index: {"labels": index.labels + 1},
    ],
    ids=["beyond the classes", "below 0", "one too few", "one of train too few", "from 1 on"],
)
def test_labels_that_cannot_be_those_of_the_names_are_refused(flat, imagenet, change):
    index = dataclasses.replace(imagenet.index, **change(imagenet.index))
    listing = open_source(flat).listing()
    with pytest.raises(IntegrityError):
        make_plan(listing, index, split="validation", seed=0, n_shards=4)
        make_plan(listing_of(train_rows(imagenet)), index, split="train", seed=0, n_shards=4)


def test_a_name_to_leave_out_must_be_known(rows, imagenet):
    with pytest.raises(ConfigError, match=r"not in the index: 1 names \(nothing\.JPEG\)"):
        planned(rows, imagenet, skip=[rows[0][0], "nothing.JPEG"])


def test_the_hint_fits_the_trouble_and_a_double_is_not_called_unknown(rows, imagenet):
    with pytest.raises(RecordError, match="1 missing") as caught:
        planned(rows[1:], imagenet)
    assert "--allow-missing" in caught.value.hint
    with pytest.raises(RecordError, match="1 there twice") as caught:
        planned([*rows, rows[5]], imagenet)
    assert "--allow-missing" not in caught.value.hint
    assert "not in the index" not in str(caught.value)
    with pytest.raises(RecordError, match=r"1 missing .*; 1 not in the index") as caught:
        planned([*rows[1:], ("new.JPEG", rows[0][1])], imagenet)
    assert "--allow-missing" not in caught.value.hint
