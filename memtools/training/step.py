"""One step of one model, as a pure function: values in, values out.

    step = Step(config, model, n_classes)
    state, loss = step.update((weights, momenta, statistics, images, labels, rate, moment))

It holds no variable, so it compiles under XLA, stacks by vectorisation, runs on any replica, and a
run cannot see its neighbours. SGD with momentum; weight decay is added to the gradient.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from memtools.extras import needing
from memtools.training.config import Config
from memtools.training.models import has_convolutions

with needing("tf"):
    import keras
    import tensorflow as tf

PAD = 4  # pixels around an image that is cropped

State = tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]
"""Weights, momenta, moving statistics; each [stack, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """shared: whether replicas train one model, each on its part of the batch."""

    config: Config
    model: keras.Model
    n_classes: int
    shared: bool = False

    def update(self, values: Any) -> tuple[State, tf.Tensor]:
        """State and loss after a step.

        values: weights, momenta, statistics; images [batch, ...], labels int32 [batch]: of this
        replica; rate: learning rate; moment: int32 [2], a seed of this run and step.
        """
        weights, momenta, statistics, images, labels, rate, moment = values
        config = self.config
        images = as_float(images)
        if config.augment == "crop-flip":
            images = crop_and_flip(images, *self._draws(moment, images.shape[0]))
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, statistics = self.model.stateless_call(
                weights, statistics, images, training=True
            )
            target = tf.one_hot(labels, self.n_classes)
            smoothing = config.label_smoothing
            target = target * (1 - smoothing) + smoothing / self.n_classes
            losses = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            loss = tf.reduce_sum(losses) / config.batch_size  # the whole batch, of all replicas
        gradients = tape.gradient(loss, weights)
        if self.shared:
            context = tf.distribute.get_replica_context()
            gradients, loss = context.all_reduce("sum", [gradients, loss])
        if config.weight_decay:
            gradients = [
                gradient + config.weight_decay * weight if decayed else gradient
                for gradient, weight, decayed in zip(
                    gradients, weights, self._decayed(), strict=True
                )
            ]
        momenta = [config.momentum * m + g for m, g in zip(momenta, gradients, strict=True)]
        if config.nesterov:
            gradients = [config.momentum * m + g for m, g in zip(momenta, gradients, strict=True)]
        moves = gradients if config.nesterov else momenta
        weights = [w - rate * move for w, move in zip(weights, moves, strict=True)]
        return (weights, momenta, list(statistics)), loss

    def logits(self, values: Any) -> tf.Tensor:
        """float32 [n, n_classes] of images [n, ...], not training; values: weights, statistics."""
        weights, statistics, images = values
        found, _ = self.model.stateless_call(weights, statistics, as_float(images), training=False)
        return found

    @property
    def vectorises(self) -> bool:
        """Whether a stack is one program of batched products; else its models follow each other.

        Convolutions with other weights for each example cannot be batched.
        """
        return self.config.stack > 1 and not has_convolutions(self.model)

    def apart(self, state: State) -> Any:
        """A stack's state in the form that a loop carries.

        Models that are not vectorised are carried one by one: taking them out of a stack and
        putting them back in each step costs a fifth of the time of an MLP.
        """
        if self.vectorises:
            return state
        each = zip(*(tf.unstack(value) for value in tf.nest.flatten(state)), strict=True)
        return [tf.nest.pack_sequence_as(state, of_model) for of_model in each]

    def together(self, states: Any) -> Any:
        """The opposite of `apart`."""
        if self.vectorises:
            return states
        return tf.nest.map_structure(lambda *each: tf.stack(each), *states)

    def update_all(
        self, states: Any, images: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor, moments: tf.Tensor
    ) -> tuple[Any, tf.Tensor]:
        """All models after a step, and their losses, [stack]; states: as of `apart`."""
        n_models = self.config.stack
        if self.vectorises:
            rates = tf.fill([n_models], rate)
            after, losses = tf.vectorized_map(
                self.update, (*states, images, labels, rates, moments)
            )
            return after, losses
        results = [
            self.update((*states[k], images[k], labels[k], rate, moments[k]))
            for k in range(n_models)
        ]
        after, losses = zip(*results, strict=True)
        return list(after), tf.stack(losses)

    def logits_of_all(self, state: State, images: tf.Tensor) -> tf.Tensor:
        """float32 [stack, n, n_classes] of images [n, ...]."""
        of_model = self.apart(state)
        if self.vectorises:
            weights, _, statistics = of_model
            return tf.vectorized_map(
                lambda each: self.logits((*each, images)), (weights, statistics)
            )
        return tf.stack([self.logits((weights, stats, images)) for weights, _, stats in of_model])

    def _decayed(self) -> list[bool]:
        """Which weights decay: kernels, neither biases nor norms."""
        return [variable.path.endswith("kernel") for variable in self.model.trainable_variables]

    def _draws(self, moment: tf.Tensor, n: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Crop and flip of each image of this replica; those of the batch, however it is cut."""
        n_drawn = [self.config.batch_size]

        def draw(which: int, below: int) -> tf.Tensor:
            # Integers of Philox are the same under XLA, on every device; floats are not.
            seed = moment + which
            return tf.random.stateless_uniform(n_drawn, seed, 0, below, tf.int32, alg="philox")

        span = 2 * PAD + 1
        drawn = draw(0, span), draw(1, span), draw(2, 2) == 1
        if not self.shared:
            return drawn
        begin = tf.distribute.get_replica_context().replica_id_in_sync_group * n
        top, left, flip = (tf.slice(each, [begin], [n]) for each in drawn)
        return top, left, flip


def as_float(images: tf.Tensor) -> tf.Tensor:
    """Pixels within [0, 1]."""
    return tf.cast(images, tf.float32) / 255 if images.dtype == tf.uint8 else images


def crop_and_flip(images: tf.Tensor, top: tf.Tensor, left: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Zero-padded by 4, a window of the old size at [top, left], flipped where told."""
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [PAD, PAD], [PAD, PAD], [0, 0]])
    columns = tf.range(width)[None] + tf.zeros_like(left)[:, None]
    columns = tf.where(flip[:, None], width - 1 - columns, columns) + left[:, None]
    rows = tf.range(height)[None] + top[:, None]
    return tf.gather(tf.gather(padded, rows, batch_dims=1), columns, axis=2, batch_dims=1)
