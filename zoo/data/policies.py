"""Random operations on images that Keras has no layer for, composed of the layers that it has.

Keras' own RandAugment turns images by up to half a circle, its AugMix draws its operations when a step is compiled,
once for the whole training, and its Equalization takes one histogram of a whole batch, by a loop that JAX needs half a
minute to compile. Here each step draws its own operations, from the layer's seed generator alone.

All take and give float32[batch, height, width, channels] in [0, 255], and change nothing outside of training.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

# What comes in from outside the image is black, as in a padded photo and as the paper of a digit is.
FILL: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0}
VALUE_RANGE = (0, 255)


def operations(*, channels: int, strength: float) -> list[Any]:
    """Lists the operations that the policies draw from.

    Source: RandAugment's list and largest strengths (Cubuk et al. 2020, arXiv:1909.13719, as in its reference code),
    with shear and translation in both directions at once.

    Args:
        channels: Of the images; what changes colours needs three.
        strength: Share of the largest strength of each, in [0, 1].
    """
    settings: dict[str, Any] = {"dtype": "float32", "seed": 0}
    ranged: dict[str, Any] = {**settings, "value_range": VALUE_RANGE}
    # Bits that are kept; a single number would be the most of them, down to 1.
    posterized: dict[str, Any] = {**ranged, "factor": (8 - round(4 * strength), 8)}
    solarized: dict[str, Any] = {**ranged, "threshold_factor": (1 - strength, 1.0)}
    listed: list[Any] = [
        layers.RandomShear(x_factor=0.3 * strength, y_factor=0.3 * strength, **FILL, **settings),
        layers.RandomTranslation(0.3 * strength, 0.3 * strength, **FILL, **settings),
        layers.RandomRotation(30 / 360 * strength, **FILL, **settings),
        layers.RandomBrightness(0.5 * strength, **ranged),
        layers.RandomContrast(0.9 * strength, **ranged),
        # 0.5 is the image itself.
        layers.RandomSharpness((0.5 - 0.45 * strength, 0.5 + 0.45 * strength), **ranged),
        layers.RandomPosterization(**posterized),
        layers.Solarization(**solarized),
        layers.AutoContrast(value_range=VALUE_RANGE, dtype="float32"),
        Equalization(),
    ]
    if channels == 3:
        listed.append(layers.RandomColorDegeneration(0.9 * strength, **ranged))
    return listed


class Equalization(keras.layers.Layer):
    """Spreads the values of each channel of each image evenly over [0, 255], with the interface of Keras' layers."""

    def __init__(self) -> None:
        super().__init__(dtype="float32")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> None:
        """Draws nothing."""

    def transform_images(self, images: Any, transformation: None = None, training: bool = True) -> Any:
        """Returns float32 of the images' shape, whole numbers in [0, 255]."""
        ops: Any = keras.ops
        height, width, channels = images.shape[1:]
        values = ops.cast(ops.clip(images, 0, 255), "int32")
        rows = ops.reshape(ops.transpose(values, (0, 3, 1, 2)), (-1, height * width))
        count = ops.shape(images)[0] * channels
        bins = ops.reshape(rows + 256 * ops.expand_dims(ops.arange(count), 1), (-1,))
        histogram = ops.segment_sum(ops.ones_like(bins), bins, num_segments=count * 256)
        at_most = ops.cumsum(ops.reshape(histogram, (-1, 256)), axis=1)
        darkest = ops.min(ops.where(at_most > 0, at_most, height * width), axis=1, keepdims=True)
        others = ops.cast(height * width - darkest, "float32")
        table = ops.round(255 * ops.cast(ops.maximum(at_most - darkest, 0), "float32") / ops.maximum(others, 1.0))
        spread = ops.reshape(ops.take(ops.reshape(table, (-1,)), bins), (-1, height * width))
        # A channel of one value has nothing to spread.
        equalized = ops.where(others > 0, spread, ops.cast(rows, "float32"))
        return ops.transpose(ops.reshape(equalized, (-1, channels, height, width)), (0, 2, 3, 1))


class RandomWindow(keras.layers.Layer):
    """Cuts a window of random size out of each image, at a random place, and brings it to full size.

    Source: Szegedy et al. 2015 (arXiv:1409.4842), section 6, with the image's own aspect ratio.
    """

    def __init__(self, smallest: float, *, seed: int = 0, dtype: str = "float32", name: str | None = None) -> None:
        """Prepares the layer.

        Args:
            smallest: The smallest side of a window, as a share of the image's.
            seed: Of what is drawn.
            dtype: Of the computation.
            name: Of the layer.
        """
        super().__init__(dtype=dtype, name=name)
        self._smallest = smallest
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Returns the windows; the images as they are outside of training."""
        if not training:
            return images
        ops: Any = keras.ops
        count = ops.shape(images)[0]
        side = keras.random.uniform((count, 1), self._smallest, 1.0, seed=self.generator)
        left, top = (
            keras.random.uniform((count, 1), seed=self.generator) * (1 - side) * (length - 1)
            for length in (images.shape[2], images.shape[1])
        )
        zero = ops.zeros_like(side)
        # Where each pixel of the window comes from: x' = side x + left, y' = side y + top.
        transform = ops.concatenate([side, zero, left, zero, side, top, zero, zero], axis=1)
        return ops.image.affine_transform(images, transform, fill_mode="nearest")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


class Policy(keras.layers.Layer):
    """What the policies share: the operations, and two ways to draw one."""

    def __init__(
        self,
        *,
        channels: int,
        strength: float,
        seed: int = 0,
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        """Prepares the layer.

        Args:
            channels: Of the images.
            strength: Share of each operation's largest strength; each image has its own below that.
            seed: Of what is drawn.
            dtype: Of the computation.
            name: Of the layer.
        """
        super().__init__(dtype=dtype, name=name)
        self.operations: Sequence[Any] = operations(channels=channels, strength=strength)
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Builds the operations."""
        for operation in self.operations:
            operation.build(input_shape)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Returns changed images; the images as they are outside of training."""
        return self.changed(images) if training else images

    def changed(self, images: Any) -> Any:
        """Changes images at random."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def one_for_each(self, images: Any) -> Any:
        """Applies one operation to each image, drawn for it: all are computed, and each image takes its own."""
        ops: Any = keras.ops
        which = self._draw((ops.shape(images)[0], 1, 1, 1))
        changed = images
        for number, (operation, drawn) in enumerate(self._drawn(images)):
            changed = ops.where(which == number, operation.transform_images(images, drawn, training=True), changed)
        return changed

    def one_for_all(self, images: Any) -> Any:
        """Applies one operation, drawn for the batch, with a strength drawn for each image: only it is computed."""
        ops: Any = keras.ops
        # Random numbers are drawn out here: a branch may not move the generator on JAX.
        branches = [
            lambda given, operation=operation, drawn=drawn: ops.cast(
                operation.transform_images(given, drawn, training=True), images.dtype
            )
            for operation, drawn in self._drawn(images)
        ]
        return ops.switch(self._draw(()), branches, images)

    def _draw(self, shape: tuple[Any, ...]) -> Any:
        return keras.random.randint(shape, 0, len(self.operations), seed=self.generator)

    def _drawn(self, images: Any) -> list[tuple[Any, Any]]:
        return [
            (operation, operation.get_random_transformation(images, training=True, seed=self.generator))
            for operation in self.operations
        ]


class TrivialAugment(Policy):
    """One operation for each image. Source: Müller and Hutter 2021 (arXiv:2103.10158)."""

    def changed(self, images: Any) -> Any:
        """Returns each image after one operation."""
        return self.one_for_each(images)


class RandAugment(Policy):
    """Two operations, one after the other. Source: Cubuk et al. 2020 (arXiv:1909.13719)."""

    def changed(self, images: Any) -> Any:
        """Returns the images after two operations."""
        return self.one_for_all(self.one_for_all(images))


class AugMix(Policy):
    """Chains of one to three operations, mixed with one another and with the image.

    Source: Hendrycks et al. 2020 (arXiv:1912.02781), algorithm 1, with alpha = 1. Nine places for an operation make
    nine times as many branches: JAX compiles its step for a minute or two.
    """

    CHAINS, DEPTH = 3, 3

    def changed(self, images: Any) -> Any:
        """Returns the mixtures."""
        ops: Any = keras.ops
        count = ops.shape(images)[0]
        # Dirichlet(1, 1, 1): exponential variables over their sum.
        shares = -ops.log(keras.random.uniform((count, self.CHAINS), 1e-7, 1.0, seed=self.generator))
        shares = ops.reshape(shares / ops.sum(shares, axis=1, keepdims=True), (-1, 1, 1, 1, self.CHAINS))
        mixture = ops.zeros_like(images)
        for chain in range(self.CHAINS):
            depth = keras.random.randint((count, 1, 1, 1), 1, self.DEPTH + 1, seed=self.generator)
            changed = images
            for done in range(self.DEPTH):
                changed = ops.where(depth > done, self.one_for_all(changed), changed)
            mixture = mixture + shares[..., chain] * changed
        own = keras.random.uniform((count, 1, 1, 1), seed=self.generator)
        return own * images + (1 - own) * mixture


# Each with the share of the largest strengths that its paper uses.
POLICIES: dict[str, Callable[..., Policy]] = {
    "trivial": functools.partial(TrivialAugment, strength=1.0),
    "randaugment": functools.partial(RandAugment, strength=0.5),
    "augmix": functools.partial(AugMix, strength=0.3),
}
