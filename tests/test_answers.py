"""What an answer really is: judged before its body is read, never by its status alone."""

import contextlib
import threading
import time

import fault_server
import pytest
from fault_server import Content
from worlds import noise

from memtools.errors import ChecksumError, IntegrityError, RefusedError
from memtools.transfer.answers import RangeError, Wish, ask
from memtools.transfer.patience import Patience, TransientError

DATA = noise(300_000)
SIZE = len(DATA)
QUICK = Patience(connect=2, read=0.3)


@pytest.fixture(autouse=True)
def file(served):
    (served / "a.bin").write_bytes(DATA)


def body(url, wish, patience=QUICK):
    """(answer, all its bytes)."""
    with ask(url, wish, patience) as answer:
        return answer, b"".join(bytes(each) for each in answer.chunks())


def received(url, wish, patience=QUICK):
    """The bytes that came before the fault, and the fault."""
    held = bytearray()
    with pytest.raises(TransientError) as caught, ask(url, wish, patience) as answer:
        for each in answer.chunks():
            held += each
    return bytes(held), caught.value


def n_served(server):
    return server.stats()["total"]["bytes"]


# ---- wishes


@pytest.mark.parametrize(
    ("wish", "headers"),
    [
        (Wish(), {}),
        (Wish(0, 10, 10), {}),
        (Wish(0, None, 10), {}),
        (Wish(3), {"Range": "bytes=3-"}),
        (Wish(3, 10, 10), {"Range": "bytes=3-"}),
        (Wish(0, 5, 10), {"Range": "bytes=0-4"}),
        (Wish(3, 5, 10, '"tag"'), {"Range": "bytes=3-4", "If-Range": '"tag"'}),
        (Wish(0, None, None, '"tag"'), {}),
        (Wish(3, 5, 10, '"tag"', ranged=False), {}),
        (Wish(5_000_000_000, 6_000_000_000), {"Range": "bytes=5000000000-5999999999"}),
    ],
)
def test_a_wish_asks_for_exactly_what_is_missing(wish, headers):
    assert wish.headers() == headers


# ---- good answers


def test_a_whole_file_comes_whole(server):
    answer, data = body(server.url("a.bin"), Wish())
    assert data == DATA
    assert (answer.start, answer.stop, answer.size, answer.whole) == (0, SIZE, SIZE, False)


def test_a_range_begins_where_it_was_asked_for(server):
    answer, data = body(server.url("a.bin"), Wish(1000, 5000, SIZE))
    assert data == DATA[1000:5000]
    assert (answer.start, answer.stop, answer.size, answer.whole) == (1000, 5000, SIZE, False)


@pytest.mark.parametrize(
    ("etag", "mtime", "validator"),
    [
        ('"strong"', 0.0, '"strong"'),
        ('W/"weak"', 0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (None, 0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ('W/"weak"', None, None),
        (None, None, None),
    ],
)
def test_the_validator_is_the_strong_etag_else_the_date_never_a_weak_etag(
    server, monkeypatch, etag, mtime, validator
):
    content = Content(SIZE, lambda start, stop: DATA[start:stop], etag, mtime)
    monkeypatch.setattr(server, "open", lambda name: content)
    assert body(server.url("a.bin"), Wish())[0].validator == validator


def test_a_matching_validator_gets_the_range_and_another_one_the_whole(server):
    tag = body(server.url("a.bin"), Wish())[0].validator
    assert body(server.url("a.bin"), Wish(9, None, SIZE, tag))[0].whole is False
    other, data = body(server.url("a.bin"), Wish(9, None, SIZE, '"other"'))
    assert (other.whole, other.start, data) == (True, 0, DATA)


def test_a_range_that_is_ignored_is_a_whole_file(server):
    answer, data = body(server.url("a.bin", "ignore-range"), Wish(1000, None, SIZE))
    assert (answer.start, answer.stop, answer.whole) == (0, SIZE, True)
    assert data == DATA


def test_a_shorter_range_than_asked_for_says_where_it_ends(server):
    answer, data = body(server.url("a.bin", "cap-range/100"), Wish(1000, None, SIZE))
    assert (answer.start, answer.stop, answer.size) == (1000, 1100, SIZE)
    assert data == DATA[1000:1100]


def test_a_range_that_begins_earlier_and_says_so_is_taken(server):
    answer, data = body(server.url("a.bin", "wrong-206"), Wish(1000, None, SIZE))
    assert (answer.start, answer.stop) == (488, SIZE)
    assert data == DATA[488:]


def test_a_right_slice_with_status_200_is_taken(server):
    answer, data = body(server.url("a.bin", "200-with-content-range"), Wish(1000, None, SIZE))
    assert (answer.start, answer.whole, data) == (1000, False, DATA[1000:])


def test_206_without_having_been_asked_is_taken_if_it_says_what_it_is(server):
    answer, data = body(server.url("a.bin", "206-always"), Wish())
    assert (answer.start, answer.stop, data) == (0, SIZE, DATA)


@pytest.mark.parametrize("fault", ["no-length", "close-delimited"])
def test_a_length_that_is_not_said_is_not_invented(server, fault):
    answer, data = body(server.url("a.bin", fault), Wish())
    assert (answer.stop, answer.size, data) == (None, None, DATA)


def test_an_archive_labelled_as_compressed_in_transit_is_taken_as_it_is(server, served):
    (served / "x.tar.gz").write_bytes(b"\x1f\x8b" + DATA)
    _, data = body(server.url("x.tar.gz", "label-gzip"), Wish())
    assert data == b"\x1f\x8b" + DATA


def test_far_behind_two_to_the_32_an_offset_is_still_right(server):
    start = (1 << 32) + 12_345
    url = server.url("@5368709120")
    answer, data = body(url, Wish(start, start + 16, 5_368_709_120))
    assert (answer.start, answer.stop, answer.size) == (start, start + 16, 5_368_709_120)
    assert data == fault_server.virtual_bytes(start, start + 16)


# ---- answers that a range was misunderstood in


@pytest.mark.parametrize("fault", ["no-content-range", "wrong-total", "416"])
def test_a_range_not_understood_is_to_be_asked_for_otherwise(server, fault):
    with pytest.raises(RangeError):
        body(server.url("a.bin", fault), Wish(1000, None, SIZE))


def test_a_range_that_begins_too_late_is_no_answer(server, monkeypatch):
    late = (), lambda plan, request: setattr(plan, "shift", 512)
    monkeypatch.setitem(fault_server.FAULTS, "late-206", late)
    with pytest.raises(RangeError, match=r"bytes 1512 to .* not those asked for"):
        body(server.url("a.bin", "late-206"), Wish(1000, None, SIZE))


def test_a_range_of_a_file_of_another_size_is_no_answer(server):
    with pytest.raises(RangeError, match=f"of {SIZE}"):
        body(server.url("a.bin"), Wish(1000, None, SIZE + 5))


# ---- answers worth another try


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_status_that_may_pass_is_worth_another_try(server, status):
    with pytest.raises(TransientError, match=str(status)) as caught:
        body(server.url("a.bin", f"status/{status}"), Wish())
    assert caught.value.wait is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        ("4", 4),
        ("3600", 3600),
        ("9" * 400, float("inf")),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("Wed, 21 Oct 1998 07:28:00 GMT", 0),
        ("Wed, 21 Oct 1998 07:28:00 -0000", None),
        ("Wed, 21 Oct 1998 07:28:00 +99999999999999", None),
        ("Wed, 99 Oct 1998 99:99:99 GMT", None),
    ],
)
def test_the_wait_that_is_asked_for_is_understood_and_junk_is_not(server, value, wait):
    with pytest.raises(TransientError) as caught:
        body(server.url("a.bin", "429", retry_after=value), Wish())
    assert caught.value.wait == wait


def test_a_date_to_wait_for_counts_from_the_clock_of_the_server(server, monkeypatch):
    past = time.time() - 10 * 365 * 86400  # a server whose clock is ten years slow
    monkeypatch.setattr(fault_server.time, "time", lambda: past)
    with pytest.raises(TransientError) as caught:
        body(server.url("a.bin", "429", retry_after="date"), Wish())
    assert caught.value.wait == pytest.approx(2, abs=1.1)


# ---- no


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 204, 304])
def test_a_no_is_a_no(server, status):
    url = server.url("a.bin", f"status/{status}")
    with pytest.raises(RefusedError, match=f"answered {status}") as caught:
        body(url, Wish())
    assert (caught.value.status, caught.value.url) == (status, url)
    assert "kept" in caught.value.hint


@pytest.mark.parametrize("fault", ["html-200", "html-302"])
@pytest.mark.parametrize("start", [0, 1000])
def test_a_page_is_no_file_and_its_title_says_why(server, fault, start):
    with pytest.raises(RefusedError, match="a web page titled 'Sign in'") as caught:
        body(server.url("a.bin", fault), Wish(start, None, SIZE))
    assert caught.value.exit_code == 4
    assert "browser" in caught.value.hint


def test_a_page_without_the_name_of_one_is_seen_by_its_look(server, served):
    (served / "page.bin").write_bytes(b"\n <!DOCTYPE html><html>please log in</html>")
    with pytest.raises(RefusedError, match="looks like a web page"):
        body(server.url("page.bin"), Wish(0, SIZE, SIZE))


@pytest.mark.parametrize("fault", ["gzip-encoding", "gzip-bad-length"])
def test_a_file_encoded_although_asked_not_to_is_refused_by_name(server, fault):
    with pytest.raises(RefusedError, match="encoded as 'gzip'"):
        body(server.url("a.bin", fault), Wish())


def test_a_server_that_compresses_for_who_accepts_it_does_not(server):
    _, data = body(server.url("a.bin", "gzip-if-accepted"), Wish())
    assert data == DATA


# ---- promises that a header breaks already


@pytest.mark.parametrize(
    ("fault", "actual"),
    [
        ("silent-truncate/1000", 1000),
        ("silent-extend/7", SIZE + 7),
        ("empty", 0),
        ("length/5", 5),
    ],
)
def test_another_size_than_promised_is_told_before_the_body(server, fault, actual):
    with pytest.raises(ChecksumError) as caught:
        body(server.url("a.bin", fault), Wish(0, SIZE, SIZE))
    assert (caught.value.expected, caught.value.actual) == (str(SIZE), str(actual))
    assert "nothing was written" in caught.value.hint


def test_a_body_of_the_wrong_size_is_not_fetched(server):
    url = server.url("@5368709120")
    with pytest.raises(ChecksumError):
        body(url, Wish(0, SIZE, SIZE))
    time.sleep(0.05)
    assert n_served(server) < 8 << 20  # what fits into the buffers of the kernel


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "0x10", "9" * 5000, "9" * 30])
def test_a_length_that_is_no_number_of_bytes_is_refused(server, length):
    with pytest.raises(IntegrityError, match="no number of bytes"):
        body(server.url("a.bin", f"length/{length}"), Wish())


# ---- bodies that break


@pytest.mark.parametrize("fault", ["truncate-at/100000", "reset-at/100000"])
def test_what_came_before_the_break_is_handed_over_to_the_byte(server, fault):
    held, _ = received(server.url("a.bin", fault), Wish())
    assert held == DATA[:100_000]


@pytest.mark.parametrize("faults", [("no-length", "truncate-at/100000"), ("bad-chunk",)])
def test_a_chunked_body_without_end_is_a_break(server, faults):
    held, fault = received(server.url("a.bin", *faults), Wish())
    assert held == DATA[: len(held)]
    assert len(held) >= 100_000
    assert "broke" in str(fault)


def test_a_stall_ends_after_the_patience_for_reading(server):
    began = time.monotonic()
    held, _ = received(server.url("a.bin", "stall/1000"), Wish())
    assert held == DATA[:1000]
    assert time.monotonic() - began < 40  # the server would be silent for a minute


def test_a_crawl_ends_although_bytes_still_come(server):
    patience = Patience(connect=5, read=1.5, min_speed=1000)
    url = server.url("a.bin", "drip/1000/0.05")
    held, fault = received(url, Wish(), patience)
    assert held == DATA[: len(held)]
    assert "bytes came in" in str(fault)


def test_a_crawl_is_borne_by_who_says_so(server, served):
    (served / "short.bin").write_bytes(DATA[:20])
    patience = Patience(connect=5, read=1.0, min_speed=0)
    _, data = body(server.url("short.bin", "drip/8/0.15"), Wish(), patience)
    assert data == DATA[:20]


def test_nobody_waits_for_a_stalled_body_that_is_aborted(server):
    began = time.monotonic()
    with (
        contextlib.suppress(TransientError),
        ask(server.url("a.bin", "stall/1000"), Wish(), Patience(read=30)) as answer,
    ):
        timer = threading.Timer(0.2, answer.abort)
        timer.start()
        for _ in answer.chunks():
            pass
    timer.join()
    assert time.monotonic() - began < 25  # the patience is that of half a minute
    answer.abort()  # once more, when all is over, does no harm


def test_bytes_behind_the_end_are_not_read(server):
    _, data = body(server.url("a.bin", "overrun/1000"), Wish())
    assert data == DATA
