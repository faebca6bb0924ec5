"""Many images through a model: in batches of one shape, whoever asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from zoo.backend import devices
from zoo.backend.keras_globals import pinned
from zoo.data import Pixels
from zoo.inference.engines import Compiled
from zoo.system.interruption import raise_lost

if TYPE_CHECKING:
    import keras


def predict_in_batches(model: "keras.Model", images: Pixels, *, batch_size: int = 32) -> np.ndarray:
    """Runs a model over images in batches of one shape, so that it is compiled once.

    Args:
        model: A classifier, or a part of one.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        batch_size: Images at a time; the last batch is filled up with copies that are left out of the result.

    Returns:
        What the model gives, float32[n, ...].
    """
    results: list[np.ndarray] = []
    predict_each_batch(model, images, results.append, batch_size=batch_size)
    return np.concatenate(results)


@pinned()
def predict_each_batch(
    model: "keras.Model | Compiled",
    images: Pixels,
    take: Callable[..., object],
    *,
    batch_size: int = 32,
    first: int = 0,
) -> None:
    """Runs a model over images as `predict_in_batches` does, and gives away what comes batch by batch.

    Args:
        model: A classifier, or a part of one; or what an engine has made of it.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        take: Called with what the model gives for each batch, in order: float32[m, ...] of each of its outputs.
        batch_size: Images at a time.
        first: The image to begin with; a batch begins with it where it is a multiple of `batch_size`, and gives what
            it gives among all.
    """
    size = min(batch_size, len(images))
    run = model.run if isinstance(model, Compiled) else devices.predictor(model)
    for start in range(first, len(images), size):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        with devices.one_prediction_at_a_time():
            outputs = [output[: len(batch)] for output in devices.listed(run(filled))]
        raise_lost()
        take(*outputs)
