"""Self-check of fault_server.py: every fault does, on the wire, what the docstring says.

Run with pytest.  The client here is http.client, or a bare socket where even
http.client would hide the fault, so that no downloader's own behaviour is in
the way.
"""

import gzip
import hashlib
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import fault_server
import pytest
from fault_server import FAULTS, FaultServer, virtual_bytes, virtual_md5
from processes import wait_for

SIZE = 300_000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("served")
    block = hashlib.sha256(b"seed").digest()
    content = b"".join(
        hashlib.sha256(block + bytes([i % 251, i // 251])).digest() for i in range(9375)
    )
    assert len(content) == SIZE
    (directory / "a.bin").write_bytes(content)
    (directory / "b.bin").write_bytes(content[::-1])
    (directory / "sub").mkdir()
    (directory / "sub" / "c d.bin").write_bytes(content[:1000])
    (directory.parent / "secret").write_bytes(b"not to be served")
    return directory


@pytest.fixture
def srv(data):
    with FaultServer(data) as running:
        yield running


@pytest.fixture
def body(data):
    return (data / "a.bin").read_bytes()


class Answer:
    def __init__(self, status, headers, content, error):
        self.status, self.headers, self.content, self.error = status, headers, content, error


def ask(url, method="GET", timeout=30, **headers):
    """One request; http.client follows nothing, retries nothing, decodes nothing."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, target, headers=named)
    response = connection.getresponse()
    content, error = b"", None
    try:
        while piece := response.read1(65536):
            content += piece
        if response.length:  # http.client is silent about a short body
            error = http.client.IncompleteRead(content, response.length)
    except (http.client.HTTPException, OSError, ValueError) as caught:
        error = caught
    connection.close()
    return Answer(response.status, response.headers, content, error)


def raw(srv, path, seconds=2.0):
    """Everything that the server writes for a GET of path, and how it ended."""
    with socket.create_connection(srv.server_address[:2], timeout=seconds) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        out = b""
        try:
            while piece := sock.recv(65536):
                out += piece
            return out, "fin"
        except ConnectionResetError:
            return out, "rst"
        except TimeoutError:
            return out, "silence"


# ---------------------------------------------------------------- no fault


def test_correct_file(srv, body):
    answer = ask(srv.url("a.bin"))
    assert (answer.status, answer.content, answer.error) == (200, body, None)
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("0-", 0, SIZE),
        ("5-9", 5, 10),
        ("299999-", SIZE - 1, SIZE),
        ("-7", SIZE - 7, SIZE),
        ("5-99999999", 5, SIZE),
    ],
)
def test_correct_range(srv, body, asked, start, stop):
    answer = ask(srv.url("a.bin"), Range=f"bytes={asked}")
    assert (answer.status, answer.content) == (206, body[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest.mark.parametrize(
    "asked", ["bytes=1-2,5-6", "bytes=x-", "bytes=-", "lines=1-2", "bytes=9-5"]
)
def test_range_that_must_be_ignored(srv, asked):
    assert ask(srv.url("a.bin"), Range=asked).status == 200


def test_range_beyond_the_end_is_416(srv):
    answer = ask(srv.url("a.bin"), Range=f"bytes={SIZE}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def test_if_range(srv):
    url = srv.url("a.bin")
    first = ask(url)
    for validator in (first.headers["ETag"], first.headers["Last-Modified"]):
        assert ask(url, Range="bytes=9-", If_Range=validator).status == 206
    assert ask(url, Range="bytes=9-", If_Range='"other"').status == 200


def test_head_sub_directory_missing_and_traversal(srv):
    head = ask(srv.url("a.bin"), "HEAD")
    assert (head.status, head.content, head.headers["Content-Length"]) == (200, b"", str(SIZE))
    assert len(ask(srv.url("sub/c d.bin")).content) == 1000
    assert ask(srv.url("none.bin")).status == 404
    for path in ("/../secret", "/%2e%2e/secret", "/f/status/../secret", "/sub"):
        assert ask(srv.base + path).status in (400, 404)


def test_keep_alive(srv, body):
    connection = http.client.HTTPConnection(*srv.server_address[:2], timeout=30)
    for _ in range(3):
        connection.request("GET", "/a.bin")
        assert connection.getresponse().read() == body
    connection.close()


def test_bad_urls_are_400(srv):
    for path in ("/f/no-such-fault/a.bin", "/f/reset-at/a.bin", "/f/reset-at/x/a.bin", "/f"):
        assert ask(srv.base + path).status == 400


def test_virtual_file(srv):
    size = 5 * 2**30 + 12345
    assert ask(srv.url(f"@{size}"), "HEAD").headers["Content-Length"] == str(size)
    start = 2**32 + 77
    answer = ask(srv.url(f"@{size}"), Range=f"bytes={start}-{start + 999}")
    assert answer.content == virtual_bytes(start, start + 1000)
    small = ask(srv.url("@2500000")).content
    assert hashlib.md5(small).hexdigest() == virtual_md5(2_500_000)


# --------------------------------------------- status codes and redirects


def test_status_codes(srv):
    assert ask(srv.url("a.bin", "status/403")).status == 403
    assert ask(srv.url("a.bin", "500-always")).status == 500
    assert ask(srv.url("no-such-file", "status/410")).status == 410


@pytest.mark.parametrize(("name", "code"), [("503-then-ok", 503), ("429-then-ok", 429)])
def test_retry_later_then_ok(srv, body, name, code):
    url = srv.url("a.bin", f"{name}/2", retry_after=7)
    answers = [ask(url) for _ in range(3)]
    assert [answer.status for answer in answers] == [code, code, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[2].content == body


def test_retry_after_date(srv):
    value = ask(srv.url("a.bin", "429", retry_after="date")).headers["Retry-After"]
    assert value.endswith("GMT")


def test_416(srv):
    assert ask(srv.url("a.bin", "416"), Range="bytes=5-").status == 416
    assert ask(srv.url("a.bin", "416")).status == 200


def test_html(srv):
    answer = ask(srv.url("a.bin", "html-200"))
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert b"sign in" in answer.content
    with urllib.request.urlopen(srv.url("a.bin", "html-302"), timeout=30) as response:
        assert b"sign in" in response.read()


def test_redirects(srv, body):
    with urllib.request.urlopen(srv.url("a.bin", "redirect/3"), timeout=30) as response:
        assert response.read() == body
    for url in (srv.url("a.bin", "redirect-loop"), srv.base + "/f/redirect-loop"):
        assert srv.base + ask(url).headers["Location"] == url
    there = ask(srv.url("a.bin", "redirect-to", to="http://[::1]:9/x")).headers["Location"]
    assert there == "http://[::1]:9/x"
    scheme = ask(srv.url("a.bin", "redirect-to-file-scheme")).headers["Location"]
    assert scheme == "file:///etc/passwd"


# ---------------------------------------------------- Range and validators


def test_ignore_range(srv, body):
    answer = ask(srv.url("a.bin", "ignore-range"), Range="bytes=100-")
    assert (answer.status, answer.content) == (200, body)
    assert "Accept-Ranges" not in answer.headers


def test_cap_range(srv, body):
    answer = ask(srv.url("a.bin", "cap-range/10"), Range="bytes=100-")
    assert (answer.status, answer.content) == (206, body[100:110])
    assert answer.headers["Content-Range"] == f"bytes 100-109/{SIZE}"


def test_wrong_206_is_honest_and_lying_206_is_not(srv, body):
    honest = ask(srv.url("a.bin", "wrong-206"), Range="bytes=1000-")
    assert (honest.status, honest.content) == (206, body[488:])
    assert honest.headers["Content-Range"] == f"bytes 488-{SIZE - 1}/{SIZE}"
    liar = ask(srv.url("a.bin", "lying-206"), Range="bytes=1000-")
    assert (liar.status, liar.content) == (206, body[488 : SIZE - 512])
    assert liar.headers["Content-Range"] == f"bytes 1000-{SIZE - 1}/{SIZE}"


def test_content_range_oddities(srv, body):
    none = ask(srv.url("a.bin", "no-content-range"), Range="bytes=9-")
    assert (none.status, none.headers["Content-Range"]) == (206, None)
    odd = ask(srv.url("a.bin", "200-with-content-range"), Range="bytes=9-")
    assert (odd.status, odd.content) == (200, body[9:])
    assert odd.headers["Content-Range"] == f"bytes 9-{SIZE - 1}/{SIZE}"
    wrong = ask(srv.url("a.bin", "wrong-total"), Range="bytes=9-")
    assert wrong.headers["Content-Range"].endswith(f"/{SIZE + 1}")
    always = ask(srv.url("a.bin", "206-always"))
    assert (always.status, always.content) == (206, body)


def test_etag_changes(srv, body):
    url = srv.url("a.bin", "etag-changes")
    one, two = ask(url), ask(url)
    assert one.headers["ETag"] != two.headers["ETag"]
    assert one.content == two.content == body
    again = ask(url, Range="bytes=9-", If_Range=two.headers["ETag"])
    assert again.status == 200


def test_content_changes(srv, body):
    url = srv.url("a.bin", "content-changes")
    one, two = ask(url), ask(url)
    assert one.content == body
    assert two.content == bytes(255 - byte for byte in body)
    assert one.headers["ETag"] != two.headers["ETag"]
    assert one.headers["Last-Modified"] != two.headers["Last-Modified"]
    stale = one.headers["ETag"]
    assert ask(url, Range="bytes=9-", If_Range=stale).status == 200
    spliced = srv.url("a.bin", "content-changes", "ignore-if-range")
    ask(spliced)
    assert ask(spliced, Range="bytes=9-", If_Range=stale).status == 206


def test_weak_and_missing_validators(srv):
    weak = ask(srv.url("a.bin", "weak-etag")).headers["ETag"]
    assert weak.startswith('W/"')
    assert ask(srv.url("a.bin", "weak-etag"), Range="bytes=9-", If_Range=weak).status == 200
    bare = ask(srv.url("a.bin", "no-validators")).headers
    assert bare["ETag"] is None and bare["Last-Modified"] is None


def test_head_faults(srv):
    assert ask(srv.url("a.bin", "head-405"), "HEAD").status == 405
    assert ask(srv.url("a.bin", "head-405")).status == 200
    head, get = (ask(srv.url("a.bin", "head-lies"), method).headers for method in ("HEAD", "GET"))
    assert int(head["Content-Length"]) == int(get["Content-Length"]) + 1
    assert head["ETag"] != get["ETag"]


# ------------------------------------------------------ length and encoding


def test_no_length(srv, body):
    answer = ask(srv.url("a.bin", "no-length"))
    assert (answer.content, answer.error) == (body, None)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Length"] is None


def test_close_delimited(srv, body):
    out, end = raw(srv, "/f/close-delimited/a.bin")
    head, _, content = out.partition(b"\r\n\r\n")
    assert (content, end) == (body, "fin")
    assert b"Content-Length" not in head and b"Transfer-Encoding" not in head


def test_a_cut_close_delimited_body_shows_no_error(srv, body):
    answer = ask(srv.url("a.bin", "close-delimited", "truncate-at/1000"))
    assert (answer.status, answer.content, answer.error) == (200, body[:1000], None)


def test_wrong_length_header(srv):
    answer = ask(srv.url("a.bin", f"length/{SIZE + 5}"))
    assert isinstance(answer.error, http.client.IncompleteRead)
    assert ask(srv.url("a.bin", "length/-1")).headers["Content-Length"] == "-1"
    assert ask(srv.url("a.bin", "length/abc")).headers["Content-Length"] == "abc"


def test_gzip(srv, body):
    answer = ask(srv.url("a.bin", "gzip-encoding"), Range="bytes=9-")
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(answer.content) == body
    url = srv.url("a.bin", "gzip-if-accepted")
    assert ask(url, Range="bytes=9-", Accept_Encoding="gzip, deflate").status == 200
    plain = ask(url, Range="bytes=9-", Accept_Encoding="identity")
    assert (plain.status, plain.content) == (206, body[9:])
    bad = ask(srv.url("a.bin", "gzip-bad-length"))
    assert bad.headers["Content-Length"] == str(SIZE) != str(len(gzip.compress(body, 1)))


def test_labels(srv, body):
    answer = ask(srv.url("a.bin", "label-gzip"))
    assert (answer.headers["Content-Encoding"], answer.content) == ("gzip", body)
    assert "../../evil" in ask(srv.url("a.bin", "evil-disposition")).headers["Content-Disposition"]


# ------------------------------------------------------------- body content


def test_body_faults(srv, body, data):
    flipped = ask(srv.url("a.bin", "flip-byte/1234")).content
    assert [i for i in range(SIZE) if flipped[i] != body[i]] == [1234]
    part = ask(srv.url("a.bin", "flip-byte/1234"), Range="bytes=1234-1234").content
    assert part == bytes([body[1234] ^ 0xFF])
    zeroed = ask(srv.url("a.bin", "zero-block/100/50")).content
    assert zeroed == body[:100] + bytes(50) + body[150:]
    assert ask(srv.url("a.bin", "silent-truncate/70")).content == body[:70]
    assert ask(srv.url("a.bin", "silent-extend/70")).content == body + bytes(70)
    assert ask(srv.url("a.bin", "empty")).content == b""
    assert ask(srv.url("a.bin", "swap-with/b.bin")).content == (data / "b.bin").read_bytes()
    for fault in ("flip-byte/1", "silent-truncate/70", "empty"):
        assert ask(srv.url("a.bin", fault)).error is None


# ----------------------------------------------------------------- delivery


@pytest.mark.parametrize(("fault", "how"), [("truncate-at", "fin"), ("reset-at", "rst")])
def test_cut_body(srv, body, fault, how):
    out, end = raw(srv, f"/f/{fault}/50000/a.bin")
    head, _, content = out.partition(b"\r\n\r\n")
    assert (content, end) == (body[:50000], how)
    assert f"Content-Length: {SIZE}".encode() in head


def test_cut_counts_the_bytes_of_each_response(srv, body):
    answer = ask(srv.url("a.bin", "truncate-at/50000"), Range="bytes=50000-")
    assert answer.content == body[50000:100000]


def test_wall(srv, body):
    url = srv.url("a.bin", "wall-at/1000")
    assert ask(url).content == body[:1000]
    assert ask(url, Range="bytes=900-").content == body[900:1000]
    assert ask(url, Range="bytes=1000-").content == b""


def test_cut_chunked_body_and_bad_chunk(srv):
    for faults in (("no-length", "truncate-at/1000"), ("bad-chunk",)):
        answer = ask(srv.url("a.bin", *faults))
        assert isinstance(answer.error, (http.client.HTTPException, ValueError))


def test_stall(srv, body):
    began = time.monotonic()
    out, end = raw(srv, "/f/stall/1000/a.bin", seconds=2)
    assert out.endswith(body[:1000])
    assert (end, time.monotonic() - began >= 2) == ("silence", True)
    assert raw(srv, "/f/stall/1000/a.bin?seconds=0.3")[1] == "fin"
    assert raw(srv, "/f/stall-headers/a.bin", seconds=0.3) == (b"", "silence")


def test_drip(srv, body):
    out, end = raw(srv, "/f/silent-truncate/1010/f/drip/1000/0.05/a.bin")
    assert (out.partition(b"\r\n\r\n")[2], end) == (body[:1010], "fin")
    assert srv.log()[-1]["seconds"] >= 0.5


def test_slow(srv, body):
    began = time.monotonic()
    assert ask(srv.url("a.bin", "slow/600")).content == body
    assert 0.4 < time.monotonic() - began < 60


def test_overrun(srv, body):
    out, _ = raw(srv, "/f/overrun/9/a.bin")
    assert out.endswith(body[-100:] + b"!" * 9)


def test_no_response(srv):
    assert raw(srv, "/f/close-early/a.bin") == (b"", "fin")
    assert raw(srv, "/f/bad-status-line/a.bin")[0].startswith(b"??")


def test_stale_keepalive(srv, body):
    connection = http.client.HTTPConnection(*srv.server_address[:2], timeout=30)
    connection.request("GET", "/f/stale-keepalive/a.bin")
    response = connection.getresponse()
    assert response.read() == body
    assert response.headers["Connection"] is None
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.request("GET", "/a.bin")
        connection.getresponse()
    connection.close()


# --------------------------------- conditions, state, statistics, the server


def test_conditions(srv):
    def statuses(*faults):
        url = srv.url("a.bin", *faults)
        return [ask(url).status for _ in range(4)]

    assert statuses("first/2", "status/500") == [500, 500, 200, 200]
    assert statuses("after/2", "status/500") == [200, 200, 500, 500]
    assert statuses("only/2", "status/500") == [200, 500, 200, 200]
    assert statuses("after/1", "first/2", "status/500") == [200, 500, 200, 200]


def test_head_does_not_count_and_id_separates_state(srv):
    url = srv.url("a.bin", "first/1", "status/500")
    assert [ask(url, "HEAD").status for _ in range(2)] == [500, 500]
    assert [ask(url).status for _ in range(2)] == [500, 200]
    assert ask(url, "HEAD").status == 200
    assert ask(f"{url}?id=2").status == 500
    assert ask(f"{url}?id=2").status == 200


def test_faults_combine(srv, body):
    """A file that changes while it is being downloaded."""
    url = srv.url("a.bin", "content-changes", "first/1", "reset-at/1000")
    one = ask(url)
    assert one.content == body[:1000] and isinstance(one.error, ConnectionResetError)
    assert ask(url).content[:3] == bytes(255 - byte for byte in body[:3])


def test_statistics(srv):
    url = srv.url("a.bin", "truncate-at/1000")
    ask(url)
    ask(url, Range="bytes=5-", If_Range='"x"', Authorization="Bearer t")
    ask(url, "HEAD")
    stats = srv.stats(url)
    assert (stats["requests"], stats["GET"], stats["HEAD"]) == (3, 2, 1)
    assert (stats["bytes"], stats["statuses"]) == (2000, {"200": 3})
    assert stats["ranges"] == [None, "bytes=5-"]
    entry = srv.log()[1]
    assert (entry["range"], entry["if_range"], entry["has_authorization"]) == (
        "bytes=5-",
        '"x"',
        True,
    )
    over_http = json.loads(ask(f"{srv.base}/stats").content)
    assert over_http["total"]["bytes"] == 2000
    assert len(json.loads(ask(f"{srv.base}/log").content)) == 3
    ask(f"{srv.base}/reset")
    assert srv.stats()["total"]["requests"] == 0
    assert json.loads(ask(f"{srv.base}/faults").content)["reset-at"] == 1


def test_concurrent_requests_are_counted(srv):
    url = srv.url("a.bin", "slow/1000")
    threads = [threading.Thread(target=ask, args=(url,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert srv.stats(url)["bytes"] == 4 * SIZE
    assert srv.stats()["max_concurrent"] == 4
    for _ in range(20):  # one after the other; the server may be late to see an end
        ask(srv.url("a.bin"))
    assert srv.stats()["max_concurrent"] < 8


def test_stop_ends_a_stall(data):
    with FaultServer(data) as running:
        thread = threading.Thread(target=raw, args=(running, "/f/stall/9/a.bin", 30))
        thread.start()
        wait_for(lambda: running.stats()["total"]["bytes"])
        began = time.monotonic()
    thread.join(25)
    assert not thread.is_alive() and time.monotonic() - began < 25


def test_only_loopback(data):
    with pytest.raises(ValueError, match="loopback"):
        FaultServer(data, host="0.0.0.0")


def test_ipv6(data, body):
    try:
        running = FaultServer(data, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with running:
        assert "[::1]" in running.base
        assert ask(running.url("a.bin")).content == body


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_https(data, body, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )
    with FaultServer(data, tls=(str(cert), str(key))) as running:
        context = ssl.create_default_context(cafile=str(cert))
        with urllib.request.urlopen(running.url("a.bin"), context=context, timeout=30) as response:
            assert response.read() == body
        with pytest.raises((OSError, http.client.IncompleteRead)):
            url = running.url("a.bin", "reset-at/1000")
            with urllib.request.urlopen(url, context=context, timeout=30) as response:
                assert len(response.read()) == SIZE


def test_command_line(data):
    command = [sys.executable, fault_server.__file__, "--dir", data, "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        base = process.stdout.readline().split()[-1]
        answer = ask(f"{base}a.bin")
        process.terminate()
    assert answer.status == 200


def test_docstring_lists_exactly_the_faults():
    text = fault_server.__doc__.partition("Faults\n------")[2].partition("Control endpoints")[0]
    listed = re.findall(r"^    ([\w-]+)((?:/[A-Z]+)*)(?: |$)", text, re.MULTILINE)
    assert {name: args.count("/") for name, args in listed} == {
        name: len(types) for name, (types, _) in FAULTS.items()
    }


def test_no_dependencies():
    source = Path(fault_server.__file__).read_text()
    modules = set(re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    assert modules - {"__future__"} <= set(sys.stdlib_module_names)
