"""Several devices of this host on TensorFlow, each with a copy of the model: `tf.distribute.MirroredStrategy`.

Variables that each device has are made in the strategy's scope, and steps of `fit` run in it; all else runs outside of
it, on the first device's copies.
"""

import functools
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np

from zoo.backend.distribution.copies import copies
from zoo.backend.distribution.placement import Devices
from zoo.backend.keras_internals.experimental import device_details, unconverted
from zoo.errors import ZooError

# How many devices TensorFlow makes of the CPU, to try on a machine without GPUs what several of them do.
VIRTUAL_CPUS = "ZOO_VIRTUAL_CPUS"
# Between the seeds of two devices: odd, so that no two of 2**32 devices are given the same.
STRIDE = 0x9E3779B1


class Mirrored:
    """Devices that train together.

    Attributes:
        devices: As TensorFlow calls them, such as `GPU:0`.
        strategy: What TensorFlow runs a step on all of them by.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self.strategy = _strategy(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def scope(self) -> AbstractContextManager[object]:
        """Where variables are made that each device has a copy of."""
        return self.strategy.scope()

    def fed(self, dataset: Any) -> Any:
        """Gives each device its part of every batch of a dataset, as `parts` has it."""
        divided = parts(dataset, len(self))
        return self.strategy.distribute_datasets_from_function(lambda _: divided)


def chosen_devices(asked: Devices) -> list[str]:
    """Returns the devices that compute: one where it is left to zoo, since what several compute is rounded otherwise.

    Args:
        asked: `auto`, `all` or how many.

    Raises:
        ZooError: There are fewer.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    present = [f"GPU:{number}" for number in range(len(gpus))] or [f"CPU:{number}" for number in range(_virtual_cpus())]
    count = 1 if asked == "auto" else len(present) if asked == "all" else asked
    if count > len(present):
        raise ZooError(f"--devices is {count}, and TensorFlow has {_listed(gpus, len(present))}")
    return present[:count]


def idle_devices() -> str | None:
    """Says that there are devices which do not compute; None where there are none, or several were asked for."""
    import keras

    if keras.backend.backend() != "tensorflow" or current() is not None:
        return None
    import tensorflow as tf

    idle = len(tf.config.list_physical_devices("GPU")) - 1
    if idle < 1:
        return None
    return f"one GPU trains, and {idle} {'is' if idle == 1 else 'are'} idle: --devices all trains on all of them"


def _listed(gpus: Sequence[Any], present: int) -> str:
    """Says what there is in place of the devices that were asked for, and what to type."""
    if gpus:
        names = ", ".join(sorted({str(device_details(gpu).get("device_name", "GPU")) for gpu in gpus}))
        count = "1 GPU" if present == 1 else f"{present} GPUs"
        return f"{count} here ({names}); type --devices {present}"
    if present > 1:
        return f"{present} virtual CPUs here ({VIRTUAL_CPUS}={present}); type --devices {present}"
    return f"no GPU here; type --devices 1, or try it on the CPU: set {VIRTUAL_CPUS}=2"


def _virtual_cpus() -> int:
    """Makes the devices of the CPU that the environment asks for; returns how many there are."""
    import tensorflow as tf

    asked = os.environ.get(VIRTUAL_CPUS, "").strip()
    if not asked:
        return 1
    if not asked.isdecimal() or not int(asked):
        raise ZooError(f"{VIRTUAL_CPUS} is {asked!r}; expected a whole number, 1 or more; unset it or set it to 2")
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or (cpu,)) != int(asked):
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(asked))
        except RuntimeError as fault:
            raise ZooError(
                f"{VIRTUAL_CPUS} is {asked}, and TensorFlow has computed here already; start Python anew"
            ) from fault
    return int(asked)


# Of what is computed at present; each thread has its own.
_CURRENT: ContextVar[Mirrored | None] = ContextVar("mirrored", default=None)


def current() -> Mirrored | None:
    """Returns the devices that train together at present; None where one device trains."""
    return _CURRENT.get()


@contextmanager
def training_on(mirrored: Mirrored | None) -> Generator[None]:
    """Lets devices train together until the block ends; None lets one device train inside of such a block."""
    token = _CURRENT.set(mirrored)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def spread(devices: Sequence[str]) -> AbstractContextManager[None]:
    """Lets devices train together until the block ends."""
    return training_on(Mirrored(devices))


def on_each_device() -> AbstractContextManager[object]:
    """Where variables are made that each device has a copy of; nothing on one device."""
    mirrored = current()
    return nullcontext() if mirrored is None else mirrored.scope()


def fed(dataset: Any) -> Any:
    """Gives each device that trains its part of every batch of a `tf.data.Dataset`; on one device the batches."""
    mirrored = current()
    return dataset if mirrored is None else mirrored.fed(dataset)


@functools.cache
def _strategy(devices: tuple[str, ...]) -> Any:
    """Makes the strategy of some devices, once for a process.

    Another one of the same devices would number its sums from the beginning again; TensorFlow takes two sums of one
    number for the same, and refuses where their shapes differ:
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/distribute/cross_device_utils.py.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def parts(dataset: Any, count: int) -> Any:
    """Divides the batches of a dataset: each becomes as many parts, in order, that differ by one image at most.

    Beside what the dataset gives, a part has float32[images]: of each image its share of the batch. A batch of fewer
    images than parts is filled up with its first one, whose share is 0.

    Args:
        dataset: Of tuples of tensors, each with as many rows as the batch has images.
        count: Parts of a batch.
    """
    import tensorflow as tf

    def divide(*batch: Any) -> Any:
        images: Any = tf.shape(tf.nest.flatten(batch)[0])[0]

        def part(number: Any) -> Any:
            number = tf.cast(number, tf.int32)
            larger: Any = images % count
            size = images // count + tf.cast(number < larger, tf.int32)
            is_filled_up = tf.equal(size, 0)
            begin = tf.where(is_filled_up, 0, number * (images // count) + tf.minimum(number, larger))
            size = tf.maximum(size, 1)
            share = tf.where(is_filled_up, 0.0, 1.0 / tf.cast(images, tf.float32))
            rows = tf.nest.map_structure(lambda tensor: tensor[begin : begin + size], batch)
            return (*rows, tf.fill([size], share))

        return tf.data.Dataset.range(count).map(unconverted(part))

    return dataset.flat_map(unconverted(divide))


def draw_apart(states: Iterable[Any]) -> None:
    """Lets each device draw other random numbers: a function of what the first one draws, and of its number.

    Args:
        states: Of Keras' seed generators, as their variables: (seed, draws so far).
    """
    for state in states:
        first, *others = copies(state)
        seed, drawn = (int(word) for word in np.asarray(first))
        for number, copy in enumerate(others, 1):
            words = np.array([(seed + number * STRIDE) % 2**32, drawn % 2**32], np.uint32)
            copy.assign(words.astype(copy.dtype.as_numpy_dtype))
