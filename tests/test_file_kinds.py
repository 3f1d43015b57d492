"""Pipes, sockets and devices in the place of a file are refused at once, by every reader."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from memtools_cli.main import app
from typer.testing import CliRunner

from memtools.errors import ConfigError, DiskError
from memtools.file_kinds import require_regular
from memtools.report.pictures import opened
from memtools.tfrecords.sources import open_source

NAMES = [f"n0144076{k % 2}_{k}.JPEG" for k in range(4)]


@pytest.fixture
def pipe(tmp_path):
    """A function that makes a pipe of a name, to which nobody writes."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        return path

    return make


def test_every_kind_is_named_and_a_file_or_a_link_to_one_passes(tmp_path, pipe, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        require_regular(tmp_path / name)
        require_regular(str(tmp_path / name))
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        kinds = {"socket": "a socket", pipe("pipe"): "a pipe", tmp_path: "a directory"}
        kinds["/dev/null"] = "a device"
        for path, kind in kinds.items():
            with pytest.raises(DiskError, match=f"is {kind}, not a file") as caught:
                require_regular(path)
            assert caught.value.hint
    with pytest.raises(DiskError, match="missing"):
        require_regular(tmp_path / "missing")


COMMANDS = [
    ("info", "x.npz"),
    ("info", "x.npy"),
    ("info", "x.csv"),
    ("info", "x.json"),
    ("export", "x.npz", "--out", "out.csv"),
    ("verify", "x.npz"),
    ("align", "good.npz", "--to", "x.csv"),
    ("align", "good.npz", "--to", "x.npz"),
    ("align", "good.npz", "--to", "x.txt"),
    ("select", "good.npz", "--top", "2", "--to", "x.txt", "--out", "out.json"),
    ("info", "good.npy", "--index", "x.npy"),
    ("compare", "good.npz", "x.npy"),
    ("report", "good.npz", "--images", "x.npz", "--to", "page"),
    ("report", "good.npz", "--images", "x.txt", "--to", "page"),
    ("info", "good.npz", "--registry", "x.toml"),
    ("train", "x.toml", "--runs", "0:2", "--to", "runs"),
    ("sweep", "run", "x.toml", "--runs", "0:2", "--to", "runs"),
    ("import", "x.npz", "--to", "runs", "--dataset", "d", "--order", "file"),
    ("import", "x.npy", "--margins", "x.npy", "--train-margins", "x.npy", "--to", "runs",
     "--dataset", "d", "--order", "file"),
    ("tfrecords", "build", "x.tar", "--split", "train", "--index", "good.npz", "--to", "out"),
    ("tfrecords", "build", "images", "--split", "train", "--index", "x.npz", "--to", "out"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_pipe_in_the_place_of_an_input_is_refused_in_two_lines(
    command, pipe, tmp_path, monkeypatch
):
    if "tfrecords" in command:
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    monkeypatch.chdir(tmp_path)
    values = np.linspace(0, 1, 4)
    np.savez("good.npz", tr_mem=values, tr_labels=np.arange(4) % 2, tr_filenames=NAMES)
    np.save("good.npy", values)
    Path("images/n01440760").mkdir(parents=True)
    Path("images/n01440760/n01440760_0.JPEG").touch()
    for name in {each for each in command if each.startswith("x.")}:
        pipe(name)
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code in (2, 5, 6) and not isinstance(shown.exception, AttributeError)
    assert "x." in shown.stderr and len(shown.stderr.strip().splitlines()) == 2, shown.stderr


def test_a_pipe_among_images_is_refused_when_it_is_read(pipe, tmp_path):
    path = pipe("images/n01440760/n01440760_0.JPEG")
    source = open_source(tmp_path / "images")
    with pytest.raises(DiskError, match="is a pipe"):
        source.read(path.name.encode(), b"n01440760", np.zeros(2, np.int64))
    with pytest.raises(DiskError, match="is a pipe"):
        opened(str(path))
    with pytest.raises((ConfigError, DiskError), match="is a pipe"):
        open_source(pipe("list.txt"))
