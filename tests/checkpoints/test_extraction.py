"""Chosen models out of a released archive, as files."""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import tarfile
import zlib

import pytest
from miniature import STEP, tar_of

from memtools.checkpoints import archive as passes
from memtools.checkpoints.extraction import extract
from memtools.checkpoints.harvest import Released, Terms
from memtools.checkpoints.outcomes import collect
from memtools.errors import (
    ConfigError,
    DiskError,
    IntegrityError,
    MemtoolsError,
    NetworkError,
)
from memtools.temporary_files import temporary_name
from memtools.transfer.patience import Patience

RUNS = [0, 17]
pytestmark = pytest.mark.usefixtures("short_steps")


@pytest.fixture
def released(archive, url):
    return Released(url(), "cifar100", "tfds", archive.md5, len(archive.data))


def files_of(archive, ratios, runs=RUNS):
    """What should be there, by name."""
    at = {f"cifar/{ratio}/{run}" for ratio in ratios for run in runs}
    return {name: data for name, data in archive.members if "/".join(name.split("/")[:3]) in at}


def found_in(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.glob("cifar/**/*")
        if path.is_file()
    }


def test_the_chosen_runs_become_files_and_the_second_visit_reads_only_what_it_needs(
    archive, released, server, url, tmp_path
):
    directories = extract(released, tmp_path / "to", run_ids=RUNS, ratios=[0.5])
    assert directories == [tmp_path / "to" / "cifar" / "0.5" / str(run) for run in RUNS]
    assert found_in(tmp_path / "to") == files_of(archive, ["0.5"])
    assert server.stats(url())["bytes"] == released.size
    more = extract(released, tmp_path / "to", run_ids=[3], ratios=[0.7])
    assert more == [tmp_path / "to" / "cifar" / "0.7" / "3"]
    assert 0 < server.stats(url())["bytes"] - released.size <= 3 * STEP
    assert found_in(tmp_path / "to") == files_of(archive, ["0.5"]) | files_of(archive, ["0.7"], [3])
    before = server.stats(url())["GET"]
    assert extract(released, tmp_path / "to", run_ids=RUNS, ratios=[0.5]) == directories
    assert server.stats(url())["GET"] == before


def test_the_index_of_another_pass_serves(archive, released, server, url, tmp_path):
    collect(released, tmp_path / "runs", ratios=[0.1])
    terms = Terms(index=tmp_path / "runs" / "archive.index")
    extract(released, tmp_path / "to", run_ids=[5], terms=terms)
    assert found_in(tmp_path / "to") == files_of(archive, ["0.1", "0.5", "0.7"], [5])
    assert server.stats(url())["bytes"] - released.size <= 3 * 3 * STEP


def test_an_interrupted_pass_goes_on_and_nothing_stands_under_a_final_name_before_the_end(
    archive, released, server, url, tmp_path
):
    cut = url("only/1", f"truncate-at/{released.size * 3 // 4}")
    there = dataclasses.replace(released, source=cut)
    impatient = Terms(patience=Patience(connect=2, read=1, tries=1))
    with pytest.raises(NetworkError):
        extract(there, tmp_path / "to", run_ids=RUNS, ratios=[0.1, 0.7], terms=impatient)
    assert found_in(tmp_path / "to") == {}
    extract(there, tmp_path / "to", run_ids=RUNS, ratios=[0.1, 0.7])
    assert found_in(tmp_path / "to") == files_of(archive, ["0.1", "0.7"])
    assert server.stats(cut)["bytes"] <= released.size + 2 * STEP


def test_a_flipped_byte_leaves_nothing(released, url, tmp_path):
    there = dataclasses.replace(released, source=url(f"flip-byte/{released.size // 2}"))
    with pytest.raises(IntegrityError) as caught:
        extract(there, tmp_path / "to", run_ids=RUNS)
    assert "withdrawn" in caught.value.hint
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["archive.index"]


def test_runs_that_are_not_there_are_said(released, tmp_path):
    with pytest.raises(ConfigError, match="holds none of the runs"):
        extract(released, tmp_path / "to", run_ids=[99])


def packed(tmp_path, members):
    """An archive of (TarInfo, data); what is known of it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return of(tmp_path, stream.getvalue())


def of(tmp_path, tar):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar, 1))
    return Released(str(path), "c", "tfds", hashlib.md5(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    "name",
    [
        "../0.1/0/evil",
        "/cifar/0.1/0/evil",
        "cifar/0.1/0/../../../../evil",
        "cifar/0.1/0/a\\b",
        "cifar//0.1/0/evil",
        "cifar/0.1/0/con",
        "cifar/0.1/0/" + "x" * 250,
        "cifar/0.1/0/a\nb",
        "provisional/0.1/0/evil",
    ],
)
def test_a_name_that_is_no_path_is_refused(tmp_path, name):
    released = packed(tmp_path, [(tarfile.TarInfo(name), b"evil")])
    (tmp_path / "to").mkdir()
    with pytest.raises(IntegrityError, match="no path to write to"):
        extract(released, tmp_path / "to", run_ids=[0])
    assert not list(tmp_path.glob("**/*evil*")) and not list(tmp_path.parent.glob("evil"))


def test_links_devices_and_modes_are_not_taken(tmp_path):
    members = []
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo(f"cifar/0.1/0/{kind.decode()}")
        info.type, info.linkname = kind, "/etc/passwd"
        members.append((info, b""))
    info = tarfile.TarInfo("cifar/0.1/0/plain")
    info.mode = 0o6777
    [directory] = extract(packed(tmp_path, [*members, (info, b"x")]), tmp_path / "to", run_ids=[0])
    [path] = directory.iterdir()
    assert (path.name, path.read_bytes(), path.stat().st_mode & 0o7111) == ("plain", b"x", 0)


def test_names_that_one_disk_takes_for_the_same_are_refused(tmp_path):
    released = of(tmp_path, tar_of([("c/0.1/0/a", b"1"), ("c/0.1/0/A", b"2")]))
    with pytest.raises(IntegrityError, match="clash"):
        extract(released, tmp_path / "to", run_ids=[0])
    assert not (tmp_path / "to" / "c").exists()


def test_a_leading_dot_is_no_part_of_a_name(tmp_path):
    released = of(tmp_path, tar_of([("./c/0.1/0/a", b"1")]))
    assert extract(released, tmp_path / "to", run_ids=[0]) == [tmp_path / "to/c/0.1/0"]


def test_a_disk_without_room_for_a_member_is_said_before_it_is_written(
    released, tmp_path, monkeypatch
):
    def full(directory, n_bytes, what):
        if n_bytes > 100_000:
            raise DiskError(f"{what} needs more", hint="free some")

    monkeypatch.setattr("memtools.checkpoints.extraction.require_free", full)
    with pytest.raises(DiskError, match=r"ckpt-9\.data"):
        extract(released, tmp_path / "to", run_ids=[0])
    assert not (tmp_path / "to" / "cifar").exists()


EVERY = {"run_ids": range(20), "ratios": [0.5]}  # which is the middle third of the archive


@pytest.fixture
def file(archive, known, tmp_path):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(archive.data)
    return known(str(path))


def test_what_came_over_a_bad_line_behind_the_last_halt_is_taken_anew(
    archive, file, bad_line, tmp_path
):
    for flipped in range(file.size // 2, file.size // 2 + STEP, STEP // 10):
        bad_line(flipped, file.size // 2 + STEP)
        to = tmp_path / str(flipped)
        with pytest.raises((NetworkError, IntegrityError)):
            extract(file, to, **EVERY)
        with contextlib.suppress(IntegrityError):  # where the byte was before the last halt
            extract(file, to, **EVERY)
        extract(file, to, **EVERY)
        assert found_in(to) == files_of(archive, ["0.5"], range(20))


def test_what_came_over_a_bad_line_out_of_the_middle_is_taken_anew(
    archive, file, bad_line, tmp_path
):
    """An index of all of it proves each step between two halts, and nothing before that."""
    terms = Terms(index=tmp_path / "index")
    extract(file, tmp_path / "one", run_ids=[0], ratios=[0.1], terms=terms)
    for flipped in range(file.size // 2, file.size // 2 + STEP, STEP // 10):
        bad_line(flipped, file.size // 2 + STEP // 2 * 3)
        to = tmp_path / str(flipped)
        with pytest.raises((NetworkError, IntegrityError)):
            extract(file, to, terms=terms, **EVERY)
        extract(file, to, terms=terms, **EVERY)
        assert found_in(to) == files_of(archive, ["0.5"], range(20))


def test_what_came_over_a_bad_line_is_not_proven_by_reading_more_of_it_later(
    archive, file, bad_line, tmp_path
):
    for flipped in range(file.size // 2, file.size * 5 // 8, STEP // 5):
        bad_line(flipped, file.size * 3 // 4)
        to = tmp_path / str(flipped)
        with pytest.raises((NetworkError, IntegrityError)):
            extract(file, to, run_ids=range(10, 20), ratios=[0.5])
        for _ in range(2):
            with contextlib.suppress(IntegrityError):  # found out by the MD5
                extract(file, to, run_ids=range(20))
        assert found_in(to) == files_of(archive, ["0.1", "0.5", "0.7"], range(20))


def test_two_directories_may_share_an_index(archive, file, bad_line, tmp_path):
    terms = Terms(index=tmp_path / "index")
    for flipped in range(file.size // 2, file.size // 2 + STEP, STEP // 5):
        terms.index.unlink(missing_ok=True)
        bad_line(flipped, file.size // 2 + 3 * STEP)  # it is before the last halt
        one, two = tmp_path / f"{flipped}-1", tmp_path / f"{flipped}-2"
        with pytest.raises((NetworkError, IntegrityError)):
            extract(file, one, terms=terms, **EVERY)
        for to in (two, one, two, one):
            with contextlib.suppress(IntegrityError):
                extract(file, to, terms=terms, **(EVERY if to == one else {"run_ids": range(20)}))
        assert found_in(one) == files_of(archive, ["0.5"], range(20))
        assert found_in(two) == files_of(archive, ["0.1", "0.5", "0.7"], range(20))


def test_a_halt_in_the_padding_behind_a_member_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "INTERVAL", 1)
    tar = tar_of([(f"c/0.1/{run}/a", bytes([run]) * 600) for run in range(20)])
    packer = zlib.compressobj(wbits=31)
    pieces = [
        packer.compress(tar[start : start + 100]) + packer.flush(zlib.Z_FULL_FLUSH)
        for start in range(0, len(tar), 100)
    ]
    (tmp_path / "a.tar.gz").write_bytes(b"".join(pieces) + packer.flush())
    md5 = hashlib.md5((tmp_path / "a.tar.gz").read_bytes()).hexdigest()
    released = Released(str(tmp_path / "a.tar.gz"), "c", "tfds", md5)
    for run in (19, *range(19)):
        [directory] = extract(released, tmp_path / "to", run_ids=[run])
        assert (directory / "a").read_bytes() == bytes([run]) * 600


def test_every_run_can_be_read_out_of_the_middle(archive, known, tmp_path, monkeypatch):
    """Wherever the halts lie: within members, in the padding behind them, or between."""
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(archive.data)
    monkeypatch.setattr(passes, "INTERVAL", 1)  # after every block
    terms = Terms(index=tmp_path / "index")
    extract(known(str(path)), tmp_path / "to", run_ids=[19], ratios=[0.7], terms=terms)
    for ratio in (0.1, 0.5):
        for run in range(20):
            extract(known(str(path)), tmp_path / "to", run_ids=[run], ratios=[ratio], terms=terms)
    every = files_of(archive, ["0.1", "0.5"], range(20)) | files_of(archive, ["0.7"], [19])
    assert found_in(tmp_path / "to") == every


def test_a_file_that_stands_in_the_way_is_not_taken_for_the_real_one(released, tmp_path):
    path = tmp_path / "to" / "cifar" / "0.5" / "0" / "aux_arrays.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(DiskError, match="there already"):
        extract(released, tmp_path / "to", run_ids=[0])
    assert path.read_bytes() == b"half of it"


def test_hidden_files_and_temporary_names(tmp_path):
    members = [("c/0.1/0/a", b"1"), ("c/0.1/0/a.tmp", b"2"), ("c/0.1/0/._a", b"3")]
    members += [("c/readme", b""), ("c/README", b"")]  # of no run
    extract(of(tmp_path, tar_of(members)), tmp_path / "to", run_ids=[0])
    found = {path.name: path.read_bytes() for path in (tmp_path / "to").glob("c/0.1/0/*")}
    assert found == {"a": b"1", "a.tmp": b"2"}


def test_runs_that_lack_are_counted(released, tmp_path):
    with pytest.raises(MemtoolsError, match="lacks 1 of what was asked for, first run 20"):
        extract(released, tmp_path / "to", run_ids=[19, 20])
    assert (tmp_path / "to" / "cifar" / "0.7" / "19" / "aux_arrays.npz").exists()


def test_from_the_command_line(archive, url, memtools, tmp_path):
    command = ("checkpoints", "get", url(), "--to", tmp_path / "to", "--md5", archive.md5)
    shown = memtools(*command, "--runs", "0,17", "--ratio", "0.7")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.split() == [
        str(tmp_path / "to" / "cifar" / "0.7" / str(r)) for r in (0, 17)
    ]
    shown = memtools(*command, "--runs", "99")
    assert shown.returncode == 2 and len(shown.stderr.splitlines()) == 2


@pytest.mark.parametrize("kind", ["directory", "link", "file"])
def test_a_directory_of_the_user_where_members_are_kept_until_proven_is_left_alone(
    released, tmp_path, kind
):
    to, mine = tmp_path / "to", tmp_path / "to" / "provisional"
    to.mkdir()
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" if kind == "link" else mine
    if kind == "link":
        mine.symlink_to(real)
    elif kind == "directory":
        mine.mkdir()
    target = mine if kind == "file" else real / "thesis.tex"
    target.write_text("precious")
    with pytest.raises(DiskError, match="in the way"):
        extract(released, to, run_ids=RUNS)
    assert target.read_text() == "precious"


def test_what_was_being_written_when_a_process_was_killed_is_no_hindrance(
    archive, released, tmp_path
):
    provisional = tmp_path / "to" / "provisional"
    provisional.mkdir(parents=True)
    temporary_name(provisional / "index").write_text("")
    extract(released, tmp_path / "to", run_ids=RUNS, ratios=[0.5])
    assert found_in(tmp_path / "to") == files_of(archive, ["0.5"])
    assert not provisional.exists()
