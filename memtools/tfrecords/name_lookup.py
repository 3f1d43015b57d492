"""The published index of examples that only have a name, as a step of a tf.data pipeline.

indexed = with_index(tfds.load("imagenet2012", split="train"), index)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from memtools.alignment.name_join import class_synsets
from memtools.arguments import checked
from memtools.datasets.image_stems import parse_names
from memtools.datasets.names import NameColumn
from memtools.datasets.splits import parse_split
from memtools.errors import ConfigError, RecordError
from memtools.estimates.model import Estimates, ExampleIndex
from memtools.estimates.npz import Array

if TYPE_CHECKING:
    import tensorflow as tf

# The steps of datasets.identity.identify, as regular expressions of RE2.
_EXTENSION = r"\.(?i:jpe?g|png|ppm|bmp|pgm|tiff?|webp)$"
_SUFFIX = r"^(.*_.*)_(n\d{8})$"
_FOLDER = r"^(?:.*/)?(n\d{8})/[^/]*$"


@checked("memtools.with_index(dataset, estimates)")
def with_index(
    dataset: Any, index: ExampleIndex | Estimates, *, key: str = "file_name", split: str = "train"
) -> Any:
    """Return a data set of dictionaries with the published `index` of each example, by its name.

    Works on `tfds.load("imagenet2012")` and on anything else with names, in any writing that
    `memtools.align` understands: with folders, another extension or none, or the synset that
    Hugging Face puts behind. For numbers in the official order that have no names (CIFAR), names
    are the ids of TFDS, such as `train_01234`.

    Args:
        dataset: A tf.data.Dataset; its elements are dictionaries, single or in batches.
        index: Estimates, or their index: the published names, or the labels of an official order.
        key: Where the name is.
        split: `train`, or one of `test`, `val` and `validation`.

    Returns:
        The data set with `index`, int64. A name that the index does not know, or that stands
        under the synset of another class, ends the iteration with InvalidArgumentError, which
        shows it.

    Raises:
        ConfigError: If the elements have no such key.
        RecordError: If the index has no names of this split.
    """
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        raise ConfigError(
            f"{type(dataset).__name__} is not a tf.data.Dataset",
            hint='give one whose examples have names, such as tfds.load("imagenet2012")["train"]',
        )
    index = index.index if isinstance(index, Estimates) else index
    spec = dataset.element_spec
    if not isinstance(spec, Mapping) or key not in spec:
        keys = ", ".join(spec) if isinstance(spec, Mapping) else "no keys"
        raise ConfigError(
            f"the examples have no {key!r}: they have {keys}", hint="give key=..., where names are"
        )
    find = _finder(index, parse_split(split))

    def add(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found, wrong = find(example[key])
        unknown = _require_none(found < 0, example[key], "a file name is not in the index:")
        strays = _require_none(wrong, example[key], "a file stands under another class:")
        with tf.control_dependencies([each for each in (unknown, strays) if each is not None]):
            return {**example, "index": tf.identity(found)}

    return dataset.map(add, tf.data.AUTOTUNE)


def _finder(index: ExampleIndex, split: str) -> Callable[[Any], tuple[Any, Any]]:
    """Return what finds (position or -1, whether the class is another) of names."""
    train = split == "train"
    names = index.filenames if train else index.test_filenames
    labels = index.labels if train else index.test_labels
    if names is not None:
        return _by_name(names, _synsets(index, labels))
    if index.about.order == "official" and labels is not None:
        return _by_id(split, len(labels))
    raise RecordError(f"the index has no names of {split}", hint="use the published index")


def _by_name(names: Array, synsets: Array | None) -> Callable[[Any], tuple[Any, Any]]:
    import tensorflow as tf

    stems, _ = parse_names(NameColumn.of(names))
    encoded = [stems.data[a:b].tobytes() for a, b in zip(stems.starts, stems.ends, strict=True)]
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(encoded, tf.string), tf.range(len(encoded), dtype=tf.int64)
        ),
        default_value=-1,
    )
    own = None if synsets is None else tf.constant(synsets, tf.string)

    def find(name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        path = tf.strings.regex_replace(name, r"\\", "/")
        base = tf.strings.regex_replace(path, "^.*/", "")
        base = tf.strings.regex_replace(base, _EXTENSION, "")
        found = table.lookup(tf.strings.regex_replace(base, _SUFFIX, r"\1"))
        if own is None:
            return found, tf.zeros_like(found, tf.bool)
        suffix = _extracted(base, _SUFFIX, r"\2")
        claim = tf.where(suffix != "", suffix, _extracted(path, _FOLDER, r"\1"))
        expected = tf.gather(own, tf.maximum(found, 0))
        return found, (found >= 0) & (claim != "") & (claim != expected)

    return find


def _by_id(split: str, n: int) -> Callable[[Any], tuple[Any, Any]]:
    import tensorflow as tf

    def find(name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        digits = _extracted(name, rf"^{split}_(\d{{1,18}})$", r"\1")
        number = tf.strings.to_number(tf.where(digits == "", "-1", digits), tf.int64)
        return tf.where(number < n, number, -1), tf.zeros_like(number, tf.bool)

    return find


def _extracted(text: tf.Tensor, pattern: str, rewrite: str) -> tf.Tensor:
    """Return a part of each text that matches, and an empty text for others."""
    import tensorflow as tf

    part = tf.strings.regex_replace(text, pattern, rewrite)
    return tf.where(tf.strings.regex_full_match(text, pattern), part, "")


def _require_none(wrong: tf.Tensor, names: tf.Tensor, message: str) -> Any:
    import tensorflow as tf

    culprits = tf.boolean_mask(tf.reshape(names, [-1]), tf.reshape(wrong, [-1]))
    return tf.debugging.Assert(~tf.reduce_any(wrong), [message, culprits])


def _synsets(index: ExampleIndex, labels: Array | None) -> Array | None:
    """Return the synset of each example, bytes [n]; None if the training names do not tell it."""
    if index.filenames is None or index.labels is None or labels is None:
        return None
    known = class_synsets(index.filenames, index.labels)
    if known is None:
        return None
    by_label = np.zeros(max(known.values()) + 1, "S9")
    by_label[list(known.values())] = list(known)
    return by_label[labels]
