"""Changes to images that Keras has no layer for, or one that does not do here.

Keras' own Equalization takes one histogram of a whole batch, by a loop that JAX needs half a minute to compile. All
take and give float32[batch, height, width, channels] in [0, 255], and change nothing outside of training.
"""

from typing import Any

import keras

# What comes in from outside the image is black, as in a padded photo and as the paper of a digit is.
FILL: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0}
VALUE_RANGE = (0, 255)


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


class Solarization(keras.layers.Layer):
    """Inverts values from a threshold on, which Keras' own cannot fix: its lowest one is 255 times too low."""

    def __init__(self, threshold: float) -> None:
        super().__init__(dtype="float32")
        self._threshold = threshold

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> None:
        """Draws nothing."""

    def transform_images(self, images: Any, transformation: None = None, training: bool = True) -> Any:
        """Returns float32 of the images' shape."""
        ops: Any = keras.ops
        return ops.where(images < self._threshold, images, 255 - images)


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


class Sometimes(keras.layers.Layer):
    """Changes each image by another layer with a probability, and leaves it as it is else."""

    def __init__(
        self, operation: Any, *, probability: float, seed: int = 0, dtype: str = "float32", name: str | None = None
    ) -> None:
        """Prepares the layer.

        Args:
            operation: A preprocessing layer of Keras; it draws from this layer's generator, never from its own.
            probability: Of a change, for each image.
            seed: Of what is drawn.
            dtype: Of the computation.
            name: Of the layer.
        """
        super().__init__(dtype=dtype, name=name)
        self.operation = operation
        self._probability = probability
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Builds the operation."""
        self.operation.build(input_shape)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Returns changed images; the images as they are outside of training."""
        if not training:
            return images
        ops: Any = keras.ops
        drawn = self.operation.get_random_transformation(images, training=True, seed=self.generator)
        changed = ops.cast(self.operation.transform_images(images, drawn, training=True), images.dtype)
        chance = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.generator)
        return ops.where(chance < self._probability, changed, images)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape
