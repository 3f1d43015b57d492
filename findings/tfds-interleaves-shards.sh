#!/usr/bin/env bash
# Reading a TFDS split of several shards, unshuffled, does not yield the stored sequence.
#
# Versions: tensorflow-datasets 4.9.10, tensorflow-cpu 2.21.0, Python 3.11.
# Behaviour: `as_dataset(split, shuffle_files=False)` interleaves blocks of 16 examples from up to
# 16 shards. The slicing API counts shard by shard. So the first k examples of "train" are not
# those of "train[:k]", and reading a split whole gives another order than reading it in slices.
# `ReadConfig(interleave_cycle_length=1)` yields the stored sequence; `as_data_source` of an
# array_record copy does, too.
# Why it matters: indices that a program counted over the one are wrong for the other, silently.
#
# Output seen:
#   shards: 4 of 100 examples
#   whole split agrees with train[:40] in 16 of 40 examples
#   runs of consecutive rows: [16, 16, 16, 16], from the rows [0, 100, 200, 300]
#   interleave_cycle_length=1 agrees in 40 of 40
#   as_data_source agrees in 40 of 40
#   the behaviour is unchanged
#
# Exit status 1 if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
    tensorflow-cpu==2.21.0 tensorflow-datasets==4.9.10 array_record==0.8.6 importlib-resources==6.5.2

cat > "$folder/check.py" <<'PY'
import sys

import numpy as np
import tensorflow_datasets as tfds


class Numbers(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"k": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield from ((k, {"k": k}) for k in range(400))


def prepared(file_format):
    builder = Numbers(data_dir=f"{sys.argv[1]}/{file_format}", file_format=file_format)
    config = tfds.download.DownloadConfig(num_shards=4)
    builder.download_and_prepare(download_config=config)
    return builder


def read(split, **options):
    dataset = records.as_dataset(split=split, shuffle_files=False, **options)
    return [int(row["k"]) for row in dataset.as_numpy_iterator()]


records = prepared("tfrecord")
print("shards:", len(records.info.splits["train"].shard_lengths), "of 100 examples")
sliced, whole = read("train[:40]"), read("train")
same = sum(a == b for a, b in zip(sliced, whole))
print(f"whole split agrees with train[:40] in {same} of 40 examples")

config = tfds.ReadConfig(interleave_cycle_length=1)
sequence = read("train", read_config=config)
rows = np.array([sequence.index(k) for k in whole])
starts = np.flatnonzero(np.diff(rows, prepend=-9) != 1)
lengths = np.diff(starts)[:4].tolist()
first = rows[starts[:4]].tolist()
print(f"runs of consecutive rows: {lengths}, from the rows {first}")
sequential = sum(a == b for a, b in zip(sliced, sequence))
print(f"interleave_cycle_length=1 agrees in {sequential} of 40")
source = [int(row["k"]) for row in prepared("array_record").as_data_source("train")]
random_access = sum(a == b for a, b in zip(sliced, source))
print(f"as_data_source agrees in {random_access} of 40")

expected = (16, [16, 16, 16, 16], [0, 100, 200, 300], 40, 40)
if (same, lengths, first, sequential, random_access) != expected:
    sys.exit("the behaviour has changed")
print("the behaviour is unchanged")
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/check.py" "$folder/data" 2> "$folder/log" \
    || { tail -5 "$folder/log" >&2; exit 1; }
