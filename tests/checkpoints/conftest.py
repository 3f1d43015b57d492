"""What the tests of checkpoints share."""

import pytest
from miniature import Archive


@pytest.fixture(scope="session")
def archive():
    return Archive()
