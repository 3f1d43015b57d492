"""Outcomes out of a released archive, whatever happens on the way."""

import dataclasses
import functools
import gzip
import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from miniature import N_RUNS, RATIOS, aux_of, tar_of

from memtools.checkpoints import archive as passes
from memtools.checkpoints import md5 as digests_that_go_on
from memtools.checkpoints.harvest import Released, Terms
from memtools.checkpoints.outcomes import collect
from memtools.errors import (
    BusyError,
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    MemtoolsError,
    RecordError,
    RefusedError,
)
from memtools.estimation.estimator import estimate
from memtools.files import locked
from memtools.runs.importers import import_aux
from memtools.runs.store import RunStore
from memtools.transfer.patience import Patience

SCRIPT = Path(sys.executable).with_name("memtools")
QUICK = Terms(patience=Patience(connect=2, read=1, tries=4, first_delay=0.001))
STEP = 2_000_000  # bytes between two halts


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(passes, "INTERVAL", STEP)


@pytest.fixture
def released(archive):
    """What is known of the archive, wherever it is."""
    return functools.partial(
        Released, dataset="cifar100", order="tfds", md5=archive.md5, size=len(archive.data)
    )


@pytest.fixture
def url(served, server, archive):
    (served / "cifar.tar.gz").write_bytes(archive.data)
    return lambda *faults: server.url("cifar.tar.gz", *faults)


@pytest.fixture
def file(archive, tmp_path):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(archive.data)
    return path


def digests(stores):
    return {
        store.root.name: [(record.spec.run_id, record.digest) for record in store]
        for store in stores
    }


def nothing_is_left_of_it(root):
    return not list(root.glob("**/records/*.npz"))


@pytest.fixture(scope="session")
def direct(archive, tmp_path_factory):
    """Stores from the unpacked files, by another way."""
    root = tmp_path_factory.mktemp("unpacked")
    for name, data in archive.members:
        if name.endswith("aux_arrays.npz"):
            path = root / name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
    return import_aux(root / "cifar", root / "stores", dataset="cifar100", order="tfds")


@pytest.fixture(scope="session")
def expected(direct):
    found = digests(direct)
    assert sorted(found) == sorted(RATIOS) and {len(runs) for runs in found.values()} == {N_RUNS}
    return found


def test_one_pass_takes_the_outcomes_and_nothing_else(url, server, released, expected, tmp_path):
    there = released(url())
    stores = collect(there, tmp_path / "to")
    assert digests(stores) == expected
    assert {store.sweep.order for store in stores} == {"tfds"}
    assert server.stats(url())["GET"] == 1 and server.stats(url())["bytes"] == there.size
    left = {path.name for path in (tmp_path / "to").iterdir()}
    assert left == {*RATIOS, "archive.index"}
    assert digests(collect(there, tmp_path / "to")) == expected
    assert server.stats(url())["GET"] == 1  # it is there


def test_a_part_of_the_runs_and_later_more_for_which_only_their_bytes_are_read(
    url, server, released, expected, tmp_path
):
    there = released(url())
    stores = collect(there, tmp_path / "to", ratios=["0.5"], run_ids=[3, 7])
    assert digests(stores) == {"0.5": [run for run in expected["0.5"] if run[0] in (3, 7)]}
    assert server.stats(url())["bytes"] == there.size
    more = collect(there, tmp_path / "to", ratios=["0.5"], run_ids=[3, 8])
    assert [run for run, _ in digests(more)["0.5"]] == [3, 7, 8]
    assert 0 < server.stats(url())["bytes"] - there.size <= 3 * STEP
    assert digests(collect(there, tmp_path / "to")) == expected  # the rest, in one go
    assert server.stats(url())["bytes"] <= 2 * there.size + 3 * STEP


def test_estimates_from_the_stream_are_those_of_the_unpacked_files(url, released, direct, tmp_path):
    streamed = collect(released(url()), tmp_path / "to")
    for a, b in zip(streamed, sorted(direct, key=lambda store: store.root.name), strict=True):
        one, two = estimate([a]), estimate([b])
        assert one.memorization.tobytes() == two.memorization.tobytes()


def test_connections_that_break_cost_no_more_than_what_was_on_the_way(
    url, server, released, expected, tmp_path
):
    random.seed(2)
    size = released("").size
    for at in sorted(random.sample(range(1, size), 20)):
        there = url("first/2", f"truncate-at/{at}")
        to = tmp_path / str(at)
        assert digests(collect(released(there), to, terms=QUICK)) == expected
        assert server.stats(there)["bytes"] <= size + STEP


CHILD = """
import sys
from memtools.checkpoints import archive, harvest, outcomes
archive.INTERVAL = int(sys.argv[4])
released = harvest.Released(sys.argv[1], "cifar100", "tfds", sys.argv[3])
outcomes.collect(released, outcomes.Path(sys.argv[2]))
"""


def test_killed_at_any_instant_it_goes_on_and_nothing_is_read_twice_but_a_step(
    url, server, archive, expected, tmp_path
):
    random.seed(3)
    command = [sys.executable, "-c", CHILD]
    there, size = url("slow/6000"), len(archive.data)
    arguments = [there, str(tmp_path / "to"), archive.md5, str(STEP)]
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
    assert server.stats(there)["bytes"] <= size + (n_killed + 1) * (STEP + buffers)


def interrupted(url, released, to):
    """A pass that ends in the middle."""
    cut = url("only/1", f"truncate-at/{released('').size // 2}")
    terms = Terms(patience=dataclasses.replace(QUICK.patience, tries=1))
    with pytest.raises(MemtoolsError, match="gave up"):
        collect(released(cut), to, terms=terms)
    return cut


def test_an_interrupted_pass_begins_at_its_last_halt(url, server, released, expected, tmp_path):
    cut = interrupted(url, released, tmp_path / "to")
    assert digests([RunStore.open(tmp_path / "to" / "provisional" / "0.1")])
    assert digests(collect(released(cut), tmp_path / "to")) == expected
    again = server.stats(cut)["ranges"][-1]
    start = int(again.removeprefix("bytes=").partition("-")[0])
    half = released("").size // 2
    assert half - 2 * STEP < start <= half


def test_what_an_interrupted_pass_was_not_asked_for_is_read_when_it_is(
    url, released, expected, tmp_path
):
    cut = url("only/1", f"truncate-at/{released('').size // 2}")
    terms = Terms(patience=dataclasses.replace(QUICK.patience, tries=1))
    with pytest.raises(MemtoolsError):
        collect(released(cut), tmp_path / "to", ratios=["0.7"], terms=terms)
    assert digests(collect(released(cut), tmp_path / "to")) == expected


def test_runs_that_no_halt_vouches_for_are_taken_anew(url, released, expected, tmp_path):
    interrupted(url, released, tmp_path / "to")
    store = RunStore.open(tmp_path / "to" / "provisional" / "0.5")
    last = store.run_ids()[-1]
    store.path(last).write_bytes(store.path(store.run_ids()[0]).read_bytes())  # of another run
    assert digests(collect(released(url()), tmp_path / "to")) == expected


def test_what_another_pass_left_is_not_made_final(url, released, file, tmp_path):
    interrupted(url, released, tmp_path / "to")
    provisional = tmp_path / "to" / "provisional" / "0.1"
    record = RunStore.open(provisional).path(0)
    record.write_bytes(RunStore.open(provisional).path(1).read_bytes())
    index = tmp_path / "elsewhere" / "archive.index"
    collect(released(str(file)), index.parent)
    stores = collect(released(str(file)), tmp_path / "to", terms=Terms(index=index))
    assert digests(stores) == digests([RunStore.open(index.parent / each) for each in RATIOS])


@pytest.mark.parametrize("at", [0.2, 0.6, 0.97])
def test_a_flipped_byte_withdraws_everything(url, released, expected, tmp_path, at):
    there = url("first/1", f"flip-byte/{int(at * released('').size)}")
    with pytest.raises(IntegrityError) as caught:
        collect(released(there), tmp_path / "to", terms=QUICK)
    assert "withdrawn" in caught.value.hint
    assert nothing_is_left_of_it(tmp_path / "to")
    assert digests(collect(released(there), tmp_path / "to")) == expected


def test_bytes_that_are_not_those_of_the_index_are_not_taken(url, released, server, tmp_path):
    collect(released(url()), tmp_path / "to", ratios=["0.1"])
    at = int(0.5 * released("").size)
    there = url(f"flip-byte/{at}")
    with pytest.raises(IntegrityError) as caught:
        collect(released(there), tmp_path / "to", ratios=["0.5"])
    assert "withdrawn" in caught.value.hint and not (tmp_path / "to" / "0.5").exists()
    assert len(collect(released(url()), tmp_path / "to", ratios=["0.5"])) == 2


def test_another_archive_is_not_taken_for_the_published_one(released, archive, file, tmp_path):
    other = dataclasses.replace(released(str(file)), md5="0" * 32)
    with pytest.raises(ChecksumError, match=archive.md5):
        collect(other, tmp_path / "to")
    assert nothing_is_left_of_it(tmp_path / "to")


def test_the_index_of_another_archive_is_refused_and_kept(released, file, tmp_path):
    collect(released(str(file)), tmp_path / "to", ratios=["0.1"])
    terms = Terms(index=tmp_path / "to" / "archive.index")
    before = terms.index.read_bytes()
    other = tmp_path / "imagenet.tar.gz"
    other.write_bytes(b"")
    for wrong, words in (
        (released(str(other)), "is the index of cifar.tar.gz, not of imagenet.tar.gz"),
        (dataclasses.replace(released(str(file)), md5="0" * 32), "of an archive whose md5 is"),
    ):
        with pytest.raises(ConfigError, match=words):
            collect(wrong, tmp_path / "else", terms=terms)
    assert terms.index.read_bytes() == before
    terms.index.write_bytes(b"no database" * 1000)
    with pytest.raises(DiskError, match="no index of memtools"):
        collect(released(str(file)), tmp_path / "else", terms=terms)


def test_a_cut_file_keeps_what_was_there_until_the_rest_comes(released, file, expected, tmp_path):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(IntegrityError, match="cut"):
        collect(released(str(file)), tmp_path / "to")
    file.write_bytes(whole)
    assert digests(collect(released(str(file)), tmp_path / "to")) == expected


def test_a_tar_that_is_cut_between_two_members_is_noticed(archive, tmp_path):
    whole = tar_of(archive.members[:30]).rstrip(b"\0")
    data = gzip.compress(whole + b"\0" * (-len(whole) % 512), 1)
    (tmp_path / "a.tar.gz").write_bytes(data)
    known = Released(str(tmp_path / "a.tar.gz"), "cifar100", "tfds", hashlib.md5(data).hexdigest())
    with pytest.raises(IntegrityError, match="the tar is cut"):
        collect(known, tmp_path / "to")


def test_without_an_md5_runs_stay_provisional_unless_that_is_wanted(
    archive, file, released, expected, tmp_path
):
    unknown = dataclasses.replace(released(str(file)), md5=None)
    with pytest.raises(MemtoolsError, match=f"its md5 is {archive.md5}, and none is known"):
        collect(unknown, tmp_path / "to")
    assert len(RunStore.open(tmp_path / "to" / "provisional" / "0.7")) == N_RUNS
    file.unlink()  # nothing of it has to be read again
    assert digests(collect(unknown, tmp_path / "to", terms=Terms(unverified=True))) == expected


def test_where_the_md5_cannot_be_saved_an_interrupted_pass_stays_provisional(
    url, released, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(digests_that_go_on, "_library", lambda: None)
    cut = interrupted(url, released, tmp_path / "to")
    with pytest.raises(MemtoolsError, match="the md5 of an interrupted pass is lost"):
        collect(released(cut), tmp_path / "to")
    terms = Terms(unverified=True)
    assert digests(collect(released(cut), tmp_path / "to", terms=terms)) == expected
    assert digests(collect(released(url()), tmp_path / "whole")) == expected


def spoiled(**changes):
    """An aux_arrays.npz in which something is wrong."""
    import io

    arrays = dict(np.load(io.BytesIO(aux_of(np.random.default_rng(7), "0.1"))))
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    stream = io.BytesIO()
    np.savez(stream, **{name: each for name, each in arrays.items() if each is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\3\4 nothing", "is damaged"),
        (spoiled(correctness_test=lambda _: None), "is damaged: 'correctness_test"),
        (spoiled(correctness_train=lambda a: a[:1]), "5000 indices and 1 outcomes"),
        (spoiled(index_removed=lambda a: np.r_[a[1:], 0]), "missing or there twice"),
        (spoiled(index_test=lambda a: a[:9]), "missing or there twice"),
    ],
    ids=["no zip", "an array lacks", "outcomes lack", "an index twice", "an index lacks"],
)
def test_a_run_that_is_none_is_named_and_the_others_are_taken(archive, tmp_path, data, words):
    members = [*archive.members[:6], ("cifar/0.1/99/aux_arrays.npz", data)]
    packed = gzip.compress(tar_of(members), 1)
    (tmp_path / "a.tar.gz").write_bytes(packed)
    known = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", hashlib.md5(packed).hexdigest())
    with pytest.raises(RecordError, match=rf"1 runs could not.*cifar/0\.1/99/.*{words}"):
        collect(known, tmp_path / "to")
    assert RunStore.open(tmp_path / "to" / "0.1").run_ids() == [0, 1]


def test_a_run_that_is_there_twice_is_refused(archive, tmp_path):
    packed = gzip.compress(tar_of([*archive.members[:6], *archive.members[:3]]), 1)
    (tmp_path / "a.tar.gz").write_bytes(packed)
    known = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", hashlib.md5(packed).hexdigest())
    with pytest.raises(IntegrityError, match="stands there twice"):
        collect(known, tmp_path / "to")
    assert nothing_is_left_of_it(tmp_path / "to")


def test_a_web_page_instead_of_it_is_refused(url, released, tmp_path):
    with pytest.raises(RefusedError, match="a web page"):
        collect(released(url("html-200")), tmp_path / "to", terms=QUICK)


def test_a_disk_without_room_for_what_is_taken_is_said_before_the_first_byte(
    url, server, released, tmp_path
):
    huge = dataclasses.replace(released(url()), size=None, approximate_size=1 << 60)
    with pytest.raises(DiskError, match="what is taken of the archive needs"):
        collect(huge, tmp_path / "to")
    assert server.stats(url())["GET"] == 0


def test_a_second_process_on_the_same_directory_is_refused(released, file, tmp_path):
    (tmp_path / "to").mkdir()
    lock = locked(tmp_path / "to" / ".gathering", wait=False, waiting=lambda: None)
    with lock, pytest.raises(BusyError):
        collect(released(str(file)), tmp_path / "to")


def test_an_interrupt_ends_it_soon_and_keeps_what_was_done(url, archive, tmp_path):
    command = [SCRIPT, "checkpoints", "aux", url("slow/3000"), "--md5", archive.md5]
    command += ["--to", tmp_path / "to"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "to" / "provisional" / "0.1").exists():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, words = child.communicate(timeout=5)
    assert (child.returncode, words) == (130, "interrupted; what was done is kept\n")
    assert not (tmp_path / "to" / "0.1").exists()


def test_from_the_command_line_and_through_a_pipe(archive, file, url, memtools, expected, tmp_path):
    aux = ("checkpoints", "aux")
    options = ("--dataset", "cifar100", "--order", "tfds", "--md5", archive.md5)
    shown = memtools(*aux, url(), "--to", tmp_path / "one", *options)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == [str(tmp_path / "one" / ratio) for ratio in RATIOS]
    for _ in range(2):  # the second time there is nothing to read
        with file.open("rb") as stream:
            command = [
                sys.executable,
                "-c",
                "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)",
            ]
            with subprocess.Popen(command, stdin=stream, stdout=subprocess.PIPE) as pipe:
                shown = memtools(*aux, "-", "--to", tmp_path / "two", *options, stdin=pipe.stdout)
                pipe.kill()
        assert shown.returncode == 0, shown.stderr
    assert digests([RunStore.open(tmp_path / "two" / each) for each in RATIOS]) == expected
    shown = memtools(*aux, url(), "--to", tmp_path / "one", "--md5", "00", "--dataset", "c")
    assert shown.returncode == 2 and len(shown.stderr.splitlines()) == 2, shown.stderr
    shown = memtools("checkpoints", "aux", "cifar100-pairs", "--to", tmp_path / "three")
    assert shown.returncode == 2 and "no archive of models" in shown.stderr
