"""What `fit` trains on several devices at once: each computes its part of a batch, and all take the whole batch's step.

Keras' own step counts every device's part the same, however many images it has, clips each part's gradient by itself,
and leaves moving statistics as each device found them. Here the loss, the gradient and the metrics of a batch are those
of all its images, and the copies of every variable are the same on all devices after each batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.backend.distribution import mirrored
from zoo.backend.keras_internals.optimizers import inner_optimizer
from zoo.backend.keras_internals.replicas import update_each_copy

# A replica's part of a batch: what the model takes, labels, and of each image its share of the batch's images.
Part = tuple[Any, Any, Any]


class MirroredModel(keras.Model):
    """A model whose steps are those of the whole batch, whatever part of it each device has.

    It is made of inputs and outputs, as a functional model is, outside of the strategy's scope: Keras would build it by
    the mean of the first batch's parts, which may differ in size. `fit` and `evaluate` take what `mirrored.fed` gives.

    Attributes:
        moving: The weights that a forward pass moves: moving statistics of what trains. Each takes the mean of what the
            devices came to, weighted by their images.
    """

    moving: Sequence[Any] = ()

    @property
    def distribute_strategy(self) -> Any:
        """What Keras runs the steps by."""
        several = mirrored.current()
        return super().distribute_strategy if several is None else several.strategy

    def compile(self, *, loss: Any, metrics: Sequence[Any], jit_compile: Any, **options: Any) -> None:
        """Compiles, inside the strategy's scope, what counts each image of a batch alike; by XLA never."""
        # Without weights the two are the same; of a part they are not.
        if loss.reduction == "mean_with_sample_weight":
            loss.reduction = "sum_over_batch_size"
        super().compile(loss=loss, weighted_metrics=metrics, jit_compile=False, **options)

    def train_step(self, data: Part) -> Mapping[str, Any]:
        """Takes the step of a batch of which this replica has a part; returns the metrics of all its batches so far."""
        import tensorflow as tf

        inputs, labels, shares = data
        with tf.GradientTape() as tape:
            outputs = self(inputs, training=True)
            loss = self._share_of_loss(inputs, labels, outputs, shares, training=True)
            optimizer: Any = self.optimizer
            scaled = optimizer.scale_loss(loss)
        weights = self.trainable_weights
        gradients = tape.gradient(scaled, [weight.value for weight in weights])
        optimizer.apply_gradients(zip(summed_up(gradients), weights, strict=True))
        self._average_moving(shares)
        return self._count(labels, outputs, shares, loss)

    def test_step(self, data: Part) -> Mapping[str, Any]:
        """Evaluates a batch of which this replica has a part; returns the metrics of all its batches so far."""
        inputs, labels, shares = data
        outputs = self(inputs, training=False)
        loss = self._share_of_loss(inputs, labels, outputs, shares, training=False)
        return self._count(labels, outputs, shares, loss)

    def _share_of_loss(self, inputs: Any, labels: Any, outputs: Any, shares: Any, *, training: bool) -> Any:
        """Returns what this replica adds to the mean loss of the batch."""
        import tensorflow as tf

        # Keras takes the mean of the part and divides it by the number of replicas.
        weights = shares * tf.cast(tf.size(shares) * replicas(), shares.dtype)
        return self.compute_loss(inputs, labels, outputs, sample_weight=weights, training=training)

    def _average_moving(self, shares: Any) -> None:
        import tensorflow as tf

        if not self.moving:
            return
        share = tf.reduce_sum(shares)
        for weight, mean in zip(self.moving, summed_up([w.value * share for w in self.moving]), strict=True):
            weight.assign(mean)

    def _count(self, labels: Any, outputs: Any, shares: Any, loss: Any) -> Mapping[str, Any]:
        """Counts a batch in each replica's metrics as a whole, so that each tells the same."""
        import tensorflow as tf

        shown = tf.cast(shares > 0, tf.float32)
        mean, *others = self.metrics
        before = [variable for metric in others for variable in metric.variables]
        counted: list[Any] = []
        for metric in others:
            nothing = [tf.zeros_like(variable.value) for variable in metric.variables]
            counted += metric.stateless_update_state(nothing, labels, outputs, sample_weight=shown)
        loss, images, *counted = summed_up([loss, tf.reduce_sum(shown), *counted])
        mean.update_state(loss, sample_weight=images)
        for variable, more in zip(before, counted, strict=True):
            variable.assign(variable.value + more)
        return self.get_metrics_result()


def as_mirrored(model: keras.Model, moving: Sequence[Any]) -> MirroredModel:
    """Makes what trains on several devices of a model, outside of the strategy's scope.

    Args:
        model: Its variables were made inside the scope.
        moving: The weights that a forward pass moves.
    """
    made = MirroredModel(model.input, model.output)
    made.moving = tuple(moving)
    return made


def make_ready(training_model: Any, model: keras.Model) -> None:
    """Makes the variables of a compiled model's optimizer; on several devices those of its metrics too.

    Args:
        training_model: What `fit` trains.
        model: The whole model, whose trainable set is that of the phase.
    """
    with mirrored.on_each_device():
        training_model.optimizer.build(model.trainable_variables)
        if mirrored.current() is not None:
            update_each_copy(inner_optimizer(training_model.optimizer))
            build_metrics(training_model, model.output_shape[-1])


def build_metrics(training_model: Any, classes: int) -> None:
    """Makes the variables of a compiled model's metrics, as Keras does on TensorFlow in the first batch only."""
    outputs = np.zeros((1, *training_model.output_shape[1:]), np.float32)
    training_model.compute_metrics(None, np.zeros((1, classes), np.float32), outputs)


def replicas() -> int:
    """Returns how many replicas take a step together."""
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def summed_up(tensors: Sequence[Any]) -> list[Any]:
    """Sums each tensor up over all replicas, in one go; None stays None."""
    import tensorflow as tf

    context: Any = tf.distribute.get_replica_context()
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, [each for each in tensors if each is not None]))
    return [None if each is None else next(sums) for each in tensors]
