"""Words of the classes, in the forms in which people have them."""

import numpy as np
import pytest

from memtools.errors import ConfigError, DiskError
from memtools.tfrecords.class_names import read_class_names

SYNSETS = np.array([b"n01440764", b"n01443537"])
WORDS = {b"n01440764": b"tench, Tinca tinca", b"n01443537": "goldfish, carassin doré".encode()}


@pytest.mark.parametrize("between", [" ", "\t"], ids=["space", "tab"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n \t\n"])
def test_a_space_or_a_tab_stands_between_synset_and_words(tmp_path, between, end):
    path = tmp_path / "names.txt"
    lines = (s.decode() + between + w.decode() + end for s, w in WORDS.items())
    path.write_bytes(("".join(lines) + "n99999999 unknown").encode())
    assert read_class_names(path, SYNSETS) == WORDS


@pytest.mark.parametrize("line", ["", "n01443537\n", "n01443537 \t\r\n"])
def test_a_class_without_words_is_named(tmp_path, line):
    path = tmp_path / "names.txt"
    path.write_text("n01440764 tench\n" + line)
    with pytest.raises(ConfigError, match="no words for 1 of 2 classes, n01443537"):
        read_class_names(path, SYNSETS)


def test_a_file_that_is_not_there_is_a_disk_error(tmp_path):
    with pytest.raises(DiskError, match="none"):
        read_class_names(tmp_path / "none", SYNSETS)


def test_a_byte_order_mark_is_not_a_part_of_the_first_synset(tmp_path):
    lines = (s + b" " + w + b"\r\n" for s, w in WORDS.items())
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbf" + b"".join(lines))
    assert read_class_names(tmp_path / "names.txt", SYNSETS) == WORDS
