"""How batches reach `fit`, the same on every backend.

Training gets the batches of all epochs in a row, which can begin with any epoch. Keras takes one iterator over it for a
whole `fit`, since `steps_per_epoch` is given, so no batch is lost or repeated at an epoch's end. For validation it
makes a new iterator each epoch. Both are finite and know their length: trackers read such data to its end. On
TensorFlow both are a `tf.data.Dataset` of our own, whose batches TensorFlow gathers by itself where the images lie in
memory or a mapped file: see `zoo.backend.feeds.tensorflow_data`. On JAX both are a `PyDataset`, whose batches a thread
gathers and copies to the device ahead: see `zoo.training.feeding.on_jax`.
"""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeVar

import keras
import numpy as np

from zoo.backend import devices
from zoo.backend.distribution import mirrored
from zoo.backend.feeds import tensorflow_data
from zoo.backend.feeds.ahead import InOrder
from zoo.backend.memory import is_aligned
from zoo.data import Batches
from zoo.data.batches import EpochOrder
from zoo.data.packs.pixels import resolve
from zoo.training.feeding.on_jax import JaxBatches, Span

T = TypeVar("T")
# Validation images that take no more are copied once: 5,000 of a thousand float32 each, or 200 photos.
HELD_BYTES = 1 << 25


class FiniteBatches(keras.utils.PyDataset):
    """A known number of batches, by number."""

    def __init__(
        self,
        load: Callable[[int], tuple[Any, Any]],
        *,
        count: int,
        with_labels: bool = False,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._load = load
        self._count = count
        self._with_labels = with_labels
        self._close = close

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        images, labels = self._load(index)
        return _beside(images, labels) if self._with_labels else (images, labels)

    def close(self) -> None:
        """Ends what makes batches ahead; it begins again where another is asked for."""
        self._close()


class StopWatch:
    """Sums up the seconds in which training waits for its next batch; those made ahead of it cost none."""

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
    batches: Batches,
    epoch: int,
    watch: StopWatch,
    *,
    epochs: int,
    first_batch: int = 0,
    with_labels: bool = False,
) -> Any:
    """Returns what `fit` takes as its training data: the batches of some epochs in a row.

    Args:
        batches: Where they come from.
        epoch: Which epoch of the run is the first.
        watch: Counts the time for which training waits.
        epochs: How many epochs.
        first_batch: Batches of the first epoch that are left out.
        with_labels: Whether the model takes the labels too, beside the pixels.
    """
    each = batches.batches_per_epoch
    count = epochs * each - first_batch
    if devices.name() == "jax":
        span = Span(first_epoch=epoch, first_batch=first_batch)
        return _on_jax(JaxBatches(batches, span), watch, count=count, with_labels=with_labels)

    def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
        return batches.batch(epoch + (first_batch + number) // each, (first_batch + number) % each)

    dataset = _gathered(batches, first_epoch=epoch, epochs=epochs, first_batch=first_batch)
    return _finite(batch, dataset, watch, count=count, with_labels=with_labels)


def validation_data(batches: Batches, *, with_labels: bool = False) -> Any:
    """Returns what `fit` takes as its validation data: each batch once.

    Args:
        batches: Where they come from.
        with_labels: Whether the model takes the labels too, beside the pixels.
    """
    is_small = math.prod(batches.images.shape) * batches.images.dtype.itemsize <= HELD_BYTES
    count = batches.batches_per_epoch
    if devices.name() == "jax":
        ours = JaxBatches(batches, Span())
        if not is_small:
            return _on_jax(ours, StopWatch(), count=count, with_labels=with_labels)
        return FiniteBatches(functools.cache(ours.begin()), count=count, with_labels=with_labels)
    if is_small:
        dataset = tensorflow_data.tf_held(lambda: batches.epoch(0), batch_size=batches.batch_size)
    else:
        dataset = _gathered(batches, first_epoch=0, epochs=1)
    load = functools.partial(batches.batch, 0)
    return _finite(load, dataset, None, count=count, with_labels=with_labels)


@contextlib.contextmanager
def feeding(*data: Any) -> Generator[None]:
    """Ends what makes batches of such data ahead when the block ends, however it does."""
    try:
        yield
    finally:
        for one in data:
            if isinstance(one, FiniteBatches):
                one.close()


def _on_jax(ours: JaxBatches, watch: StopWatch, *, count: int, with_labels: bool) -> FiniteBatches:
    in_order = InOrder(ours.begin, count)
    return FiniteBatches(watch.watch(in_order), count=count, with_labels=with_labels, close=in_order.close)


def _finite(
    load: Callable[[int], tuple[np.ndarray, np.ndarray]],
    gathered: Any | None,
    watch: StopWatch | None,
    *,
    count: int,
    with_labels: bool,
) -> Any:
    dataset = gathered if gathered is not None else tensorflow_data.tf_dataset(load, count=count)
    if dataset is None:
        return FiniteBatches(watch.watch(load) if watch else load, count=count, with_labels=with_labels)
    if watch:
        dataset = tensorflow_data.tf_timed(dataset, count=count, add_clock=watch.add)
    return mirrored.fed(dataset.map(_beside) if with_labels else dataset)


def _gathered(batches: Batches, *, first_epoch: int, epochs: int, first_batch: int = 0) -> Any | None:
    """Lets TensorFlow gather the images, where it is the backend and they lie where it can."""
    held, which = resolve(batches.images, np.arange(len(batches.images)))
    if not isinstance(held, np.ndarray) or not is_aligned(held):
        return None

    def draw(number: int) -> EpochOrder:
        left = slice(0 if number else first_batch * batches.batch_size, None)
        drawn = batches.epoch_order(first_epoch + number).part(left)
        return replace(drawn, rows=which[drawn.rows])

    return tensorflow_data.tf_gathered(
        held,
        draw,
        classes=batches.classes,
        batch_size=batches.batch_size,
        epochs=epochs,
        count=epochs * batches.batches_per_epoch - first_batch,
    )


def _beside(images: Any, labels: Any) -> Any:
    return (images, labels), labels
