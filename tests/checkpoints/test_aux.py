"""Outcomes out of a released archive, whatever happens on the way."""

import dataclasses
import hashlib
import random
import signal
import subprocess
import sys

import pytest
from conftest import N_RUNS, RATIOS, aux_of, tar_of

from memtools.checkpoints import archive as passes
from memtools.checkpoints.aux import Released, collect
from memtools.errors import ChecksumError, IntegrityError, MemtoolsError, RecordError, RefusedError
from memtools.estimation.estimator import estimate
from memtools.runs.importers import import_aux
from memtools.runs.store import RunStore
from memtools.transfer.patience import Patience

QUICK = Patience(connect=2, read=1, tries=4, first_delay=0.001)
STEP = 2_000_000  # bytes between two restart points


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(passes, "INTERVAL", STEP)


@pytest.fixture
def released(archive):
    return Released("cifar100", "tfds", archive.md5, len(archive.data))


@pytest.fixture
def url(served, server, archive):
    (served / "cifar.tar.gz").write_bytes(archive.data)
    return lambda *faults: server.url("cifar.tar.gz", *faults)


def digests(stores):
    return {
        store.root.name: [(record.spec.run_id, record.digest) for record in store]
        for store in stores
    }


@pytest.fixture(scope="session")
def expected(archive, tmp_path_factory):
    """From the members themselves, by the way of unpacked files."""
    root = tmp_path_factory.mktemp("unpacked")
    for name, data in archive.members:
        if name.endswith("aux_arrays.npz"):
            path = root / name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
    found = digests(import_aux(root / "cifar", root / "stores", dataset="cifar100", order="tfds"))
    assert sorted(found) == sorted(RATIOS) and {len(runs) for runs in found.values()} == {N_RUNS}
    return found


def test_one_pass_takes_the_outcomes_and_nothing_else(url, server, released, expected, tmp_path):
    stores = collect(url(), tmp_path / "to", released)
    assert digests(stores) == expected
    assert {store.sweep.order for store in stores} == {"tfds"}
    assert server.stats(url())["GET"] == 1 and server.stats(url())["bytes"] == released.size
    left = {path.name for path in (tmp_path / "to").iterdir()}
    assert left >= set(RATIOS) and "provisional" not in left
    assert digests(collect(url(), tmp_path / "to", released)) == expected
    assert server.stats(url())["GET"] == 1  # it is there


def test_a_local_file_a_part_of_the_runs(archive, released, expected, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archive.data)
    stores = collect(str(path), tmp_path / "to", released, ratios=["0.5"], run_ids=[3, 7])
    assert digests(stores) == {"0.5": [run for run in expected["0.5"] if run[0] in (3, 7)]}
    more = collect(str(path), tmp_path / "to", released, ratios=["0.5"], run_ids=[3, 8])
    assert [run for run, _ in digests(more)["0.5"]] == [3, 7, 8]


def test_estimates_from_the_stream_are_those_of_the_unpacked_files(
    archive, released, url, expected, tmp_path
):
    streamed = collect(url(), tmp_path / "to", released)
    (tmp_path / "tar").write_bytes(archive.tar)
    direct = import_aux(tmp_path / "tar", tmp_path / "direct", dataset="cifar100", order="tfds")
    for a, b in zip(streamed, sorted(direct, key=lambda store: store.root.name), strict=True):
        one, two = estimate([a]), estimate([b])
        assert one.memorization.tobytes() == two.memorization.tobytes()


def test_connections_that_break_cost_no_more_than_what_was_on_the_way(
    url, server, released, expected, tmp_path
):
    random.seed(2)
    for at in sorted(random.sample(range(1, released.size), 20)):
        there = url("first/2", f"truncate-at/{at}")
        to = tmp_path / str(at)
        assert digests(collect(there, to, released, patience=QUICK)) == expected
        assert server.stats(there)["bytes"] <= released.size + STEP


CHILD = """
import sys
from memtools.checkpoints import archive, aux
archive.INTERVAL = int(sys.argv[4])
aux.collect(sys.argv[1], aux.Path(sys.argv[2]), aux.Released("cifar100", "tfds", sys.argv[3]))
"""


def test_killed_at_any_instant_it_goes_on_and_nothing_is_read_twice_but_a_step(
    url, server, released, expected, tmp_path
):
    random.seed(3)
    command = [sys.executable, "-c", CHILD]
    there = url("slow/6000")
    arguments = [there, str(tmp_path / "to"), released.md5, str(STEP)]
    n_killed = 0
    for _ in range(60):
        child = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE)
        try:
            child.communicate(timeout=random.uniform(0.8, 1.6) if n_killed < 20 else 60)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            n_killed += 1
    assert n_killed >= 4 and child.returncode == 0
    stores = [RunStore.open(tmp_path / "to" / ratio) for ratio in RATIOS]
    assert digests(stores) == expected
    buffers = 2 << 20  # of sockets: given to the kernel, and never read
    assert server.stats(there)["bytes"] <= released.size + (n_killed + 1) * (STEP + buffers)


def test_an_interrupted_pass_begins_at_its_last_restart_point(url, server, released, tmp_path):
    cut = url("only/1", f"truncate-at/{released.size // 2}")
    with pytest.raises(MemtoolsError):
        collect(cut, tmp_path / "to", released, patience=dataclasses.replace(QUICK, tries=1))
    assert digests([RunStore.open(tmp_path / "to" / "provisional" / "0.1")])
    collect(cut, tmp_path / "to", released)
    again = server.stats(cut)["ranges"][-1]
    start = int(again.removeprefix("bytes=").partition("-")[0])
    assert released.size // 2 - 2 * STEP < start <= released.size // 2


@pytest.mark.parametrize("at", [0.2, 0.6, 0.97])
def test_a_flipped_byte_withdraws_everything(url, released, tmp_path, at):
    there = url(f"flip-byte/{int(at * released.size)}")
    with pytest.raises(IntegrityError) as caught:
        collect(there, tmp_path / "to", released, patience=QUICK)
    assert "withdrawn" in caught.value.hint
    assert not list((tmp_path / "to").glob("**/*.npz"))


def test_another_archive_is_not_taken_for_the_published_one(archive, released, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(archive.data)
    other = dataclasses.replace(released, md5="0" * 32)
    with pytest.raises(ChecksumError, match=archive.md5):
        collect(str(tmp_path / "a.tar.gz"), tmp_path / "to", other)
    assert not list((tmp_path / "to").glob("**/*.npz"))


def test_a_cut_file_keeps_what_was_there_until_the_rest_comes(
    archive, released, expected, tmp_path
):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archive.data[: len(archive.data) * 2 // 3])
    with pytest.raises(IntegrityError, match="cut"):
        collect(str(path), tmp_path / "to", released)
    path.write_bytes(archive.data)
    assert digests(collect(str(path), tmp_path / "to", released)) == expected


def test_a_tar_that_is_cut_between_two_members_is_noticed(archive, tmp_path):
    import gzip

    data = gzip.compress(tar_of(archive.members[:30]).rstrip(b"\0") + b"\0" * 300, 1)
    data = gzip.compress(gzip.decompress(data)[: -(len(gzip.decompress(data)) % 512) or None], 1)
    (tmp_path / "a.tar.gz").write_bytes(data)
    known = Released("cifar100", "tfds", hashlib.md5(data).hexdigest())
    with pytest.raises(IntegrityError, match="the tar is cut"):
        collect(str(tmp_path / "a.tar.gz"), tmp_path / "to", known)


def test_without_an_md5_runs_stay_provisional_unless_that_is_wanted(archive, expected, tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(archive.data)
    source, to = str(tmp_path / "a.tar.gz"), tmp_path / "to"
    with pytest.raises(MemtoolsError, match=f"its md5 is {archive.md5}, and none is known"):
        collect(source, to, Released("cifar100", "tfds"))
    assert len(RunStore.open(to / "provisional" / "0.7")) == N_RUNS
    assert digests(collect(source, to, Released("c", "tfds"), unverified=True)) == expected


def test_a_run_of_foreign_examples_is_named(archive, tmp_path):
    import gzip

    import numpy as np

    members = [*archive.members[:6], ("cifar/0.1/99/aux_arrays.npz", b"PK\3\4 nothing")]
    data = gzip.compress(tar_of(members), 1)
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(RecordError, match=r"cifar/0\.1/99/aux_arrays\.npz is damaged"):
        collect(str(tmp_path / "a.tar.gz"), tmp_path / "to", Released("c", "tfds"))
    assert aux_of(np.random.default_rng(0), "0.1") != aux_of(np.random.default_rng(1), "0.1")


def test_a_web_page_instead_of_it_is_refused(url, released, tmp_path):
    with pytest.raises(RefusedError, match="a web page"):
        collect(url("html-200"), tmp_path / "to", released, patience=QUICK)


def test_from_the_command_line_and_through_a_pipe(archive, url, memtools, expected, tmp_path):
    aux = ("checkpoints", "aux")
    options = ("--dataset", "cifar100", "--order", "tfds", "--md5", archive.md5)
    shown = memtools(*aux, url(), "--to", tmp_path / "one", *options)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == [str(tmp_path / "one" / ratio) for ratio in RATIOS]
    (tmp_path / "a.tar.gz").write_bytes(archive.data)
    with (tmp_path / "a.tar.gz").open("rb") as pipe:
        shown = memtools(*aux, "-", "--to", tmp_path / "two", *options, stdin=pipe)
    assert shown.returncode == 0, shown.stderr
    assert digests([RunStore.open(tmp_path / "two" / each) for each in RATIOS]) == expected
    shown = memtools(*aux, url(), "--to", tmp_path / "one", "--md5", "00", "--dataset", "c")
    assert shown.returncode == 5 and len(shown.stderr.splitlines()) == 2, shown.stderr
    shown = memtools("checkpoints", "aux", "cifar100-pairs", "--to", tmp_path / "three")
    assert shown.returncode == 2 and "no archive of models" in shown.stderr
