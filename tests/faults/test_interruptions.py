"""Connections that end, stall or crawl before the bytes are there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from offers import MIB, Memtools, Offer, Watch, complains
from worlds import noise

from memtools.errors import ChecksumError, ConfigError, NetworkError, RefusedError

MakeOffer = Callable[..., Offer]


# ---- the connection is closed


@pytest.mark.parametrize("fault", ["truncate-at/70000", "first/1/f/truncate-at/123456"])
def test_a_connection_closed_in_the_body_is_taken_up_at_that_very_byte(
    offer: MakeOffer, fault: str
) -> None:
    thing = offer(fault)
    thing.succeeds()
    assert thing.served() == thing.size
    assert len(thing.requests()) > 1


def test_each_part_is_taken_up_on_its_own_where_its_connection_was_closed(
    offer: MakeOffer,
) -> None:
    thing = offer("truncate-at/70000", contents=[noise(150_000, seed) for seed in range(3)])
    thing.succeeds()
    assert thing.served() == thing.size
    assert len(thing.requests()) == 9


def test_bytes_of_a_last_small_read_are_kept_when_the_connection_closes(offer: MakeOffer) -> None:
    thing = offer("first/1/f/truncate-at/7")
    thing.succeeds()
    assert thing.ranges() == [None, "bytes=7-"]


def test_what_a_closed_connection_brought_is_still_there_in_another_process(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("truncate-at/200000", "after/1", "status/403")
    words = complains(thing.command(memtools), 4)
    assert "403" in words
    thing.is_clean()
    thing.resumes(kept=200_000)


def test_the_command_prints_the_path_after_many_closed_connections(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("truncate-at/70000")
    done = thing.command(memtools)
    assert (done.returncode, done.stdout) == (0, f"{thing.target}\n")
    thing.is_right()


# ---- the connection is reset


@pytest.mark.parametrize("at", [1000, 65536, 262_144])
def test_a_reset_connection_is_taken_up_where_it_broke(offer: MakeOffer, at: int) -> None:
    thing = offer(f"first/1/f/reset-at/{at}")
    thing.succeeds()
    assert len(thing.requests()) == 2
    assert thing.served() <= thing.size + at  # at most what the reset swallowed comes again


def test_a_line_on_which_each_connection_yields_64_kib_brings_3_mb(offer: MakeOffer) -> None:
    thing = offer("reset-at/65536", contents=[noise(3_000_000)])
    thing.succeeds()
    cuts = len(thing.requests()) - 1
    assert cuts >= 45
    assert thing.served() <= thing.size + cuts * 65536 // 2
    assert thing.served() <= thing.size + MIB * cuts


def test_connections_that_yield_almost_nothing_come_to_an_end(offer: MakeOffer) -> None:
    thing = offer("reset-at/1000")
    error = thing.fails(NetworkError)
    assert "gave up after 6 tries" in str(error)
    assert len(thing.requests()) == 6
    assert "it resumes" in error.hint


# ---- a chunked body without its end


@pytest.mark.parametrize("fault", ["no-length/f/truncate-at/100000", "first/1/f/bad-chunk"])
def test_a_chunked_body_without_its_end_is_resumed(offer: MakeOffer, fault: str) -> None:
    thing = offer(fault)
    thing.succeeds()
    assert len(thing.requests()) > 1
    assert thing.served() == thing.size


def test_a_server_that_breaks_every_chunked_body_is_given_up_and_its_bytes_are_kept(
    offer: MakeOffer,
) -> None:
    thing = offer("bad-chunk")  # half of what is missing comes each time, in pieces of 64 KiB
    thing.fails(NetworkError)
    thing.resumes(kept=3 * 65536)


def test_a_size_that_nobody_knows_beforehand_is_learnt_from_the_resumed_answer(
    offer: MakeOffer,
) -> None:
    thing = offer("no-length", "first/1", "truncate-at/100000", sizes=False, blobs=False)
    thing.succeeds()
    assert thing.ranges() == [None, "bytes=100000-"]
    assert thing.served() == thing.size


def test_a_whole_chunked_body_of_unknown_size_is_taken_when_the_md5_holds(
    offer: MakeOffer,
) -> None:
    thing = offer("no-length", sizes=False, blobs=False)
    thing.succeeds()
    assert len(thing.requests()) == 1


# ---- a cut that HTTP cannot see


def test_a_close_that_looks_like_the_end_is_resumed_because_the_size_is_known(
    offer: MakeOffer,
) -> None:
    thing = offer("close-delimited", "truncate-at/100000")
    thing.succeeds()
    assert thing.ranges() == [None, "bytes=100000-", "bytes=200000-"]
    assert thing.served() == thing.size


def test_a_close_that_looks_like_the_end_is_caught_by_the_md5_alone(offer: MakeOffer) -> None:
    thing = offer("close-delimited", "truncate-at/100000", sizes=False, blobs=False)
    error = thing.fails(ChecksumError)
    assert error.expected in str(error)
    assert error.actual in str(error)
    thing.resumes(kept=0)  # nothing tells which of those bytes are good


def test_a_file_that_nothing_can_prove_is_refused_before_it_is_asked_for(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("close-delimited", sizes=False, blobs=False, whole=False)
    error = thing.fails(ConfigError)
    assert "--unverified" in error.hint
    complains(thing.command(memtools), 2)
    assert thing.requests() == []
    assert thing.command(memtools, "--unverified").returncode == 0
    thing.is_right()


# ---- silence


def test_a_body_that_stalls_is_dropped_and_resumed(offer: MakeOffer) -> None:
    thing = offer("first/1/f/stall/123456")
    with Watch() as watch:
        thing.succeeds(read=0.5)
    assert 0.5 <= watch.seconds < 40
    assert thing.ranges() == [None, "bytes=123456-"]
    assert thing.served() == thing.size


def test_a_server_that_is_silent_before_its_headers_is_asked_again(offer: MakeOffer) -> None:
    thing = offer("first/1/f/stall-headers")
    thing.succeeds(read=0.5)
    assert len(thing.requests()) == 2


def test_a_server_that_stays_silent_is_given_up(offer: MakeOffer) -> None:
    thing = offer("stall-headers")
    with Watch() as watch:
        error = thing.fails(NetworkError, read=0.2)
    assert watch.seconds < 40
    assert "gave up after 6 tries" in str(error)


def test_the_command_says_a_line_about_each_stall(offer: MakeOffer, memtools: Memtools) -> None:
    thing = offer("stall/100000")
    done = thing.command(memtools, "--timeout", 1.5)
    assert done.returncode == 0, done.stderr
    thing.is_right()
    assert [line.split("; ")[-1] for line in done.stderr.splitlines()] == [
        "100000 bytes so far",
        "200000 bytes so far",
    ]


# ---- a body that crawls


def test_a_body_that_crawls_below_the_floor_is_dropped_and_resumed(offer: MakeOffer) -> None:
    thing = offer("drip/200000/0.02")
    with Watch() as watch:
        thing.succeeds(read=0.5)
    assert watch.seconds < 40  # a byte each 0.02 s would take half an hour
    assert len(thing.requests()) == 2
    assert thing.served() <= thing.size + 1000


def test_a_line_that_never_does_better_than_crawl_is_given_up(offer: MakeOffer) -> None:
    thing = offer("drip/100/0.01")
    with Watch() as watch:
        error = thing.fails(NetworkError, read=0.3)
    assert watch.seconds < 40
    assert "bytes came in" in str(error)


def test_a_lower_floor_lets_a_slow_line_finish(offer: MakeOffer, memtools: Memtools) -> None:
    thing = offer("drip/100/0.05", contents=[noise(150)])
    done = thing.command(memtools, "--timeout", 1.5, "--min-speed", 10)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    thing.is_right()
    assert len(thing.requests()) == 1


def test_the_same_slow_line_is_dropped_where_the_floor_is_not_lowered(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("drip/100/0.05", contents=[noise(150)])
    done = thing.command(memtools, "--timeout", 1.5)
    assert done.returncode == 0, done.stderr
    thing.is_right()
    assert "bytes came in" in done.stderr
    assert len(thing.requests()) > 1


def test_a_refusal_of_one_part_ends_the_stall_of_another(offer: MakeOffer) -> None:
    thing = offer(contents=[noise(50_000, seed) for seed in range(2)])
    (thing.server.directory / thing.names[1]).unlink()
    registry = thing.server.directory / "registry.toml"
    slow = registry.read_text().replace(thing.names[0], f"f/stall/20000/{thing.names[0]}")
    registry.write_text(slow)
    with Watch() as watch:
        error = thing.fails(RefusedError, read=50.0)
    assert thing.names[1] in str(error)
    assert watch.seconds < 40
