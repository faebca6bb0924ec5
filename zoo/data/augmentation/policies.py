"""Policies: random operations from a list, composed of the layers that there are.

Keras' own RandAugment turns images by up to half a circle, and its AugMix draws its operations when a step is compiled,
once for the whole training (https://github.com/keras-team/keras/pull/20759; RandAugment did so too before
https://github.com/keras-team/keras/pull/21499). Here each batch draws its own operations, from the layer's seed
generator alone.

All take and give float32[batch, height, width, channels] in [0, 255], and change nothing outside of training.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from zoo.data.augmentation.layers import FILL, VALUE_RANGE, Equalization


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
