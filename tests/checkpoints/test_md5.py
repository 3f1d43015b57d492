"""An MD5 that can be put down and taken up again."""

import hashlib

import pytest

from memtools.checkpoints import md5
from memtools.checkpoints.md5 import Md5

DATA = bytes(range(256)) * 400


def test_it_goes_on_from_any_byte():
    if Md5().state is None:
        pytest.skip("no MD5 that can be saved on this system")
    digest = Md5()
    for start in range(0, len(DATA), 997):
        digest = Md5(digest.state)
        digest.update(DATA[start : start + 997])
        so_far = hashlib.md5(DATA[: start + 997]).hexdigest()
        assert digest.copy().hexdigest() == digest.hexdigest() == so_far


def test_without_the_library_it_counts_and_cannot_be_saved(monkeypatch):
    monkeypatch.setattr(md5, "_library", lambda: None)
    digest = Md5()
    digest.update(DATA)
    other = digest.copy()
    other.update(memoryview(DATA))
    assert digest.state is None and digest.hexdigest() == hashlib.md5(DATA).hexdigest()
    assert other.hexdigest() == hashlib.md5(DATA * 2).hexdigest()
