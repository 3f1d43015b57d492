"""A real browser, headless, and reports for it to open; all is skipped where there is none."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapes import ABOUT, HOSTILE, shapes

from memtools.estimates.model import Estimates
from memtools.estimates.scores import Scores
from memtools.report.page import write_report

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, or a skip that says what is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip("no chromium or google-chrome is installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports by what they have: all; images of nothing; scores alone; names that attack."""
    root = tmp_path_factory.mktemp("reports")
    estimates, data = shapes(lost=5)
    names = estimates.filenames.astype("U400")
    names[: len(HOSTILE)] = HOSTILE
    hostile = Estimates({**estimates.arrays, "tr_filenames": names}, ABOUT)
    values = np.random.default_rng(0).random(300)
    write_report(estimates, root / "all", images=data)
    write_report(shapes(labels=False, influence=False)[0], root / "bare")
    write_report(Scores(ABOUT, "score", values), root / "scores")
    write_report(hostile, root / "hostile", images=data)
    return {name: root / name for name in ("all", "bare", "scores", "hostile")}


@pytest.fixture(scope="session")
def served(reports: dict[str, Path]) -> Iterator[str]:
    """The URL under which a static server has all reports."""
    root = reports["all"].parent

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    handler = functools.partial(Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Visitor:
    """A tab, and everything that went wrong in it."""

    def __init__(self, browser: Any, base: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.base, self.requests, self.complaints = base, [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def go(self, view: str) -> Any:
        """Open a view by its link; the page, when its heading is there."""
        self.page.goto(f"{self.base}/index.html#{view}")
        self.page.wait_for_selector("#view h1")
        return self.page

    def captions(self, within: str = "#view") -> list[str]:
        """The captions of all examples that can be seen in a part of the page."""
        found = self.page.locator(f"{within} .tile:visible").all_inner_texts()
        return [" ".join(text.split()) for text in found]


@pytest.fixture
def visit(browser: Any, reports: dict[str, Path]) -> Iterator[Any]:
    """Opens a report from the disk; in the end nothing may have gone wrong or gone out."""
    visitors: list[Visitor] = []

    def begin(name: str = "all", base: str = "", **options: Any) -> Visitor:
        visitors.append(Visitor(browser, base or f"file://{reports[name]}", **options))
        return visitors[-1]

    yield begin
    for visitor in visitors:
        visitor.context.close()
        assert visitor.complaints == []
        assert [url for url in visitor.requests if not url.startswith(visitor.base)] == []
