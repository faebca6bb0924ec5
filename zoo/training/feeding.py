"""How batches reach `fit`, the same on every backend.

Training gets an endless stream, which can begin at any step. Keras takes one iterator over it for a whole `fit`, since
`steps_per_epoch` is given, so no batch is lost or repeated at an epoch's end. For validation it makes a new iterator
each epoch, and over a stream that one begins with the first batch ever and goes on where the last stopped: validation
has to be a finite dataset. On TensorFlow both are a `tf.data.Dataset` of our own: see `backend.tf_dataset`.
"""

import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from zoo.data import Batches
from zoo.training import backend


class FiniteBatches(keras.utils.PyDataset):
    """One epoch of batches, from its beginning each time it is asked for."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return next(self._batches.epoch(0, index))


class StopWatch:
    """Sums up the seconds that an iterator takes to give its items."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, items: Iterator[Any]) -> Iterator[Any]:
        """Passes the items on and counts; a backend that fetches ahead waits for less than this."""
        while True:
            began = time.perf_counter()
            item = next(items, None)
            self.seconds += time.perf_counter() - began
            if item is None:
                return
            yield item


def training_data(batches: Batches, epoch: int, watch: StopWatch) -> Any:
    """Returns what `fit` takes as its endless training data, from the beginning of an epoch."""

    def supply() -> Iterator[backend.Batch]:
        return watch.watch(batches.stream(epoch))

    dataset = backend.tf_dataset(supply)
    return supply() if dataset is None else dataset


def validation_data(batches: Batches) -> Any:
    """Returns what `fit` takes as its validation data: each batch once."""
    dataset = backend.tf_dataset(lambda: batches.epoch(0), steps=batches.steps)
    return FiniteBatches(batches) if dataset is None else dataset


def predict_in_batches(model: keras.Model, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Runs a model over images in batches of one shape, so that it is compiled once.

    Args:
        model: A classifier, or a part of one.
        images: uint8[n, height, width, channels] in [0, 255], one or more.
        batch_size: Images at a time; the last batch is filled up with copies that are left out of the result.

    Returns:
        What the model gives, float32[n, ...].
    """
    backend.keep_freed_memory()
    size = min(batch_size, len(images))
    results: list[np.ndarray] = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        results.append(np.asarray(model.predict_on_batch(filled))[: len(batch)])
    return np.concatenate(results)
