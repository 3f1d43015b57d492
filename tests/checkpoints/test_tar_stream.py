"""A tar as it streams by."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtools.checkpoints.inflater import CutError
from memtools.checkpoints.tar_stream import TarStream
from memtools.errors import IntegrityError

SIZES = (0, 1, 511, 512, 513, 5000)
LONG = "x" * 90 + "/" + "y" * 300


def tar_of(format_=tarfile.GNU_FORMAT):
    stream, contents = io.BytesIO(), {}
    with tarfile.open(fileobj=stream, mode="w", format=format_) as tar:
        for k, size in enumerate(SIZES):
            for name in (f"a/{k}", f"{LONG}{k}", f"ü{k}"):
                info = tarfile.TarInfo(name)
                info.size = size
                contents[name] = bytes([k + 1]) * size
                tar.addfile(info, io.BytesIO(contents[name]))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return stream.getvalue(), contents


class Sinks:
    """Keeps what is wanted: every member whose name does not begin with `a/`."""

    def __init__(self):
        self.found, self.seen, self.closed, self.dropped = {}, [], 0, 0

    def __call__(self, member):
        self.seen.append(member)
        if member.name.startswith("a/") or not member.regular:
            return None
        self.found[member.name] = io.BytesIO()
        outer = self

        class Sink:
            def write(self, data):
                outer.found[member.name].write(data)

            def close(self):
                outer.closed += 1

            def drop(self):
                outer.dropped += 1

        return Sink()


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("chunk", [1, 700, 1 << 20])
def test_members_go_to_their_sinks_whole(format_, chunk):
    data, contents = tar_of(format_)
    sinks = Sinks()
    tar = TarStream(sinks)
    for start in range(0, len(data), chunk):
        tar.feed(memoryview(data)[start : start + chunk])
    tar.finish()
    wanted = {name: each for name, each in contents.items() if not name.startswith("a/")}
    assert {name: each.getvalue() for name, each in sinks.found.items()} == wanted
    assert sinks.closed == len(wanted) and len(sinks.seen) == len(contents) + 1
    for member in sinks.seen:
        if member.regular:
            assert data[member.offset :][: member.size] == contents[member.name]


@given(st.integers(1, 40_000))
def test_it_goes_on_from_wherever_it_has_a_state(at):
    data, contents = tar_of()
    sinks = Sinks()
    tar = TarStream(sinks)
    tar.feed(memoryview(data)[:at])
    if tar.state is not None:
        tar = TarStream(sinks, tar.state)
    tar.feed(memoryview(data)[at:])
    tar.finish()
    assert [member.name for member in sinks.seen] == [*contents, "folder"]


def test_a_member_that_will_not_be_whole_is_dropped():
    data, _ = tar_of()
    sinks = Sinks()
    tar = TarStream(sinks)
    tar.feed(memoryview(data)[: data.rindex(bytes([6]) * 100)])
    tar.close()
    assert (sinks.dropped, len(sinks.found) - sinks.closed) == (1, 1)


def test_a_cut_anywhere_is_noticed():
    data, _ = tar_of()
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512  # where the blocks of zeros begin
    for at in [*range(0, end + 1000, 512), *range(13, end, 777)]:
        tar = TarStream(lambda member: None)
        tar.feed(memoryview(data)[:at])
        with pytest.raises(CutError, match="cut"):
            tar.finish()


def test_a_damaged_header_is_said():
    data = bytearray(tar_of()[0])
    data[512 + 20] ^= 4
    with pytest.raises(IntegrityError, match="the tar is damaged"):
        TarStream(lambda member: None).feed(memoryview(data))


def test_what_follows_the_end_is_said():
    data, _ = tar_of()
    with pytest.raises(IntegrityError, match="behind its end"):
        TarStream(lambda member: None).feed(memoryview(data + data))


def header(name="a", size=0, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.type = kind
    data = bytearray(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    if size:
        data[124:136] = (size & (1 << 96) - 1).to_bytes(12, "big")
        data[124] |= 0x80
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 256 + sum(data[156:512]))
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        header(kind=tarfile.GNUTYPE_LONGNAME, size=-512),
        header(kind=tarfile.XHDTYPE, size=1 << 40),
        header(size=-1),
        header(size=1 << 70),
        (header(kind=tarfile.GNUTYPE_LONGNAME, size=512) + b"x" * 511 + b"\0") * 200,
        header(kind=tarfile.GNUTYPE_SPARSE),
        header(kind=b"~"),
    ],
    ids=["size below 0", "huge header", "negative", "too large", "long chain", "sparse", "unknown"],
)
def test_headers_that_no_archive_of_models_has_are_said(data):
    with pytest.raises(IntegrityError, match="the tar is damaged"):
        TarStream(lambda member: None).feed(memoryview(data + b"\0" * 1024))


def test_sizes_beyond_eight_gigabytes_and_names_that_are_no_text():
    seen = []
    tar = TarStream(lambda member: seen.append(member))
    tar.feed(memoryview(header(name="a\udcff", size=9 << 30)))
    assert [(member.name, member.size) for member in seen] == [("a\\xff", 9 << 30)]
