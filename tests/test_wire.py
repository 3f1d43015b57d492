"""One GET on the wire: redirects, words for what goes wrong."""

import http.client
import socket
import threading

import pytest
import requests
import urllib3

import memtools
from memtools.errors import NetworkError, RefusedError
from memtools.transfer.patience import Patience, TransientError
from memtools.transfer.wire import MAX_REDIRECTS, Session, send, words

QUICK = Patience(connect=2, read=0.3)


@pytest.fixture
def get(served):
    """send(...) with a session that is closed again, and a file to ask for."""
    (served / "a.bin").write_bytes(b"0123456789")
    with Session() as session:
        answers = []

        def get(url, **headers):
            answers.append(send(session, url, headers, QUICK))
            return answers[-1]

        yield get
        for each in answers:
            each.close()


# ---- requests


def test_the_bytes_are_asked_for_as_they_are_and_left_as_they_are(server, get):
    answer = get(server.url("a.bin", "gzip-if-accepted"), Range="bytes=3-5")
    assert answer.raw.read(decode_content=False) == b"345"
    entry = server.log()[0]
    assert entry["accept_encoding"] == "identity"
    assert entry["range"] == "bytes=3-5"


def test_the_server_is_told_who_asks_and_that_the_connection_ends(server, get, monkeypatch):
    seen = {}
    original = requests.Session.get

    def spy(self, url, **options):
        seen.update(options["headers"])
        return original(self, url, **options)

    monkeypatch.setattr(requests.Session, "get", spy)
    get(server.url("a.bin"))
    assert seen["User-Agent"] == f"memtools/{memtools.__version__}"
    assert seen["Connection"] == "close"


def test_only_the_one_request_is_made(server, get):
    get(server.url("a.bin"))
    assert [(each["method"], each["status"]) for each in server.log()] == [("GET", 200)]


# ---- redirects


def test_five_redirects_are_followed(server, get):
    answer = get(server.url("a.bin", f"redirect/{MAX_REDIRECTS}"), Range="bytes=3-5")
    assert answer.status_code == 206
    assert answer.raw.read() == b"345"
    assert [each["range"] for each in server.log()] == ["bytes=3-5"] * 6


def test_the_sixth_redirect_is_refused_by_name(server, get):
    url = server.url("a.bin", f"redirect/{MAX_REDIRECTS + 1}")
    with pytest.raises(RefusedError, match="more than 5 redirects") as caught:
        get(url)
    assert (caught.value.url, caught.value.status) == (url, 302)
    assert caught.value.exit_code == 4


def test_a_loop_ends(server, get):
    url = server.url("a.bin", "redirect-loop")
    with pytest.raises(RefusedError, match="redirects"):
        get(url)
    assert server.stats(url)["GET"] == 6


@pytest.mark.parametrize(
    "to",
    ["file:///etc/passwd", "ftp://example.org/x", "data:,x", "javascript:1", "gopher://x/"],
)
def test_only_web_addresses_are_followed(server, get, to):
    with pytest.raises(RefusedError, match="is not followed") as caught:
        get(server.url("a.bin", "redirect-to", to=to))
    assert to[:4] in str(caught.value)


@pytest.mark.parametrize("to", ["http://[", "http://[::1", "//["])
def test_a_redirect_to_what_is_no_address_is_refused(server, get, to):
    with pytest.raises(RefusedError, match="not a URL"):
        get(server.url("a.bin", "redirect-to", to=to))


def test_a_redirect_down_to_http_is_refused(monkeypatch):
    class Redirect:
        is_redirect = True
        status_code = 302
        headers = {"Location": "http://example.org/a.bin"}  # noqa: RUF012

        def close(self):
            pass

    with Session() as session:
        monkeypatch.setattr(session, "get", lambda *args, **options: Redirect())
        with pytest.raises(RefusedError, match=r"from https to 'http://example\.org/a\.bin'"):
            send(session, "https://example.org/a.bin", {}, QUICK)


def test_an_answer_that_only_looks_like_a_redirect_is_handed_over(server, get):
    assert get(server.url("a.bin", "status/304")).status_code == 304


def test_a_password_goes_to_its_own_server_only(server, get):
    plain = server.url("a.bin")
    target = plain.replace("127.0.0.1", "localhost")
    there = server.url("a.bin", "redirect-to", to=target)
    get(there.replace("http://", "http://user:secret@"))
    assert [each["has_authorization"] for each in server.log()] == [True, False]


def test_a_password_goes_on_to_another_address_of_its_own_server(server, get):
    for to in (server.url("a.bin"), "/a.bin"):
        there = server.url("a.bin", "redirect-to", to=to)
        get(there.replace("http://", "http://user:secret@"))
    assert [each["has_authorization"] for each in server.log()] == [True] * 4


def test_no_message_shows_a_password(server, get):
    secret = server.url("a.bin", "redirect-loop").replace("http://", "http://user:secret@")
    with pytest.raises(RefusedError) as caught:
        get(secret)
    assert "secret" not in str(caught.value) + caught.value.hint + caught.value.url


# ---- faults


@pytest.mark.parametrize("fault", ["close-early", "bad-status-line", "stall-headers"])
def test_no_answer_may_be_one_the_next_time(server, get, fault):
    with pytest.raises(TransientError, match="no answer"):
        get(server.url("a.bin", fault))


def test_a_closed_port_may_be_open_the_next_time(get):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(TransientError, match="refused"):
        get(f"http://127.0.0.1:{port}/a.bin")


def test_a_dead_proxy_is_named_without_its_password(get, monkeypatch):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{port}")
    with pytest.raises(TransientError, match=f"the proxy http://127.0.0.1:{port} failed") as caught:
        get("http://example.org/a.bin")
    assert "secret" not in str(caught.value)


def test_a_server_that_speaks_no_tls_is_not_asked_again(server, get):
    with pytest.raises(NetworkError, match="no secure connection") as caught:
        get(server.url("a.bin").replace("http://", "https://"))
    assert "certificates" in caught.value.hint
    assert "verify" not in caught.value.hint


@pytest.mark.parametrize("url", ["http://", "nothing://x/a", "example.org/a.bin", "http://a b/"])
def test_what_is_no_url_is_refused_without_a_request(get, url):
    with pytest.raises(RefusedError, match="is not a URL") as caught:
        get(url)
    assert caught.value.status == 0


# ---- words


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("plain"), "plain"),
        (http.client.HTTPException(), "HTTPException"),
        (
            requests.ConnectionError(urllib3.exceptions.ProtocolError("outer", OSError("inner"))),
            "inner",
        ),
        (
            urllib3.exceptions.MaxRetryError(None, "/a", OSError("no route")),
            "no route",
        ),
        (OSError("many\n  lines\tof   text"), "many lines of text"),
        (OSError("<object at 0x7f>: what happened"), "what happened"),
        (OSError("Max retries exceeded with url: /f?token=abc"), None),
        (OSError("Failed to parse: //me:abc@host/f"), None),
        (OSError("Failed to parse: me:abc@host/f"), None),
        (OSError("Invalid URL 'https://me:abc@host:port/f?a=b&token=abc': odd"), None),
        (OSError("Invalid URL 'https://me:a/abc@host/f': odd"), None),
    ],
)
def test_the_innermost_reason_is_said_in_one_line(error, said):
    if said is None:
        assert "abc" not in words(error)
    else:
        assert words(error) == said


def test_a_long_reason_is_cut():
    assert len(words(OSError("x" * 10_000))) == 160


def test_the_body_of_a_redirect_is_not_read(server, served, get):
    (served / "a.bin").write_bytes(b"x" * 10)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                location = server.url("a.bin").encode()
                length = b"Content-Length: 1000000000000\r\n"
                connection.sendall(b"HTTP/1.1 302 x\r\nLocation: " + location + b"\r\n" + length)
                connection.sendall(b"\r\n" + b"y" * 1000)
                connection.recv(1)  # until the client hangs up

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.bin"
        assert get(url).raw.read() == b"x" * 10
        thread.join(10)
        assert not thread.is_alive()
