"""Connections that never come about: no answer, junk, closed ports, certificates, proxies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer
from offers import Memtools, Offer, Watch, complains, fast
from worlds import artifact, noise, write_registry

import memtools as package
from memtools.artifacts.fetcher import Terms
from memtools.errors import NetworkError, RefusedError

MakeOffer = Callable[..., Offer]
DATA = noise(300_000)
CUT = 123_456


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and on which nobody can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """A registry in a file; its part, called thing.part-0, is for a mirror to have."""
    table = artifact(["https://127.0.0.1/thing.part-0"], [DATA])
    return write_registry(tmp_path / "registry.toml", table)


def fails(mirror: str, registry: Path, to: Path, **limits: Any) -> NetworkError:
    """The error of a fetch from a mirror that cannot be reached."""
    terms = Terms(patience=fast(**limits))
    with pytest.raises(NetworkError) as caught:
        package.fetch("thing", to, registries=[registry], mirror=mirror, terms=terms)
    assert not (to / "thing.npz").exists()
    assert caught.value.hint
    return caught.value


# ---- an answer that is none


@pytest.mark.parametrize("fault", ["close-early", "bad-status-line"])
def test_a_connection_that_brings_no_answer_is_tried_again(offer: MakeOffer, fault: str) -> None:
    thing = offer("first/2", fault)
    thing.succeeds()
    assert len(thing.requests()) == 3


@pytest.mark.parametrize("fault", ["close-early", "bad-status-line"])
def test_a_server_that_never_answers_properly_is_given_up(
    offer: MakeOffer, memtools: Memtools, fault: str
) -> None:
    thing = offer(fault)
    assert "gave up after 6 tries" in str(thing.fails(NetworkError))
    assert len(thing.requests()) == 6


@pytest.mark.parametrize("fault", ["close-early", "bad-status-line"])
def test_no_answer_to_a_resumed_request_costs_none_of_the_bytes(
    offer: MakeOffer, fault: str
) -> None:
    thing = offer(f"truncate-at/{CUT}", "after/1", fault)
    thing.fails(NetworkError)
    thing.resumes(kept=CUT)


def test_a_connection_that_the_server_closes_after_all_does_no_harm(offer: MakeOffer) -> None:
    thing = offer("stale-keepalive", "first/1", f"truncate-at/{CUT}")
    thing.succeeds()
    assert thing.served() == thing.size


# ---- nobody there


def test_a_closed_port_is_tried_again_and_given_up(
    closed_port: int, registry: Path, tmp_path: Path, notes: list[str]
) -> None:
    error = fails(f"http://127.0.0.1:{closed_port}/data", registry, tmp_path / "kept")
    assert "refused" in str(error)
    assert "gave up after 6 tries" in str(error)
    assert len(notes) == 6
    assert error.url == f"http://127.0.0.1:{closed_port}/data/thing.part-0"


def test_a_name_that_nobody_knows_is_tried_again_and_given_up(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fails("http://nowhere.invalid", registry, tmp_path / "kept")
    assert asked == ["nowhere.invalid"] * 6
    assert "Name or service not known" in str(error)


def test_a_server_that_comes_back_is_used_and_the_bytes_from_before_with_it(
    offer: MakeOffer, memtools: Memtools
) -> None:
    thing = offer("wall-at/100000")
    thing.fails(NetworkError)
    with FaultServer(thing.server.directory) as back:
        more = ("--mirror", back.base)
        done = thing.command(memtools, *more)
        assert done.returncode == 0, done.stderr
        thing.is_right()
        assert back.stats()["total"]["bytes"] == thing.size - 100_000


# ---- certificates


class CountingServer(FaultServer):
    """Knows how many connections were opened, even those that led to no request."""

    n_connections = 0

    def get_request(self) -> tuple[Any, Any]:
        self.n_connections += 1
        return super().get_request()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    directory = tmp_path_factory.mktemp("certificate")
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
def secure(tmp_path: Path, certificate: tuple[str, str]) -> Iterator[CountingServer]:
    """The file on an https server that no authority vouches for."""
    directory = tmp_path / "secure"
    directory.mkdir()
    (directory / "thing.part-0").write_bytes(DATA)
    with CountingServer(directory, tls=certificate) as running:
        yield running


def test_a_certificate_that_nobody_vouches_for_ends_the_fetch_at_once(
    secure: CountingServer, registry: Path, memtools: Memtools, tmp_path: Path
) -> None:
    done = memtools(
        *("fetch", "thing", "--registry", registry, "--mirror", secure.base),
        *("--to", tmp_path / "kept"),
    )
    words = complains(done, 3)
    assert "certificate" in words
    assert "verify=False" not in words
    assert "insecure" not in words
    assert secure.n_connections == 1
    assert secure.log() == []
    assert not (tmp_path / "kept" / "thing.npz").exists()


def test_a_certificate_for_another_host_ends_the_fetch_at_once(
    secure: CountingServer,
    certificate: tuple[str, str],
    registry: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    wrong = secure.base.replace("127.0.0.1", "localhost")
    error = fails(wrong, registry, tmp_path / "kept")
    assert "localhost" in str(error)
    assert secure.log() == []


def test_a_certificate_that_the_user_vouches_for_is_good(
    secure: CountingServer,
    certificate: tuple[str, str],
    registry: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    mirror = f"{secure.base}/f/truncate-at/{CUT}"
    terms = Terms(patience=fast())
    path = package.fetch(
        "thing", tmp_path / "kept", registries=[registry], mirror=mirror, terms=terms
    )
    assert path.read_bytes() == DATA
    assert secure.stats()["total"]["bytes"] == len(DATA)


def test_a_redirect_from_https_down_to_http_is_refused(
    secure: CountingServer,
    certificate: tuple[str, str],
    server: FaultServer,
    served: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    (served / "thing.part-0").write_bytes(DATA)
    down = urllib.parse.quote(server.url("thing.part-0"), safe="")
    table = artifact([f"f/redirect-to/thing.part-0?to={down}"], [DATA])
    write_registry(tmp_path / "secure" / "registry.toml", table)
    with pytest.raises(RefusedError, match="redirects from https to 'http://") as caught:
        package.fetch("thing", tmp_path / "kept", registries=[secure.base + "/registry.toml"])
    assert caught.value.hint
    assert not (tmp_path / "kept" / "thing.npz").exists()
    assert server.log() == []


def test_a_redirect_from_http_up_to_https_is_followed(
    secure: CountingServer,
    certificate: tuple[str, str],
    offer: MakeOffer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[0])
    thing = offer("redirect-to", query="to=" + urllib.parse.quote(secure.url("thing.part-0")))
    thing.succeeds()


def test_a_server_that_speaks_no_tls_is_not_asked_again_without_it(
    server: FaultServer, registry: Path, tmp_path: Path
) -> None:
    fails(server.base.replace("http:", "https:"), registry, tmp_path / "kept")
    assert server.log() == []


def test_a_url_that_the_registry_gives_with_http_is_asked_for_with_https(
    server: FaultServer, served: Path, tmp_path: Path
) -> None:
    (served / "thing.part-0").write_bytes(DATA)
    table = artifact([server.url("thing.part-0")], [DATA])
    path = write_registry(tmp_path / "registry.toml", table)
    with pytest.raises(NetworkError, match=r"https://127\.0\.0\.1"):
        package.fetch("thing", tmp_path / "kept", registries=[path], terms=Terms(patience=fast()))
    assert server.log() == []


# ---- proxies


@pytest.mark.parametrize(
    ("scheme", "setting"),
    [("http", "http_proxy"), ("https", "https_proxy"), ("https", "HTTPS_PROXY")],
)
def test_a_proxy_that_is_not_there_is_named_without_its_password(
    scheme: str,
    setting: str,
    closed_port: int,
    registry: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = f"http://me:secret@127.0.0.1:{closed_port}"
    monkeypatch.setenv(setting, proxy)
    error = fails(f"{scheme}://files.invalid", registry, tmp_path / "kept")
    assert f"the proxy http://127.0.0.1:{closed_port}" in str(error)
    assert "secret" not in str(error) + error.hint


def test_a_proxy_that_answers_with_a_page_does_not_spoil_the_file(
    server: FaultServer, served: Path, registry: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    (served / "thing.part-0").write_bytes(DATA)
    monkeypatch.setenv("http_proxy", server.base)  # it takes any request for one of its own files
    with pytest.raises(RefusedError):
        package.fetch(
            "thing", tmp_path / "kept", registries=[registry], mirror="http://x.invalid/p"
        )
    assert not (tmp_path / "kept" / "thing.npz").exists()


# ---- IPv6


def test_a_server_with_an_address_of_the_new_kind_is_reached(
    served: Path, registry: Path, tmp_path: Path
) -> None:
    try:
        running = FaultServer(served, host="::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    (served / "thing.part-0").write_bytes(DATA)
    with running:
        mirror = f"{running.base}/f/truncate-at/{CUT}"
        terms = Terms(patience=fast())
        path = package.fetch(
            "thing", tmp_path / "kept", registries=[registry], mirror=mirror, terms=terms
        )
    assert path.read_bytes() == DATA


def test_a_connection_that_is_never_accepted_ends_in_time(registry: Path, tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = []
        for _ in range(3):  # fill the queue: whoever comes now gets no answer at all
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(address)
            waiting.append(each)
        with Watch() as watch:
            fails(f"http://127.0.0.1:{address[1]}", registry, tmp_path / "kept", connect=0.2)
        assert watch.seconds < 60  # the kernel tries for two minutes
        for each in waiting:
            each.close()


def test_a_name_with_two_addresses_is_tried_at_both(
    server: FaultServer, served: Path, registry: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    (served / "thing.part-0").write_bytes(DATA)
    port = server.server_port
    family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    both = [(*family, ("127.0.0.2", 9)), (*family, ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    terms = Terms(patience=fast())
    path = package.fetch(
        *("thing", tmp_path / "kept"),
        registries=[registry],
        mirror=f"http://two.invalid:{port}",
        terms=terms,
    )
    assert path.read_bytes() == DATA
