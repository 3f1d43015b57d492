"""Servers that answer with something else than the file: pages, statuses, redirects, waits."""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import fault_server
import pytest
from fault_server import FaultServer
from offers import Memtools, Offer, Watch, complains, fast
from worlds import noise

from memtools.errors import ChecksumError, ConfigError, NetworkError, RefusedError

MakeOffer = Callable[..., Offer]
CUT = 123_456
AFTER_A_CUT = (f"truncate-at/{CUT}", "after/1")
PAGE = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"


# ---- a web page in place of data


@pytest.mark.parametrize("fault", ["html-200", "html-302"])
def test_a_web_page_in_place_of_the_file_is_refused_by_its_title(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer(fault)
    words = complains(thing.command(memtools), 4)
    assert "'Sign in'" in words
    thing.is_clean()
    assert not thing.part.exists() or thing.part.read_bytes() == b""
    assert [entry["status"] for entry in thing.requests()].count(200) == 1


@pytest.mark.parametrize("fault", ["html-200", "html-302"])
def test_a_web_page_in_place_of_the_rest_leaves_the_bytes_that_are_here(
    offer: MakeOffer, fault: str
) -> None:
    thing = offer(*AFTER_A_CUT, fault)
    error = thing.fails(RefusedError)
    assert "'Sign in'" in str(error)
    thing.resumes(kept=CUT)


def test_a_web_page_that_does_not_say_so_is_known_by_its_first_byte(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("swap-with/page")
    (thing.server.directory / "page").write_bytes(PAGE)
    assert "web page" in complains(thing.command(memtools), 4)
    thing.is_clean()
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("ending", ["no-length", "close-delimited"])
def test_a_web_page_that_says_neither_what_nor_how_long_it_is_harms_nothing(
    offer: MakeOffer, ending: str
) -> None:
    thing = offer(*AFTER_A_CUT, ending, "swap-with/page")
    (thing.server.directory / "page").write_bytes(PAGE)
    assert "web page" in str(thing.fails(RefusedError))
    thing.resumes(kept=CUT)


def test_a_web_page_of_unknown_length_is_not_taken_for_the_file(offer: MakeOffer) -> None:
    thing = offer("no-length", "html-200", sizes=False, blobs=False)
    thing.fails(RefusedError)


# ---- statuses that mean no


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_status_that_means_no_is_believed_at_once(offer: MakeOffer, status: int) -> None:
    thing = offer(f"status/{status}")
    error = thing.fails(RefusedError)
    assert error.status == status
    assert str(status) in str(error)
    assert thing.names[0] in error.url
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_url_that_expires_in_the_middle_costs_none_of_the_bytes_that_are_here(
    offer: MakeOffer, status: int
) -> None:
    thing = offer(*AFTER_A_CUT, f"status/{status}")
    thing.fails(RefusedError)
    assert len(thing.requests()) == 2
    thing.resumes(kept=CUT)


def test_the_command_exits_4_when_the_server_says_no(offer: MakeOffer, memtools: Memtools) -> None:
    thing = offer("status/410")
    assert "410" in complains(thing.command(memtools), 4)
    assert len(thing.requests()) == 1


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_comes_without_a_file_is_refused(offer: MakeOffer, status: int) -> None:
    offer(f"status/{status}").fails(RefusedError)


# ---- statuses that mean not now


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_means_not_now_is_asked_again(offer: MakeOffer, status: int) -> None:
    thing = offer("first/2", f"status/{status}")
    thing.succeeds()
    assert len(thing.requests()) == 3


def test_a_server_that_is_always_in_trouble_is_given_up_with_tries_and_seconds(
    offer: MakeOffer,
) -> None:
    thing = offer("500-always")
    with Watch() as watch:
        error = thing.fails(NetworkError, first_delay=0.1)
    words = r"the server answered 500: gave up after 6 tries and [12] s of waiting"
    assert re.search(words, str(error))
    assert "resumes" in error.hint
    assert len(thing.requests()) == 6
    assert watch.seconds >= 0.75  # half of 0.1 + 0.2 + 0.4 + 0.8


def test_waiting_grows_from_try_to_try(offer: MakeOffer) -> None:
    thing = offer("500-always")
    thing.fails(NetworkError, first_delay=0.1)
    times = [entry["time"] for entry in thing.requests()]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for n, wait in enumerate(waits[1:]):
        assert wait >= 0.1 * 2**n / 2


def test_a_wall_that_no_connection_passes_is_given_up(offer: MakeOffer) -> None:
    thing = offer("wall-at/200000")
    thing.fails(NetworkError)
    assert thing.served() == 200_000
    assert len(thing.requests()) <= 8
    thing.resumes(kept=200_000)


def test_progress_gives_new_patience(offer: MakeOffer) -> None:
    thing = offer("truncate-at/70000", contents=[noise(600_000)])
    thing.succeeds(tries=2)
    assert len(thing.requests()) == 9


def test_the_command_exits_3_at_a_wall_and_says_that_running_again_resumes(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("wall-at/200000")
    words = complains(thing.command(memtools), 3)
    assert "gave up after 6 tries" in words
    assert "resumes" in words
    thing.resumes(kept=200_000)


# ---- Retry-After


def gap(thing: Offer) -> float:
    """Seconds between the first two requests."""
    first, second = (entry["time"] for entry in thing.requests()[:2])
    return second - first


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_the_server_asks_for_is_kept(offer: MakeOffer, status: int) -> None:
    thing = offer(f"{status}-then-ok/1", query="retry-after=1")
    thing.succeeds()
    assert 1.0 <= gap(thing) < 5


def test_a_wait_until_a_time_is_counted_by_the_clock_of_the_server(
    offer: MakeOffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, later = (f"Wed, 21 Oct 2015 07:28:0{second} GMT" for second in (0, 1))
    monkeypatch.setattr(fault_server.Handler, "date_time_string", lambda *_: now)
    thing = offer("429-then-ok/1", query="retry-after=" + urllib.parse.quote(later))
    thing.succeeds()
    assert 1.0 <= gap(thing) < 5


def test_a_time_that_has_passed_means_no_wait(
    offer: MakeOffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, before = "Fri, 21 Oct 2095 07:28:00 GMT", "Fri, 21 Oct 2095 07:00:00 GMT"
    monkeypatch.setattr(fault_server.Handler, "date_time_string", lambda *_: now)
    thing = offer("429-then-ok/1", query="retry-after=" + urllib.parse.quote(before))
    thing.succeeds()
    assert gap(thing) < 1


@pytest.mark.parametrize(
    "junk", ["soon", "-5", "1.5", "%C2%B2", "Wed, 99 Oct 2015", "0x10", "nan", "1e9"]
)
def test_a_wait_that_makes_no_sense_is_as_if_it_had_not_been_said(
    offer: MakeOffer, junk: str
) -> None:
    thing = offer("429-then-ok/1", query=f"retry-after={junk}")
    thing.succeeds()
    assert gap(thing) < 1


@pytest.mark.parametrize("wait", ["3600", "Wed, 21 Oct 2015 08:28:00 GMT"])
def test_a_wait_of_an_hour_is_not_slept_but_named(
    offer: MakeOffer, memtools: Memtools, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    now = "Wed, 21 Oct 2015 07:28:00 GMT"
    monkeypatch.setattr(fault_server.Handler, "date_time_string", lambda *_: now)
    thing = offer(*AFTER_A_CUT, "429", query="retry-after=" + urllib.parse.quote(wait))
    with Watch() as watch:
        words = complains(thing.command(memtools), 3)
    assert watch.seconds < 40
    assert "3600 s" in words
    assert "60 minutes" in words
    assert len(thing.requests()) == 2
    thing.resumes(kept=CUT)


def test_a_server_that_always_asks_to_wait_is_given_up(offer: MakeOffer) -> None:
    thing = offer("429", query="retry-after=0")
    assert "429" in str(thing.fails(NetworkError))
    assert len(thing.requests()) == 6


# ---- redirects


def test_five_redirects_are_followed(offer: MakeOffer) -> None:
    offer("redirect/5").succeeds()


@pytest.mark.parametrize("fault", ["redirect/6", "redirect-loop"])
def test_more_than_five_redirects_are_not(offer: MakeOffer, memtools: Memtools, fault: str) -> None:
    thing = offer(fault)
    assert "more than 5 redirects" in complains(thing.command(memtools), 4)
    thing.is_clean()
    assert len(thing.requests()) == 6


def test_a_redirect_to_a_local_file_is_refused(offer: MakeOffer, memtools: Memtools) -> None:
    thing = offer("redirect-to-file-scheme")
    words = complains(thing.command(memtools), 4)
    assert "redirects from http to 'file:///etc/passwd'" in words
    thing.is_clean()


@pytest.mark.parametrize(
    "to", ["ftp://127.0.0.1/x", "gopher://127.0.0.1/", "javascript:1", "data:,x"]
)
def test_a_redirect_to_any_other_scheme_is_refused(offer: MakeOffer, to: str) -> None:
    thing = offer("redirect-to", query="to=" + urllib.parse.quote(to, safe=""))
    assert f"redirects from http to '{to}'" in str(thing.fails(RefusedError))
    assert len(thing.requests()) == 1


@pytest.mark.parametrize(
    "to", ["http://", "http://[::1", "http://127.0.0.1:99999/x", "http://%00/"]
)
def test_a_redirect_to_no_address_at_all_fails_in_two_lines(
    offer: MakeOffer, memtools: Memtools, to: str
) -> None:
    thing = offer("redirect-to", query="to=" + urllib.parse.quote(to, safe=""))
    complains(thing.command(memtools), 4)
    thing.is_clean()


def test_a_redirect_without_a_target_is_no_file(offer: MakeOffer) -> None:
    error = offer("status/302").fails(RefusedError)
    assert error.status == 302


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FaultServer]:
    """Another server, and so another origin."""
    directory = tmp_path / "other"
    directory.mkdir()
    with FaultServer(directory) as running:
        yield running


def test_a_redirect_to_another_host_is_followed_and_resumed(
    offer: MakeOffer, other: FaultServer
) -> None:
    thing = offer()
    (other.directory / "thing.part-0").write_bytes(thing.data)
    there = other.url("thing.part-0", f"truncate-at/{CUT}")
    thing.publish("redirect-to", query="to=" + urllib.parse.quote(there, safe=""))
    thing.succeeds()
    assert other.stats()["total"]["bytes"] == thing.size


def test_a_password_goes_to_its_own_origin_and_to_no_other(
    offer: MakeOffer, other: FaultServer
) -> None:
    thing = offer()
    (other.directory / "thing.part-0").write_bytes(thing.data)
    there = other.url("thing.part-0")
    thing.publish("redirect-to", query="to=" + urllib.parse.quote(there, safe=""))
    thing.registry = thing.registry.replace("http://", "http://me:secret@")
    thing.succeeds()
    assert [entry["has_authorization"] for entry in thing.requests()] == [True]
    assert [entry["has_authorization"] for entry in other.log()] == [False]


def test_a_password_in_a_url_is_never_shown_and_never_kept(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer(*AFTER_A_CUT, "status/403")
    thing.registry = thing.registry.replace("http://", "http://me:secret@")
    done = thing.command(memtools)
    complains(done, 4)
    assert "secret" not in done.stderr
    assert thing.part.stat().st_size == CUT
    assert b"secret" not in thing.state.read_bytes()


# ---- HEAD


@pytest.mark.parametrize("fault", ["head-405", "head-lies"])
def test_what_a_server_says_to_head_is_never_asked(offer: MakeOffer, fault: str) -> None:
    thing = offer(fault, "first/1", f"truncate-at/{CUT}")
    thing.succeeds()
    assert thing.server.stats()["total"]["HEAD"] == 0
    assert thing.served() == thing.size


# ---- one part of several


def test_a_part_that_is_missing_is_named_and_the_other_parts_are_kept(
    offer: MakeOffer, memtools: Memtools
) -> None:
    contents = [noise(60_000, seed) for seed in range(3)]
    thing = offer(contents=contents)
    thing.publish("status/404", only=2)
    words = complains(thing.command(memtools), 4)
    assert thing.names[2] in words
    thing.publish()
    thing.server.reset()
    thing.succeeds()
    assert thing.served() >= 60_000
    assert all("part-0" not in entry["url"] for entry in thing.requests())


def test_the_registry_itself_may_be_refused(offer: MakeOffer, memtools: Memtools) -> None:
    thing = offer()
    thing.registry = thing.server.url("registry.toml", "status/404")
    assert "registry.toml" in complains(thing.command(memtools), 4)


def test_a_web_page_in_place_of_the_registry_is_refused(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer()
    thing.registry = thing.server.url("registry.toml", "html-200")
    assert "'Sign in'" in complains(thing.command(memtools), 4)


@pytest.mark.parametrize(
    "fault", ["truncate-at/50", "reset-at/50", "close-early", "503-then-ok/1", "bad-chunk"]
)
def test_a_registry_survives_a_bad_line(offer: MakeOffer, fault: str) -> None:
    thing = offer()
    query = {"retry_after": 0} if fault.startswith("503") else {}
    thing.registry = thing.server.url("registry.toml", "first/1", fault, **query)
    assert thing.fetch() == thing.target
    assert thing.target.read_bytes() == thing.data


def test_a_registry_that_came_short_without_a_sign_is_refused(offer: MakeOffer) -> None:
    thing = offer()
    thing.registry = thing.server.url("registry.toml", "silent-truncate/30")
    thing.fails(ConfigError)


def test_a_refusal_and_a_wrong_digest_have_different_codes(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("flip-byte/5")
    complains(thing.command(memtools), ChecksumError.exit_code)
    thing.publish("status/404")
    complains(thing.command(memtools), RefusedError.exit_code)


@pytest.mark.parametrize(
    "fault", ["silent-truncate/30", "flip-byte/3", "zero-block/0/9", "html-200"]
)
def test_a_password_in_the_address_of_a_registry_is_never_shown(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer()
    url = thing.server.url("registry.toml", fault)
    thing.registry = url.replace("http://", "http://me:secret@")
    done = thing.command(memtools)
    assert done.returncode in (2, 4)
    assert "registry.toml" in done.stderr or "login" in done.stderr
    assert "secret" not in done.stderr


def test_a_password_in_the_address_of_a_registry_is_not_shown_when_the_network_gives_up(
    offer: MakeOffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memtools.artifacts.settings.Patience", fast)
    thing = offer()
    url = thing.server.url("registry.toml", "500-always")
    thing.registry = url.replace("http://", "http://me:secret@")
    error = thing.fails(NetworkError)
    assert "secret" not in str(error)
    assert "secret" not in error.url
