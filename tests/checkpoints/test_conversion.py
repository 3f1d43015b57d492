"""A restored model in files that Keras, PyTorch and NumPy users read."""

import json
import os
import sys
import zipfile

import keras
import numpy as np
import pytest
from safetensors import safe_open
from sonnet_models import SmallInception, pixels, saved

from memtools.checkpoints.conversion import convert, facts, save, tensors
from memtools.errors import ConfigError, DiskError, MemtoolsError
from memtools.estimates.npz import Npz

# Keras does it, while it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def test_weights_have_the_names_and_the_layout_of_pytorch(inception):
    module, found = inception.module, tensors(inception.model)
    block = module.stage2._body[1].conv3x3
    kernel = found["stage2.body.1.conv3x3.conv.weight"]
    assert kernel.shape == (64, 160, 3, 3) and kernel.flags["C_CONTIGUOUS"]
    assert kernel[5, 7, 0, 2] == block.conv.w[0, 2, 7, 5].numpy()
    for name, variable in (
        ("weight", block.bn.scale),
        ("bias", block.bn.offset),
        ("running_mean", block.bn.moving_mean.average),
        ("running_var", block.bn.moving_variance.average),
    ):
        assert np.array_equal(found[f"stage2.body.1.conv3x3.bn.{name}"], variable.numpy().ravel())
    assert np.array_equal(found["pred.weight"], module._pred.w.numpy().T)
    assert found["stage1.downsample.conv.weight"].shape == (160, 80, 3, 3)


def test_the_names_of_the_resnet_are_those_of_torchvision(resnet):
    found = tensors(resnet.model)
    norm = ("weight", "bias", "running_mean", "running_var")
    expected = {"conv1.weight", "fc.weight", "fc.bias", *(f"bn1.{each}" for each in norm)}
    for layer, n_blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(n_blocks):
            at = f"layer{layer}.{block}"
            units = [(f"{at}.conv{k}", f"{at}.bn{k}") for k in (1, 2, 3)]
            if block == 0:
                units.append((f"{at}.downsample.0", f"{at}.downsample.1"))
            for conv, bn in units:
                expected |= {f"{conv}.weight", *(f"{bn}.{each}" for each in norm)}
    assert set(found) == expected
    assert found["layer3.0.downsample.0.weight"].shape == (1024, 512, 1, 1)
    assert found["fc.weight"].shape == (1000, 2048)
    assert {each.dtype for each in found.values()} == {np.dtype(np.float32)}


def test_safetensors_carry_what_their_user_has_to_know(inception, resnet, tmp_path):
    save(resnet.model, tmp_path / "r.safetensors")
    save(inception.model, tmp_path / "i.safetensors")
    with safe_open(tmp_path / "r.safetensors", "numpy") as file:
        known = file.metadata()
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, value in tensors(resnet.model).items():
        assert np.array_equal(kept.pop(name), value)
    assert not kept
    assert (known["architecture"], known["n_classes"]) == ("imagenet-resnet50", "1000")
    assert json.loads(known["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(known["std"]) == [0.229, 0.224, 0.225]
    assert "sorted order" in known["classes"] and "max pool" in known["padding"]
    with safe_open(tmp_path / "i.safetensors", "numpy") as file:
        assert file.metadata() == facts(inception.model)
        assert "CIFAR-10," in file.metadata()["classes"]


def test_an_npz_holds_the_same(inception, tmp_path):
    save(inception.model, tmp_path / "m.npz")
    with Npz(tmp_path / "m.npz") as npz:
        assert json.loads(str(npz["about"])) == facts(inception.model)
        expected = tensors(inception.model)
        assert set(npz) == {"about", *expected}
        assert all(np.array_equal(npz[name], value) for name, value in expected.items())


@pytest.mark.parametrize("which", ["inception", "resnet"])
def test_keras_reads_its_form_without_us(which, request, tmp_path):
    one = request.getfixturevalue(which)
    save(one.model, tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert b"memtools" not in archive.read("config.json")
    images = pixels(4, 64, seed=3)
    assert np.array_equal(keras.models.load_model(tmp_path / "m.keras")(images), one.model(images))


@pytest.mark.parametrize("suffix", [".keras", ".safetensors", ".npz"])
def test_nothing_half_written_replaces_what_is_there(inception, tmp_path, monkeypatch, suffix):
    out = tmp_path / f"m{suffix}"
    out.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "no space")

    with monkeypatch.context() as patched, pytest.raises(DiskError, match="disk is full"):
        patched.setattr(os, "fsync", fail)
        save(inception.model, out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_bytes() == b"old"
    save(inception.model, out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.stat().st_size > 7_000_000


def test_what_cannot_be_written_is_said_before_anything_is_read(tmp_path, monkeypatch):
    nowhere = tmp_path / "ckpt-1"
    with pytest.raises(ConfigError, match="no form that we write") as raised:
        convert(nowhere, tmp_path / "m.pt")
    assert raised.value.hint == "name it .keras, .safetensors, .npz"
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MemtoolsError, match="needs safetensors") as raised:
        convert(nowhere, tmp_path / "m.safetensors")
    assert raised.value.hint == "pip install 'memtools[checkpoints]'"


def test_a_directory_that_is_not_there_is_a_fault_of_the_disk(inception, tmp_path):
    for suffix in (".keras", ".safetensors", ".npz"):
        with pytest.raises(DiskError):
            save(inception.model, tmp_path / "none" / f"m{suffix}")


def test_from_the_command_line(memtools, inception, tmp_path):
    out = tmp_path / "m.safetensors"
    shown = memtools("checkpoints", "convert", inception.run, "--out", out, env=QUIET)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"{out}\n", ""), shown.stderr
    with safe_open(out, "numpy") as file:
        assert set(file.keys()) == set(tensors(inception.model))


def test_from_the_command_line_errors_are_two_lines(memtools, inception, tmp_path):
    hundred = SmallInception(100)
    hundred(pixels(2, 32), is_training=True)
    cut = saved(hundred, tmp_path).with_name("ckpt-1.data-00000-of-00001")
    cut.write_bytes(cut.read_bytes()[:1000])
    for arguments, code, words in (
        ((tmp_path / "none", "--out", tmp_path / "m.npz"), 2, "there is no checkpoint"),
        ((tmp_path, "--out", tmp_path / "m.npz"), 5, "cannot be read"),
    ):
        shown = memtools("checkpoints", "convert", *arguments, env=QUIET)
        assert shown.returncode == code and len(shown.stderr.splitlines()) == 2, shown.stderr
        assert words in shown.stderr
    assert not list(tmp_path.glob("m.*"))
