"""Mixup and CutMix: two images of a batch in one, and their labels in the same shares.

Labels take part in the compiled step: the training model takes (pixels, labels) and gives the mixed labels beside the
probabilities, and loss and accuracy take them from there. What is saved and exported is the model itself.
"""

from typing import Any

import keras

from zoo.recipe.schema import AugmentSection
from zoo.training.compiling.losses import nonzero_weight


class Mixing(keras.layers.Layer):
    """Mixes each image with the one on the other side of the batch, in training only.

    Mixup (Zhang et al. 2018, arXiv:1710.09412) adds them in shares of lambda and 1 - lambda; CutMix (Yun et al. 2019,
    arXiv:1905.04899) puts a box of the other image, of 1 - lambda of the area, into it. Lambda is drawn from
    Beta(alpha, alpha) for each batch; with both, each batch is mixed one way or the other.

    Takes and gives float[batch, height, width, channels] and labels float[batch, classes].
    """

    def __init__(self, *, mixup: float, cutmix: float, seed: int = 0, name: str = "augment_mixing") -> None:
        super().__init__(dtype="float32", name=name)
        self._mixup = mixup
        self._cutmix = cutmix
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, labels: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Returns mixed images and labels; both as they are outside of training."""
        if not training:
            return images, labels
        ops: Any = keras.ops
        others, other_labels = ops.flip(images, axis=0), ops.flip(labels, axis=0)
        # Each draw is taken in any case, so that what follows in the batch does not depend on which way is taken.
        added, share_added = self._added(images, others)
        cut, share_cut = self._cut(images, others)
        is_cut = keras.random.uniform((), seed=self.generator) < self._share_of_cuts
        mixed = ops.where(is_cut, cut, added)
        share = ops.where(is_cut, share_cut, share_added)
        return mixed, share * labels + (1 - share) * other_labels

    @property
    def _share_of_cuts(self) -> float:
        return 0.5 if self._mixup and self._cutmix else float(bool(self._cutmix))

    def _added(self, images: Any, others: Any) -> tuple[Any, Any]:
        share = self._draw(self._mixup)
        return share * images + (1 - share) * others, share

    def _cut(self, images: Any, others: Any) -> tuple[Any, Any]:
        ops: Any = keras.ops
        side = ops.sqrt(1 - self._draw(self._cutmix))
        inside: Any = True
        for axis, length in ((1, images.shape[1]), (2, images.shape[2])):
            centre = keras.random.uniform((), maxval=length, seed=self.generator)
            places = ops.reshape(
                ops.arange(length, dtype="float32") + 0.5, [-1 if axis == at else 1 for at in range(4)]
            )
            inside = ops.logical_and(inside, ops.abs(places - centre) <= side * length / 2)
        # The box ends at the image's edge: its share is what is inside.
        return ops.where(inside, others, images), 1 - ops.mean(ops.cast(inside, "float32"))

    def _draw(self, alpha: float) -> Any:
        return keras.random.beta((), alpha or 1.0, alpha or 1.0, seed=self.generator)


def mixing_layer(augment: AugmentSection) -> Mixing | None:
    """Builds what a recipe's `[augment]` asks for; None where it mixes nothing."""
    if not augment.mixes:
        return None
    return Mixing(mixup=augment.mixup, cutmix=augment.cutmix)


class OnMixedLabels(keras.losses.Loss):
    """A loss of the mixed labels and probabilities that the training model gives side by side."""

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name)
        self._loss: Any = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns float[batch]."""
        return self._loss.call(*side_by_side(y_true, y_pred))


class AccuracyOnMixedLabels(keras.metrics.MeanMetricWrapper):
    """The share of images whose likeliest class is the one of which they hold most.

    Where images have weights, those of weight 0 are left out.
    """

    def __init__(self, *, weighted: bool = False) -> None:
        super().__init__(
            lambda y_true, y_pred: keras.metrics.categorical_accuracy(*side_by_side(y_true, y_pred)), name="accuracy"
        )
        self._weighted = weighted

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Counts a batch of what the training model gives."""
        if self._weighted:
            sample_weight = nonzero_weight(side_by_side(y_true, y_pred)[0])
        return super().update_state(y_true, y_pred, sample_weight=sample_weight)


def side_by_side(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Takes labels and probabilities apart, each float[batch, classes]."""
    classes = y_true.shape[-1]
    return y_pred[:, :classes], y_pred[:, classes:]
