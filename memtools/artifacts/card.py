"""The README of a published folder: what this is, how to get it, how to read it, whom to cite.

write_card(artifact, arrays, Imprint(), n_runs=400)      # Markdown
"""

from __future__ import annotations

from collections.abc import Sequence

from memtools import __version__
from memtools.artifacts.croissant import Imprint
from memtools.artifacts.registry import NOT_RECORDED, Artifact
from memtools.estimates.about import quantity_in
from memtools.estimates.summary import MEANINGS, ArrayFacts

_CARD = """\
# {name}

{what}

{facts}

## Fetch

With memtools, which proves every byte by the digests below and resumes where it was
interrupted{where}:

```bash
memtools fetch {name} --registry {url}/registry.toml
```

## Read without memtools

{reading}

## Arrays

| array | type | shape | holds |
|---|---|---|---|
{arrays}

Positions are 0-based, in the order named above.

## Digests

`{file}` has {size:,} bytes.

- md5: `{md5}`
- sha256: `{sha256}`

| file | bytes | sha256 | git_blob |
|---|---|---|---|
{digests}

`git_blob` is the SHA-1 that git gives to a file's content.

## Cite

{citations}
"""
_JOINING = """\
Join the parts; the sha256 of the whole must be the one below:

```bash
cat {name}_split_*.bin > {file}
sha256sum {file}
```

"""
_READING = """\
```python
import numpy as np

{lines}
```"""
_FIRST_LOOK = {
    "tr_mem": 'memorization = arrays["tr_mem"]  # [n_train]',
    "infl_matrix_class{K}": "K = 0  # the label of a class\n"
    'influence = arrays[f"infl_matrix_class{K}"]  # [n_train_k, n_test_k]\n'
    'train, test = arrays[f"tr_classidx_{K}"], arrays[f"tt_classidx_{K}"]',
    "tr_filenames": 'names = arrays["tr_filenames"]  # [n_train]',
    "memorization": 'memorization = arrays["memorization"]  # [n_train]',
    "influence": 'influence = arrays["influence"]  # [n_test, n_train]',
    "tr_idx": 'train, test = arrays["tr_idx"], arrays["tt_idx"]  # [n_pairs]\n'
    'memorization, influence = arrays["mem"], arrays["infl"]',
    "scores": 'scores = arrays["scores"]  # [n_train]',
}
_WHAT = {
    "influence": "Memorization: how much models' correctness on a training example depends on"
    " having trained on it. Influence: how much their correctness on a test example depends on"
    " having trained on a certain example of its class.",
    "index": "Memorization: how much models' correctness on a training example depends on having"
    " trained on it. And which example each position stands for.",
    "pairs": "Pairs of a memorized training example and a test example on which models are right"
    " more often when they have trained on it.",
    "cscores": "A consistency score of each training example.",
    "scores": "A score of each training example.",
}
_ORDERS = {
    "official": "that of the data set's own files (of CIFAR also torchvision's and Keras')",
    "published": "that of the published index of ImageNet; join by file name",
    "tfds": "that of TensorFlow Datasets",
    "file": "this file's own",
}
FELDMAN = (
    "Vitaly Feldman and Chiyuan Zhang. What Neural Networks Memorize and Why: Discovering the Long"
    " Tail via Influence Estimation. Advances in Neural Information Processing Systems, 2020."
    " arXiv:2008.03703."
)
JIANG = (
    "Ziheng Jiang, Chiyuan Zhang, Kunal Talwar and Michael C. Mozer. Characterizing Structural"
    " Regularities of Labeled Data in Overparameterized Models. International Conference on"
    " Machine Learning, 2021. arXiv:2002.03206."
)
MEMTOOLS = f"The memtools authors. memtools, version {__version__}. Software."


def write_card(
    artifact: Artifact, arrays: Sequence[ArrayFacts], imprint: Imprint, n_runs: int | None
) -> str:
    """The text of README.md. n_runs: how many models are behind the numbers, where known."""
    return _CARD.format(
        name=artifact.name,
        what=_WHAT[artifact.kind],
        file=artifact.file,
        size=artifact.size,
        md5=artifact.md5,
        sha256=artifact.sha256,
        where="" if imprint.url else "; URL is the address of this folder",
        url=imprint.url.rstrip("/") or "URL",
        facts=_facts(artifact, imprint, n_runs),
        reading=_reading(artifact, arrays),
        arrays="\n".join(map(_array, arrays)),
        digests="\n".join(
            f"| `{part.file}` | {part.size:,} | `{part.sha256}` | `{part.git_blob}` |"
            for part in artifact.parts
        ),
        citations="\n".join(f"- {each}" for each in _citations(artifact)),
    )


def _facts(artifact: Artifact, imprint: Imprint, n_runs: int | None) -> str:
    """What the numbers are; what is not known is left out, a licence that is not is said."""
    facts = {
        "data set": artifact.dataset,
        "definition": artifact.definition,
        "direction": artifact.direction,
        "order": f"`{artifact.order}`: {_ORDERS[artifact.order]}",
        "runs": n_runs and f"{n_runs:,}",
        "doubt": artifact.doubt,
        "made by": ", ".join(imprint.creators),
        "published": imprint.date and imprint.date.isoformat(),
        "licence": imprint.license or "none is stated",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _reading(artifact: Artifact, arrays: Sequence[ArrayFacts]) -> str:
    """Commands that end with the numbers in NumPy."""
    joining = len(artifact.parts) > 1
    if artifact.file.endswith(".npy"):
        lines = [f'scores = np.load("{artifact.file}")  # [n_train]']
    elif any(each.dtype == "object" for each in arrays):
        lines = [
            "# The names are pickled, and a pickle can run anything: compare the sha256 first.",
            f'arrays = np.load("{artifact.file}", allow_pickle=True)',
        ]
    else:
        lines = [f'arrays = np.load("{artifact.file}")']
    if artifact.file.endswith(".npz"):
        lines += [_FIRST_LOOK[each.name] for each in arrays if each.name in _FIRST_LOOK]
    return _JOINING.format(name=artifact.name, file=artifact.file) * joining + _READING.format(
        lines="\n".join(lines)
    )


def _array(each: ArrayFacts) -> str:
    """A row of the table; what NumPy writes for the order of bytes would end a cell."""
    name, dtype, shape, _ = each.in_words
    return f"| `{name}` | {dtype.lstrip('|<')} | {shape} | {MEANINGS[each.name]} |"


def _citations(artifact: Artifact) -> list[str]:
    """The source of the numbers, that of their definition, and what they were published with."""
    cited = [] if artifact.paper == NOT_RECORDED else [f"the numbers: {artifact.paper}"]
    quantity = quantity_in(artifact.direction)
    if artifact.kind == "cscores" or quantity == "c_score":
        cited.append(f"their definition: {JIANG}")
    elif artifact.kind != "scores" or quantity == "memorization":
        cited.append(f"their definition: {FELDMAN}")
    return [*cited, MEMTOOLS]
