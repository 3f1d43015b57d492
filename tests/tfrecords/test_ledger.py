"""dataset.json: what is finished, and of what."""

import dataclasses

import pytest

from memtools.errors import ConfigError, RecordError
from memtools.tfrecords.ledger import Ledger, ShardFacts, Split
from memtools.tfrecords.storage import open_store

SPLIT = Split("aa", "bb", seed=0, n_shards=2, n_records=10, n_examples=10)


def test_what_is_saved_is_read_back(tmp_path):
    ledger = Ledger.open(open_store(tmp_path))
    assert ledger.splits == {}
    facts = ShardFacts(5, 1000, "cc", {"a.JPEG": "PNG"})
    ledger.splits["train"] = dataclasses.replace(SPLIT, shards={"train-00000-of-00002": facts})
    ledger.save()
    again = Ledger.open(open_store(tmp_path))
    assert again.splits == ledger.splits
    assert not again.splits["train"].complete
    again.splits["train"].shards["train-00001-of-00002"] = facts
    assert again.splits["train"].complete


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("index", "x", "another index file"),
        ("seed", 1, "another seed"),
        ("n_shards", 3, "another number of shards"),
        ("images", "x", "another choice of images"),
    ],
)
def test_another_set_is_not_mixed_in(tmp_path, field, value, words):
    with pytest.raises(ConfigError, match=words):
        SPLIT.require_same(dataclasses.replace(SPLIT, **{field: value}), str(tmp_path))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"splits": {"train": {"seed": 0}}}', '{"splits": 3}']
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(RecordError, match=r"dataset\.json( is damaged|: train has no| is not)"):
        Ledger.open(open_store(tmp_path))
