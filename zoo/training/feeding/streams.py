"""How batches reach `fit`, the same on every backend.

Training gets the batches of all epochs in a row, which can begin with any epoch. Keras takes one iterator over it for a
whole `fit`, since `steps_per_epoch` is given, so no batch is lost or repeated at an epoch's end. For validation it
makes a new iterator each epoch. Both are finite and know their length: trackers read such data to its end. On
TensorFlow both are a `tf.data.Dataset` of our own, whose batches TensorFlow gathers by itself where the images lie in
memory or a mapped file: see `zoo.backend.feeds.tensorflow_data`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import keras
import numpy as np

from zoo.backend.feeds import tensorflow_data
from zoo.backend.memory import is_aligned
from zoo.data import Batches
from zoo.data.batches import EpochOrder
from zoo.data.packs.pixels import resolve

T = TypeVar("T")
# Validation images that take no more are copied once: 5,000 of a thousand float32 each, or 200 photos.
HELD_BYTES = 1 << 25


class FiniteBatches(keras.utils.PyDataset):
    """A known number of batches, by number."""

    def __init__(
        self, load: Callable[[int], tuple[np.ndarray, np.ndarray]], *, count: int, with_labels: bool = False
    ) -> None:
        super().__init__()
        self._load = load
        self._count = count
        self._with_labels = with_labels

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        images, labels = self._load(index)
        return _beside(images, labels) if self._with_labels else (images, labels)


class StopWatch:
    """Sums up the seconds that batches take to be made; a backend that fetches ahead waits for less than this."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._taken = 0.0
        self._clocks: list[Callable[[], float]] = []

    def take(self) -> float:
        """Returns the seconds since it was last asked."""
        total = self._seconds + sum(clock() for clock in self._clocks)
        since, self._taken = total - self._taken, total
        return since

    def add(self, clock: Callable[[], float]) -> None:
        """Counts what tells its seconds itself."""
        self._clocks.append(clock)

    def watch(self, load: Callable[[int], T]) -> Callable[[int], T]:
        """Passes on what is loaded and counts."""

        def timed(number: int) -> T:
            began = time.perf_counter()
            try:
                return load(number)
            finally:
                self._seconds += time.perf_counter() - began

        return timed


def training_data(
    batches: Batches, epoch: int, watch: StopWatch, *, epochs: int, first_batch: int = 0, with_labels: bool = False
) -> Any:
    """Returns what `fit` takes as its training data: the batches of some epochs in a row.

    Args:
        batches: Where they come from.
        epoch: Which epoch of the run is the first.
        watch: Counts the time that a batch takes to make.
        epochs: How many epochs.
        first_batch: Batches of the first epoch that are left out.
        with_labels: Whether the model takes the labels too, beside the pixels.
    """
    each = batches.batches_per_epoch

    def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
        return batches.batch(epoch + (first_batch + number) // each, (first_batch + number) % each)

    dataset = _gathered(batches, watch, first_epoch=epoch, epochs=epochs, first_batch=first_batch)
    return _finite(watch.watch(batch), dataset, count=epochs * each - first_batch, with_labels=with_labels)


def validation_data(batches: Batches, *, with_labels: bool = False) -> Any:
    """Returns what `fit` takes as its validation data: each batch once."""
    if math.prod(batches.images.shape) * batches.images.dtype.itemsize <= HELD_BYTES:
        dataset = tensorflow_data.tf_held(lambda: batches.epoch(0), batch_size=batches.batch_size)
    else:
        dataset = _gathered(batches, StopWatch(), first_epoch=0, epochs=1)
    count = batches.batches_per_epoch
    return _finite(lambda number: batches.batch(0, number), dataset, count=count, with_labels=with_labels)


def _finite(
    load: Callable[[int], tuple[np.ndarray, np.ndarray]], gathered: Any | None, *, count: int, with_labels: bool
) -> Any:
    dataset = gathered if gathered is not None else tensorflow_data.tf_dataset(load, count=count)
    if dataset is None:
        return FiniteBatches(load, count=count, with_labels=with_labels)
    return dataset.map(_beside) if with_labels else dataset


def _gathered(batches: Batches, watch: StopWatch, *, first_epoch: int, epochs: int, first_batch: int = 0) -> Any | None:
    """Lets TensorFlow gather the images, where it is the backend and they lie where it can."""
    whole, which = resolve(batches.images, np.arange(len(batches.images)))
    if not isinstance(whole, np.ndarray) or not is_aligned(whole):
        return None

    def draw(number: int) -> EpochOrder:
        drawn = batches.epoch_order(first_epoch + number)
        left = slice(0 if number else first_batch * batches.batch_size, None)
        return replace(drawn, rows=which[drawn.rows[left]], labels=drawn.labels[left], weights=drawn.weights[left])

    return tensorflow_data.tf_gathered(
        whole,
        watch.watch(draw),
        classes=batches.classes,
        batch_size=batches.batch_size,
        epochs=epochs,
        count=epochs * batches.batches_per_epoch - first_batch,
        add_clock=watch.add,
    )


def _beside(images: Any, labels: Any) -> Any:
    return (images, labels), labels
