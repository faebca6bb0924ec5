"""Batches on their way to the device, where JAX is the backend.

Keras' trainer passes on arrays of JAX as they are (`get_jax_iterator` in keras/src/trainers/data_adapters), and its own
copy to the device, one batch ahead on a GPU and none on a CPU, then finds them there already. So does what zoo has in
place of Keras' where several devices divide each batch: see `zoo.backend.distribution.layout`.
"""

import functools
import math
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.backend.memory import aligned

# Batches whose memory is used again: those that wait, the one at work, and those that training holds or JAX just held.
_ROOMS = 8
# What is copied at a time of images that stay on the device.
_PART_BYTES = 1 << 26
# Of an accelerator's free memory, as much is left to the model, its gradients and activations.
_SHARE_OF_FREE_MEMORY = 3


@dataclass(frozen=True)
class Target:
    """Where batches go.

    Attributes:
        device: A device of JAX; None where several divide each batch.
        mesh: Those several, of all processes; None where there is one.
    """

    device: Any | None
    mesh: Any | None = None

    def put(self, array: np.ndarray) -> Any:
        """Begins to copy an array to the device, and returns at once; an aligned one becomes a CPU's as it is."""
        import jax

        if self.mesh is not None:
            from zoo.backend.distribution.layout import placed_batch

            return placed_batch(array, self.mesh)
        with self.as_default():
            return jax.device_put(array)

    def put_rows(self, rows: np.ndarray, load: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> Any:
        """Loads rows, and begins to copy them; where several devices divide them, this process loads its own only.

        Args:
            rows: Their numbers, int64[m].
            load: Gives some by their numbers.
            shape: Of one.
        """
        if self.mesh is None:
            return self.put(load(rows))
        from zoo.backend.distribution.layout import placed_rows

        return placed_rows((len(rows), *shape), self.mesh, lambda own: load(rows[own]))

    def as_default(self) -> AbstractContextManager[object]:
        """Has arrays made on the device, yet not bound to it, as Keras' variables are not either."""
        import jax

        return jax.default_device(self.device)

    def has_room(self, size: int) -> bool:
        """Returns whether so many bytes may stay on the device while it trains: a third of its free memory.

        A CPU never has: its memory is the host's, where the images lie already.
        """
        if self.device is None or self.device.platform == "cpu":
            return False
        memory = self.device.memory_stats() or {}
        return size * _SHARE_OF_FREE_MEMORY <= memory.get("bytes_limit", 0) - memory.get("bytes_in_use", 0)


def target() -> Target:
    """Finds where batches go; asked by the thread that trains, as JAX and Keras keep that for each thread."""
    import jax
    import keras

    distribution: Any = keras.distribution.distribution()
    if distribution is not None:
        return Target(None, distribution.device_mesh.backend_mesh)
    (device,) = jax.device_put(np.zeros((), np.uint8)).devices()
    return Target(device)


class Rooms:
    """Host memory that batches are gathered into, and again once nobody reads them there.

    New memory costs a page fault for every 4 kB that is written, most of what a batch takes on a thread: its allocator
    gives freed memory back at once. JAX holds an array that it was given for as long as it reads it: until it is on an
    accelerator, and on a CPU, which takes an aligned one as it is, until the last computation with it has ended
    (https://github.com/jax-ml/jax/issues/37830). So memory is free when no array of NumPy lies in it.
    """

    def __init__(self, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> None:
        """Prepares.

        Args:
            shape: Of the largest batch.
            dtype: Of its items.
        """
        self._shape, self._dtype = shape, dtype
        # The longest lent first: memory, and what each array in it holds.
        self._lent: deque[tuple[np.ndarray, weakref.ref[np.ndarray]]] = deque(maxlen=_ROOMS)

    def lend(self, rows: int) -> np.ndarray:
        """Returns memory for so many rows that nothing reads."""
        free = next((place for place, (_, reader) in enumerate(self._lent) if reader() is None), None)
        if free is None:
            room = aligned((math.prod(self._shape) * self._dtype.itemsize,), np.dtype(np.uint8))
        else:
            room, _ = self._lent[free]
            del self._lent[free]
        # Views hold the last array in the chain of their bases: here this one, as a memoryview is none.
        owner = np.frombuffer(room.data, np.uint8)
        self._lent.append((room, weakref.ref(owner)))
        return owner.view(self._dtype).reshape(self._shape)[:rows]


class OnDevice:
    """Images that lie on the device, from which it gathers batches itself."""

    def __init__(self, gather: Callable[[np.ndarray], np.ndarray], count: int, target: Target) -> None:
        """Copies them there in parts: the host holds one of them at a time.

        Args:
            gather: Gives some of the images by their numbers.
            count: How many there are.
            target: Where they go.
        """
        import jax.numpy as jnp

        one = gather(np.arange(1))
        each = min(count, max(1, _PART_BYTES // max(1, one.nbytes)))
        self._target = target
        with target.as_default():
            self._images: Any = jnp.empty((count, *one.shape[1:]), one.dtype)
            for start in range(0, count, each):
                # The last part begins where it has as many images as the others, for which the copy is compiled.
                first = min(start, count - each)
                self._images = _put_into()(self._images, gather(np.arange(first, first + each)), first)

    def take(self, rows: np.ndarray) -> Any:
        """Returns some of the images by their numbers, int64[m]."""
        with self._target.as_default():
            return _taken()(self._images, rows.astype(np.int32))


@functools.cache
def _put_into() -> Any:
    """Returns a compiled function that writes some images among others, from a number on."""
    import jax

    def put(images: Any, part: Any, first: Any) -> Any:
        return jax.lax.dynamic_update_slice_in_dim(images, part, first, 0)

    return jax.jit(put, donate_argnums=0)


@functools.cache
def _taken() -> Any:
    """Returns a compiled function that gathers images."""
    import jax

    # All rows are there; "fill", the default, would look for those that are not.
    return jax.jit(lambda images, rows: images.at[rows].get(mode="clip"))
