"""A checkpoint of Sonnet modules is our model, to the last variable; or it is refused."""

import logging
from pathlib import Path

import numpy as np
import pytest
import sonnet
import tensorflow as tf
from sonnet_models import ResNet50, SmallInception, Stage, pixels, saved

from memtools.checkpoints.restoration import find, restore, variable_map
from memtools.errors import ConfigError, RecordError, SchemaError

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


# ---- what is restored


def require_equal(ours, theirs):
    difference = abs(ours - theirs).max()
    print(f"largest difference {difference:.1e}, deviation {theirs.std():.2f}")  # pytest -rP
    assert difference < 1e-4 * theirs.std()


@pytest.mark.parametrize(
    ("which", "size"), [("inception", 32), ("inception", 43), ("resnet", 64), ("resnet", 75)]
)
def test_logits_are_those_of_sonnet(which, size, request):
    """On even sides and odd ones: padding differs."""
    one = request.getfixturevalue(which)
    theirs = one.module(one.images(16, size, seed=5), is_training=False).numpy()
    ours = one.model(pixels(16, size, seed=5), training=False).numpy()
    assert 0.3 < theirs.std() < 4 and theirs.std(0).mean() > 0.1  # they depend on the images
    require_equal(ours, theirs)


def test_logits_of_the_resnet_are_those_of_sonnet_at_the_size_it_was_trained_at(resnet):
    theirs = resnet.module(resnet.images(2, 224, seed=5), is_training=False).numpy()
    ours = resnet.model(pixels(2, 224, seed=5), training=False).numpy()
    require_equal(ours, theirs)


@pytest.mark.parametrize("which", ["inception", "resnet"])
def test_every_variable_of_the_checkpoint_has_its_place(which, request):
    one = request.getfixturevalue(which)
    keys = tf.train.load_checkpoint(str(one.prefix)).get_variable_to_shape_map()
    mapped = variable_map(one.model)
    rest = {key.removesuffix(VALUE) for key in keys if key.startswith("model/")} - {
        key.removesuffix(VALUE) for key in mapped
    }
    assert {name.split("/")[-1] for name in rest} == {"_hidden", "_counter"}
    n_norms = sum("scale" in key for key in mapped)
    assert len(rest) == 4 * n_norms
    assert len(mapped) == len(one.model.variables) == len({id(v) for v in mapped.values()})


def test_architecture_and_classes_are_found(inception, resnet, tmp_path):
    assert (inception.model.name, inception.model.output_shape) == ("inception", (None, 10))
    assert (resnet.model.name, resnet.model.output_shape) == ("imagenet-resnet50", (None, 1000))
    hundred = SmallInception(100)
    hundred(pixels(2, 32), is_training=True)
    model = restore(saved(hundred, tmp_path))
    assert (model.name, model.output_shape) == ("inception", (None, 100))


def test_what_stands_beside_the_model_is_passed_over_and_said(inception, tmp_path, caplog):
    optimizer = sonnet.optimizers.Momentum(0.1, 0.9)
    weights = inception.module.trainable_variables[:2]
    optimizer.apply([tf.zeros_like(each) for each in weights], weights)
    slots = tf.compat.v1.train.MomentumOptimizer(0.1, 0.9)
    slots.apply_gradients([(tf.zeros_like(weights[0]), weights[0])])
    prefix = saved(inception.module, tmp_path, optimizer=optimizer, old=slots)
    keys = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
    assert any(key.startswith("model/") and ".OPTIMIZER_SLOT" in key for key in keys)
    with caplog.at_level(logging.INFO, "memtools.checkpoints"):
        model = restore(prefix)
    said = "beside the model: epoch, global_step, optimizer, save_counter, slots of an optimizer"
    assert said in caplog.text
    images = pixels(4, 32)
    assert np.array_equal(model(images), inception.model(images))


# ---- what is refused


def resaved(prefix, directory, change):
    """A checkpoint of the same variables, after `change` was made to their values by name."""
    reader = tf.train.load_checkpoint(str(prefix))
    values = {
        key.removesuffix(VALUE): reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if key.endswith(VALUE)
    }
    change(values)
    root = tf.Module()
    for name, value in values.items():
        at, *path, last = [root, *name.split("/")]
        for word in path:
            if not hasattr(at, word):
                setattr(at, word, tf.Module())
            at = getattr(at, word)
        setattr(at, last, tf.Variable(value))
    return Path(tf.train.Checkpoint(root).write(str(directory / "ckpt-5")))


def test_the_same_variables_saved_again_are_the_same_model(inception, tmp_path):
    model = restore(resaved(inception.prefix, tmp_path, lambda values: None))
    images = pixels(4, 32)
    assert np.array_equal(model(images), inception.model(images))


def cut_off(values):
    del values["model/stage2/_body/3/conv1x1/bn/moving_variance/average"]


def widen(values):
    values["model/stage1/_downsample/conv/w"] = np.zeros((3, 3, 80, 161), np.float32)


def flatten(values):
    values["model/conv1/bn/moving_mean/average"] = np.zeros(96, np.float32)


def add(values):
    values["model/stage3/_downsample/conv/w"] = np.zeros((3, 3, 336, 8), np.float32)


def lose_all_norms(values):
    for name in [name for name in values if "/bn/" in name]:
        del values[name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut_off, r"model/stage2/_body/3/conv1x1/bn/moving_variance/average is missing(\n|$)"),
        (
            widen,
            r"model/stage1/_downsample/conv/w is \[3, 3, 80, 161\], not \[3, 3, 80, 160\](\n|$)",
        ),
        (flatten, r"moving_mean/average is \[96\], not \[1, 1, 1, 96\](\n|$)"),
        (add, r"is no inception: model/stage3/_downsample/conv/w is left over(\n|$)"),
        (lose_all_norms, r"(.* is missing; ){3}and 73 more(\n|$)"),
    ],
)
def test_variables_that_do_not_fit_are_named(inception, tmp_path, change, words):
    with pytest.raises(SchemaError, match=words) as raised:
        restore(resaved(inception.prefix, tmp_path, change))
    assert "another architecture" in raised.value.hint


def test_a_wider_inception_is_no_released_one(tmp_path):
    other = SmallInception(10)
    other.stage3 = Stage([(176, 160), (176, 161)], 0)
    other(pixels(2, 32), is_training=True)
    with pytest.raises(SchemaError, match=r"conv3x3/conv/w is \[3, 3, 336, 161\], not .* 160\]"):
        restore(saved(other, tmp_path))


def test_a_resnet_of_version_two_is_no_released_one(tmp_path):
    other = ResNet50(num_classes=10, resnet_v2=True)
    other(pixels(2, 32), is_training=True)
    with pytest.raises(SchemaError, match="_initial_batchnorm/scale is missing"):
        restore(saved(other, tmp_path))


def test_another_architecture_than_the_one_that_was_named_is_refused(inception):
    assert restore(inception.prefix, "inception").name == "inception"
    with pytest.raises(SchemaError, match="is no imagenet-resnet50: model/_logits/b is missing"):
        restore(inception.prefix, "imagenet-resnet50")
    with pytest.raises(ConfigError, match="'resnet18'") as raised:
        restore(inception.prefix, "resnet18")
    assert "inception, imagenet-resnet50" in raised.value.hint


def test_a_model_that_nobody_released_is_refused(tmp_path):
    other = sonnet.nets.MLP([3, 4])
    other(tf.zeros([1, 2]))
    with pytest.raises(SchemaError, match=r"no model that we know, but .*model/_layers/0/b"):
        restore(saved(other, tmp_path))


# ---- files


def copied(one, tmp_path):
    """A copy of both files; (prefix, data, index)."""
    for file in one.prefix.parent.glob("ckpt-1.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    prefix = tmp_path / "ckpt-1"
    return prefix, tmp_path / "ckpt-1.data-00000-of-00001", tmp_path / "ckpt-1.index"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("which", [1, 2])
def test_a_damaged_file_is_called_that(inception, tmp_path, which, damage):
    prefix, *files = copied(inception, tmp_path)
    damage(files[which - 1])
    with pytest.raises(RecordError, match="ckpt-1 cannot be read") as raised:
        restore(prefix)
    assert "get the run again" in raised.value.hint


def test_a_data_file_that_is_not_there_is_named(inception, tmp_path):
    prefix, data, _ = copied(inception, tmp_path)
    data.unlink()
    with pytest.raises(RecordError, match=r"ckpt-1\.data-00000-of-00001"):
        restore(prefix)


def test_a_checkpoint_is_found_by_prefix_index_directory_and_run(inception):
    prefix = inception.prefix
    for path in (prefix, prefix.with_name("ckpt-1.index"), prefix.parent, inception.run):
        assert find(path) == prefix


def test_no_checkpoint_and_several_are_not_guessed_at(inception, tmp_path):
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        find(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no checkpoint .*/ckpt-2(\n|$)"):
        find(inception.prefix.with_name("ckpt-2"))
    for name in ("ckpt-9.index", "ckpt-99.index"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="2 checkpoints: ckpt-9, ckpt-99") as raised:
        find(tmp_path)
    assert "the one you mean" in raised.value.hint
