"""Images of a report out of records: those that are shown, in one pass."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from memtools.errors import AlignmentError, ConfigError
from memtools.estimates.about import About
from memtools.estimates.model import Estimates
from memtools.report import pictures
from memtools.report.images import open_images
from memtools.report.subject import subject_of
from memtools.tfrecords import builder
from memtools.tfrecords.reader import read_encoded
from memtools.tfrecords.sources import open_source
from memtools.training.config import load_config


@pytest.fixture(scope="module")
def records(folder, flat, imagenet, tmp_path_factory):
    to = tmp_path_factory.mktemp("records")
    texts = {imagenet.synsets[0].encode(): b"tench, Tinca tinca"}
    for source, split in ((folder, "train"), (flat, "validation")):
        builder.build(open_source(source), to, imagenet.index, split=split, n_shards=2, texts=texts)
    return to


def subject(imagenet, **columns):
    index = imagenet.index
    memorization = {"tr_mem": np.linspace(0, 1, len(index.labels))}
    return subject_of(Estimates({**memorization, **index.arrays, **columns}, index.about))


def close(image, data):
    """Whether a thumbnail is that of an encoded image, but for what JPEG loses."""
    with Image.open(io.BytesIO(data)) as original:
        right = np.asarray(original.convert("RGB"), np.float64)
    return image.size == (right.shape[1], right.shape[0]) and (
        np.abs(np.asarray(image.convert("RGB")) - right).mean() < 12
    )


def test_encoded_records_are_as_they_were_stored(records, imagenet):
    mask = np.zeros(2000, np.bool_)
    mask[[7, 1000]] = True
    found = {
        int(record["index"]): record
        for record in read_encoded(records, "train", mask=mask).as_numpy_iterator()
    }
    assert set(found) == {7, 1000}
    for k, record in found.items():
        assert record["label"] == imagenet.index.labels[k]
        name = str(imagenet.index.filenames[k])
        if name not in imagenet.odd:
            assert record["image"] == imagenet.data[name]


def test_images_are_found_by_the_index_in_the_records(records, imagenet):
    images = open_images(f"tfrecords:{records}", subject(imagenet))
    first = int(np.flatnonzero(imagenet.index.labels == 0)[0])
    look, test = images.train.gather([first, 11, 1999]), images.test.gather([4])
    for k in (first, 11, 1999):
        assert close(look(k), imagenet.data[str(imagenet.index.filenames[k])])
    assert close(test(4), imagenet.data[str(imagenet.index.test_filenames[4])])
    assert look(12) is None
    assert images.class_names[0] == "tench, Tinca tinca"


def test_the_configuration_of_a_sweep_leads_to_its_records(records, imagenet, tmp_path):
    config = dataclasses.replace(load_config("imagenet-resnet50"), dataset=f"tfrecords:{records}")
    (tmp_path / "config.toml").write_text(config.to_toml())
    images = open_images(tmp_path / "config.toml", subject(imagenet))
    look = images.train.gather([11])
    assert close(look(11), imagenet.data[str(imagenet.index.filenames[11])])


def test_records_of_another_index_are_refused(records, imagenet):
    other = subject(imagenet, tr_labels=np.roll(imagenet.index.labels, 1))
    with pytest.raises(AlignmentError, match="built with another index"):
        open_images(f"tfrecords:{records}", other)


def test_numbers_without_names_are_compared_by_the_labels_of_what_is_read(records, imagenet):
    bare = dataclasses.replace(imagenet.index, filenames=None, test_filenames=None)
    arrays = {"tr_mem": np.linspace(0, 1, 2000), **bare.arrays}
    look = open_images(f"tfrecords:{records}", subject_of(Estimates(arrays, bare.about)))
    assert look.train.gather([3])(3) is not None
    arrays["tr_labels"] = np.roll(bare.labels, 1)
    rolled = open_images(f"tfrecords:{records}", subject_of(Estimates(arrays, bare.about)))
    with pytest.raises(AlignmentError, match=r"record 3 of .* has the label"):
        rolled.train.gather([3])


def test_a_damaged_image_in_a_record_is_no_image(records, imagenet, monkeypatch):
    monkeypatch.setattr(pictures, "shrunk", lambda *_: (_ for _ in ()).throw(OSError("cut")))
    assert open_images(f"tfrecords:{records}", subject(imagenet)).train.gather([3])(3) is None


def test_records_without_labels_to_compare_are_refused(records):
    numbers = Estimates({"tr_mem": np.zeros(2000)}, About())
    with pytest.raises(ConfigError, match="no training images for these numbers"):
        open_images(f"tfrecords:{records}", subject_of(numbers))
