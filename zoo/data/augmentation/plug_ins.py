"""What a layer of a plug-in that changes training images has to do, tried on three images before it trains."""

import math
from typing import Any

import keras
import numpy as np

from zoo.errors import ZooError, in_one_line, shown
from zoo.registry.augmentations import AUGMENTATIONS, AugmentationRow

_SHAPE = (3, 32, 48)


def check_layer(row: AugmentationRow, layer: object, *, channels: int, name: str) -> None:
    """Tries a layer, which is not used afterwards: it is seeded, called twice, and called outside of training.

    Raises:
        ZooError: It is not a layer, changes the shape, type or range, or draws what no seed decides.
    """
    if not isinstance(layer, keras.layers.Layer):
        raise AUGMENTATIONS.fault(row, f"its builder gave {shown(layer)}; expected an instance of keras.layers.Layer")
    tried: Any = layer
    if tried.name != name:
        raise AUGMENTATIONS.fault(
            row, f"its layer is called '{tried.name}'; expected the name that build is given, '{name}'"
        )
    generator = getattr(tried, "generator", None)
    if generator is not None and not isinstance(generator, keras.random.SeedGenerator):
        raise AUGMENTATIONS.fault(row, f"generator is {shown(generator)}; expected a keras.random.SeedGenerator")
    ramp = np.linspace(0, 255, math.prod(_SHAPE) * channels, dtype="float32")
    images = ramp.reshape((*_SHAPE, channels))
    first = _called(row, tried, images, training=True)
    if tried.trainable_weights:
        raise AUGMENTATIONS.fault(row, f"its layer has weights that train, {tried.trainable_weights[0].path}")
    if not np.array_equal(first, _called(row, tried, images, training=True)):
        raise AUGMENTATIONS.fault(
            row,
            "it draws differently from one seed; expected every draw with seed=self.generator, the layer's one "
            "keras.random.SeedGenerator",
        )
    if not np.array_equal(images, _called(row, tried, images, training=False)):
        raise AUGMENTATIONS.fault(
            row, "it changes images outside of training; expected call(self, images, training=False) to return them"
        )


def _called(row: AugmentationRow, layer: Any, images: np.ndarray, *, training: bool) -> np.ndarray:
    if getattr(layer, "generator", None) is not None:
        layer.generator.state.assign(np.array([1, 0], dtype=np.uint32))
    try:
        given: Any = layer(keras.ops.convert_to_tensor(images), training=training)
    except ZooError:
        raise
    except Exception as fault:
        raise AUGMENTATIONS.fault(row, f"its layer fails on images: {in_one_line(fault)}") from fault
    shape, dtype = getattr(given, "shape", None), getattr(given, "dtype", None)
    if shape is None or tuple(shape) != images.shape or keras.backend.standardize_dtype(dtype) != "float32":
        found = shown(given) if shape is None else f"{keras.backend.standardize_dtype(dtype)}{list(shape)}"
        raise AUGMENTATIONS.fault(row, f"it gives {found} for float32{list(images.shape)}; expected the same")
    values = np.asarray(keras.ops.convert_to_numpy(given))
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):  # nor where they are NaN
        raise AUGMENTATIONS.fault(row, f"it gives values from {low:g} to {high:g}; expected [0, 255]: clip them")
    if 0 < high <= 1:
        raise AUGMENTATIONS.fault(row, f"it gives values up to {high:g} for pixels up to 255; expected [0, 255]")
    return values
