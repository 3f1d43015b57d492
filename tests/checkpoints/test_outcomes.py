"""Outcomes out of a released archive, whatever happens on the way."""

import dataclasses
import gzip
import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from miniature import N_RUNS, RATIOS, STEP, aux_of, members_of, tar_of
from processes import LONG, group, run, wait_for

from memtools.checkpoints import md5 as digests_that_go_on
from memtools.checkpoints.harvest import Released, Terms
from memtools.checkpoints.index import Index
from memtools.checkpoints.outcomes import collect
from memtools.datasets.tfds_order import tfds_order
from memtools.errors import (
    BusyError,
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    MemtoolsError,
    RefusedError,
)
from memtools.estimates.about import About
from memtools.estimates.model import ExampleIndex
from memtools.estimation.estimator import estimate
from memtools.files import locked
from memtools.runs.importers import import_aux
from memtools.runs.ordering import Ordering
from memtools.runs.store import RunStore
from memtools.transfer.patience import Patience

SCRIPT = Path(sys.executable).with_name("memtools")
pytestmark = pytest.mark.usefixtures("short_steps")
QUICK = Terms(patience=Patience(connect=2, read=1, tries=4, first_delay=0.001))


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


def test_one_pass_takes_the_outcomes_and_nothing_else(url, server, known, expected, tmp_path):
    there = known(url())
    stores = collect(there, tmp_path / "to")
    assert digests(stores) == expected
    assert {store.sweep.order for store in stores} == {"tfds"}
    assert server.stats(url())["GET"] == 1 and server.stats(url())["bytes"] == there.size
    left = {path.name for path in (tmp_path / "to").iterdir()}
    assert left == {*RATIOS, "archive.index"}
    assert digests(collect(there, tmp_path / "to")) == expected
    assert server.stats(url())["GET"] == 1  # it is there


def test_a_part_of_the_runs_and_later_more_for_which_only_their_bytes_are_read(
    url, server, known, expected, tmp_path
):
    there = known(url())
    stores = collect(there, tmp_path / "to", ratios=[0.5], run_ids=[3, 7])
    assert digests(stores) == {"0.5": [run for run in expected["0.5"] if run[0] in (3, 7)]}
    assert server.stats(url())["bytes"] == there.size
    more = collect(there, tmp_path / "to", ratios=[0.5], run_ids=[3, 8])
    assert [run for run, _ in digests(more)["0.5"]] == [3, 7, 8]
    assert 0 < server.stats(url())["bytes"] - there.size <= 3 * STEP
    assert digests(collect(there, tmp_path / "to")) == expected  # the rest, in one go
    assert server.stats(url())["bytes"] <= 2 * there.size + 3 * STEP


def test_estimates_from_the_stream_are_those_of_the_unpacked_files(url, known, direct, tmp_path):
    streamed = collect(known(url()), tmp_path / "to")
    for a, b in zip(streamed, sorted(direct, key=lambda store: store.root.name), strict=True):
        one, two = estimate([a]), estimate([b])
        assert one.memorization.tobytes() == two.memorization.tobytes()


def test_connections_that_break_cost_no_more_than_what_was_on_the_way(
    url, server, known, expected, tmp_path
):
    random.seed(2)
    size = known("").size
    for at in sorted(random.sample(range(1, size), 20)):
        there = url("first/2", f"truncate-at/{at}")
        to = tmp_path / str(at)
        assert digests(collect(known(there), to, terms=QUICK)) == expected
        assert server.stats(there)["bytes"] <= size + STEP


CHILD = """
import sys
from memtools.checkpoints import archive, harvest, outcomes
archive.INTERVAL = int(sys.argv[4])
known = harvest.Released(sys.argv[1], "cifar100", "tfds", sys.argv[3])
outcomes.collect(known, outcomes.Path(sys.argv[2]))
"""


def test_killed_at_any_instant_it_goes_on_and_nothing_is_read_twice_but_a_step(
    url, server, archive, expected, tmp_path
):
    random.seed(3)
    command = [sys.executable, "-c", CHILD]
    there, size = url("slow/6000"), len(archive.data)
    arguments = [there, str(tmp_path / "to"), archive.md5, str(STEP)]
    n_killed, n_served = 0, 0
    for _ in range(8):
        n_wanted = n_served + random.uniform(0.02, 0.2) * size
        with group([*command, *arguments], stderr=subprocess.DEVNULL) as child:
            wait_for(
                lambda n=n_wanted: server.stats(there)["bytes"] >= n or child.poll() is not None
            )
            n_killed += child.poll() is None
        n_served = server.stats(there)["bytes"]
    assert run([*command, *arguments]).returncode == 0
    n_served = server.stats(there)["bytes"]
    print(f"killed {n_killed} times: {n_served:,} bytes served of {size:,}")  # pytest -rP
    assert n_killed >= 4
    stores = [RunStore.open(tmp_path / "to" / ratio) for ratio in RATIOS]
    assert digests(stores) == expected
    buffers = 2 << 20  # of sockets: given to the kernel, and never read
    assert n_served <= size + (n_killed + 1) * (STEP + buffers)


def interrupted(url, known, to):
    """A pass that ends in the middle."""
    cut = url("only/1", f"truncate-at/{known('').size // 2}")
    terms = Terms(patience=dataclasses.replace(QUICK.patience, tries=1))
    with pytest.raises(MemtoolsError, match="gave up"):
        collect(known(cut), to, terms=terms)
    return cut


def test_an_interrupted_pass_begins_at_its_last_halt(url, server, known, expected, tmp_path):
    cut = interrupted(url, known, tmp_path / "to")
    assert digests([RunStore.open(tmp_path / "to" / "provisional" / "0.1")])
    assert digests(collect(known(cut), tmp_path / "to")) == expected
    again = server.stats(cut)["ranges"][-1]
    start = int(again.removeprefix("bytes=").partition("-")[0])
    half = known("").size // 2
    assert half - 2 * STEP < start <= half


def test_what_an_interrupted_pass_was_not_asked_for_is_read_when_it_is(
    url, known, expected, tmp_path
):
    cut = url("only/1", f"truncate-at/{known('').size // 2}")
    terms = Terms(patience=dataclasses.replace(QUICK.patience, tries=1))
    with pytest.raises(MemtoolsError):
        collect(known(cut), tmp_path / "to", ratios=[0.7], terms=terms)
    assert digests(collect(known(cut), tmp_path / "to")) == expected


def test_what_was_taken_on_the_word_of_an_index_that_forgot_is_taken_anew(
    url, known, expected, tmp_path
):
    path, one = tmp_path / "index", tmp_path / "one"
    cut = url("only/1", f"truncate-at/{known('').size // 2}")
    patience = dataclasses.replace(QUICK.patience, tries=1)
    with pytest.raises(MemtoolsError):
        collect(known(cut), one, terms=Terms(index=path, patience=patience))
    store = RunStore.open(one / "provisional" / "0.1")
    store.path(10).write_bytes(store.path(9).read_bytes())  # as if it had come over a bad line
    with Index(path, "cifar.tar.gz") as index:
        index.forget(index.between(None, None)[0])
    for to in (tmp_path / "two", one):  # the first reads on, the second has it from the index
        assert digests(collect(known(url()), to, terms=Terms(index=path))) == expected


def test_what_another_pass_left_is_not_made_final(url, known, file, tmp_path):
    interrupted(url, known, tmp_path / "to")
    provisional = tmp_path / "to" / "provisional" / "0.1"
    record = RunStore.open(provisional).path(0)
    record.write_bytes(RunStore.open(provisional).path(1).read_bytes())
    index = tmp_path / "elsewhere" / "archive.index"
    collect(known(str(file)), index.parent)
    stores = collect(known(str(file)), tmp_path / "to", terms=Terms(index=index))
    assert digests(stores) == digests([RunStore.open(index.parent / each) for each in RATIOS])


@pytest.mark.parametrize("at", [0.2, 0.6, 0.97])
def test_a_flipped_byte_withdraws_everything(url, known, expected, tmp_path, at):
    there = url("first/1", f"flip-byte/{int(at * known('').size)}")
    with pytest.raises(IntegrityError) as caught:
        collect(known(there), tmp_path / "to", terms=QUICK)
    assert "withdrawn" in caught.value.hint
    assert nothing_is_left_of_it(tmp_path / "to")
    assert digests(collect(known(there), tmp_path / "to")) == expected


def test_bytes_that_are_not_those_of_the_index_are_not_taken(url, known, server, tmp_path):
    collect(known(url()), tmp_path / "to", ratios=[0.1])
    at = int(0.5 * known("").size)
    there = url(f"flip-byte/{at}")
    with pytest.raises(IntegrityError) as caught:
        collect(known(there), tmp_path / "to", ratios=[0.5])
    assert "withdrawn" in caught.value.hint and not (tmp_path / "to" / "0.5").exists()
    assert len(collect(known(url()), tmp_path / "to", ratios=[0.5])) == 2


def test_another_archive_is_not_taken_for_the_published_one(known, archive, file, tmp_path):
    other = dataclasses.replace(known(str(file)), md5="0" * 32)
    with pytest.raises(ChecksumError, match=archive.md5):
        collect(other, tmp_path / "to")
    assert nothing_is_left_of_it(tmp_path / "to")


def test_the_index_of_another_archive_is_refused_and_kept(known, file, tmp_path):
    collect(known(str(file)), tmp_path / "to", ratios=[0.1])
    terms = Terms(index=tmp_path / "to" / "archive.index")
    before = terms.index.read_bytes()
    other = tmp_path / "imagenet.tar.gz"
    other.write_bytes(b"")
    for wrong, words in (
        (known(str(other)), "is the index of cifar.tar.gz, not of imagenet.tar.gz"),
        (dataclasses.replace(known(str(file)), md5="0" * 32), "of an archive whose md5 is"),
    ):
        with pytest.raises(ConfigError, match=words):
            collect(wrong, tmp_path / "else", terms=terms)
    assert terms.index.read_bytes() == before
    terms.index.write_bytes(b"no database" * 1000)
    with pytest.raises(DiskError, match="not an index of memtools"):
        collect(known(str(file)), tmp_path / "else", terms=terms)


def test_a_cut_file_keeps_what_was_there_until_the_rest_comes(known, file, expected, tmp_path):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(IntegrityError, match="cut"):
        collect(known(str(file)), tmp_path / "to")
    file.write_bytes(whole)
    assert digests(collect(known(str(file)), tmp_path / "to")) == expected


def test_a_tar_that_is_cut_between_two_members_is_noticed(archive, tmp_path):
    whole = tar_of(archive.members[:30]).rstrip(b"\0")
    data = gzip.compress(whole + b"\0" * (-len(whole) % 512), 1)
    (tmp_path / "a.tar.gz").write_bytes(data)
    archived = Released(
        str(tmp_path / "a.tar.gz"), "cifar100", "tfds", hashlib.md5(data).hexdigest()
    )
    with pytest.raises(IntegrityError, match="the tar is cut"):
        collect(archived, tmp_path / "to")


def test_without_an_md5_runs_stay_provisional_unless_that_is_wanted(
    archive, file, known, expected, tmp_path
):
    unknown = dataclasses.replace(known(str(file)), md5=None)
    with pytest.raises(MemtoolsError, match=f"its md5 is {archive.md5}, and none is known"):
        collect(unknown, tmp_path / "to")
    assert len(RunStore.open(tmp_path / "to" / "provisional" / "0.7")) == N_RUNS
    file.unlink()  # nothing of it has to be read again
    assert digests(collect(unknown, tmp_path / "to", terms=Terms(unverified=True))) == expected


def test_where_the_md5_cannot_be_saved_an_interrupted_pass_stays_provisional(
    url, known, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(digests_that_go_on, "_library", lambda: None)
    cut = interrupted(url, known, tmp_path / "to")
    with pytest.raises(MemtoolsError, match="the md5 of an interrupted pass is lost"):
        collect(known(cut), tmp_path / "to")
    terms = Terms(unverified=True)
    assert digests(collect(known(cut), tmp_path / "to", terms=terms)) == expected
    assert digests(collect(known(url()), tmp_path / "whole")) == expected


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
    archived = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", hashlib.md5(packed).hexdigest())
    with pytest.raises(MemtoolsError, match=rf"1 of 3 runs could not.*cifar/0\.1/99/.*{words}"):
        collect(archived, tmp_path / "to")
    assert RunStore.open(tmp_path / "to" / "0.1").run_ids() == [0, 1]


def test_a_run_that_is_there_twice_is_refused(archive, tmp_path):
    packed = gzip.compress(tar_of([*archive.members[:6], *archive.members[:3]]), 1)
    (tmp_path / "a.tar.gz").write_bytes(packed)
    archived = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", hashlib.md5(packed).hexdigest())
    with pytest.raises(IntegrityError, match="stands there twice"):
        collect(archived, tmp_path / "to")
    assert nothing_is_left_of_it(tmp_path / "to")


def test_a_web_page_instead_of_it_is_refused(url, known, tmp_path):
    with pytest.raises(RefusedError, match="a web page"):
        collect(known(url("html-200")), tmp_path / "to", terms=QUICK)


def test_a_disk_without_room_for_what_is_taken_is_said_before_the_first_byte(
    url, server, known, tmp_path
):
    huge = dataclasses.replace(known(url()), size=None, approximate_size=1 << 60)
    with pytest.raises(DiskError, match="what is taken of the archive needs"):
        collect(huge, tmp_path / "to")
    assert server.stats(url())["GET"] == 0


def test_a_second_process_on_the_same_directory_is_refused(known, file, tmp_path):
    (tmp_path / "to").mkdir()
    lock = locked(tmp_path / "to" / ".gathering", wait=False, waiting=lambda: None)
    with lock, pytest.raises(BusyError):
        collect(known(str(file)), tmp_path / "to")


def test_an_interrupt_ends_it_soon_and_keeps_what_was_done(url, archive, tmp_path):
    command = [SCRIPT, "checkpoints", "aux", url("slow/3000"), "--md5", archive.md5]
    command += ["--to", tmp_path / "to"]
    with group(command, stderr=subprocess.PIPE, text=True) as child:
        wait_for((tmp_path / "to" / "provisional" / "0.1").exists, child)
        child.send_signal(signal.SIGINT)
        _, words = child.communicate(timeout=LONG)
    assert (child.returncode, words) == (130, "interrupted; what was done is kept\n")
    assert not (tmp_path / "to" / "0.1").exists()


@pytest.mark.parametrize(
    "fault", ["cap-range/300000", "ignore-range", "etag-changes", "200-with-content-range"]
)
def test_whatever_a_server_makes_of_ranges(url, known, expected, tmp_path, fault):
    there = known(url(fault, "first/3", "truncate-at/5000000"))
    assert digests(collect(there, tmp_path / "to", ratios=[0.1], terms=QUICK))
    assert digests(collect(there, tmp_path / "to", terms=QUICK)) == expected


def test_an_answer_that_is_another_file_withdraws_nothing(url, known, served, expected, tmp_path):
    cut = interrupted(url, known, tmp_path / "to")
    (served / "cifar.tar.gz").write_bytes(b'{"error": "quota"}')
    with pytest.raises(ChecksumError, match="18 bytes"):
        collect(known(cut), tmp_path / "to")
    assert len(RunStore.open(tmp_path / "to" / "provisional" / "0.1")) == N_RUNS


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dataset": "cifar10"}, "holds runs of cifar100"),
        ({"order": "official"}, "in the order 'tfds', and those of cifar100 in the order 'off"),
    ],
)
def test_runs_of_another_kind_are_not_mixed_with_those_that_are_there(
    url, known, tmp_path, changed, words
):
    interrupted(url, known, tmp_path / "to")
    with pytest.raises(ConfigError, match=words):
        collect(dataclasses.replace(known(url()), **changed), tmp_path / "to")


def test_ids_are_for_runs_in_the_order_of_tfds_alone(known, file, tmp_path):
    ordering = Ordering(np.arange(50_000)[::-1], np.arange(10_000))
    official = dataclasses.replace(known(str(file)), order="official")
    with pytest.raises(ConfigError, match="out of that of TFDS"):
        collect(official, tmp_path / "to", ordering=ordering)
    [store] = collect(
        known(str(file)), tmp_path / "to", run_ids=[3], ratios=[0.5], ordering=ordering
    )
    [plain] = collect(known(str(file)), tmp_path / "plain", run_ids=[3], ratios=[0.5])
    assert store.sweep.order == "official"
    assert np.array_equal(store.read(3).mask, plain.read(3).mask[::-1])
    with pytest.raises(ConfigError, match="holds runs of cifar100 in the order 'official'"):
        collect(known(str(file)), tmp_path / "to")


def test_runs_of_cifar_come_into_the_official_order_without_ids(archive, file, memtools, tmp_path):
    options = ("--dataset", "cifar100", "--order", "tfds", "--md5", archive.md5)
    for to, official in (("plain", ()), ("to", ("--official",))):
        shown = memtools(
            "checkpoints",
            "aux",
            file,
            "--to",
            tmp_path / to,
            "--runs",
            "3",
            "--ratio",
            "0.5",
            *options,
            *official,
        )
        assert shown.returncode == 0, shown.stderr
    store, plain = (RunStore.open(tmp_path / to / "0.5") for to in ("to", "plain"))
    assert (store.sweep.order, plain.sweep.order) == ("official", "tfds")
    for split in ("train", "test"):
        order = tfds_order("cifar100", split)
        column = f"{split}_correct"
        ours, theirs = getattr(store.read(3), column), getattr(plain.read(3), column)
        assert np.array_equal(ours[order], theirs) and not np.array_equal(ours, theirs)
    assert np.array_equal(store.read(3).mask[tfds_order("cifar100", "train")], plain.read(3).mask)


def test_labels_go_into_the_stores_and_must_be_the_same_the_next_time(known, file, tmp_path):
    labels = ExampleIndex(About(), np.arange(50_000) % 100, None, np.arange(10_000) % 100, None)
    chosen = {"run_ids": [3], "ratios": [0.5]}
    [store] = collect(known(str(file)), tmp_path / "to", examples=labels, **chosen)
    assert np.array_equal(store.examples.labels, labels.labels)
    other = dataclasses.replace(labels, labels=labels.labels[::-1])
    with pytest.raises(ConfigError, match="other labels"):
        collect(known(str(file)), tmp_path / "to", examples=other)
    with pytest.raises(ConfigError, match="the labels of 7"):
        few = dataclasses.replace(labels, labels=np.arange(7))
        collect(known(str(file)), tmp_path / "else", examples=few)


def test_what_the_archive_lacks_is_said(known, file, tmp_path):
    with pytest.raises(ConfigError, match="holds no runs that were chosen"):
        collect(known(str(file)), tmp_path / "to", run_ids=[99])
    with pytest.raises(MemtoolsError, match=r"lacks 2 of what was asked for, first ratio 0\.9"):
        collect(known(str(file)), tmp_path / "to", run_ids=[19, 20], ratios=[0.5, 0.9])
    assert RunStore.open(tmp_path / "to" / "0.5").run_ids() == [19]


def test_two_experiments_in_one_archive_are_not_one(archive, tmp_path):
    twice = [(name.replace("cifar", "other"), data) for name, data in archive.members[3:6]]
    packed = gzip.compress(tar_of([*archive.members[:6], *twice]), 1)
    (tmp_path / "a.tar.gz").write_bytes(packed)
    archived = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", hashlib.md5(packed).hexdigest())
    with pytest.raises(IntegrityError, match=r"'0\.1/1' stands there twice"):
        collect(archived, tmp_path / "to")


def test_another_archive_through_the_same_pipe_is_noticed(archive, memtools, tmp_path):
    aux = ("checkpoints", "aux", "-", "--to", tmp_path / "to", "--md5", archive.md5)
    other = gzip.compress(tar_of(list(members_of(5))), 1)
    for data, ratio, code in ((archive.data, 0.1, 0), (other, 0.5, 5), (archive.data, 0.5, 0)):
        pipe = subprocess.run(
            [SCRIPT, *aux, "--ratio", str(ratio)], input=data, capture_output=True, timeout=60
        )
        assert pipe.returncode == code, pipe.stderr
    assert len(RunStore.open(tmp_path / "to" / "0.5")) == N_RUNS


def test_what_is_no_archive_in_a_pipe_is_two_lines(tmp_path):
    command = [SCRIPT, "checkpoints", "aux", "-", "--to", tmp_path / "to"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdin.write(b"junk" * 1000)
        child.stdin.flush()  # and it stays open
        assert child.wait(LONG) == 5
        assert len(child.stderr.read().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--md5", "not hex"), 2, "'not hex' is no md5"),
        (("--order", "mine"), 2, "Invalid value for '--order'"),
        (("--ids", "a.txt", "b.txt"), 2, "out of that of TFDS"),
        (("--official", "--dataset", "cifar100", "--order", "file"), 2, "out of that of TFDS"),
        (("--official", "--dataset", "mine"), 2, "TFDS gives to 'mine' cannot be computed"),
    ],
)
def test_requests_that_are_wrong_are_refused_before_the_first_byte(
    url, server, memtools, tmp_path, options, code, words
):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("\n".join(f"{k}" for k in range(9)))
    command = ("checkpoints", "aux", url(), "--to", "to", *options)
    shown = memtools(*command, cwd=tmp_path)
    assert shown.returncode == code and words in " ".join(shown.stderr.split()), shown.stderr
    assert server.stats(url())["GET"] == 0


def test_offline_means_no_network(url, server, memtools, tmp_path):
    quiet = {**os.environ, "MEMTOOLS_OFFLINE": "1"}
    shown = memtools("checkpoints", "aux", url(), "--to", tmp_path / "to", env=quiet)
    assert shown.returncode == 2 and server.stats(url())["GET"] == 0


def test_an_upper_case_md5_a_password_and_a_signature(url, archive, memtools, tmp_path):
    secret = url().replace("http://", "http://me:SECRET@") + "?signature=TOKEN"
    command = ("checkpoints", "aux", secret, "--to", tmp_path / "to", "--md5")
    shown = memtools(*command, "0" * 32)
    assert shown.returncode == 5 and "SECRET" not in shown.stderr
    shown = memtools(*command, archive.md5.upper())
    assert shown.returncode == 0, shown.stderr
    again = memtools(*(str(each).replace("TOKEN", "OTHER") for each in command), archive.md5)
    assert again.returncode == 0, again.stderr


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
