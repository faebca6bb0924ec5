"""How batches reach `fit`, the same on every backend.

Training gets an endless stream, which can begin at any step. Keras takes one iterator over it for a whole `fit`, since
`steps_per_epoch` is given, so no batch is lost or repeated at an epoch's end. For validation it makes a new iterator
each epoch, and over a stream that one begins with the first batch ever and goes on where the last stopped: validation
has to be a finite dataset. On TensorFlow both are a `tf.data.Dataset` of our own, whose batches TensorFlow gathers by
itself where the images lie in memory or a mapped file: see `backend.tf_gathered` and `tf_dataset`.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import keras
import numpy as np

from zoo.data import Batches, Pixels
from zoo.data.batches import Drawn
from zoo.data.packs.pixels import resolve
from zoo.keras_globals import pinned
from zoo.memory import is_aligned
from zoo.training import backend

T = TypeVar("T")


class FiniteBatches(keras.utils.PyDataset):
    """One epoch of batches, from its beginning each time it is asked for."""

    def __init__(self, batches: Batches, *, with_labels: bool = False) -> None:
        super().__init__()
        self._batches = batches
        self._with_labels = with_labels

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> Any:
        images, labels = self._batches.batch(0, index)
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


def training_data(batches: Batches, epoch: int, watch: StopWatch, *, with_labels: bool = False) -> Any:
    """Returns what `fit` takes as its endless training data, from the beginning of an epoch.

    Args:
        batches: Where they come from.
        epoch: Which epoch of the run is the first.
        watch: Counts the time that a batch takes to make.
        with_labels: Whether the model takes the labels too, beside the pixels.
    """
    steps = batches.steps
    load = watch.watch(lambda number: batches.batch(epoch + number // steps, number % steps))
    dataset = _gathered(batches, watch, first_epoch=epoch) or backend.tf_dataset(load)
    if dataset is not None:
        return dataset.map(_beside) if with_labels else dataset
    # A generator, which Keras knows; a map object it does not.
    supply = (load(number) for number in itertools.count())
    return (_beside(*batch) for batch in supply) if with_labels else supply


def validation_data(batches: Batches, *, with_labels: bool = False) -> Any:
    """Returns what `fit` takes as its validation data: each batch once."""
    dataset = _gathered(batches, StopWatch(), steps=batches.steps) or backend.tf_dataset(
        lambda step: batches.batch(0, step), steps=batches.steps
    )
    if dataset is None:
        return FiniteBatches(batches, with_labels=with_labels)
    return dataset.map(_beside) if with_labels else dataset


def _gathered(batches: Batches, watch: StopWatch, *, first_epoch: int = 0, steps: int | None = None) -> Any | None:
    """Lets TensorFlow gather the images, where it is the backend and they lie where it can."""
    whole, which = resolve(batches.images, np.arange(len(batches.images)))
    if not isinstance(whole, np.ndarray) or not is_aligned(whole):
        return None

    def draw(number: int) -> Drawn:
        drawn = batches.drawn(first_epoch + number)
        return replace(drawn, rows=which[drawn.rows])

    return backend.tf_gathered(
        whole,
        watch.watch(draw),
        classes=batches.classes,
        batch_size=batches.batch_size,
        steps=steps,
        add_clock=watch.add,
    )


def _beside(images: Any, labels: Any) -> Any:
    return (images, labels), labels


@pinned()
def predict_in_batches(
    model: keras.Model, images: Pixels, *, batch_size: int = 32, move: Callable[[int], None] | None = None
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
    backend.keep_freed_memory()
    size = min(batch_size, len(images))
    results: list[np.ndarray] = []
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        filled = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        with backend.one_prediction_at_a_time():
            results.append(np.asarray(model.predict_on_batch(filled))[: len(batch)])
        if move is not None:
            move(start + len(batch))
    return np.concatenate(results)
