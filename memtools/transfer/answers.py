"""One GET, and what its answer really is: bytes from a known offset, a fault, or a no.

    with ask(url, Wish(start=100, size=1000), patience) as answer:
        for data in answer.chunks():           # bytes from answer.start on
            ...

Nothing a server says is believed because of its status alone: a 206 counts only
if its Content-Range begins where asked (or earlier) and its total is the size
that was promised; a 200 may be a log-in page; a body may be labelled gzip. Bytes
are never decoded: digests are of what is published.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import requests

from memtools.errors import ChecksumError, IntegrityError, RefusedError
from memtools.transfer.body import CHUNK, open_body
from memtools.transfer.patience import Patience, TransientError
from memtools.transfer.wire import BREAKS, Session, send, words
from memtools.wording import redact_url

GATHER = 1 << 20  # bytes that are passed on together: each passing has a price
GATHER_SECONDS = 0.25  # seconds after which they are passed on anyway
_SNIFF = 64 * 1024
_PAGE_HINT = "a log-in, a quota or a proxy stands in the way; open the URL in a browser"
_TRANSIENT_STATUSES = {408, 425, 429}


class RangeError(Exception):
    """The server does not do ranges properly: ask for the whole file instead."""


@dataclasses.dataclass(frozen=True)
class Wish:
    """Which bytes of a file are wanted: from `start` to before `stop` (None: to the end).

    size: the size of the whole file, where known. validator: the ETag or
    Last-Modified that bytes before `start` came with. ranged: whether to ask for
    a range at all.
    """

    start: int = 0
    stop: int | None = None
    size: int | None = None
    validator: str | None = None
    ranged: bool = True

    def headers(self) -> dict[str, str]:
        """The request headers that express the wish."""
        partial = self.start > 0 or (self.stop is not None and self.stop != self.size)
        if not (self.ranged and partial):
            return {}
        last = "" if self.stop is None or self.stop == self.size else str(self.stop - 1)
        headers = {"Range": f"bytes={self.start}-{last}"}
        return headers | ({"If-Range": self.validator} if self.validator else {})


@dataclasses.dataclass
class Answer:
    """A body that is to hold `start` to before `stop` of a file of `size` bytes (None: not said).

    validator: the strong ETag, else Last-Modified, of this version of the file.
    whole: the server sent everything although a range was asked for. head: what of the
    body had to be read to judge it.
    """

    url: str
    start: int
    stop: int | None
    size: int | None
    validator: str | None
    whole: bool
    response: requests.Response
    patience: Patience
    head: bytes = b""

    def chunks(self) -> Iterator[memoryview]:
        """The body as it arrives, a megabyte at a time where the line is fast.

        Each view is good until the next is asked for. `TransientError` if the body
        stops, stalls or crawls; what came before is yielded first.
        """
        fill, patience = open_body(self.response.raw), self.patience
        buffer = memoryview(bytearray(GATHER + CHUNK))
        since = span_since = time.monotonic()
        buffer[: len(self.head)] = self.head
        filled, span_bytes = len(self.head), 0
        fault = ""
        try:
            while n_read := fill(buffer[filled:]):
                filled += n_read
                now = time.monotonic()
                if filled >= GATHER or now - since >= GATHER_SECONDS:
                    span_bytes += filled
                    yield buffer[:filled]
                    filled, since = 0, time.monotonic()
                if now - span_since > patience.read:
                    if span_bytes < patience.min_speed * (now - span_since):
                        fault = f"only {span_bytes} bytes came in {now - span_since:.0f} s"
                        break
                    span_bytes, span_since = 0, now
        except BREAKS as error:
            fault = f"the connection broke ({words(error)})"
        yield buffer[:filled]
        if fault:
            raise TransientError(fault)

    def abort(self) -> None:
        """Wake a thread that waits in `chunks`, from another thread."""
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # already at its end
            self.response.raw.shutdown()


@contextlib.contextmanager
def ask(url: str, wish: Wish, patience: Patience) -> Iterator[Answer]:
    """Send one GET (following redirects) and judge the answer before its body is read.

    Raises TransientError (try again), RangeError (ask without a range),
    RefusedError, NetworkError or IntegrityError (trying again will not help).
    """
    with Session() as session:
        response = send(session, url, wish.headers(), patience)
        with response:
            yield _judge(response, redact_url(url), wish, patience)


def _judge(response: requests.Response, url: str, wish: Wish, patience: Patience) -> Answer:
    """What this answer is good for; nothing of its body has been kept yet."""
    status, headers = response.status_code, response.headers
    asked = "Range" in wish.headers()
    if status in _TRANSIENT_STATUSES or status >= 500:
        raise TransientError(f"the server answered {status}", wait=_retry_after(headers))
    if status == 416:
        raise RangeError("the server says 416 to a range that exists")
    if status not in (200, 206):
        raise RefusedError(
            f"{url}: the server answered {status} {response.reason or ''}".rstrip(),
            url=url,
            status=status,
            hint="check the URL and your access; what was received is kept",
        )
    _refuse_page(response, url)
    _refuse_encoding(response, url)
    span = _content_range(headers.get("Content-Range"))
    if span is None and status == 206:
        raise RangeError("the server sent a part of the file without saying which (206)")
    length = _content_length(headers, url)
    head = _peek(response, url) if span is None and length is None else b""
    if span is None:
        start, stop, size = 0, length, length
        if size is not None and size != (wish.size or size):
            _refuse_size(response, url, wish.size or 0, size)
    else:
        start, stop, size = span
        if start > wish.start or (size is not None and size != (wish.size or size)):
            raise RangeError(
                f"the server sent bytes {start} to {stop} of {size}, not those asked for"
            )
    return Answer(
        url=url,
        start=start,
        stop=stop,
        size=size,
        validator=_validator(headers),
        whole=asked and span is None,
        response=response,
        patience=patience,
        head=head,
    )


Headers = requests.structures.CaseInsensitiveDict[str]


def _refuse_page(response: requests.Response, url: str) -> None:
    """A web page in place of data: a log-in, a quota notice, a captive portal."""
    if not response.headers.get("Content-Type", "").lower().startswith("text/html"):
        return
    page = ""
    with contextlib.suppress(*BREAKS):  # only for the words; the page is refused anyway
        page = response.raw.read(_SNIFF, decode_content=True).decode("utf-8", "replace")
    title = re.search(r"<title[^>]*>(.*?)</title", page, re.IGNORECASE | re.DOTALL)
    words = f" titled {' '.join(title[1].split())[:80]!r}" if title else ""
    raise RefusedError(
        f"{url}: a web page{words} came instead of the file",
        url=url,
        status=response.status_code,
        hint=_PAGE_HINT,
    )


def _peek(response: requests.Response, url: str) -> bytes:
    """The first bytes of a body that tells neither its length nor that it is a web page."""
    try:
        head: bytes = response.raw.read1(CHUNK, decode_content=False)
    except BREAKS as error:
        raise TransientError(f"the connection broke ({words(error)})") from error
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise RefusedError(
            f"{url}: a web page came instead of the file",
            url=url,
            status=response.status_code,
            hint=_PAGE_HINT,
        )
    return head


def _refuse_encoding(response: requests.Response, url: str) -> None:
    """A body compressed in transit although `identity` was asked for.

    Some servers label a .tar.gz itself as `Content-Encoding: gzip`: that is the
    file, and is taken raw.
    """
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    path = urllib.parse.urlsplit(url).path
    if encoding == "identity" or (
        encoding in ("gzip", "x-gzip") and path.endswith((".gz", ".tgz"))
    ):
        return
    raise RefusedError(
        f"{url}: the server sends the file encoded as {encoding!r} although asked not to",
        url=url,
        status=response.status_code,
        hint="the published bytes cannot be had this way; try a mirror (--mirror)",
    )


def _refuse_size(response: requests.Response, url: str, expected: int, actual: int) -> None:
    body = b""
    with contextlib.suppress(*BREAKS):  # only for the words
        body = response.raw.read1(64, decode_content=False).lstrip()
    if body.startswith(b"<"):
        raise RefusedError(
            f"{url}: something that looks like a web page came instead of the file"
            f" ({actual} bytes, not {expected})",
            url=url,
            status=response.status_code,
            hint=_PAGE_HINT,
        )
    raise ChecksumError(
        f"{url}: the server's file has {actual} bytes, not the {expected} expected",
        path=Path(urllib.parse.urlsplit(url).path),
        expected=str(expected),
        actual=str(actual),
        hint="nothing was written; the file at the source is another one, or cut short",
    )


def _content_length(headers: Headers, url: str) -> int | None:
    """Content-Length as a number; None if the server does not say (chunked, or until close)."""
    value = headers.get("Content-Length")
    if value is None or "chunked" in headers.get("Transfer-Encoding", "").lower():
        return None
    if not re.fullmatch(r"[0-9]{1,19}", value.strip()):
        raise IntegrityError(
            f"{url}: the server gives the length {value!r}, which is no number of bytes",
            hint="nothing was written; try again later or try a mirror (--mirror)",
        )
    return int(value)


def _content_range(value: str | None) -> tuple[int, int, int | None] | None:
    """(start, stop, size or None) of a Content-Range, or None if there is no usable one."""
    match = re.fullmatch(r"\s*bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\s*", value or "")
    if not match:
        return None
    return int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def _validator(headers: Headers) -> str | None:
    etag = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _retry_after(headers: Headers) -> float | None:
    """Seconds that the server asks to wait; a date counts from the server's own clock."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    with contextlib.suppress(
        ValueError, TypeError, KeyError, OverflowError
    ):  # junk: as if it had not been said
        until = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(headers["Date"])
        return max(0.0, (until - now).total_seconds())
    return None
