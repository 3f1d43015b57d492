"""Servers that answer a resumed request with other bytes than were asked for, and old bytes
that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fault_server import FAULTS, Plan, Request
from offers import MIB, Memtools, Offer, complains
from worlds import noise

from memtools.errors import ChecksumError, DiskError, NetworkError
from memtools.temporary_files import nobody
from memtools.transfer.names import state_of
from memtools.transfer.partial import Partial

MakeOffer = Callable[..., Offer]
CUT = 123_456
ONCE = ("first/1", f"truncate-at/{CUT}")  # the first connection ends there
OLD, NEW = noise(300_000, 1), bytes(255 - byte for byte in noise(300_000, 1))
KIB = 1024


# ---- Range is ignored


def test_a_server_that_ignores_ranges_sends_all_again_and_nothing_is_appended(
    offer: MakeOffer, notes: list[str]
) -> None:
    thing = offer("ignore-range", *ONCE)
    thing.succeeds()
    assert thing.ranges() == [None, f"bytes={CUT}-"]
    assert thing.served() == thing.size + CUT
    assert len([note for note in notes if "cannot resume" in note]) == 1


def test_that_a_server_cannot_resume_is_said_once_however_often_it_shows(
    offer: MakeOffer, notes: list[str]
) -> None:
    # Each connection ends a little later than the one before it.
    cuts = [*(f"first/{n}/f/truncate-at/{CUT}" for n in (3,)), *ONCE]
    thing = offer("ignore-range", *cuts)
    thing.succeeds()
    assert len(thing.requests()) == 4
    assert len([note for note in notes if "cannot resume" in note]) == 1


def test_a_server_that_neither_resumes_nor_reaches_the_end_is_given_up(offer: MakeOffer) -> None:
    thing = offer("ignore-range", f"truncate-at/{CUT}")
    thing.fails(NetworkError)
    assert len(thing.requests()) <= 8
    thing.resumes(kept=CUT)


# ---- 206 with other bytes than were asked for


def test_an_answer_that_begins_too_early_and_says_so_is_used_from_the_right_byte(
    offer: MakeOffer,
) -> None:
    thing = offer("wrong-206", *ONCE)
    thing.succeeds()
    assert thing.served() == thing.size + 512


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more fault: 206 that starts 512 bytes later than asked and says so."""

    def apply(plan: Plan, request: Request) -> None:
        plan.shift = 512

    monkeypatch.setitem(FAULTS, "late-206", ((), apply))


@pytest.mark.parametrize("lie", ["no-content-range", "wrong-total", "late-206"])
def test_a_part_of_the_file_that_cannot_be_placed_is_dropped_for_the_whole_file(
    offer: MakeOffer, lie: str
) -> None:
    thing = offer(lie, *ONCE)
    thing.succeeds()
    assert thing.ranges() == [None, f"bytes={CUT}-", None]
    assert thing.served() <= thing.size + MIB


def test_an_answer_that_lies_about_where_it_begins_is_caught_and_all_is_fetched_once_more(
    offer: MakeOffer,
) -> None:
    thing = offer("lying-206", *ONCE)
    thing.succeeds()
    assert thing.ranges() == [None, f"bytes={CUT}-", None]
    assert thing.served() == 2 * thing.size


def test_a_server_that_lies_each_time_gets_one_more_chance_and_no_third(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("lying-206", "truncate-at/200000")
    error = thing.fails(ChecksumError)
    assert error.expected in str(error)
    assert error.actual in str(error)
    assert thing.ranges() == [None, "bytes=200000-"] * 2
    complains(thing.command(memtools), 5)
    thing.resumes(kept=0)


def test_a_206_to_a_request_without_a_range_is_taken_at_its_word(offer: MakeOffer) -> None:
    thing = offer("206-always", *ONCE)
    thing.succeeds()
    assert thing.served() == thing.size


def test_a_206_without_a_place_to_a_request_without_a_range_is_refused(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("206-always", "no-content-range")
    words = complains(thing.command(memtools), 4)
    assert "even when asked for the whole file" in words
    thing.is_clean()


def test_an_answer_that_is_shorter_than_asked_for_is_followed_by_a_request_for_the_rest(
    offer: MakeOffer,
) -> None:
    thing = offer("cap-range/50000", *ONCE)
    thing.succeeds()
    assert thing.ranges() == [None, *(f"bytes={CUT + n * 50_000}-" for n in range(4))]
    assert thing.served() == thing.size


def test_short_answers_that_are_no_fault_use_up_no_patience(offer: MakeOffer) -> None:
    thing = offer("cap-range/10000", *ONCE)
    thing.succeeds(tries=2)
    assert len(thing.requests()) == 1 + 18


def test_the_right_bytes_with_status_200_are_used_where_they_say_they_belong(
    offer: MakeOffer,
) -> None:
    thing = offer("200-with-content-range", *ONCE)
    thing.succeeds()
    assert thing.served() == thing.size


# ---- the file at the source is replaced meanwhile

VALIDATORS = [(), ("ignore-if-range",), ("no-validators",), ("weak-etag",)]


@pytest.mark.parametrize("validators", VALIDATORS, ids="-".join)
@pytest.mark.parametrize("cut", [ONCE, ("truncate-at/120000",)], ids=["once", "always"])
def test_a_file_replaced_by_the_promised_one_is_never_spliced_with_the_old_one(
    offer: MakeOffer, validators: tuple[str, ...], cut: tuple[str, ...]
) -> None:
    thing = offer("content-changes", *validators, *cut, contents=[NEW])
    thing.replace([OLD])  # and from the second request on its inverse: what was promised
    thing.succeeds()
    assert thing.served() <= 2 * thing.size + 120_000


@pytest.mark.parametrize("validators", VALIDATORS, ids="-".join)
@pytest.mark.parametrize("cut", [ONCE, ("truncate-at/120000",)], ids=["once", "always"])
def test_a_file_replaced_by_another_one_fails_by_its_digest(
    offer: MakeOffer, validators: tuple[str, ...], cut: tuple[str, ...]
) -> None:
    thing = offer("content-changes", *validators, *cut, contents=[OLD])
    error = thing.fails(ChecksumError)
    assert error.expected in str(error)
    assert error.actual in str(error)
    assert thing.served() <= 2 * (thing.size + 120_000)  # nothing is fetched a third time
    thing.resumes(kept=0)


def test_that_the_remote_file_has_changed_is_said_by_the_command(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("content-changes", *ONCE, contents=[OLD])
    done = thing.command(memtools)
    assert "the remote file has changed" in complains(done, 5)
    assert "the remote file has changed; starting over" in done.stderr


def test_a_resumed_request_asks_for_the_version_that_its_bytes_came_from(
    offer: MakeOffer,
) -> None:
    thing = offer(*ONCE)
    thing.succeeds()
    first, second = (entry["if_range"] for entry in thing.requests())
    assert first is None
    assert second.startswith('"')


def test_a_weak_etag_is_never_sent_as_a_condition(offer: MakeOffer) -> None:
    thing = offer("weak-etag", *ONCE)
    thing.succeeds()
    assert [entry["if_range"] for entry in thing.requests()] == [None, None]
    assert thing.served() == thing.size


@pytest.mark.parametrize("faults", [(), ("ignore-if-range",)], ids=["obeyed", "ignored"])
def test_an_etag_that_changes_while_the_bytes_do_not_costs_one_restart(
    offer: MakeOffer, faults: tuple[str, ...]
) -> None:
    thing = offer("etag-changes", *faults, "truncate-at/70000")
    thing.succeeds()
    assert thing.served() <= thing.size + 2 * 70_000
    assert len(thing.requests()) <= 7


# ---- 416, and old bytes that are whole or too many


@pytest.fixture
def whole_but_unpublished(offer: MakeOffer, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """An offer of which every byte is here, and only the last rename is missing."""

    def fail(self: Partial) -> None:
        raise DiskError("the disk went away", hint="plug it in")

    thing = offer()
    with monkeypatch.context() as patch:
        patch.setattr(Partial, "publish", fail)
        thing.fails(DiskError)
    thing.server.reset()
    assert thing.part.stat().st_size == thing.size
    return thing


def test_bytes_that_are_all_here_are_proven_without_a_request(
    whole_but_unpublished: Offer,
) -> None:
    whole_but_unpublished.succeeds()
    assert whole_but_unpublished.requests() == []


def test_bytes_behind_the_end_of_a_whole_file_are_cut_off_without_a_request(
    whole_but_unpublished: Offer,
) -> None:
    with whole_but_unpublished.part.open("ab") as file:
        file.write(noise(5000, 9))
    whole_but_unpublished.succeeds()
    assert whole_but_unpublished.requests() == []


def test_a_whole_file_in_which_a_byte_has_changed_is_not_published(
    whole_but_unpublished: Offer,
) -> None:
    damaged = bytearray(whole_but_unpublished.data)
    damaged[100_000] ^= 1
    whole_but_unpublished.part.write_bytes(damaged)
    whole_but_unpublished.succeeds()
    assert whole_but_unpublished.served() == whole_but_unpublished.size


def test_a_partial_that_is_too_long_is_resumed_and_cut_to_size(offer: MakeOffer) -> None:
    thing = offer(f"truncate-at/{CUT}", "after/1", "status/403")
    with pytest.raises(Exception, match="403"):
        thing.fetch()
    with thing.part.open("ab") as file:
        file.write(noise(thing.size, 9))
    thing.resumes(kept=CUT)


def test_a_416_to_a_range_that_exists_is_answered_by_asking_for_the_whole_file(
    offer: MakeOffer,
) -> None:
    thing = offer("416", *ONCE)
    thing.succeeds()
    assert thing.ranges() == [None, f"bytes={CUT}-", None]
    assert thing.served() <= thing.size + CUT + 100  # and the page of the 416


def test_a_416_each_time_deletes_nothing_and_its_page_is_never_kept(offer: MakeOffer) -> None:
    thing = offer("416", f"truncate-at/{CUT}")
    thing.fails(NetworkError)
    assert thing.part.read_bytes()[:CUT] == thing.data[:CUT]
    assert b"<html>" not in thing.part.read_bytes()
    thing.resumes(kept=CUT)


def test_a_file_that_has_become_shorter_than_what_is_held_keeps_what_is_held(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer(f"truncate-at/{CUT}", "after/1", "silent-truncate/100000")
    assert "100000 bytes" in complains(thing.command(memtools), 5)
    thing.is_clean()
    thing.resumes(kept=CUT)


# ---- old bytes that are garbage


@pytest.fixture
def half_done(offer: MakeOffer, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """A MiB in blocks of 64 KiB, of which ten and a bit are here."""
    monkeypatch.setattr("memtools.transfer.chain.MIN_BLOCK", 64 * KIB)
    thing = offer("truncate-at/700000", "after/1", "status/403", contents=[noise(1 << 20)])
    with pytest.raises(Exception, match="403"):
        thing.fetch()
    thing.publish()
    thing.server.reset()
    return thing


def overwrite(thing: Offer, start: int, data: bytes) -> None:
    with thing.part.open("r+b") as file:
        file.seek(start)
        file.write(data)


def test_of_old_bytes_only_the_zeroed_blocks_are_fetched_again(half_done: Offer) -> None:
    overwrite(half_done, 2 * 64 * KIB + 5000, bytes(100))
    overwrite(half_done, 5 * 64 * KIB, bytes(2 * 64 * KIB))
    half_done.succeeds()
    assert half_done.ranges() == [
        "bytes=131072-196607",
        "bytes=327680-393215",
        "bytes=393216-458751",
        "bytes=700000-",
    ]
    assert half_done.served() == 3 * 64 * KIB + half_done.size - 700_000


def test_a_flipped_bit_in_the_last_unfinished_block_costs_no_more_than_that_block(
    half_done: Offer,
) -> None:
    overwrite(half_done, 699_999, bytes([half_done.data[699_999] ^ 1]))
    half_done.succeeds()
    assert half_done.ranges() == ["bytes=655360-"]


def test_old_bytes_that_are_all_zero_are_fetched_again(half_done: Offer) -> None:
    half_done.part.write_bytes(bytes(700_000))
    half_done.succeeds()
    assert half_done.served() == half_done.size


def test_old_bytes_that_were_cut_short_are_kept_up_to_the_cut(half_done: Offer) -> None:
    with half_done.part.open("r+b") as file:
        file.truncate(300_000)
    half_done.succeeds()
    assert half_done.served() <= half_done.size - 4 * 64 * KIB


@pytest.mark.parametrize(
    "found", [None, b"", bytes(4096), b"{", b"[]", b'{"pieces": 3}', b"\xff\xfe"]
)
def test_old_bytes_without_a_state_of_ours_are_a_file_of_the_user(
    half_done: Offer, found: bytes | None, notes: list[str]
) -> None:
    half_done.state.unlink()
    if found is not None:
        half_done.state.write_bytes(found)
    old = half_done.part.read_bytes()
    assert half_done.fetch() == half_done.target
    assert half_done.ranges() == [None]
    assert half_done.part.read_bytes() == old
    assert any("is left alone" in note for note in notes)
    half_done.part.unlink()
    if found is not None:
        assert half_done.state.read_bytes() == found
        half_done.state.unlink()
    half_done.is_right()


@pytest.mark.parametrize("found", [b"", bytes(4096), b"{", b"[]", b'{"pieces": 3}', b"\xff\xfe"])
def test_a_state_of_a_dead_owner_that_makes_no_sense_is_no_state(
    half_done: Offer, found: bytes
) -> None:
    part = half_done.part.rename(f"{half_done.part}.{nobody()}")
    half_done.state.unlink()
    state_of(part).write_bytes(found)
    half_done.succeeds()
    assert half_done.ranges() == [None]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 5),
        ("size", -1),
        ("size", "many"),
        ("block_size", 0),
        ("block_size", -5),
        ("block_size", None),
        ("links", {"65536": "00"}),
        ("links", {"a": "b"}),
        ("links", None),
        ("links", {"99999999999999": "0" * 40}),
        ("algorithm", "crc32"),
        ("validator", 5),
        ("validator", '"another"'),
        ("url", None),
    ],
)
def test_a_state_in_which_a_fact_is_wrong_harms_nothing(
    half_done: Offer, key: str, value: object
) -> None:
    state = json.loads(half_done.state.read_text())
    state["pieces"][0][key] = value
    half_done.state.write_text(json.dumps(state))
    half_done.succeeds()


def test_a_state_of_another_file_is_not_used(half_done: Offer) -> None:
    state = json.loads(half_done.state.read_text())
    state["identity"] += " "
    half_done.state.write_text(json.dumps(state))
    half_done.succeeds()
    assert half_done.ranges() == [None]


def test_bytes_of_another_file_under_the_right_state_are_fetched_again(half_done: Offer) -> None:
    half_done.part.write_bytes(noise(700_000, 77))
    half_done.succeeds()
    assert half_done.served() == half_done.size


def test_garbage_that_lay_there_before_the_first_run_is_not_part_of_the_file(
    offer: MakeOffer,
) -> None:
    thing = offer()
    thing.to.mkdir()
    thing.part.with_name(f"{thing.part.name}.{nobody()}").write_bytes(bytes(1_000_000))
    thing.succeeds()
    assert thing.served() == thing.size


def test_the_blocks_of_a_large_file_are_16_mib(offer: MakeOffer) -> None:
    thing = offer("truncate-at/38000000", "after/1", "status/403", contents=[noise(40_000_000)])
    with pytest.raises(Exception, match="403"):
        thing.fetch()
    overwrite(thing, 20_000_000, bytes(100))
    thing.resumes(kept=38_000_000 - (16 << 20))
