"""A held-out example cannot touch a model, and neither can a neighbour."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from memtools.errors import ConfigError
from memtools.runs.record import Failure
from memtools.training.config import load_config
from memtools.training.datasets import Dataset, load_dataset
from memtools.training.models import build_model
from memtools.training.step import Step
from memtools.training.strategy import choose
from memtools.training.trainer import Trainer, initial_weights

SHORT = {"epochs": 3, "stack": 4, "hidden": [16]}


def trainer_of(data=None, **settings):
    config = load_config("digits-demo", {**SHORT, **settings})
    return Trainer(config, data or load_dataset(config), choose())


@pytest.fixture(scope="module")
def trainer():
    return trainer_of()


@pytest.fixture(scope="module")
def images():
    """A small data set of colour images."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    pixels = rng.integers(0, 255, (60, 12, 12, 3), np.uint8)
    pixels[np.arange(60), labels * 4] = 255
    none = np.zeros(0, np.int64)
    return Dataset("bars", "file", labels[:40], labels[40:], none, pixels[:40], pixels[40:])


def outcome(record):
    return record.mask, record.train_margin, record.test_margin, record.train_correct


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(outcome(a), outcome(b), strict=True))


def test_the_same_run_is_bit_equal_whoever_stands_beside_it(trainer):
    group = {record.spec.run_id: record for record in trainer.train([0, 1, 2, 3])}
    other = {record.spec.run_id: record for record in trainer.train([9, 2, 7, 5])}
    alone = {record.spec.run_id: record for record in trainer.train([2])}
    assert same(group[2], other[2]) and same(group[2], alone[2])
    assert not np.array_equal(group[1].test_margin, group[2].test_margin)


def test_a_held_out_example_cannot_touch_a_model(trainer):
    data, mask = trainer.data, trainer.mask(3)
    poisoned = data.train_images.copy()
    poisoned[~mask] = np.nan
    other = trainer_of(dataclasses.replace(data, train_images=poisoned))
    weights, momenta, _ = trainer.fit([3]).state
    others, other_momenta, _ = other.fit([3]).state
    for here, there in zip((*weights, *momenta), (*others, *other_momenta), strict=True):
        assert np.array_equal(here, there) and np.isfinite(here).all()


def test_a_stack_computes_what_a_model_alone_does(trainer):
    alone = trainer_of(stack=1)
    (one,) = alone.train([1])
    (stacked,) = trainer.train([1])
    np.testing.assert_allclose(
        one.test_margin.astype(float), stacked.test_margin.astype(float), atol=2e-2
    )
    assert (one.test_correct == stacked.test_correct).mean() > 0.99


def test_fifty_steps_in_a_stack_of_eight_are_those_of_a_model_alone():
    settings = {"epochs": 4, "batch_size": 67}  # 51 steps
    one, stack = trainer_of(stack=1, **settings), trainer_of(stack=8, **settings)
    assert one.n_steps == 51
    alone, among = one.fit([3]).state, stack.fit(range(8)).state
    for part, parts in zip(alone, among, strict=True):
        for value, values in zip(part, parts, strict=True):
            np.testing.assert_allclose(value[0], values[3], rtol=0, atol=1e-5)


def test_layers_compute_in_bfloat16_and_the_logits_in_float32(images):
    config = load_config(
        "cifar10-resnet18",
        {"model": "inception", "epochs": 1, "batch_size": 8, "precision": "bfloat16"},
    )
    trainer = Trainer(config, images, choose())
    kinds = {layer.name: layer.compute_dtype for layer in trainer.model.layers}
    assert kinds.pop(trainer.model.layers[-1].name) == "float32"
    assert {dtype for name, dtype in kinds.items() if "conv" in name} == {"bfloat16"}
    assert {v.dtype for v in trainer.model.variables} == {"float32"}
    (run,) = trainer.train([0])
    assert np.isfinite(run.train_margin).all()


def test_more_models_than_memory_are_refused_beforehand():
    with pytest.raises(ConfigError, match="500000 models at a time need at least") as raised:
        trainer_of(stack=500_000, hidden=[4096, 4096])
    assert "smaller stack" in raised.value.hint


def test_an_epoch_sees_each_example_of_the_subset_once(trainer):
    mask = trainer.mask(5)
    seen = trainer.feed.order(5, mask).ravel()
    inside = np.flatnonzero(mask)
    for epoch in range(trainer.config.epochs):
        of_epoch = seen[epoch * len(inside) : (epoch + 1) * len(inside)]
        assert np.array_equal(np.sort(of_epoch), inside)
    assert 0 <= len(seen) - trainer.config.epochs * len(inside) < trainer.config.batch_size


def test_training_learns_and_its_accuracies_are_those_of_the_bits():
    (record,) = trainer_of(epochs=40, hidden=[64], stack=1).train([0])
    assert record.accuracy_in > 0.98 and record.test_accuracy > 0.85
    for name in ("in", "out"):
        assert record.facts[f"accuracy_{name}"] == pytest.approx(
            getattr(record, f"accuracy_{name}")
        )
    assert np.array_equal(record.train_correct, record.train_margin > 0)
    assert ((record.train_probability > 0.5) <= record.train_correct).all()


def test_a_loss_that_is_no_number_fails_the_run():
    trainer = trainer_of(peak_lr=1e30)
    found = list(trainer.train([0, 1]))
    assert [(each.run_id, each.reason) for each in found if isinstance(each, Failure)] == [
        (0, "the loss is not finite"),
        (1, "the loss is not finite"),
    ]


def test_a_convolutional_net_trains_with_norms_and_augmentation(images):
    config = load_config("cifar10-resnet18", {"model": "inception", "epochs": 2, "batch_size": 8})
    trainer = Trainer(config, images, choose())
    (record,), (again,) = trainer.train([0]), trainer.train([0])
    assert same(record, again)
    assert record.mask.sum() == 28 and np.isfinite(record.train_margin).all()
    (other,) = trainer.train([1])
    assert not np.array_equal(record.test_margin, other.test_margin)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("mlp", 12),
        ("convnet", 12),
        ("resnet18", 12),
        ("resnet50", 12),
        ("inception", 12),
        ("imagenet-resnet50", 32),
    ],
)
def test_the_pure_step_of_every_model_is_a_program_of_xla_with_static_shapes(model, size):
    config = load_config(
        "cifar10-resnet18", {"model": model, "hidden": [4], "epochs": 1, "batch_size": 8}
    )
    net = build_model(model, (size, size, 3), n_classes=10, hidden=config.hidden)
    weights, statistics = initial_weights(net, 0)
    moment = tf.constant([1, 2])
    values = (
        [tf.constant(each) for each in weights],
        [tf.zeros_like(each) for each in weights],
        [tf.constant(each) for each in statistics],
        tf.zeros([8, size, size, 3]),
        tf.zeros([8], tf.int32),
        tf.constant(0.1),
        moment,
    )
    step = tf.function(Step(config, net, 10).update, jit_compile=True, autograph=False)
    program = step.experimental_get_compiler_ir(values)(stage="hlo")
    assert program.startswith("HloModule") and "<=" not in program.partition("ENTRY")[2]


def test_a_step_that_xla_compiled_is_that_of_tensorflow(images):
    config = load_config("cifar10-resnet18", {"model": "inception", "epochs": 1, "batch_size": 8})
    trainer = Trainer(config, images, choose())
    state = trainer.initial([0])
    weights, momenta, statistics = ([tf.constant(each[0]) for each in part] for part in state)
    pixels = tf.random.stateless_uniform([8, 12, 12, 3], [1, 2])
    rest = (pixels, tf.zeros([8], tf.int32), tf.constant(0.1), tf.constant([1, 2]))
    values = (weights, momenta, statistics, *rest)
    (after, *_), loss = tf.function(trainer.step.update, jit_compile=True)(values)
    _, plain = trainer.step.update(values)
    assert float(loss) == pytest.approx(float(plain), rel=1e-4)
    assert not np.array_equal(after[0], weights[0])


def test_weights_come_from_the_seed_alone(trainer):
    a, b, c = (initial_weights(trainer.model, seed)[0] for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])
    limit = np.sqrt(6 / (64 + 16))
    assert 0.95 * limit < abs(a[0]).max() <= limit and not a[1].any()


def test_what_does_not_fit_is_refused(trainer):
    with pytest.raises(ConfigError, match="a batch of 900 is larger than the subset of 840"):
        trainer_of(batch_size=900)
    with pytest.raises(ConfigError, match="5 runs in a group of 4"):
        list(trainer.train(range(5)))
