"""Class folders, and the labels that their names claim for the images in them.

    kind = folder_kind(["n01440764", "n01443537"])           # "synset"
    labels = claimed_labels(["0", "1", "10"], "index")       # [0, 1, 10], never the rank
    wrong = misplaced(codes, labels, ["0", "1", "10"], "index")

People name class folders by synset, by label or by the words of the class. Where images are joined
by their file names the class is known without the folder, so the folder's name is only a claim, and
a claim is checked.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.wording import list_first

Kind = Literal["synset", "index", "words"]
KINDS = ("auto", "index", "words", "synset")
"""The values that `class_folders` and `--class-folders` accept; `auto` finds the kind."""

SYNSET = re.compile(r"n\d{8}")


def folder_kind(classes: Sequence[str], declared: str = "auto") -> Kind:
    """Return how class folders are named.

    Args:
        classes: The names of the class folders, str [n_classes].
        declared: One of `KINDS`; another one than `auto` must fit every folder.

    Returns:
        `synset` if every folder is a WordNet id, `index` if every folder is a number, or `words`.

    Raises:
        ConfigError: If the declared kind does not fit, or if some folders only are synsets or
            numbers: their ranks would be shifted by the others.
    """
    if declared not in KINDS:
        raise ConfigError(
            f"{declared!r} is not a kind of class folder", hint=f"use one of {', '.join(KINDS)}"
        )
    if declared == "words":
        return "words"
    synsets = [name for name in classes if SYNSET.fullmatch(name)]
    numbers = [name for name in classes if name.isascii() and name.isdigit()]
    fitting: dict[Kind, list[str]] = {"synset": synsets, "index": numbers}
    for kind, names in fitting.items():
        if declared not in ("auto", kind):
            continue
        others = sorted(set(classes) - set(names))
        if declared == kind and others:
            raise ConfigError(
                f"{len(others):,} class folders are not named by {kind}: {list_first(others)}",
                hint="leave out --class-folders, or move these folders",
            )
        # A few numbers among words are words ("1984"); a few words among numbers are strangers.
        if declared == "auto" and others and len(names) > len(others):
            raise ConfigError(
                f"{len(names):,} class folders are named by {kind}, and {len(others):,} are not:"
                f" {list_first(others)}",
                hint="move the folders that are not classes; or give --class-folders words",
            )
        if names and not others:
            _require_distinct(names, kind)
            return kind
    return "words"


def claimed_labels(classes: Sequence[str], kind: Kind) -> Array:
    """Return the label that each class folder claims, int64 [n_classes].

    Args:
        classes: The names of the class folders, str [n_classes].
        kind: How they are named.

    Returns:
        The number itself where folders are numbers; elsewhere the rank of the name among all.
    """
    if kind == "index":
        return np.array([int(name) for name in classes], np.int64)
    rank = {name: n for n, name in enumerate(sorted(classes))}
    return np.array([rank[name] for name in classes], np.int64)


def word_labels(texts: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return the labels that a folder named by words may stand for.

    Args:
        texts: The words of each label, such as `tench, Tinca tinca`, str [n_classes].

    Returns:
        Labels by `as_words` of the whole text and of each of its synonyms. Some words stand for
        two classes of ImageNet (crane, maillot).
    """
    labels = collections.defaultdict(set)
    for label, text in enumerate(texts):
        for words in (text, *text.split(",")):
            labels[as_words(words)].add(label)
    return {words: frozenset(found) for words, found in labels.items()}


def as_words(name: str) -> str:
    """Return words as they are compared: without case, `_`, `-`, commas and repeated spaces."""
    return " ".join(re.sub(r"[_\-,\s]+", " ", name).casefold().split())


def misplaced(
    codes: Array,
    labels: Array,
    classes: Sequence[str],
    kind: Kind,
    *,
    synsets: Sequence[str] = (),
    words: Mapping[str, frozenset[int]] | None = None,
) -> Array:
    """Return which images stand in the folder of another class, bool [n].

    Args:
        codes: The folder of each image, int [n], a position in `classes`; -1: no folder.
        labels: The label of each image by its file name, int64 [n]; -1: not known.
        classes: The names of the class folders, str [n_classes].
        kind: How they are named.
        synsets: The synset of each label, needed for folders that are synsets.
        words: `word_labels` of the class names, if they are known. Folders of other words must
            separate the labels: images of one label that stand in several folders are wrong in
            all folders but the one that has most of them.
    """
    known = (codes >= 0) & (labels >= 0)
    wrong = np.zeros(len(codes), np.bool_)
    if not known.any():
        return wrong
    if kind == "words":
        wrong |= _scattered(codes, labels, known)
    allowed = np.zeros((len(classes), int(labels.max()) + 1), np.bool_)
    for code, name in enumerate(classes):
        expected = _expected(name, kind, synsets, words or {})
        columns = [label for label in expected or () if label < allowed.shape[1]]
        allowed[code, columns if expected is not None else slice(None)] = True
    wrong[known] |= ~allowed[codes[known], labels[known]]
    return wrong


def classes_of_paths(folders: Sequence[str]) -> list[str]:
    """Return the class that each folder of an archive stands for, str [n].

    Args:
        folders: Paths within the archive, `/` between their parts, str [n]: an archive of a data
            set may begin with any folders, such as `imagenet/train/n01440764`.

    Returns:
        The first part that is a synset, if every path has one; elsewhere the first part that is
        not common to all paths, or an empty text where there is none.
    """
    paths = [[part for part in folder.split("/") if part] for folder in folders]
    synsets = [next((part for part in path if SYNSET.fullmatch(part)), "") for path in paths]
    if all(synsets):
        return synsets
    first, last = min(paths), max(paths)  # what these two share, all share
    pairs = zip(first, last, strict=False)
    n_common = next((k for k, (a, b) in enumerate(pairs) if a != b), min(len(first), len(last)))
    return ["".join(path[n_common : n_common + 1]) for path in paths]


def _expected(
    name: str, kind: Kind, synsets: Sequence[str], words: Mapping[str, frozenset[int]]
) -> frozenset[int] | None:
    """Return the labels that a folder may hold; None for words that are not known."""
    if kind == "index":
        return frozenset([int(name)])
    if kind == "synset":
        return frozenset(label for label, synset in enumerate(synsets) if synset == name)
    folded = as_words(name)
    first = as_words(name.split(",")[0])
    return words.get(folded, words.get(first))


def _scattered(codes: Array, labels: Array, known: Array) -> Array:
    """Return which images stand apart from most images of their label, bool [n]."""
    wrong = np.zeros(len(codes), np.bool_)
    pairs, counts = np.unique(np.stack([labels[known], codes[known]]), axis=1, return_counts=True)
    home: dict[int, tuple[int, int]] = {}
    for (label, code), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        home[label] = max(home.get(label, (0, -1)), (count, code))
    if len(home) == pairs.shape[1]:
        return wrong
    table = np.full(int(labels.max()) + 1, -1, np.int64)
    table[list(home)] = [code for _, code in home.values()]
    wrong[known] = codes[known] != table[labels[known]]
    return wrong


def _require_distinct(names: Sequence[str], kind: Kind) -> None:
    """Raise ConfigError for folders such as `1` and `01`, which claim the same label."""
    if kind == "index" and len({int(name) for name in names}) < len(names):
        counts = collections.Counter(int(name) for name in names)
        twice = sorted(name for name in names if counts[int(name)] > 1)
        raise ConfigError(
            f"several class folders are the same number: {list_first(twice)}",
            hint="put their images into one folder",
        )
