"""Runs model.keras by Keras, on the backend that KERAS_BACKEND names."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def open_model(folder: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model: uint8[n, height, width, channels] in, float32[n, classes] out; for one thread at a time."""
    if threads and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # of all models in a process; one that ran has decided
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    import keras

    model: Any = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    return lambda pixels: np.asarray(model.predict_on_batch(pixels), np.float32)
