"""An nginx on loopback, for the benchmarks that download.

with serving(directory) as base: ...     # http://127.0.0.1:PORT/, files of directory / "www"
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_CONFIGURATION = """
worker_processes 1; pid nginx.pid; error_log error.log; daemon off;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path t; proxy_temp_path t;
  fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  server {{ listen 127.0.0.1:{port}; root www; }}
}}
"""


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Serve `directory / "www"`; yields the URL that its files are below."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise SystemExit("nginx is not installed (apt-get install nginx-light)")
    (directory / "www").mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (directory / "nginx.conf").write_text(_CONFIGURATION.format(port=port))
    directory.chmod(0o755)  # nginx's workers run as another user
    command = (nginx, "-e", "error.log", "-p", str(directory), "-c", "nginx.conf")
    server = subprocess.Popen(command)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("nginx does not answer")
