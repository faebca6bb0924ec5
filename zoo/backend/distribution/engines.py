"""What lets each backend of Keras compute on several devices, and how a run comes to its own.

What an engine brings to the devices asks in turn where it computes; so the placement knows nothing of engines.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from zoo.backend.distribution.placement import ALONE, Devices, Placement, computing, current
from zoo.errors import ZooError


@dataclass(frozen=True)
class Engine:
    """What lets a backend of Keras compute on several devices.

    Attributes:
        name: What it is called.
        take: Chooses this process' devices, `auto`, `all` or some number, of all processes.
        spread: Lets Keras compute on them while a block lasts.
        is_for_processes: Whether it joins several processes.
        batchnorm: Of which images BatchNorm takes its statistics where it trains: see `PlacementRecord`.
    """

    name: str
    take: Callable[[Devices], list[Any]]
    spread: Callable[[list[Any]], AbstractContextManager[None]]
    is_for_processes: bool
    batchnorm: str


def _jax_devices(asked: Devices) -> list[Any]:
    from zoo.backend.distribution.layout import chosen_devices

    return chosen_devices(asked)


def _jax_spread(devices: list[Any]) -> AbstractContextManager[None]:
    from zoo.backend.distribution.layout import spread

    return spread(devices)


def _tensorflow_devices(asked: Devices) -> list[Any]:
    from zoo.backend.distribution.mirrored import chosen_devices

    return chosen_devices(asked)


def _tensorflow_spread(devices: list[Any]) -> AbstractContextManager[None]:
    from zoo.backend.distribution.mirrored import spread

    return spread(devices)


# By Keras' backend. One that is not here computes on one device.
ENGINES: dict[str, Engine] = {
    "jax": Engine(
        "keras.distribution.DataParallel", _jax_devices, _jax_spread, is_for_processes=True, batchnorm="global"
    ),
    "tensorflow": Engine(
        "tf.distribute.MirroredStrategy",
        _tensorflow_devices,
        _tensorflow_spread,
        is_for_processes=False,
        batchnorm="device",
    ),
}


@contextmanager
def placed(asked: Devices, *, backend: str) -> Generator[Placement]:
    """Computes on devices while the block lasts: of this process, and of those that it has joined.

    Args:
        asked: How many of each process: `auto` is all accelerators, or one CPU.
        backend: Keras' backend.

    Raises:
        ZooError: There are fewer devices, or the backend computes on one only.
    """
    engine = ENGINES.get(backend)
    if engine is None:
        if isinstance(asked, int) and asked > 1:
            raise ZooError(
                f"--devices is {asked}, and the backend is {backend}; expected 1; several devices train with JAX: set "
                "KERAS_BACKEND=jax"
            )
        yield ALONE
        return
    devices = engine.take(asked)
    placement = replace(current(), devices=len(devices))
    if not placement.is_spread:
        yield ALONE
        return
    with computing(placement), engine.spread(devices):
        yield placement
