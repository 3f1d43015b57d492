"""`memtools fetch` beside curl, wget, aria2c and pooch on a server that does everything wrong.

    python benchmarks/faults.py [--quick]

The work is one file of 3 MB from a loopback server whose URLs say what goes wrong: connections
that break, ranges that lie, log-in pages, flipped bytes, answers that never come. The last few
scenarios are local: a full disk, kill -9, two processes. Each cell is one tool in one scenario,
as a process of its own with a fresh server and directory. F01 to F38 number the kinds of fault.

    ok  exit 0, the right bytes under the final name        c  error, nothing under the final name
    S   silent: exit 0, but the bytes are wrong or missing  k  error, the older file is still there
    D   dirty: error, and wrong bytes under the final name  e  error, though the right file is there
    H   hung: killed at the time limit                      T  a traceback was printed
    L   lost: what was there before is gone or changed      P  a password or a token was printed

H01 to H10 are kinds of hostile ground that only memtools is tried on (`hostile.py` and
`hostile_input.py`); there "the right bytes" are whatever the scenario asks for.

Errors are followed by the exit code; `1.3x` is bytes sent over size, where 1.15 or more (sent: to
the kernel; a client that hangs up has received fewer). What memtools owes is the column "owed":
ok, or exit code 2 (usage), 3 (the network gave up), 4 (refused), 5 (integrity) or 6 (local disk);
any other outcome of it is marked `!`. The floor is zero: with a cell of memtools that is silent,
dirty, hung, lost, a traceback or a leak the script exits with 1.

The peers and their flags stand in `peers.py`. The full size adds memtools with every fault on each
part of a file in three parts (9 MB). The latest figures are in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import hostile
import hostile_input
from peers import FILE, TOOLS, Goal, Tool, memtools
from place import CLEAN, FaultServer, judge_alone
from worlds import artifact, md5, noise, write_registry

PARTS = (FILE, "b.gz", "c.gz")  # what is fetched as its parts
SIDE_BY_SIDE = 10  # cells at work at once: nearly all of them only wait
NOTICEABLE = 1.15  # bytes sent over size from which on the ratio is shown
SEVERITY = ("ok", "c", "k", "e", "D", "S", "P", "T", "L", "H")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What goes wrong. owed: what memtools owes. query: options of the faults. way: see `Trial`."""

    number: str
    words: str
    faults: str
    owed: str = "ok"
    query: str = ""
    way: str = "once"


CUT = "first/1 reset-at/1000000"  # what is written before it holds for every request
LATER = "truncate-at/1000000 after/1"  # what is written behind it holds from the second request on
SCENARIOS = (
    Scenario("F01", "every connection cut after 1 MB", "truncate-at/1000000"),
    Scenario("F02", "reset every 64 KiB", "reset-at/65536"),
    Scenario("F03", "chunked, cut", "no-length truncate-at/1000000"),
    Scenario("F04", "cut of a body without length", "close-delimited truncate-at/1000000"),
    Scenario("F05", "cut, then Range ignored", f"ignore-range {CUT}"),
    Scenario("F06", "cut, then 206 from too early", f"wrong-206 {CUT}"),
    Scenario("F06", "cut, then a lying 206", f"lying-206 {CUT}"),
    Scenario("F07", "cut, then short ranges", f"cap-range/500000 {CUT}"),
    Scenario("F08", "cut, then the range as a 200", f"200-with-content-range {CUT}"),
    Scenario("F09", "cut, then another version", f"content-changes {CUT}", "c 5"),
    Scenario("F10", "cuts, a new ETag each time", "etag-changes truncate-at/1000000"),
    Scenario("F11", "cut, then 416", f"416 {CUT}"),
    Scenario("F11", "the whole file is here", "slow/10000", way="whole"),
    Scenario("F11", "a longer file is here", "slow/10000", way="longer"),
    Scenario("F12", "gave up, run again", "wall-at/1000000", way="again"),
    Scenario("F12", "gave up, partial now zeros", "wall-at/1000000", way="zeroed"),
    Scenario("F13", "log-in page", "html-200", "c 4"),
    Scenario("F13", "cut, then a log-in page", f"{LATER} html-200", "c 4"),
    Scenario("F14", "cut, then 403", f"{LATER} status/403", "c 4"),
    Scenario("F15", "503 twice", "503-then-ok/2"),
    Scenario("F15", "a byte that never comes", "wall-at/1000000", "c 3"),
    Scenario("F16", "429, Retry-After an hour", "429", "c 3", query="retry-after=3600"),
    Scenario("F17", "stall in the body", "stall/1000000"),
    Scenario("F17", "silence before the answer", "stall-headers", "c 3"),
    Scenario("F18", "2 bytes a second at the end", "drip/2900000/0.5"),
    Scenario("F19", "cut, gzip if accepted", f"gzip-if-accepted {CUT}"),
    Scenario("F20", ".gz labelled as encoding", "label-gzip"),
    Scenario("F21", "Content-Length -1", "length/-1", "c 5"),
    Scenario("F22", "short at the source", "silent-truncate/1000000", "c 5"),
    Scenario("F23", "one byte flipped", "flip-byte/1500000", "c 5"),
    Scenario("F24", "redirects for ever", "redirect-loop", "c 4"),
    Scenario("F25", "the server names the file", "evil-disposition"),
    Scenario("F26", "closed without an answer, twice", "first/2 close-early"),
    Scenario("F26", "no HTTP", "bad-status-line", "c 3"),
    Scenario("F26", "nobody listens", "redirect-to", "c 3", query="to=http://127.0.0.1:1/a.gz"),
    Scenario("F27", "HEAD lies", "head-lies"),
    Scenario("F28", "no room after 1 MB", "slow/10000", "c 6", way="limited"),
    Scenario("F29", "kill -9 at 40 %, run again", "slow/2000", way="killed"),
    Scenario("F32", "two processes", "slow/2000", way="twice"),
    Scenario("F38", "another file of the name", "swap-with/other.gz", "c 5"),
)
HOSTILE = (*hostile.SCENARIOS, *hostile_input.SCENARIOS)


@dataclasses.dataclass(frozen=True)
class Cell:
    """What came of one tool in one scenario. ratio: bytes sent over the size of the file."""

    outcome: str
    code: int | None
    ratio: float

    def text(self, owed: str) -> str:
        """Words for the table; marked if it is not what was owed (nothing: anything will do)."""
        verdict = f"{self.outcome} {self.code}" if self.code else self.outcome
        mark = "!" if owed and verdict != owed else ""
        return verdict + mark + (f" {self.ratio:.1f}x" if self.ratio >= NOTICEABLE else "")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One tool in one scenario, with a server and a directory of its own.

    contents: of each part of the file, by name. patience: as of a `Goal`. The ways of a scenario:
    once; over an older file, `whole` or `longer`; `limited` in the size of files; `twice` at a
    time; and run again without faults, after an error, a kill, or with the partial `zeroed`.
    """

    scenario: Scenario
    tool: Tool
    server: FaultServer
    directory: Path
    contents: dict[str, bytes]
    patience: int

    @property
    def printed(self) -> Path:
        """The file of what the tool prints, outside of the directory where it works."""
        return self.server.directory / f"{self.directory.name}.txt"

    def judge(self) -> Cell:
        """Run the tool, and look at what it says and what it leaves."""
        data, final = b"".join(self.contents.values()), self.directory / FILE
        older = {"whole": data, "longer": data + bytes(1000)}.get(self.scenario.way)
        if older is not None:
            final.write_bytes(older)
        codes = self.perform(n_until_kill=0.4 * len(data))
        named_by_url = Path(f"{final}?{self.scenario.query}")  # as wget does
        found = [path.read_bytes() for path in (final, named_by_url) if path.exists()]
        outcomes = [(outcome(code, found, data, older), code) for code in codes]
        if self.tool.command is memtools and b"Traceback" in self.printed.read_bytes():
            outcomes.append(("T", codes[0]))
        worst, code = max(outcomes, key=lambda each: SEVERITY.index(each[0]))
        return Cell(worst, code, self.served() / len(data))

    def perform(self, n_until_kill: float) -> list[int | None]:
        """Run the tool in the way of the scenario; the exit codes that count."""
        process, way = self.start(), self.scenario.way
        if way == "twice":
            time.sleep(0.5)
            return [self.end(each) for each in (process, self.start())]
        if way not in ("again", "killed", "zeroed"):
            return [self.end(process)]
        if way == "killed":
            while process.poll() is None and self.served() < n_until_kill:
                time.sleep(0.01)
            process.kill()
        self.end(process)
        if way == "zeroed":  # as a power cut can leave it
            for path in self.directory.iterdir():
                if path.suffix not in (".json", ".aria2"):
                    path.write_bytes(bytes(path.stat().st_size))
        return [self.end(self.start(faulty=False))]

    def start(self, *, faulty: bool = True) -> subprocess.Popen[bytes]:
        """The tool at work on the faulty file, or on the same file behind no fault."""
        path = "".join(f"f/{fault}/" for fault in self.scenario.faults.split() if faulty)
        query = f"?{self.scenario.query}" if self.scenario.query else ""
        urls = [f"{path}{name}{query}" for name in self.contents]
        registry = self.server.directory / f"{self.directory.name}-{faulty}.toml"
        if not registry.exists():  # a twin may be reading it
            write_registry(registry, artifact(urls, [*self.contents.values()], file=FILE))
        digest, base = md5(b"".join(self.contents.values())), self.server.base
        goal = Goal(f"{base}/{urls[0]}", f"{base}/{registry.name}", digest, self.patience)
        command = self.tool.command(goal)
        if self.scenario.way == "limited":  # and a write beyond the limit is an error, no signal
            limit = "trap '' XFSZ; ulimit -f 2000; exec \"$@\""
            command = ["sh", "-c", limit, "sh", *command]
        with self.printed.open("ab") as out:
            return subprocess.Popen(command, cwd=self.directory, env=CLEAN, stdout=out, stderr=out)

    def end(self, process: subprocess.Popen[bytes]) -> int | None:
        """The exit code; None if it had to be killed at the time limit."""
        try:
            return process.wait(15 * self.patience + 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def served(self) -> int:
        """Bytes of bodies that the server has sent, but for the registry."""
        urls = self.server.stats()["urls"]
        return sum(each["bytes"] for url, each in urls.items() if not url.endswith(".toml"))


def outcome(code: int | None, found: list[bytes], data: bytes, older: bytes | None) -> str:
    """The letter of one exit: what was found under the final name, and what was there before."""
    if code is None:
        return "H"
    if found == [data]:
        return "e" if code else "ok"
    if code == 0:
        return "S"
    if found:
        return "k" if found == [older] else "D"
    return "c" if older is None else "L"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter timeouts, no parts")
    quick = parser.parse_args().quick
    asked = [tool for tool in TOOLS if not (quick and tool.n_parts > 1)]
    tools = [tool for tool in asked if tool.is_here]
    absent = [tool.name for tool in asked if not tool.is_here]
    if "memtools" in absent:
        raise SystemExit("memtools is not installed beside this Python")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        columns = run(tools, Path(directory), patience=2 if quick else 5)
    ours = count(
        (cell for tool in tools if tool.command is memtools for cell in columns[tool.name]),
        silent="S",
        dirty="D",
        hung="H",
        lost="L",
        tracebacks="T",
        leaks="P",
    )
    peers = {
        tool.name: count(columns[tool.name], silent="S", dirty="D", hung="H")
        for tool in tools
        if tool.command is not memtools
    }
    n = len(SCENARIOS) + len(HOSTILE)
    print("".join(f"{name}: not installed\n" for name in absent))
    print(json.dumps({"scenarios": n, **ours, "peers": peers, "absent": absent}))
    sys.exit(any(ours.values()))


def run(tools: Sequence[Tool], directory: Path, patience: int) -> dict[str, list[Cell]]:
    """Every tool in every scenario; prints the table, and returns its columns by name."""
    published, data = directory / "published", {}
    published.mkdir()
    for seed, name in enumerate((*PARTS, "other.gz")):  # real gzip: it can be decoded by mistake
        data[name] = gzip.compress(noise(3_000_000, seed), 0, mtime=0)
        (published / name).write_bytes(data[name])

    def fill(scenario: Scenario, tool: Tool) -> Cell:
        own = Path(tempfile.mkdtemp(dir=directory))
        contents = {name: data[name] for name in PARTS[: tool.n_parts]}
        with FaultServer(published) as server:
            return Trial(scenario, tool, server, own, contents, patience).judge()

    print(f"{'':38}{'owed':6}" + "".join(f"{tool.name:11}" for tool in tools))
    columns: dict[str, list[Cell]] = {tool.name: [] for tool in tools}
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        alone = [pool.submit(judge_alone, each, directory) for each in HOSTILE]
        rows = [[pool.submit(fill, each, tool) for tool in tools] for each in SCENARIOS]
        for scenario, row in zip(SCENARIOS, rows, strict=True):
            print(f"{scenario.number} {scenario.words:34}{scenario.owed:6}", end="")
            for tool, pending in zip(tools, row, strict=True):
                cell = pending.result()
                columns[tool.name].append(cell)
                print(f"{cell.text(scenario.owed * (tool.command is memtools)):11}", end="")
            print(flush=True)
        others = "".join(f"{'-':11}" for _ in tools[1:])
        for scenario, pending in zip(HOSTILE, alone, strict=True):
            columns["memtools"].append(cell := Cell(*pending.result(), ratio=0.0))
            shown = f"{cell.text(scenario.owed):11}{others}".rstrip()
            print(f"{scenario.number} {scenario.words:34}{scenario.owed:6}{shown}", flush=True)
    return columns


def count(cells: Iterable[Cell], **letters: str) -> dict[str, int]:
    """Return how many of these have each letter."""
    outcomes = [cell.outcome for cell in cells]
    return {name: outcomes.count(letter) for name, letter in letters.items()}


if __name__ == "__main__":
    main()
