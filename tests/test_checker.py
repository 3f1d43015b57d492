"""Whether a file on disk is what was published: always by reading it again."""

import hashlib
import json
import os

import numpy as np
import pytest
from worlds import artifact, git_blob, md5, noise, write_registry

import memtools
from memtools.artifacts.checker import verify
from memtools.artifacts.manifest import parse_registry
from memtools.artifacts.proof import promised
from memtools.artifacts.receipts import Receipt, read_receipt, receipt_path
from memtools.errors import (
    ChecksumError,
    ConfigError,
    DiskError,
    IntegrityError,
    MemtoolsError,
    SchemaError,
)

A, B, C = noise(3000, 1), noise(2000, 2), noise(1500, 3)
WHOLE = A + B + C


@pytest.fixture
def place(tmp_path):
    """A directory in which an artifact of three parts is to be."""
    directory = tmp_path / "files"
    directory.mkdir()
    return directory


@pytest.fixture
def put(tmp_path, place):
    """Writes a registry that promises A + B + C, and a file; returns a `verify` for both."""

    def put(data=WHOLE, file="thing.npz", *, contents=(A, B, C), **promises):
        urls = [f"{letter}.bin" for letter in "abcdefg"[: len(contents)]]
        write_registry(tmp_path / "r.toml", artifact(urls, contents, **promises))
        if data is not None:
            (place / file).write_bytes(data)

        def check(what="thing"):
            return verify(what, cache=place, registries=[tmp_path / "r.toml"])

        return check

    return put


@pytest.fixture
def join(tmp_path, place):
    """Publishes A + B + C from local parts, with a receipt."""

    def join(contents=(A, B, C)):
        for name, data in zip("abc", contents, strict=True):
            (tmp_path / f"{name}.bin").write_bytes(data)
        return memtools.join("thing", tmp_path, place, registries=[tmp_path / "r.toml"])

    return join


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# ---- right files


def test_a_right_file_is_verified_by_its_name(put, place):
    verdict = put()()
    assert verdict.path == place / "thing.npz"
    assert verdict.artifact.name == "thing"
    assert verdict.digests == {
        "md5": md5(WHOLE),
        "sha256": hashlib.sha256(WHOLE).hexdigest(),
        "git_blob": git_blob(WHOLE),
    }
    assert verdict.proven_by == ("md5",)


def test_all_digests_that_the_registry_knows_are_compared(put):
    check = put(A, contents=[A], sha256=hashlib.sha256(A).hexdigest())
    assert set(check().proven_by) == {"md5", "sha256", "git_blob"}


def test_any_copy_is_recognised_by_its_file_name(put, tmp_path):
    check = put(None)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "thing.npz"
    copy.write_bytes(WHOLE)
    assert check(copy).path == copy
    assert check(str(copy)).artifact.name == "thing"


def test_any_copy_is_recognised_by_its_content_under_another_name(put, tmp_path):
    check = put(None)
    copy = tmp_path / "download (1)"
    copy.write_bytes(WHOLE)
    verdict = check(copy)
    assert (verdict.artifact.name, verdict.path) == ("thing", copy)


def test_a_file_of_a_single_part_is_recognised_by_its_git_blob_alone(put, tmp_path):
    check = put(None, contents=[A], whole=False)
    copy = tmp_path / "other"
    copy.write_bytes(A)
    assert check(copy).proven_by == ("git_blob",)


def test_a_published_file_is_recognised_by_its_content(published, tmp_path):
    copy = tmp_path / "no telling name"
    copy.write_bytes((published / "mnist-cscores.npy").read_bytes())
    verdict = memtools.verify(copy)
    assert verdict.artifact.name == "mnist-cscores"
    assert set(verdict.proven_by) == {"md5", "git_blob"}


def test_a_verdict_can_be_handed_to_a_script(put, place):
    facts = json.loads(json.dumps(put()().to_json()))
    assert facts == {
        "name": "thing",
        "path": str(place / "thing.npz"),
        "digests": {
            "md5": md5(WHOLE),
            "sha256": hashlib.sha256(WHOLE).hexdigest(),
            "git_blob": git_blob(WHOLE),
        },
        "proven_by": ["md5"],
        "kind": "",
    }


# ---- wrong files


@pytest.mark.parametrize(
    ("at", "broken"),
    [
        (0, "a.bin, bytes 0 to 3000"),
        (2999, "a.bin, bytes 0 to 3000"),
        (3000, "b.bin, bytes 3000 to 5000"),
        (len(WHOLE) - 1, "c.bin, bytes 5000 to 6500"),
    ],
)
def test_a_flipped_bit_is_found_and_the_broken_part_named(put, place, at, broken):
    check = put(flipped(WHOLE, at))
    with pytest.raises(ChecksumError) as caught:
        check()
    assert f"(broken: {broken})" in str(caught.value)
    assert caught.value.path == place / "thing.npz"
    assert (caught.value.expected, caught.value.actual) == (
        md5(WHOLE),
        md5(flipped(WHOLE, at)),
    )
    assert caught.value.exit_code == 5
    assert "memtools fetch thing" in caught.value.hint


def test_every_broken_part_is_named_and_no_other(put):
    check = put(flipped(flipped(WHOLE, 1), 6000))
    with pytest.raises(ChecksumError) as caught:
        check()
    assert "a.bin" in str(caught.value)
    assert "c.bin" in str(caught.value)
    assert "b.bin" not in str(caught.value)


def test_where_sizes_of_parts_are_unknown_no_part_is_blamed(put):
    check = put(flipped(WHOLE, 1), sizes=False)
    with pytest.raises(ChecksumError, match=f"md5 is .*, expected {md5(WHOLE)}") as caught:
        check()
    assert "broken" not in str(caught.value)


def test_the_sizes_of_parts_are_learnt_when_they_are_joined(put, join, place):
    check = put(None, sizes=False)
    path = join()
    path.write_bytes(flipped(WHOLE, 4000))
    with pytest.raises(ChecksumError, match=r"broken: b\.bin, bytes 3000 to 5000"):
        check()


@pytest.mark.parametrize("n_bytes", [0, 6499, 6501])
def test_a_file_of_another_size_is_known_without_reading(put, monkeypatch, n_bytes):
    check = put((WHOLE + b"!")[:n_bytes], size=len(WHOLE))
    monkeypatch.setattr("memtools.artifacts.proof._read", None)
    with pytest.raises(ChecksumError, match=f"{n_bytes} bytes, expected 6500") as caught:
        check()
    assert (caught.value.expected, caught.value.actual) == ("6500", str(n_bytes))


def test_a_wrong_file_never_gets_a_receipt(put, place):
    check = put(flipped(WHOLE, 5))
    with pytest.raises(ChecksumError):
        check()
    assert [each.name for each in place.iterdir()] == ["thing.npz"]


# ---- what cannot be said


def test_what_is_not_here_is_said_with_how_to_get_it(put):
    with pytest.raises(MemtoolsError, match="thing is not in") as caught:
        put(None)()
    assert caught.value.exit_code == 1
    assert "memtools fetch thing" in caught.value.hint


def test_a_missing_file_is_called_missing(put):
    with pytest.raises(DiskError, match=r"no-such-file\.npz is missing"):
        put()("dir/no-such-file.npz")


@pytest.mark.parametrize("what", ["no-such-name", ""])
def test_neither_a_name_nor_a_file_is_a_wrong_request(put, what):
    with pytest.raises(ConfigError, match="neither a known name nor a file"):
        put()(what)


def test_a_file_of_unknown_content_is_not_called_right(put, tmp_path):
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"?")
    with pytest.raises(IntegrityError):
        put()(stranger)
    assert not receipt_path(stranger).exists()


def test_of_a_file_that_no_registry_knows_only_its_meaning_is_vouched_for(put, tmp_path):
    own = tmp_path / "own.npz"
    np.savez(own, labels=np.arange(3), scores=np.array([0.1, 0.5, 0.9]))
    verdict = put()(own)
    assert (verdict.artifact, verdict.proven_by, verdict.kind) == (None, (), "scores")
    assert verdict.to_json()["name"] is None
    assert not receipt_path(own).exists()


def test_right_bytes_of_the_wrong_kind_are_not_called_right(put, tmp_path, place):
    own = tmp_path / "own.npz"
    np.savez(own, labels=np.arange(3), scores=np.array([0.1, 0.5, 0.9]))
    data = own.read_bytes()
    assert put(data, contents=[data], kind="cscores")().kind == "cscores"
    with pytest.raises(SchemaError, match="'scores', not 'index'"):
        put(data, contents=[data], kind="index")()


def test_a_file_of_which_nothing_is_promised_cannot_be_verified(put, place):
    check = put(whole=False, blobs=False)
    with pytest.raises(IntegrityError, match="no digest of thing"):
        check()
    assert [each.name for each in place.iterdir()] == ["thing.npz"]


# ---- receipts, and what was learnt


def test_a_verified_file_has_a_receipt_that_fits(put, place):
    verdict = put()()
    receipt = read_receipt(verdict.path)
    assert receipt.fits(verdict.path, verdict.artifact)
    assert receipt.digests == verdict.digests


def test_a_receipt_is_no_reason_not_to_read(put, place):
    check = put()
    path = check().path
    info = path.stat()
    path.write_bytes(flipped(WHOLE, 77))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    receipt = receipt_path(path)
    facts = json.loads(receipt.read_text())
    now = path.stat()
    facts["stamp"] = [now.st_size, now.st_ino, now.st_mtime_ns, now.st_ctime_ns]
    receipt.write_text(json.dumps(facts))
    with pytest.raises(ChecksumError, match="md5 is"):
        check()


def test_the_sha256_that_was_learnt_is_demanded_later(put, place):
    check = put()
    assert check().proven_by == ("md5",)
    second = check()
    assert set(second.proven_by) == {"md5", "sha256", "git_blob"}
    # As if somebody had found other bytes of the same md5: only the sha256 tells.
    receipt = receipt_path(second.path)
    facts = json.loads(receipt.read_text())
    facts["digests"]["sha256"] = "0" * 64
    receipt.write_text(json.dumps(facts))
    with pytest.raises(ChecksumError, match="sha256 is") as caught:
        check()
    assert caught.value.expected == "0" * 64


def test_what_was_learnt_of_an_older_version_is_not_demanded_of_a_newer(put, place):
    put()()
    newer = WHOLE[::-1]
    verdict = put(newer, contents=[newer[:3000], newer[3000:5000], newer[5000:]])()
    assert verdict.proven_by == ("md5",)
    assert verdict.digests["md5"] == md5(newer)


def test_a_file_proven_by_its_parts_alone_is_held_to_what_was_learnt(put, join, place):
    check = put(None, whole=False)
    path = join()
    assert check().proven_by == ("git_blob of each part",)
    assert set(check().proven_by) == {"md5", "sha256", "git_blob"}
    path.write_bytes(flipped(WHOLE, 3001))
    with pytest.raises(ChecksumError, match=r"broken: b\.bin"):
        check()


def test_what_was_learnt_of_other_parts_proves_nothing_about_these(put, join, place):
    put(None, whole=False)
    join()
    check = put(None, whole=False, contents=(A, B, C[::-1]))  # the registry was updated
    with pytest.raises(IntegrityError):
        check()


def test_a_file_that_nothing_could_prove_has_at_least_not_changed_since(put, join, place):
    check = put(None, whole=False, blobs=False)
    path = join()
    assert check().proven_by == ()
    path.write_bytes(flipped(WHOLE, 3001))
    with pytest.raises(ChecksumError):
        check()


def test_only_proven_bytes_are_learnt_from():
    def parse(**promises):
        text = artifact(["a.bin"], [A], **promises)
        return parse_registry(text, where="r", base="https://example.org/")["thing"]

    def receipt(*, proven):
        parts = [{"name": "a.bin", "size": len(A), "sha256": "2" * 64}]
        digests = {"md5": md5(A), "sha256": "1" * 64}
        return Receipt("thing", digests, parts, proven, "", [len(A), 0, 0, 0], "")

    vague, nothing = parse(blobs=False), parse(blobs=False, whole=False)
    learnt = {"md5": md5(A), "sha256": "1" * 64}
    assert promised(vague, None) == ({"md5": md5(A)}, [{}])
    assert promised(vague, receipt(proven=False)) == ({"md5": md5(A)}, [{}])
    assert promised(vague, receipt(proven=True)) == (learnt, [{"sha256": "2" * 64}])
    assert promised(nothing, receipt(proven=False)) == (learnt, [{"sha256": "2" * 64}])
    assert promised(nothing, None) == ({}, [{}])


# ---- parts


def test_a_file_proven_by_its_parts_alone_needs_no_receipt(put, place):
    verdict = put(whole=False)()
    assert verdict.proven_by == ("git_blob of each part",)
    assert verdict.in_words.startswith("git_blob of each part verified")
    assert read_receipt(verdict.path).fits(verdict.path, verdict.artifact)


def test_one_unknown_size_is_what_the_others_leave(put, tmp_path):
    check = put(whole=False)
    text = (tmp_path / "r.toml").read_text()
    (tmp_path / "r.toml").write_text(text.replace("size = 2000\n", ""))
    assert check().proven_by == ("git_blob of each part",)


def test_parts_of_unknown_sizes_prove_nothing(put):
    with pytest.raises(IntegrityError, match="no digest of thing as a whole"):
        put(whole=False, sizes=False)()


def test_a_part_that_differs_is_told_though_the_whole_is_not_known(put, place):
    with pytest.raises(ChecksumError, match=r"git_blob is .*broken: b\.bin, bytes 3000 to 5000"):
        put(flipped(WHOLE, 3000), whole=False)()
    assert [each.name for each in place.iterdir()] == ["thing.npz"]


def test_a_registry_whose_parts_contradict_its_whole_proves_nothing(put, tmp_path):
    check = put()
    text = (tmp_path / "r.toml").read_text()
    (tmp_path / "r.toml").write_text(text.replace(git_blob(B), "0" * 40))
    with pytest.raises(ChecksumError, match=r"git_blob is .*, expected 0.*broken: b\.bin"):
        check()


def test_a_file_shorter_than_its_known_parts_is_known_without_reading(put, tmp_path, monkeypatch):
    check = put(WHOLE[:4000])
    text = (tmp_path / "r.toml").read_text()
    (tmp_path / "r.toml").write_text(text.replace("size = 1500\n", ""))
    monkeypatch.setattr("memtools.artifacts.proof._read", None)
    with pytest.raises(ChecksumError, match="4000 bytes, expected at least 5000"):
        check()


def test_a_digest_that_the_registry_gains_is_compared_by_reading(put, tmp_path):
    check = put()
    check()
    good = hashlib.sha256(WHOLE).hexdigest()
    for sha256, right in ((good, True), ("0" * 64, False)):
        check = put(sha256=sha256)
        if right:
            assert "sha256" in check().proven_by
        else:
            with pytest.raises(ChecksumError, match="sha256 is"):
                check()


def odd_entries(path):
    """Make what may stand in the place of a fetched file, by its kind."""
    return {
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "dangling": lambda: path.symlink_to(path.with_name("nowhere")),
    }


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "dangling"])
def test_what_is_not_a_file_is_refused_by_its_kind(put, place, kind):
    check = put(None)
    odd_entries(place / "thing.npz")[kind]()
    with pytest.raises(DiskError, match=r"thing\.npz"):
        check()
