"""Where files are kept and looked for: options first, then the environment.

    settings = Settings.of(mirror="http://mirror.example.org/memtools")
    registry = settings.registry()

MEMTOOLS_CACHE     the directory of fetched files
MEMTOOLS_MIRROR    base URL under which every file is looked for by its base name
MEMTOOLS_REGISTRY  more registries (files or URLs), separated by white space
MEMTOOLS_OFFLINE   1: never touch the network
MEMTOOLS_DEBUG     1: show tracebacks (command line)
"""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path

from memtools.arguments import StrPath
from memtools.artifacts.manifest import BUILTIN, builtin_registry, parse_registry
from memtools.artifacts.registry import Artifact, Registry
from memtools.errors import ConfigError, IntegrityError, NetworkError
from memtools.file_kinds import name_kind
from memtools.transfer.patience import Budget, Patience, TransientError
from memtools.wording import redact_words

MAX_REGISTRY = 16 << 20  # bytes


@dataclasses.dataclass(frozen=True)
class Settings:
    """cache: directory. mirror: URL or None. registries: files or URLs. offline: no network."""

    cache: Path
    mirror: str | None
    registries: tuple[str, ...]
    offline: bool

    @classmethod
    def of(
        cls,
        *,
        cache: StrPath | None = None,
        mirror: str | None = None,
        registries: StrPath | Sequence[StrPath] = (),
        offline: bool | None = None,
    ) -> Settings:
        """The settings given, completed from the environment."""
        environ = os.environ
        mirror = mirror or environ.get("MEMTOOLS_MIRROR") or None
        if mirror and not _is_url(mirror):
            raise ConfigError(
                f"the mirror {redact_words(mirror)!r} is not a URL",
                hint="give one that starts with https://",
            )
        chosen = cache or environ.get("MEMTOOLS_CACHE")
        return cls(
            cache=_from_home(os.fspath(chosen)) if chosen else _default_cache(),
            mirror=mirror,
            registries=_listed(registries) or _words("MEMTOOLS_REGISTRY"),
            offline=is_set("MEMTOOLS_OFFLINE") if offline is None else offline,
        )

    def registry(self) -> Registry:
        """The built-in registry and the user's, with all URLs at the mirror if there is one."""
        registry = builtin_registry()
        for where in self.registries:
            registry = registry.merged(self._read(where), _shown(where))
        return registry.at_mirror(self.mirror) if self.mirror else registry

    def artifact_of(self, file: str) -> Artifact | None:
        """The artifact that is kept under a file name, if the registries know it."""
        if not self.registries and file not in BUILTIN.read_text("utf-8"):
            return None  # most files are the user's own, and parsing would take longer than they do
        artifacts = self.registry().artifacts.values()
        return next((artifact for artifact in artifacts if artifact.file == file), None)

    def _read(self, where: str) -> Registry:
        if _is_url(where):
            text = self._download(where)
            base = urllib.parse.urljoin(where, ".")  # without the query: it is of the one file
            return parse_registry(text, where=_shown(where), base=base)
        path = _from_home(where)
        try:
            if kind := name_kind(path.stat().st_mode):
                raise ConfigError(
                    f"the registry {_shown(where)} is {kind}, not a file", hint="check --registry"
                )
            with path.open("rb") as file:
                text = _decoded(file.read(MAX_REGISTRY + 1), _shown(where))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not the path of a file"
            raise ConfigError(
                f"the registry {_shown(where)} cannot be read: {reason}",
                hint="check --registry; it is a file or a URL that starts with https://",
            ) from None  # whose text has the password, if this was meant to be a URL
        return parse_registry(text, where=where, base=str(path.absolute().parent))

    def _download(self, url: str) -> str:
        """The text of a registry on the network: small, so it is simply asked for again."""
        shown = _shown(url)
        if self.offline:
            raise NetworkError(
                f"the registry {shown} is on the network, and offline is set",
                url=shown,
                hint="run again without MEMTOOLS_OFFLINE, or keep the registry in a local file",
            )
        from memtools.transfer.answers import Wish, ask

        budget = Budget(patience := Patience())
        while True:
            try:
                with ask(url, Wish(), patience) as answer:
                    return _text(shown, answer.chunks(), answer.stop)
            except TransientError as fault:
                budget.spend(fault, shown, received=0)


def _text(url: str, chunks: Iterable[memoryview], expected: int | None) -> str:
    body = b""
    for data in chunks:
        body += data
        if len(body) > MAX_REGISTRY:
            break
    else:
        if expected is not None and len(body) < expected:
            raise TransientError("the connection ended early")
    return _decoded(body, url)


def _decoded(body: bytes, shown: str) -> str:
    """Return the text of a registry."""
    if len(body) > MAX_REGISTRY:
        raise IntegrityError(f"{shown}: too large for a registry", hint="check --registry")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown}: not a text file: {error}", hint="check --registry") from error


def _shown(where: str) -> str:
    """Return the file or URL of a registry for messages, without the password it may hold."""
    return where if os.path.lexists(where) else redact_words(where)


def _is_url(text: str) -> bool:
    try:
        split = urllib.parse.urlsplit(text)
        return split.scheme in ("http", "https") and bool(split.netloc)
    except ValueError:
        return False


def is_set(variable: str) -> bool:
    """Whether an environment variable says yes."""
    value = os.environ.get(variable, "").strip().lower()
    if value not in ("", "0", "no", "false", "off", "1", "yes", "true", "on"):
        raise ConfigError(f"{variable} is {value!r}", hint=f"set {variable} to 1 or 0")
    return value in ("1", "yes", "true", "on")


def _from_home(path: Path | str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: there is no such home", hint="write the path out") from error


def _words(variable: str) -> tuple[str, ...]:
    return tuple(os.environ.get(variable, "").split())


def _listed(registries: StrPath | Sequence[StrPath]) -> tuple[str, ...]:
    """Return registries as text; one alone may be given without a list."""
    if isinstance(registries, str | os.PathLike):
        return (os.fspath(registries),)
    return tuple(os.fspath(each) for each in registries)


def _default_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("memtools", appauthor=False))
