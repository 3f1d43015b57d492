"""Where files are kept and looked for: options first, then the environment."""

from pathlib import Path

import platformdirs
import pytest
from worlds import artifact, noise, write_registry

from memtools.artifacts import settings as module
from memtools.artifacts.settings import Settings, is_set
from memtools.errors import ConfigError, IntegrityError, NetworkError, RefusedError
from memtools.transfer.patience import Patience

QUICK = Patience(connect=2, read=1, tries=3, first_delay=0.001)


@pytest.fixture
def impatient(monkeypatch):
    """Registries on the network are given up soon."""
    monkeypatch.setattr(module, "Patience", lambda: QUICK)


@pytest.fixture
def published_registry(served):
    """A registry on the server, with an artifact beside it."""
    (served / "sub").mkdir()
    text = artifact(["thing.bin"], [noise(100)])
    (served / "sub" / "r.toml").write_text(text)
    return text


# ---- options and environment


def test_an_option_wins_over_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMTOOLS_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("MEMTOOLS_MIRROR", "https://a.example.org")
    monkeypatch.setenv("MEMTOOLS_REGISTRY", "a.toml")
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "1")
    chosen = Settings.of(
        cache=tmp_path / "b", mirror="https://b.example.org", registries=["b.toml"], offline=False
    )
    assert chosen == Settings(tmp_path / "b", "https://b.example.org", ("b.toml",), False)


def test_what_is_not_given_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMTOOLS_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("MEMTOOLS_MIRROR", "http://a.example.org")
    monkeypatch.setenv("MEMTOOLS_REGISTRY", " a.toml\n https://b.example.org/b.toml ")
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "yes")
    registries = ("a.toml", "https://b.example.org/b.toml")
    assert Settings.of() == Settings(tmp_path / "a", "http://a.example.org", registries, True)


def test_without_any_setting_files_go_to_the_cache_of_the_user(monkeypatch):
    monkeypatch.delenv("MEMTOOLS_CACHE")
    chosen = Settings.of()
    assert chosen.cache == Path(platformdirs.user_cache_dir("memtools", appauthor=False))
    assert (chosen.mirror, chosen.registries, chosen.offline) == (None, (), False)


def test_empty_variables_are_as_good_as_none(monkeypatch):
    for name in ("CACHE", "MIRROR", "REGISTRY", "OFFLINE"):
        monkeypatch.setenv(f"MEMTOOLS_{name}", "")
    chosen = Settings.of()
    assert chosen.cache.name == "memtools"
    assert (chosen.mirror, chosen.registries, chosen.offline) == (None, (), False)


def test_a_cache_may_be_named_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings.of(cache="~/files").cache == tmp_path / "files"


def test_a_home_of_nobody_is_a_wrong_request():
    with pytest.raises(ConfigError, match="~nobody-of-that-name/x") as caught:
        Settings.of(cache="~nobody-of-that-name/x")
    assert caught.value.hint
    with pytest.raises(ConfigError, match="~nobody-of-that-name/x"):
        Settings.of(registries=["~nobody-of-that-name/x"]).registry()


@pytest.mark.parametrize(
    "mirror", ["mirror.example.org", "ftp://x", "file:///x", "/disk", "http://", "http://["]
)
def test_a_mirror_that_is_no_web_address_is_refused(monkeypatch, mirror):
    with pytest.raises(ConfigError, match="is not a URL"):
        Settings.of(mirror=mirror)
    monkeypatch.setenv("MEMTOOLS_MIRROR", mirror)
    with pytest.raises(ConfigError, match="is not a URL"):
        Settings.of()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("1", True),
        (" Yes ", True),
        ("TRUE", True),
        ("on", True),
        ("0", False),
        ("no", False),
        ("False", False),
        ("off", False),
        ("", False),
    ],
)
def test_yes_and_no_are_understood(monkeypatch, value, meant):
    monkeypatch.setenv("MEMTOOLS_OFFLINE", value)
    assert is_set("MEMTOOLS_OFFLINE") is meant
    assert Settings.of().offline is meant


def test_neither_yes_nor_no_is_refused_by_the_name_of_the_variable(monkeypatch):
    monkeypatch.setenv("MEMTOOLS_OFFLINE", "maybe")
    with pytest.raises(ConfigError, match="MEMTOOLS_OFFLINE is 'maybe'") as caught:
        Settings.of()
    assert "MEMTOOLS_OFFLINE" in caught.value.hint


# ---- registries


def test_without_others_there_is_the_built_in_registry():
    assert len(Settings.of().registry().artifacts) == 12


def test_a_registry_on_a_disk_is_added_and_its_files_lie_beside_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    write_registry(tmp_path / "here" / "r.toml", artifact(["thing.bin"], [b"x"]))
    monkeypatch.chdir(tmp_path)
    registry = Settings.of(registries=[Path("here/r.toml")]).registry()
    assert len(registry.artifacts) == 13
    assert registry["thing"].parts[0].path == tmp_path / "here" / "thing.bin"


def test_two_registries_may_not_use_one_name(tmp_path):
    first = write_registry(tmp_path / "a.toml", artifact(["a.bin"], [b"x"]))
    second = write_registry(tmp_path / "b.toml", artifact(["a.bin"], [b"x"], file="b.npz"))
    with pytest.raises(ConfigError, match=r"b\.toml: 'thing' is already taken"):
        Settings.of(registries=[first, second]).registry()


def test_with_a_mirror_every_part_is_there(tmp_path):
    path = write_registry(tmp_path / "r.toml", artifact(["thing.bin"], [b"x"]))
    registry = Settings.of(mirror="http://m.example.org/x", registries=[path]).registry()
    urls = [part.url for each in registry.artifacts.values() for part in each.parts]
    assert all(url.startswith("http://m.example.org/x/") for url in urls)
    assert "http://m.example.org/x/thing.bin" in urls


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"artifact = 5"])
def test_a_registry_that_cannot_be_used_is_named(tmp_path, content):
    path = tmp_path / "r.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"r\.toml") as caught:
        Settings.of(registries=[path]).registry()
    assert caught.value.exit_code == 2
    assert caught.value.hint


# ---- registries on the network


def test_a_registry_on_a_server_is_read_and_its_files_lie_beside_it(server, published_registry):
    url = server.url("sub/r.toml")
    registry = Settings.of(registries=[url]).registry()
    assert registry["thing"].parts[0].url == server.url("sub/thing.bin")


def test_a_registry_on_a_bad_line_is_asked_for_again(server, published_registry, impatient):
    url = server.url("sub/r.toml", "first/2", "truncate-at/50")
    assert "thing" in Settings.of(registries=[url]).registry().artifacts
    assert server.stats(url)["GET"] == 3


def test_half_a_registry_is_none(server, published_registry, impatient):
    url = server.url("sub/r.toml", "truncate-at/50")
    with pytest.raises(NetworkError, match=r"ended early|broke"):
        Settings.of(registries=[url]).registry()
    assert server.stats(url)["GET"] == QUICK.tries


def test_a_registry_that_is_not_there_is_a_refusal(server):
    with pytest.raises(RefusedError) as caught:
        Settings.of(registries=[server.url("none.toml")]).registry()
    assert caught.value.status == 404


def test_no_message_about_a_registry_shows_its_password(server, published_registry):
    url = server.url("sub/r.toml").replace("://", "://user:secret@")
    with pytest.raises(ConfigError, match="already taken") as caught:
        Settings.of(registries=[url, url]).registry()
    assert "secret" not in str(caught.value) + caught.value.hint
    with pytest.raises(NetworkError) as caught:
        Settings.of(registries=[url], offline=True).registry()
    assert "secret" not in str(caught.value) + caught.value.hint + caught.value.url


def test_an_artifact_is_found_by_its_file_in_every_registry(tmp_path):
    mine = write_registry(tmp_path / "r.toml", artifact(["a"], [b"a"], file="mine.npz"))
    assert Settings.of().artifact_of("imagenet_index.npz").name == "imagenet-index"
    assert Settings.of().artifact_of("mine.npz") is None
    both = Settings.of(registries=[mine])
    assert both.artifact_of("mine.npz").name == "thing"
    assert both.artifact_of("imagenet_index.npz").name == "imagenet-index"


def test_a_page_in_place_of_a_registry_is_a_refusal(server):
    with pytest.raises(RefusedError, match="web page titled 'Sign in'"):
        Settings.of(registries=[server.url("r.toml", "html-200")]).registry()


def test_bytes_that_are_no_text_are_no_registry(server, served):
    (served / "r.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        Settings.of(registries=[server.url("r.toml")]).registry()


@pytest.mark.parametrize("fault", ["no-length", "close-delimited"])
def test_a_registry_without_end_is_cut_off(server, monkeypatch, fault):
    monkeypatch.setattr(module, "MAX_REGISTRY", 3 << 20)
    url = server.url("@10000000000", fault)
    with pytest.raises(IntegrityError, match="too large for a registry"):
        Settings.of(registries=[url]).registry()


def test_offline_no_registry_is_asked_for(server, published_registry):
    url = server.url("sub/r.toml")
    with pytest.raises(NetworkError, match="offline is set") as caught:
        Settings.of(registries=[url], offline=True).registry()
    assert "MEMTOOLS_OFFLINE" in caught.value.hint
    assert server.stats(url)["requests"] == 0
