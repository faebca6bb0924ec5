"""Many images through a model: in batches of one shape, whoever asks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.backend import devices
from zoo.backend.distribution.placement import current
from zoo.backend.keras_globals import pinned
from zoo.data import Pixels
from zoo.inference.engines import Compiled
from zoo.system.interruption import raise_lost

if TYPE_CHECKING:
    import keras

# Images at a time where nobody says: a CPU is not faster for more, and an accelerator waits for itself with fewer.
ON_CPU, ON_ACCELERATOR = 32, 256
_FITTING = "_zoo_images_that_fit"


def predict_in_batches(model: "keras.Model", images: Pixels, *, batch_size: int | None = None) -> np.ndarray:
    """Runs a model over images in batches of one shape, so that it is compiled once.

    Args:
        model: A classifier, or a part of one.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        batch_size: Images at a time, as `predict_each_batch` takes them; the last batch is filled up with copies that
            are left out of the result.

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
    batch_size: int | None = None,
    first: int = 0,
) -> None:
    """Runs a model over images as `predict_in_batches` does, and gives away what comes batch by batch.

    Args:
        model: A classifier, or a part of one; or what an engine has made of it.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        take: Called with what the model gives for each batch, in order: float32[m, ...] of each of its outputs.
        batch_size: Images at a time; None for 32 on a CPU and 256 on an accelerator, or as many as fit into its memory:
            half as many where it says that it is used up.
        first: The image to begin with; a batch begins with it where it is a multiple of `batch_size`, and gives what
            it gives among all.
    """
    # Of several processes all take as many.
    is_fixed = batch_size is not None or devices.accelerator().kind == "cpu" or current().is_spread
    # What fitted the last time is known to the model: a pass over many images is several calls.
    known: Any = vars(model)
    suits = ON_CPU if is_fixed else known.get(_FITTING, ON_ACCELERATOR)
    size = current().divisible(min(batch_size or suits, len(images)))
    run = model.run if isinstance(model, Compiled) else devices.predictor(model)
    start = first
    while start < len(images):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        try:
            with devices.one_prediction_at_a_time():
                outputs = [output[: len(batch)] for output in devices.listed(run(filled))]
        except Exception as fault:
            if is_fixed or size == 1 or not devices.is_out_of_memory(fault):
                raise
            size //= 2
            known[_FITTING] = size
            continue
        raise_lost()
        take(*outputs)
        start += len(batch)
