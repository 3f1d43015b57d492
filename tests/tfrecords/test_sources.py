"""The same images from folders and from tars, and broken tars refused."""

import io
import os
import tarfile

import numpy as np
import pytest

from memtools.errors import ChecksumError, ConfigError, RecordError
from memtools.tfrecords.sources import TAR_MD5, FlatFolder, Folder, Tar, open_source, verify_tar


def contents(source):
    """{name: (synset, bytes)} of a source."""
    listing = source.listing()
    rows = zip(listing.names, listing.folders[listing.codes], listing.places, strict=True)
    return {
        name.decode(): (synset.decode(), source.read(name, synset, place))
        for name, synset, place in rows
    }


def test_a_folder_and_the_official_tar_hold_the_same(imagenet, folder):
    of_folder = open_source(folder)
    of_tar = open_source(imagenet.train_tar())
    assert isinstance(of_folder, Folder) and isinstance(of_tar, Tar)
    expected = {
        str(name): (imagenet.synsets[label], imagenet.data[str(name)])
        for name, label in zip(imagenet.index.filenames, imagenet.index.labels, strict=True)
    }
    assert contents(of_folder) == contents(of_tar) == expected


def test_a_flat_folder_and_the_flat_tar_hold_the_same(imagenet, flat):
    of_folder, of_tar = open_source(flat), open_source(imagenet.validation_tar())
    assert isinstance(of_folder, FlatFolder) and isinstance(of_tar, Tar)
    expected = {str(n): ("", imagenet.data[str(n)]) for n in imagenet.index.test_filenames}
    assert contents(of_folder) == contents(of_tar) == expected


def test_hidden_files_are_no_images(tmp_path):
    (tmp_path / "n01").mkdir()
    (tmp_path / "n01" / "a.JPEG").write_bytes(b"1")
    (tmp_path / "n01" / ".DS_Store").write_bytes(b"2")
    assert contents(open_source(tmp_path)) == {"a.JPEG": ("n01", b"1")}


def small_tar(path, member=tarfile.REGTYPE):
    with tarfile.open(path, "w") as tar:
        for n in range(3):
            info = tarfile.TarInfo(f"n{n}.JPEG")
            info.size = 700
            tar.addfile(info, io.BytesIO(bytes([n]) * 700))
        if member != tarfile.REGTYPE:
            info = tarfile.TarInfo("odd")
            info.type, info.linkname = member, "/etc/passwd"
            tar.addfile(info)
    return path


def test_every_cut_of_a_tar_is_noticed(tmp_path):
    whole = small_tar(tmp_path / "a.tar").read_bytes()
    end_of_members = 3 * (512 + 1024)
    cut = tmp_path / "b.tar"
    for stop in [*range(0, end_of_members, 256), end_of_members, end_of_members + 512]:
        cut.write_bytes(whole[:stop])
        with pytest.raises((RecordError, ConfigError)):
            open_source(cut).listing()
    cut.write_bytes(whole[: end_of_members + 1024])
    assert len(open_source(cut).listing().names) == 3


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_in_a_tar_is_refused(tmp_path, kind):
    with pytest.raises(RecordError, match="odd is not a plain file"):
        open_source(small_tar(tmp_path / "a.tar", kind)).listing()


def test_a_tar_that_shrinks_after_the_listing_is_noticed(tmp_path):
    path = small_tar(tmp_path / "a.tar")
    source = open_source(path)
    listing = source.listing()
    os.truncate(path, 2000)
    with pytest.raises(RecordError, match="ends within"):
        source.read(listing.names[2], b"", listing.places[2])


def test_what_is_neither_is_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(ConfigError, match="is not a tar"):
        open_source(tmp_path / "x.tar")
    with pytest.raises(ConfigError, match="is not there"):
        open_source(tmp_path / "none")


def test_a_name_too_long_is_not_cut_silently(tmp_path):
    (tmp_path / ("x" * 60 + ".JPEG")).write_bytes(b"")
    with pytest.raises(RecordError, match="is not the name of an image"):
        open_source(tmp_path).listing()


def test_a_listing_is_small():
    from memtools.tfrecords.source_listing import Listing

    rows = ((b"n01440764_%d.JPEG" % n, b"n01440764", n, n) for n in range(10_000))
    listing = Listing.of(rows)
    n_bytes = listing.names.nbytes + listing.codes.nbytes + listing.places.nbytes
    assert n_bytes <= 100 * 10_000
    assert isinstance(listing.names, np.ndarray)


def test_a_tar_is_verified_by_the_publishers_md5(imagenet, flat, monkeypatch):
    tar = open_source(imagenet.validation_tar())
    with pytest.raises(ChecksumError, match="has the md5") as caught:
        verify_tar(tar, "validation")
    monkeypatch.setitem(TAR_MD5, "validation", caught.value.actual)
    assert verify_tar(tar, "validation") == caught.value.actual
    with pytest.raises(ConfigError, match="published digest"):
        verify_tar(open_source(flat), "validation")
