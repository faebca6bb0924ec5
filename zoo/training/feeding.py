"""How batches reach `fit`, the same on every backend.

Training gets an endless stream, which can begin at any step. Keras takes one iterator over it for a whole `fit`, since
`steps_per_epoch` is given, so no batch is lost or repeated at an epoch's end. For validation it makes a new iterator
each epoch, and over a stream that one begins with the first batch ever and goes on where the last stopped: validation
has to be a finite dataset.
"""

import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from zoo.data import Batches


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
