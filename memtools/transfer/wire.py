"""One GET on the wire: redirects, proxies, certificates, and words for what goes wrong.

    with Session() as session:
        response = send(session, url, {"Range": "bytes=100-"}, patience)

The response is whatever came at the end of the redirects; its body is unread and
will not be decoded. What it is worth is judged in memtools.transfer.answers.
"""

from __future__ import annotations

import http.client
import re
import urllib.parse

import requests
import urllib3

from memtools import __version__
from memtools.errors import ConfigError, IntegrityError, NetworkError, RefusedError
from memtools.transfer.patience import Patience, TransientError
from memtools.wording import redact_url, redact_words

MAX_REDIRECTS = 5
BREAKS = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)  # of a connection


class Session(requests.Session):
    """A session that leaves redirects to us: its own way reads their bodies, however long."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed by the library."""


def send(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    """The first answer that is no redirect; at most five hops, and none down to http."""
    headers = {
        "Accept-Encoding": "identity",
        "Connection": "close",  # after a fault, nothing of this connection is to be trusted
        "User-Agent": f"memtools/{__version__}",
        **headers,
    }
    first = redact_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        response = _get(session, url, headers, patience)
        if not response.is_redirect:
            return response
        response.close()
        url = _target(url, response.headers["Location"])
    last = f"more than {MAX_REDIRECTS} redirects, the last to {redact_url(url)}"
    raise _not_followed(f"{first}: {last}", first)


def _target(url: str, location: str) -> str:
    """Return where a redirect leads, if it may be followed.

    A user and password are sent on to the same origin, and to no other.
    """
    try:
        old = urllib.parse.urlsplit(url)
        new = urllib.parse.urlsplit(urllib.parse.urljoin(url, location))
        same = (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port)
    except ValueError:
        what = f"{redact_url(url)}: redirects to {redact_words(location)!r}, which is not a URL"
        raise _not_followed(what, url) from None
    target = urllib.parse.urlunsplit(new._replace(netloc=old.netloc) if same else new)
    if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
        shown = redact_url(target)
        raise _not_followed(
            f"{redact_url(url)}: redirects from {old.scheme} to {shown!r}, which is not followed",
            url,
        )
    return target


def _not_followed(what: str, url: str) -> RefusedError:
    hint = "look at the URL in a browser; a mirror may help (--mirror)"
    return RefusedError(what, url=redact_url(url), status=302, hint=hint)


def _get(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    shown = redact_url(url)
    try:  # the texts of the libraries' own errors may hold the whole URL: none of them is chained
        return session.get(
            url,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=(patience.connect, patience.read),
        )
    except requests.exceptions.SSLError as error:
        raise NetworkError(
            f"{shown}: no secure connection: {words(error)}",
            url=shown,
            hint="check the clock, the certificates (REQUESTS_CA_BUNDLE) and the proxy",
        ) from None
    except requests.exceptions.ProxyError as error:
        raise TransientError(
            f"the proxy {redact_words(_proxy(url))} failed ({words(error)})"
        ) from None
    except requests.exceptions.InvalidProxyURL:
        raise ConfigError(
            f"the proxy {redact_words(_proxy(url))!r} is not a URL",
            hint="write it out in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, with http://",
        ) from None
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        UnicodeError,
    ) as error:
        raise RefusedError(
            f"{shown!r} is not a URL that can be asked for: {words(error)}",
            url=shown,
            status=0,
            hint="correct the registry entry or the --mirror",
        ) from None
    except requests.exceptions.InvalidHeader as error:
        raise IntegrityError(
            f"{shown}: the answer makes no sense: {words(error)}",
            hint="nothing was written; try again later or try a mirror (--mirror)",
        ) from None
    except (requests.exceptions.RequestException, *BREAKS) as error:
        raise TransientError(f"no answer ({words(error)})") from None
    except ValueError as error:  # requests looks at a redirect even if it is not to follow it
        raise RefusedError(
            f"{shown}: redirects to what is not a URL: {words(error)}",
            url=shown,
            status=0,
            hint="look at the URL in a browser; a mirror may help (--mirror)",
        ) from None


def _proxy(url: str) -> str:
    """Return the proxy that the environment names for a URL."""
    return requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or ""


def words(error: BaseException) -> str:
    """The innermost reason of a library's nested exception, in one short line."""
    kind = type(error).__name__
    while (inner := _inner(error)) is not None:
        error = inner
    text = " ".join(str(error).split())
    text = re.sub(r"<[^>]*>:? ?|HTTPS?Connection\([^)]*\): ", "", text)  # where, not why
    return redact_words(text or kind)[:160]


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    nested = [arg for arg in error.args if isinstance(arg, BaseException)]
    return nested[0] if nested else None
