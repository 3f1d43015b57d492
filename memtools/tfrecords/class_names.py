"""Words of the classes, by synset: from the files in which people have them.

texts = read_class_names(Path("LOC_synset_mapping.txt"), synsets)
texts[b"n01440764"]                    # b"tench, Tinca tinca"
"""

from __future__ import annotations

import codecs
from pathlib import Path

from memtools.errors import ConfigError
from memtools.estimates.npz import Array
from memtools.files import disk_errors


def read_class_names(path: Path, synsets: Array) -> dict[bytes, bytes]:
    """The words behind each synset: after a space (as Kaggle has it) or a tab, UTF-8.

    synsets: bytes [n_classes], of the index. Raises ConfigError if one has no words.
    """
    with disk_errors(path):
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    found = {}
    for line in lines:
        synset, *words = line.split(maxsplit=1)[:2] if line.strip() else [b""]
        if words:
            found[synset] = words[0].strip()
    wanted = [bytes(synset) for synset in synsets]
    lacking = [synset.decode() for synset in wanted if synset not in found]
    if lacking:
        raise ConfigError(
            f"{path} has no words for {len(lacking)} of {len(wanted)} classes,"
            f" {lacking[0]} the first",
            hint="a line is a synset, a space or a tab, and its words",
        )
    return {synset: found[synset] for synset in wanted}
