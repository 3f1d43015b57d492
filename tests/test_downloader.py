"""One URL into one piece, however often the connection breaks."""

import logging

import pytest
from worlds import git_blob, noise

from memtools.errors import ChecksumError, NetworkError, RefusedError
from memtools.transfer.downloader import download
from memtools.transfer.joint import StoppedError
from memtools.transfer.partial import Partial
from memtools.transfer.patience import Patience
from memtools.transfer.piece import Piece

DATA = noise(400_000)
SIZE = len(DATA)
QUICK = Patience(connect=2, read=0.5, tries=4, first_delay=0.001)


@pytest.fixture(autouse=True)
def file(served):
    (served / "a.bin").write_bytes(DATA)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "thing.npz"


@pytest.fixture
def bring(target):
    """Downloads a URL into a piece of its own; returns the piece and the bytes held of it."""

    def bring(url, size=SIZE, *, patience=QUICK, identity="x"):
        piece = Piece("a", size)
        with Partial(target, [piece], identity=identity) as partial:
            download(partial, piece, url, patience)
            data = bytearray(piece.size)
            partial.read(0, memoryview(data))
            assert partial.digests(piece)["git_blob"] == git_blob(bytes(data))
        return piece, bytes(data)

    return bring


def ranges(server, url):
    return server.stats(url)["ranges"]


def test_what_is_there_is_brought_with_one_request(server, bring):
    url = server.url("a.bin")
    piece, data = bring(url)
    assert data == DATA
    assert ranges(server, url) == [None]
    assert (piece.received, piece.resumed, piece.changed) == (SIZE, False, False)
    assert piece.url == url
    assert piece.validator


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("fault", ["truncate-at/100000", "reset-at/100000"])
def test_after_a_break_the_rest_is_asked_for_and_nothing_twice(server, bring, fault, size):
    url = server.url("a.bin", "first/2", fault)
    piece, data = bring(url, size)
    assert data == DATA
    assert ranges(server, url) == [None, "bytes=100000-", "bytes=200000-"]
    assert piece.resumed
    assert piece.received == SIZE


def test_the_rest_is_asked_for_on_the_condition_that_the_file_is_the_same(server, bring):
    bring(server.url("a.bin", "first/1", "truncate-at/100000"))
    first, second = server.log()
    assert first["if_range"] is None
    assert second["if_range"].startswith('"')


def test_each_connection_may_be_short_if_all_of_them_bring_something(server, bring):
    url = server.url("a.bin", "truncate-at/70000")
    _, data = bring(url, patience=Patience(read=0.5, tries=2, first_delay=0.001))
    assert data == DATA
    assert server.stats(url)["GET"] == 6


def test_a_server_that_cannot_resume_is_said_so_once_and_believed(server, bring, caplog):
    url = server.url("a.bin", "ignore-range", "first/2", "truncate-at/100000")
    with caplog.at_level(logging.WARNING, "memtools"):
        _, data = bring(url)
    assert data == DATA
    assert sum("cannot resume" in each.message for each in caplog.records) == 1
    assert ranges(server, url) == [None, "bytes=100000-", None]


@pytest.mark.parametrize("fault", ["no-content-range", "wrong-total", "416"])
def test_a_server_that_answers_ranges_wrongly_is_asked_for_the_whole(server, bring, fault):
    url = server.url("a.bin", fault, "first/1", "truncate-at/100000")
    _, data = bring(url)
    assert data == DATA
    assert ranges(server, url) == [None, "bytes=100000-", None]


def test_a_server_that_sends_less_than_asked_for_is_asked_for_the_rest(server, bring):
    url = server.url("a.bin", "cap-range/150000", "first/1", "truncate-at/1000")
    _, data = bring(url)
    assert data == DATA
    assert ranges(server, url) == [
        None,
        "bytes=1000-",
        "bytes=151000-",
        "bytes=301000-",
    ]


def test_a_file_that_changes_on_the_way_is_started_over_once(server, bring, caplog):
    url = server.url("a.bin", "content-changes", "first/1", "truncate-at/100000")
    with caplog.at_level(logging.WARNING, "memtools"):
        piece, data = bring(url)
    assert data == bytes(255 - each for each in DATA)  # nothing of the first version
    assert piece.changed
    assert "has changed" in caplog.text


def test_a_range_of_a_changed_file_is_not_taken_although_the_server_offers_it(
    server, bring, caplog
):
    url = server.url("a.bin", "content-changes", "ignore-if-range", "first/1", "truncate-at/100000")
    with caplog.at_level(logging.WARNING, "memtools"):
        piece, data = bring(url)
    assert data == bytes(255 - each for each in DATA)
    assert piece.changed
    assert "has changed" in caplog.text


@pytest.mark.parametrize("fault", ["no-length", "close-delimited"])
def test_where_nobody_says_a_size_the_end_of_the_body_is_the_end(server, bring, fault):
    url = server.url("a.bin", fault)
    piece, data = bring(url, None)
    assert data == DATA
    assert piece.size == SIZE
    assert ranges(server, url) == [None]


def test_tags_that_change_for_the_same_bytes_do_not_go_on_for_ever(server, bring):
    url = server.url("a.bin", "etag-changes", "truncate-at/150000")
    _, data = bring(url)
    assert data == DATA
    assert server.stats(url)["GET"] <= 6


def test_what_a_server_sends_too_much_is_not_taken(server, bring):
    _, data = bring(server.url("a.bin", "overrun/5000"))
    assert data == DATA


@pytest.mark.parametrize("fault", ["500-always", "wall-at/100000"])
def test_a_line_that_brings_nothing_is_given_up_and_what_came_is_kept(server, bring, fault):
    url = server.url("a.bin", fault)
    with pytest.raises(NetworkError, match=f"{QUICK.tries} tries") as caught:
        bring(url)
    assert caught.value.url == url
    assert server.stats(url)["GET"] <= QUICK.tries + 1
    before = server.stats()["total"]["bytes"]
    _, data = bring(server.url("a.bin"))
    assert data == DATA
    held = 100_000 if fault == "wall-at/100000" else 0
    assert server.stats()["total"]["bytes"] - before == SIZE - held


def test_a_refusal_is_not_asked_again_and_what_came_is_kept(server, bring):
    expires = server.url("a.bin", "truncate-at/100000", "after/1", "status/403")
    with pytest.raises(RefusedError) as caught:
        bring(expires)
    assert (caught.value.status, caught.value.url) == (403, expires)
    assert ranges(server, expires) == [None, "bytes=100000-"]
    url = server.url("a.bin")
    assert bring(url)[1] == DATA
    assert ranges(server, url) == ["bytes=100000-"]


def test_the_validator_of_one_server_says_nothing_to_another(server, bring):
    with pytest.raises(NetworkError):
        bring(server.url("a.bin", "wall-at/100000"))
    bring(server.url("a.bin"))
    assert server.log()[-1]["range"] == "bytes=100000-"
    assert server.log()[-1]["if_range"] is None


def test_a_size_learnt_from_a_wrong_answer_does_not_stay_for_ever(server, bring, served):
    (served / "b.bin").write_bytes(DATA + b"more")
    with pytest.raises(NetworkError):
        bring(server.url("b.bin", "wall-at/1000"), None)
    with pytest.raises(ChecksumError):
        bring(server.url("a.bin"), None)
    assert bring(server.url("a.bin"), None)[1] == DATA


def test_nothing_is_asked_for_a_piece_that_is_complete(server, bring):
    bring(server.url("a.bin"))
    server.reset()
    _, data = bring(server.url("a.bin"))
    assert data == DATA
    assert server.log() == []


def test_work_that_has_ended_is_not_kept_up_by_a_bad_line(server, target):
    piece = Piece("a", SIZE)
    with Partial(target, [piece], identity="x") as partial:
        partial.stop()
        with pytest.raises(StoppedError):
            download(partial, piece, server.url("a.bin", "500-always"), QUICK)
    assert server.stats()["total"]["GET"] <= 1


def test_a_password_in_an_address_is_kept_from_state_and_messages(server, bring, target):
    url = server.url("a.bin", "wall-at/1000").replace("http://", "http://me:secret@")
    with pytest.raises(NetworkError) as caught:
        bring(url)
    assert "secret" not in str(caught.value) + caught.value.url
    assert all(b"secret" not in path.read_bytes() for path in target.parent.glob("*.json"))
