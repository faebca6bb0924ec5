"""Many images through a model: in batches of one shape, whoever asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from zoo.backend import devices
from zoo.backend.keras_globals import pinned
from zoo.data import Pixels
from zoo.system.interruption import raise_lost

if TYPE_CHECKING:
    import keras


@pinned()
def predict_in_batches(
    model: "keras.Model", images: Pixels, *, batch_size: int = 32, move: Callable[[int], None] | None = None
) -> np.ndarray:
    """Runs a model over images in batches of one shape, so that it is compiled once.

    Args:
        model: A classifier, or a part of one.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        batch_size: Images at a time; the last batch is filled up with copies that are left out of the result.
        move: Called after each batch with the number of images that are done, such as by a bar.

    Returns:
        What the model gives, float32[n, ...].
    """
    size = min(batch_size, len(images))
    results: list[np.ndarray] = []
    run = devices.predictor(model)
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        with devices.one_prediction_at_a_time():
            results.append(np.asarray(run(filled))[: len(batch)])
        raise_lost()
        if move is not None:
            move(start + len(batch))
    return np.concatenate(results)
