"""Passwords and tokens of URLs are sent where they belong, and neither shown nor kept anywhere."""

import logging
import socket
import traceback
from pathlib import Path

import numpy as np
import pytest
from worlds import artifact, write_registry

import memtools as library
from memtools.artifacts.fetcher import Terms
from memtools.artifacts.settings import Settings
from memtools.errors import ConfigError, MemtoolsError, NetworkError, RefusedError
from memtools.transfer.patience import Patience
from memtools.wording import redact_url, redact_words

SECRETS = ("us3rname", "passw0rd", "t0ken", "s1gned")
QUICK = Terms(patience=Patience(connect=2, read=1, tries=2, first_delay=0.001))


def with_secrets(url: str, **query: str) -> str:
    """The URL with a user, a password and tokens in it."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return url.replace("://", "://us3rname:passw0rd@") + f"?token=t0ken{more}"


def assert_no_secret(text: str, where: object = "") -> None:
    assert [secret for secret in SECRETS if secret in text] == [], f"{where}: {text}"


def assert_nothing_kept(directory: Path) -> None:
    """Neither in the name nor in the bytes of any file below."""
    for path in directory.rglob("*"):
        assert_no_secret(str(path.relative_to(directory)))
        if path.is_file():
            assert_no_secret(path.read_bytes().decode("latin-1"), path)


@pytest.fixture
def registry(served, server, tmp_path):
    """The URL of a registry of scores in two parts, with secrets in it."""
    np.savez(tmp_path / "s.npz", scores=np.linspace(0, 1, 5000), labels=np.arange(5000) % 10)
    data = (tmp_path / "s.npz").read_bytes()
    halves = (data[:30_000], data[30_000:])
    for name, half in zip(("a.bin", "b.bin"), halves, strict=True):
        (served / name).write_bytes(half)
    entry = artifact(("a.bin", "b.bin"), halves, kind="scores")
    write_registry(served / "r.toml", entry.replace('definition = "a test"', 'definition = "x"'))
    return with_secrets(server.url("r.toml"))


def test_no_command_that_succeeds_shows_or_keeps_a_secret(
    registry, server, memtools, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv("MEMTOOLS_REGISTRY", registry)
    monkeypatch.setenv("MEMTOOLS_MIRROR", with_secrets(server.base))
    for command in (
        ["fetch", "thing"],
        ["list", "--json"],
        ["verify", "thing", "--json"],
        ["info", "thing", "--json"],
        ["export", "thing", "--out", out / "thing.csv"],
        ["publish", tmp_path / "cache" / "thing.npz", "--to", out / "mine", "--name", "mine"],
    ):
        done = memtools(*command)
        assert done.returncode == 0, done.stderr
        assert_no_secret(done.stdout + done.stderr, command)
    parts = [each for each in server.log() if each["url"].endswith(".bin")]
    assert len(parts) == 2
    assert {each["has_authorization"] for each in parts} == {True}
    assert_nothing_kept(tmp_path / "cache")
    assert_nothing_kept(out)


def test_no_command_that_fails_shows_or_keeps_a_secret(registry, server, memtools, tmp_path):
    def mirror(*faults: str, **query: str) -> list[str]:
        return ["--mirror", with_secrets(server.url("", *faults).rstrip("/"), **query)]

    far = "ftp://us3rname:passw0rd@example.org/a?sig=s1gned"
    for command, code in (
        (["fetch", "thing", *mirror("status/403")], 4),
        (["fetch", "thing", *mirror("html-200")], 4),
        (["fetch", "thing", *mirror("redirect-to", to=far.replace("&", "%26"))], 4),
        (["fetch", "thing", *mirror("flip-byte/5")], 5),
        (["fetch", "thing", "--mirror", "us3rname:passw0rd@example.org/x?token=t0ken"], 2),
        (["list", "--registry", registry.replace("r.toml", "a.bin")], 2),
        (["list", "--registry", registry.replace("r.toml", "none.toml")], 4),
        (["list", "--registry", "us3rname:passw0rd@example.org/r.toml?token=t0ken"], 2),
        (["list", "--registry", "sftp://us3rname:passw0rd@example.org/r.toml?token=t0ken"], 2),
    ):
        where = ["--to", tmp_path / "to"]
        where += [] if "--registry" in command else ["--registry", registry]
        done = memtools(*command, *where, env={"MEMTOOLS_DEBUG": "1", "PATH": ""})
        assert done.returncode == code, (command, done.stderr)
        assert "Traceback" in done.stderr
        assert_no_secret(done.stdout + done.stderr, command)
    assert_nothing_kept(tmp_path / "to")


def fails(caplog, error, *, url, mirror=None, to):
    """Everything that a failing fetch says: the error with its causes, its facts, and the log."""
    with caplog.at_level(logging.DEBUG, "memtools"), pytest.raises(error) as caught:
        library.fetch("thing", to, registries=[url], mirror=mirror, terms=QUICK)
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert_no_secret(said + str(vars(caught.value)))
    assert_nothing_kept(to)
    return said


@pytest.fixture
def local(registry, served):
    """The registry as a local file whose parts are on the network."""
    path = served.parent / "local.toml"
    path.write_text((served / "r.toml").read_text().replace('url = "', 'url = "https://x.invalid/'))
    return path


@pytest.mark.parametrize("fault", ["wall-at/9000", "close-early", "stall/9000", "500-always"])
def test_a_network_that_gives_up_shows_no_secret(local, server, caplog, tmp_path, fault):
    mirror = with_secrets(server.url("", fault).rstrip("/"))
    said = fails(caplog, NetworkError, url=local, mirror=mirror, to=tmp_path / "to")
    assert "127.0.0.1" in said
    assert "token=***" in said


def test_a_signed_address_that_a_redirect_leads_to_is_not_shown(local, server, caplog, tmp_path):
    signed = server.url("none.bin") + "?sig=s1gned"
    mirror = with_secrets(server.url("", "redirect-to").rstrip("/"), to=signed)
    fails(caplog, RefusedError, url=local, mirror=mirror, to=tmp_path / "to")


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_the_password_of_a_proxy_is_not_shown(local, caplog, tmp_path, monkeypatch, protocol):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    monkeypatch.setenv(f"{protocol.upper()}_PROXY", f"http://us3rname:passw0rd@127.0.0.1:{port}")
    mirror = with_secrets(f"{protocol}://example.org/m")
    said = fails(caplog, NetworkError, url=local, mirror=mirror, to=tmp_path / "to")
    assert f"the proxy http://127.0.0.1:{port} failed" in said


def test_a_proxy_that_is_not_a_url_is_blamed_without_its_password(
    local, caplog, tmp_path, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", "us3rname:passw0rd@127.0.0.1:3128")
    mirror = with_secrets("http://example.org/m")
    said = fails(caplog, ConfigError, url=local, mirror=mirror, to=tmp_path / "to")
    assert "the proxy '127.0.0.1:3128' is not a URL" in said


@pytest.mark.parametrize("host", ["example.org:port", "[::1", "a b", "x" * 70 + ".org", ".org"])
def test_an_address_that_is_not_one_is_not_shown_with_its_secrets(local, caplog, tmp_path, host):
    mirror = with_secrets(f"http://{host}/m")
    errors = (RefusedError, ConfigError, NetworkError)
    fails(caplog, errors, url=local, mirror=mirror, to=tmp_path / "to")


def test_the_token_of_a_registry_is_not_sent_for_the_files_beside_it(registry, server):
    part = Settings.of(registries=[registry]).registry()["thing"].parts[0]
    assert part.url == server.url("a.bin").replace("://", "://us3rname:passw0rd@")


def test_another_token_is_the_same_source(local, server, tmp_path):
    """What was half done goes on though the address was signed anew."""
    mirror = with_secrets(server.url("", "wall-at/9000").rstrip("/"))
    to = tmp_path / "to"
    with pytest.raises(NetworkError):
        library.fetch("thing", to, registries=[local], mirror=mirror, terms=QUICK)
    server.reset()
    new = with_secrets(server.base).replace("t0ken", "t0ken-2")
    library.fetch("thing", to, registries=[local], mirror=new, terms=QUICK)
    whole = (to / "thing.npz").stat().st_size
    assert server.stats()["total"]["bytes"] <= whole - 9000


@pytest.mark.parametrize(
    "url",
    [
        "https://us3rname:passw0rd@example.org/a?token=t0ken&s1gned#t0ken",
        "https://us3rname:pa/passw0rd@example.org/a?t0ken",
        "https://us3rname:x#passw0rd@example.org/a",
        "https://us3rname@example.org:port/?token=t0ken",
        "http://us3rname:passw0rd@[::1/a?token=t0ken",
        "HTTPS://us3rname:passw0rd@example.org",
    ],
)
def test_an_address_is_shown_without_its_secrets(url):
    assert_no_secret(redact_url(url))
    assert_no_secret(redact_words(f"failed: {url}"))
    assert_no_secret(str(MemtoolsError(f"{url}: failed", hint=f"look at {url}")))
    assert "://" in redact_url(url)
