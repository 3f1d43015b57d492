"""What TFDS needs to read the records by name: `dataset_info.json` and `features.json`.

    write(store, splits)
    tfds.builder_from_directory("/data/imagenet").as_dataset(split="train")

TFDS's own writer wants to see the files of the set; it is shown empty ones of the same
names, and told how many records they hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from memtools.extras import needing
from memtools.files import disk_errors
from memtools.tfrecords.ledger import Split
from memtools.tfrecords.storage import Store

with needing("tf"):
    import tensorflow_datasets as tfds

_FILES = ("features.json", "dataset_info.json")


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="memtools-")


def features() -> tfds.features.FeaturesDict:
    """The record as TFDS sees it: names with slashes are dictionaries in dictionaries."""
    text, number = tfds.features.Text(), np.int64
    of_class = {"label": number, "synset": text, "text": text}
    image = {
        "encoded": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
        "height": number,
        "width": number,
        "channels": number,
        "colorspace": text,
        "format": text,
        "filename": text,
        "class": tfds.features.FeaturesDict(of_class),
    }
    return tfds.features.FeaturesDict({"index": number, "image": tfds.features.FeaturesDict(image)})


def write(store: Store, splits: Mapping[str, Split]) -> None:
    """Write both files for all splits that are complete."""
    with disk_errors(Path(tempfile.gettempdir())), _scratch() as directory:
        template = tfds.core.ShardedFileTemplate(
            data_dir=directory,
            dataset_name="imagenet",
            template="{SPLIT}-{SHARD_X_OF_Y}",
            filetype_suffix="tfrecord",
        )
        infos = []
        for name, split in splits.items():
            if split.complete:
                shards = [split.shards[shard] for shard in sorted(split.shards)]
                infos.append(
                    tfds.core.SplitInfo(
                        name=name,
                        shard_lengths=[shard.n_records for shard in shards],
                        num_bytes=sum(shard.n_bytes for shard in shards),
                        filename_template=template.replace(split=name),
                    )
                )
                for shard in split.shards:
                    (Path(directory) / shard).touch()
        tfds.folder_dataset.write_metadata(
            data_dir=directory,
            features=features(),
            split_infos=infos,
            filename_template=template,
            check_data=False,
            description="ImageNet (ILSVRC 2012) with the published index of each image;"
            " image/class/label is 1-based.",
        )
        for file in _FILES:
            store.write(file, (Path(directory) / file).read_bytes())
