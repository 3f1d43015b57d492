"""Answers that look right and hold the wrong bytes, or the right ones under a wrong label."""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Callable

import pytest
from fault_server import FaultServer
from offers import MIB, Memtools, Offer, complains
from worlds import noise

from memtools.errors import ChecksumError, ConfigError, IntegrityError, NetworkError, RefusedError

MakeOffer = Callable[..., Offer]
CUT = 123_456
ONCE = ("first/1", f"truncate-at/{CUT}")
AFTER_A_CUT = (f"truncate-at/{CUT}", "after/1")
THREE = [noise(60_000, seed) for seed in range(3)]


# ---- encodings


@pytest.mark.parametrize("cut", [(), ONCE])
def test_a_server_that_would_compress_is_asked_not_to(
    offer: MakeOffer, cut: tuple[str, ...]
) -> None:
    thing = offer("gzip-if-accepted", *cut)
    thing.succeeds()
    assert {entry["accept_encoding"] for entry in thing.requests()} == {"identity"}
    assert thing.served() == thing.size


@pytest.mark.parametrize("fault", ["gzip-encoding", "gzip-bad-length", "label-gzip"])
def test_an_answer_that_is_compressed_all_the_same_is_refused_by_name(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer(fault)
    assert "'gzip'" in complains(thing.command(memtools), 4)
    thing.is_clean()
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("fault", ["gzip-encoding", "gzip-bad-length"])
def test_a_compressed_answer_to_a_resumed_request_costs_none_of_the_bytes(
    offer: MakeOffer, fault: str
) -> None:
    thing = offer(*AFTER_A_CUT, fault)
    thing.fails(RefusedError)
    thing.resumes(kept=CUT)


@pytest.mark.parametrize("name", ["thing.tar.gz", "thing.tgz"])
@pytest.mark.parametrize("cut", [(), ONCE])
def test_an_archive_that_is_labelled_as_encoded_is_kept_as_it_is(
    offer: MakeOffer, name: str, cut: tuple[str, ...]
) -> None:
    archive = gzip.compress(noise(300_000), mtime=0)
    thing = offer("label-gzip", *cut, contents=[archive], names=[name])
    thing.succeeds()
    assert thing.target.read_bytes()[:2] == b"\x1f\x8b"


# ---- lengths


@pytest.mark.parametrize("length", ["-1", "abc", "1e6", "0x10", "300000, 5", "%20", "%C2%B2"])
def test_a_length_that_is_no_number_fails_before_anything_is_written(
    offer: MakeOffer, memtools: Memtools, length: str
) -> None:
    thing = offer(f"length/{length}")
    complains(thing.command(memtools), 5)
    thing.is_clean()
    assert not thing.part.exists() or thing.part.read_bytes() == b""
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("length", [0, 5, 299_999, 300_001, 10**12])
def test_a_length_that_is_not_the_promised_one_fails_before_anything_is_written(
    offer: MakeOffer, length: int
) -> None:
    thing = offer(f"length/{length}")
    error = thing.fails(ChecksumError)
    assert (error.expected, error.actual) == ("300000", str(length))
    assert not thing.part.exists() or thing.part.read_bytes() == b""
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("frame", [(), ("close-delimited",), ("no-length",)])
def test_bytes_after_the_end_are_not_taken(offer: MakeOffer, frame: tuple[str, ...]) -> None:
    thing = offer(*frame, "overrun/5000")
    thing.succeeds()
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("frame", ["no-length", "close-delimited"])
def test_a_file_that_is_too_long_without_saying_so_is_cut_and_proven(
    offer: MakeOffer, frame: str
) -> None:
    thing = offer(frame, "silent-extend/50000")
    thing.succeeds()


@pytest.mark.parametrize("frame", ["no-length", "close-delimited"])
def test_a_file_that_is_too_short_without_saying_so_is_not_taken_and_comes_to_an_end(
    offer: MakeOffer, frame: str
) -> None:
    thing = offer(frame, "silent-truncate/200000")
    thing.fails(NetworkError)
    assert len(thing.requests()) <= 20
    thing.resumes(kept=200_000)


# ---- the whole file is another one


@pytest.mark.parametrize(
    "fault", ["silent-truncate/20000000", "silent-extend/1", "empty", "swap-with/other"]
)
def test_a_file_of_another_size_is_refused_before_its_body_is_read(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer(fault, contents=[noise(30_000_000)])
    (thing.server.directory / "other").write_bytes(noise(29_000_000, 1))
    # Small buffers: what the kernel takes over and nobody reads counts as served.
    thing.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    words = complains(thing.command(memtools), 5)
    assert "30000000 expected" in words
    thing.is_clean()
    assert len(thing.requests()) == 1
    assert thing.served() < MIB
    assert not thing.part.exists() or thing.part.stat().st_size == 0


def test_another_file_of_the_same_size_is_caught_by_its_digest(offer: MakeOffer) -> None:
    thing = offer("swap-with/other")
    (thing.server.directory / "other").write_bytes(noise(thing.size, 1))
    error = thing.fails(ChecksumError)
    assert error.expected in str(error)
    assert error.actual in str(error)
    thing.resumes(kept=0)


# ---- bytes that flip

FLIPS = ["flip-byte/0", "flip-byte/150000", "flip-byte/299999", "zero-block/100000/4096"]


@pytest.mark.parametrize("fault", FLIPS)
def test_wrong_bytes_fail_with_both_digests_and_are_not_fetched_twice(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer(fault)
    error = thing.fails(ChecksumError)
    assert error.expected in str(error)
    assert error.actual in str(error)
    assert thing.served() == thing.size
    thing.resumes(kept=0)


def test_wrong_bytes_stay_as_a_partial_that_is_marked_as_bad(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("flip-byte/5")
    words = complains(thing.command(memtools), 5)
    assert "expected" in words
    thing.is_clean()
    assert thing.part.stat().st_size == thing.size
    assert json.loads(thing.state.read_text())["pieces"][0]["damage"]


def test_wrong_bytes_that_came_in_two_answers_are_fetched_once_more(offer: MakeOffer) -> None:
    thing = offer("first/1", "flip-byte/5", f"truncate-at/{CUT}")
    thing.succeeds()
    assert thing.served() == thing.size + thing.size


def test_bytes_that_are_wrong_each_time_are_fetched_once_more_and_no_third_time(
    offer: MakeOffer,
) -> None:
    thing = offer("flip-byte/5", "truncate-at/200000")
    thing.fails(ChecksumError)
    assert thing.served() == 2 * thing.size


def test_wrong_bytes_without_a_digest_of_the_part_are_caught_by_that_of_the_whole(
    offer: MakeOffer,
) -> None:
    thing = offer("flip-byte/5", blobs=False)
    error = thing.fails(ChecksumError)
    assert "md5" in str(error)
    assert error.expected in str(error)
    thing.resumes(kept=0)


def test_a_wrong_old_copy_stays_until_the_right_one_is_proven(offer: MakeOffer) -> None:
    thing = offer("flip-byte/5")
    thing.to.mkdir()
    thing.target.write_bytes(b"old")
    with pytest.raises(ChecksumError):
        thing.fetch()
    assert thing.target.read_bytes() == b"old"
    thing.resumes(kept=0)


# ---- one part of several


def test_a_part_that_is_wrong_once_is_fetched_once_more_and_no_other_part_is(
    offer: MakeOffer,
) -> None:
    thing = offer(contents=THREE)
    thing.publish("first/1", "flip-byte/5", only=1)
    thing.succeeds()
    assert thing.served() == thing.size + len(THREE[1])
    assert sorted(entry["url"][-1] for entry in thing.requests()) == ["0", "1", "1", "2"]


def test_a_part_that_stays_wrong_is_named_and_the_others_are_kept(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer(contents=THREE)
    thing.publish("flip-byte/5", only=0)
    words = complains(thing.command(memtools), 5)
    assert thing.names[0] in words
    assert thing.names[1] not in words
    thing.is_clean()


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_after_a_wrong_part_only_what_is_not_proven_is_fetched(
    offer: MakeOffer, wrong: int
) -> None:
    thing = offer(contents=THREE)
    thing.publish("flip-byte/5", only=wrong)
    thing.fails(ChecksumError)
    held = {entry["url"][-1] for entry in thing.requests()} - {str(wrong)}
    thing.publish()
    thing.server.reset()
    thing.succeeds()
    assert str(wrong) in {entry["url"][-1] for entry in thing.requests()}
    assert len(held) == 2 or len(thing.requests()) == 3 - len(held)


def test_two_parts_that_have_been_swapped_are_told_apart(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer(contents=THREE)
    thing.publish(f"swap-with/{thing.names[0]}", only=1)
    words = complains(thing.command(memtools), 5)
    assert thing.names[1] in words
    assert f"those of {thing.names[0]}" in words


def test_swapped_parts_that_nothing_tells_apart_are_caught_by_the_md5_of_the_whole(
    offer: MakeOffer,
) -> None:
    thing = offer(contents=THREE, blobs=False)
    thing.publish(f"swap-with/{thing.names[0]}", only=1)
    assert "md5" in str(thing.fails(ChecksumError))
    thing.resumes(kept=0)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_part_that_is_not_there_is_named_by_its_address(offer: MakeOffer, missing: int) -> None:
    thing = offer(contents=THREE)
    thing.publish("status/404", only=missing)
    error = thing.fails(RefusedError)
    assert error.url.endswith(thing.names[missing])
    assert error.status == 404


@pytest.mark.parametrize("fault", ["silent-truncate/50000", "silent-extend/50", "empty"])
def test_a_part_of_another_version_fails_by_its_size(offer: MakeOffer, fault: str) -> None:
    thing = offer(contents=THREE)
    thing.publish(fault, only=2)
    error = thing.fails(ChecksumError)
    assert thing.names[2] in str(error)
    assert error.expected == "60000"


# ---- who chooses the path


def test_the_name_is_that_of_the_registry_whatever_the_server_says(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("evil-disposition")
    done = thing.command(memtools)
    assert (done.returncode, done.stdout) == (0, f"{thing.target}\n")
    thing.is_right()
    assert not list(thing.to.parent.parent.rglob("evil*"))


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/x", "..", ".", ".x", "-x", "~", "a/b", "a\\\\b", "C:x", "CON", "con.npz"),
        *("x.", "x ", "a\\u0000b", "a\\nb", "x" * 300, "x*", "\\u202Ex"),
    ],
)
def test_a_registry_that_names_no_plain_file_is_refused_before_any_request(
    offer: MakeOffer, memtools: Memtools, name: str
) -> None:
    thing = offer(file=name)
    error = thing.fails(ConfigError)
    assert "line" in str(error)
    assert thing.requests() == []
    assert not thing.to.exists() or os.listdir(thing.to) == []


def test_the_command_exits_2_at_a_registry_that_names_no_plain_file(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer(file="../x")
    complains(thing.command(memtools), 2)
    assert thing.requests() == []


@pytest.mark.parametrize("url", ["../x", "f/../../x", "%2e%2e/x", "a/%2e%2e/x", "/etc/passwd"])
@pytest.mark.parametrize("local", [True, False])
def test_a_registry_whose_parts_lie_outside_its_folder_is_refused(
    server: FaultServer, offer: MakeOffer, url: str, local: bool
) -> None:
    thing = offer()
    path = server.directory / "registry.toml"
    path.write_text(path.read_text().replace(thing.names[0], url))
    if local:
        thing.registry = str(path)
    thing.fails(ConfigError)
    assert thing.requests() == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//127.0.0.1/x"])
def test_a_registry_whose_parts_are_neither_near_nor_on_the_web_is_refused(
    server: FaultServer, offer: MakeOffer, url: str
) -> None:
    thing = offer()
    path = server.directory / "registry.toml"
    path.write_text(path.read_text().replace(thing.names[0], url))
    thing.fails(ConfigError)
    assert thing.requests() == []


def test_names_that_differ_in_case_alone_are_refused(server: FaultServer, offer: MakeOffer) -> None:
    thing = offer()
    path = server.directory / "registry.toml"
    text = path.read_text()
    again = text.replace('name = "thing"', 'name = "other"').replace("thing.npz", "THING.npz")
    path.write_text(text + again)
    assert "clash" in str(thing.fails(ConfigError))


def test_an_empty_answer_is_not_an_empty_file(offer: MakeOffer) -> None:
    thing = offer("empty", sizes=False, blobs=False)
    thing.fails(ChecksumError)
    thing.resumes(kept=0)


def test_an_empty_answer_without_any_promise_is_what_the_user_agreed_to_take(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("empty", sizes=False, blobs=False, whole=False)
    complains(thing.command(memtools), 2)
    done = thing.command(memtools, "--unverified")
    assert done.returncode == 0, done.stderr
    assert thing.target.read_bytes() == b""


def test_only_integrity_has_the_code_of_integrity() -> None:
    assert issubclass(ChecksumError, IntegrityError)
    assert (ChecksumError.exit_code, RefusedError.exit_code, NetworkError.exit_code) == (5, 4, 3)
