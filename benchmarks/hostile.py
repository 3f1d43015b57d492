"""Scenarios of `benchmarks/faults.py` that only memtools knows: others at its files.

Somebody else's file or link stands where memtools writes, two processes write one name, a publisher
changed a file, URLs hold secrets, the output cannot be written, the cache not be read. A scenario
is a function that is given a `Place`, does harm there, runs memtools, and returns the exit code
that counts and whether what is there is right.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from place import MINE, Judged, Place, Scenario
from worlds import artifact, noise, write_registry

SAID = "--dataset cifar100 --order official --definition none"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a terminal would obey


# ---- H01: two writers of one name


def two_exports(place: Place) -> Judged:
    wanted, codes = set(), []
    for seed, name in enumerate("ab"):
        place.arrays(f"{name}.npz", seed=seed)
        place.run(f"export {name}.npz --out {name}.csv")
        wanted.add(place.path(f"{name}.csv").read_bytes())
    for _ in range(3):
        both = [place.start(f"export {name}.npz --out out.csv") for name in "ab"]
        codes += [place.end(process) for process in both]
    whole = place.path("out.csv").read_bytes() in wanted
    return (None if None in codes else max(codes)), whole  # type: ignore[type-var]


def two_selections(place: Place) -> Judged:
    place.arrays("a.npz")
    both = [place.start(f"select a.npz --top {n} --out out.json") for n in (3, 40)]
    codes = [place.end(process) for process in both]
    chosen = json.loads(place.path("out.json").read_text())
    manifest = json.loads(place.path("out.json.manifest.json").read_text())
    whole = len(chosen["indices"]) in (3, 40) and chosen["manifest"] == manifest
    return (None if None in codes else max(codes)), whole  # type: ignore[type-var]


# ---- H02: files and links of others beside the target


def beside_an_export(*names: str) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        place.arrays("a.npz")
        for name in names:
            place.own(name)
        code = place.run("export a.npz --out out.csv")
        return code, place.path("out.csv").is_file()

    return act


def beside_a_fetch(*names: str, links: bool = False) -> Callable[[Place], Judged]:
    """Files of the user's, or links to one, stand under the names of a fetch's helpers."""

    def act(place: Place) -> Judged:
        place.publish(data := noise(300_000))
        victim = place.own("victim")
        for name in names:
            if links:
                place.path(name).symlink_to(victim)
            else:
                place.own(name)
        code = place.fetch()
        right = place.holds("a.gz", data) and not place.path("a.gz").is_symlink()
        return code, right or bool(code)

    return act


def target_is_a_link(place: Place) -> Judged:
    place.arrays("a.npz")
    place.path("real").mkdir()
    place.path("real/out.csv").write_bytes(b"older")
    place.path("out.csv").symlink_to("real/out.csv")
    code = place.run("export a.npz --out out.csv")
    followed = place.path("out.csv").is_symlink() and not place.holds("real/out.csv", b"older")
    return code, followed == (code == 0)


def beside_a_publication(place: Place) -> Judged:
    place.arrays("a.npz")
    for name in (".out.old/thesis.tex", ".out.tmp/thesis.tex"):
        place.own(name)
    code = place.run(f"publish a.npz --to out --no-report {SAID}")
    return code, code != 0 or place.path("out/registry.toml").is_file()


def into_records(place: Place) -> Judged:
    place.arrays("a.npz")
    place.store()
    code = place.run("export a.npz --out runs/records/out.npz")
    return code, not place.path("runs/records/out.npz").exists()


# ---- H03: the publisher, and who lost the receipt


def changed_by_the_publisher(place: Place) -> Judged:
    place.publish(noise(300_000))
    place.fetch()
    place.publish(newer := noise(300_000, seed=1))
    return place.fetch(), place.holds("a.gz", newer)


def without_a_receipt(place: Place) -> Judged:
    place.publish(data := noise(300_000))
    place.path("a.gz").write_bytes(data)
    code = place.fetch()
    urls = place.server.stats()["urls"]
    served = sum(each["bytes"] for url, each in urls.items() if not url.endswith(".toml"))
    return code, place.holds("a.gz", data) and served == 0


def a_name_of_ours(place: Place) -> Judged:
    place.publish(noise(3000), file="a.gz.part")
    return place.fetch(), not place.path("a.gz.part").exists()


def out_of_the_folder(url: str) -> Callable[[Place], Judged]:
    """A registry in a folder names a file outside of it, behind a mark of URLs."""

    def act(place: Place) -> Judged:
        outside = place.own("outside.gz")
        folder = place.path("registry")
        for inner in ("", "x?", "x#"):
            (folder / inner).mkdir(parents=True)
        table = artifact([url], [outside.read_bytes()], file="a.gz")
        write_registry(folder / "r.toml", table)
        code = place.fetch("--registry registry/r.toml")
        return code, not place.path("a.gz").exists()

    return act


# ---- H05: secrets, and characters that terminals obey


def with_secret(more: str, url: str = "a.gz") -> Callable[[Place], Judged]:
    """URLs hold a password or a token: neither is shown or written, whatever comes of them."""

    def act(place: Place) -> Judged:
        place.secrets += ["hunter2", "t0ken"]
        place.publish(noise(3000), url)
        base = place.server.base
        code = place.fetch(more.format(base=base, login=base.replace("//", "//me:hunter2@")))
        place.run(f"list --registry {base}/r.toml --to . --json")
        return code, place.path("a.gz").exists() == (code == 0)

    return act


def terminal_codes(place: Place) -> Judged:
    place.publish(noise(3000), definition=r"\u001b[31mred\u009b0m", paper=r"a\rb")
    code = place.fetch()
    registry = f"--registry {place.server.base}/r.toml --to ."
    place.run(f"list {registry}")
    place.run(f"info thing {registry}")
    return code, not RAW.search(place.printed)


def terminal_codes_in_names(place: Place) -> Judged:
    code = place.run("verify bad\x1b[31m\x9b.npz")
    return code, not RAW.search(place.printed)


# ---- H09, H10: where nothing can be printed; what cannot be read


def printed_to(redirect: str, command: str) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        place.arrays("a.npz")
        code = place.run(command, redirect)
        return code, code != 0  # else what was asked for is lost, and nobody is told

    return act


def unreadable_cache(command: str, make: Callable[[Path], object]) -> Callable[[Place], Judged]:
    def act(place: Place) -> Judged:
        make(place.path("cache"))
        return place.run(command), True

    return act


LOCKS = ("a.gz.part.lock", ".a.gz.lock", ".a.gz.memtools.lock")
STATES = ("a.gz.part.json", ".a.gz.part.json.tmp", ".a.gz.receipt.json.tmp")
REFUSED = "--registry {base}/f/status/403/r.toml?token=t0ken"
SERVED = "--registry {base}/r.toml --mirror"
MIRROR = f"{SERVED} {{login}}/f/status/403"
DEAD = "http://me:hunter2@127.0.0.1:1"
SCENARIOS = (
    Scenario("H01", "two exports to one name", "ok", two_exports),
    Scenario("H01", "two selections to one name", "ok", two_selections),
    Scenario(
        "H02", "own .tmp beside an export", "ok", beside_an_export("out.csv.tmp", ".out.csv.tmp")
    ),
    Scenario(
        "H02", "own .old beside an export", "ok", beside_an_export(".out.csv.old", "out.csv.part")
    ),
    Scenario("H02", "own .part beside a fetch", "ok", beside_a_fetch("a.gz.part")),
    Scenario("H02", "own states beside a fetch", "ok", beside_a_fetch(*STATES)),
    Scenario("H02", "own folders beside a publication", "ok", beside_a_publication),
    Scenario("H02", "link planted as .part", "ok", beside_a_fetch("a.gz.part", links=True)),
    Scenario("H02", "link planted as state", "ok", beside_a_fetch(*STATES, links=True)),
    Scenario(
        "H02", "link planted as receipt", "ok", beside_a_fetch(".a.gz.receipt.json", links=True)
    ),
    Scenario("H02", "links planted as locks", "c 6", beside_a_fetch(*LOCKS, links=True)),
    Scenario("H02", "the target is a link", "ok", target_is_a_link),
    Scenario("H02", "export into records/", "c 6", into_records),
    Scenario("H03", "a part's digest changed", "ok", changed_by_the_publisher),
    Scenario("H03", "right file without receipt", "ok", without_a_receipt),
    Scenario("H03", "a name that ends in .part", "c 2", a_name_of_ours),
    Scenario("H03", "registry leaves folder by ?", "c 2", out_of_the_folder("x?/../../outside.gz")),
    Scenario("H03", "registry leaves folder by #", "c 2", out_of_the_folder("x#/../../outside.gz")),
    Scenario("H05", "password of a mirror", "c 4", with_secret(MIRROR)),
    Scenario("H05", "password of a mirror that works", "ok", with_secret(f"{SERVED} {{login}}")),
    Scenario("H05", "password of a dead mirror", "c 3", with_secret(f"{SERVED} {DEAD}")),
    Scenario("H05", "token of a registry", "c 4", with_secret(REFUSED)),
    Scenario("H05", "token of a part", "c 4", with_secret("", "f/status/403/a.gz?sig=t0ken")),
    Scenario("H05", "terminal codes in a registry", "ok", terminal_codes),
    Scenario("H05", "terminal codes in a name", "c 6", terminal_codes_in_names),
    Scenario("H09", "stdout is full", "c 6", printed_to(">/dev/full", "list")),
    Scenario("H09", "stdout is full, JSON", "c 6", printed_to(">/dev/full", "info a.npz --json")),
    Scenario("H09", "stdout is closed", "c 1", printed_to(">&-", "list")),
    Scenario(
        "H10", "cache is a file", "c 6", unreadable_cache("list", lambda at: at.write_bytes(MINE))
    ),
    Scenario(
        "H10",
        "cache is a loop of links",
        "c 6",
        unreadable_cache("clean", lambda at: at.symlink_to(at)),
    ),
    Scenario("H10", "cache is a pipe", "c 6", unreadable_cache("verify", os.mkfifo)),
)
