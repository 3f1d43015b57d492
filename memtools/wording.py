r"""Phrases that several messages share, and foreign text made safe to show.

list_first(["a", "b", "c", "d"])                  # "a, b, c, ..."
printable("a\x1b[2Jb")                            # r"a\x1b[2Jb"
redact_url("https://me:secret@host/f?token=abc")  # "https://host/f?token=***"
"""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Iterable

SHOWN = 3  # examples in a message

# Control characters move the cursor or clear a terminal, direction marks reorder what is read, line
# separators forge lines, and lone surrogates (bytes of a file name that are not UTF-8) cannot be
# encoded at all.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_URL = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_USER = re.compile(r"[^\s'\"/]+:[^\s'\"]*@")
_QUERY = re.compile(r"\?[^\s'\"]*=[^\s'\"]*")


def list_first(items: Iterable[str], n: int = SHOWN) -> str:
    """Return the first `n` items, and "..." if there are more."""
    first = list(itertools.islice(items, n + 1))
    return ", ".join(first[:n] + ["..."] * (len(first) > n))


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` on one line, with every character that could disturb a terminal escaped.

    keep: control characters that stay as they are, such as "\n".
    """

    def escape(match: re.Match[str]) -> str:
        character = match[0]
        return character if character in keep else character.encode("unicode_escape").decode()

    return _UNPRINTABLE.sub(escape, text)


def encodable(text: str) -> str:
    """Return `text` with lone surrogates escaped: bytes of a file name that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def redact_url(url: str) -> str:
    """Return a URL without its user name, password and fragment, its query values as `***`.

    A query or a fragment may hold a token, as signed URLs do. What is not a URL comes back as it
    is.
    """
    try:
        split = urllib.parse.urlsplit(url)
        _ = split.port
    except ValueError:  # brackets that do not match, or a password with an unescaped slash
        head, _, tail = url.partition("://")
        tail = re.split("[?#]", tail.rpartition("@")[2])[0]
        return f"{head}://{tail}" if tail else url
    host = split.netloc.rpartition("@")[2]
    query = "&".join(_redact_parameter(each) for each in split.query.split("&"))
    return urllib.parse.urlunsplit(split._replace(netloc=host, query=query, fragment=""))


def _redact_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}=***" if equals else "***" if name else ""


def redact_words(text: str) -> str:
    """Return the text of a library or a user without URLs' secrets, also where it has only pieces.

    A user and password before an `@`, and what follows a `?`, may stand there without a scheme.
    """
    text = _USER.sub("", redact_urls(text))
    return _QUERY.sub("?***", text)


def redact_urls(text: str) -> str:
    """Return `text` with every URL in it redacted."""
    return _URL.sub(lambda match: redact_url(match[0]), text)
