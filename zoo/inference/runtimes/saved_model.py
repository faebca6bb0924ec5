"""Runs a SavedModel by TensorFlow."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np


def open_model(folder: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model: uint8[n, height, width, channels] in, float32[n, classes] out; for one thread at a time."""
    import tensorflow as tf

    if threads:
        with contextlib.suppress(RuntimeError):  # of all models in a process; one that ran has decided
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    loaded = tf.saved_model.load(str(folder / "saved_model"))  # its variables live as long as it does
    serve = loaded.signatures["serving_default"]
    return lambda pixels: serve(pixels=tf.constant(pixels))["probabilities"].numpy()
