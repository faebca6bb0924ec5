"""Batches for `fit` where JAX is the backend: gathered and copied to the device ahead, on a thread of its own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.backend.feeds.jax_data import OnDevice, Rooms, Target, target
from zoo.data import Batches
from zoo.data.packs.pixels import gather, resolve

# Pixels, and one-hot labels: arrays of JAX.
Batch = tuple[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which batches, in a row.

    Attributes:
        first_epoch: Of the run.
        first_batch: Batches of that epoch that are left out.
        on_device: Whether the images stay on the device; None where that depends on its memory.
    """

    first_epoch: int = 0
    first_batch: int = 0
    on_device: bool | None = None


class JaxBatches:
    """Batches by number, each on its way to the device."""

    def __init__(self, batches: Batches, span: Span) -> None:
        """Prepares; nothing is copied yet.

        Args:
            batches: Where they come from.
            span: Which of them.
        """
        self._batches = batches
        self._span = span
        self._on_device: OnDevice | None = None

    def begin(self) -> Callable[[int], Batch]:
        """Returns what makes a batch by its number from 0 on, for one thread; called by the thread that trains."""
        to = target()
        images = self._images(to)

        def load(number: int) -> Batch:
            drawn = self._drawn(number)
            return images(drawn.rows), to.put(drawn.one_hot(self._batches.classes))

        return load

    def _drawn(self, number: int) -> Any:
        epoch, number = divmod(self._span.first_batch + number, self._batches.batches_per_epoch)
        return self._batches.batch_order(self._span.first_epoch + epoch, number)

    def _images(self, to: Target) -> Callable[[np.ndarray], Any]:
        """Returns what gives images by where they lie in the batches' images."""
        images, shape = self._batches.images, self._batches.images.shape[1:]
        held, _ = resolve(images, np.arange(0))
        if not isinstance(held, np.ndarray):
            return lambda rows: to.put_rows(rows, lambda some: images[some], shape)
        if self._stay(to):
            if self._on_device is None:
                self._on_device = OnDevice(lambda rows: gather(images, rows), len(images), to)
            return self._on_device.take
        most = min(self._batches.batch_size, self._batches.images_per_epoch)
        rooms = Rooms((most, *shape), images.dtype)

        def load(rows: np.ndarray) -> np.ndarray:
            return gather(images, rows, into=rooms.lend(len(rows)))

        return lambda rows: to.put_rows(rows, load, shape)

    def _stay(self, to: Target) -> bool:
        if self._span.on_device is not None:
            return self._span.on_device
        return to.has_room(math.prod(self._batches.images.shape) * self._batches.images.dtype.itemsize)
