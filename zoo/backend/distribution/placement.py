"""Where a run computes: on which devices of which processes. What was asked for, and what there is.

A process that trains alone on one device has the placement `ALONE`, in which nothing here does anything.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal

from zoo.errors import ZooError, shown

Devices = int | Literal["auto", "all"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Who computes.

    Attributes:
        processes: How many processes train together.
        process: Which of them this one is, from 0.
        devices: How many devices all of them have in it together.
        launcher: The cluster or launcher that started the processes; None where somebody did.
    """

    processes: int = 1
    process: int = 0
    devices: int = 1
    launcher: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder, and decides where one has to."""
        return self.process == 0

    @property
    def is_spread(self) -> bool:
        """Whether more than one device computes."""
        return self.devices > 1 or self.processes > 1

    def divisible(self, rows: int) -> int:
        """Returns the least number from a number of rows on that the devices divide."""
        return -(-rows // self.devices) * self.devices

    def __str__(self) -> str:
        devices = f"{self.devices} device{'s' if self.devices > 1 else ''}"
        return f"{devices} of {self.processes} processes" if self.processes > 1 else devices


ALONE = Placement()

# Of what is computed at present: not a setting, and each thread has its own.
_CURRENT: ContextVar[Placement] = ContextVar("placement", default=ALONE)


def current() -> Placement:
    """Returns where this process computes at present."""
    return _CURRENT.get()


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
def among(*, processes: int, process: int, launcher: str | None = None) -> Generator[None]:
    """Is one of several processes, which have joined, while the block lasts."""
    placement = Placement(processes=processes, process=process, devices=processes, launcher=launcher)
    token = _CURRENT.set(placement)
    try:
        yield
    finally:
        _CURRENT.reset(token)


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
    token = _CURRENT.set(placement)
    try:
        with engine.spread(devices):
            yield placement
    finally:
        _CURRENT.reset(token)


def checked_devices(given: object) -> Devices:
    """Returns how many devices a call asked for.

    Raises:
        ZooError: It is neither `auto`, nor `all`, nor a number from 1 on.
    """
    for word in ("auto", "all"):
        if isinstance(given, str) and given == word:
            return word
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    raise ZooError(f'devices is {shown(given)}; expected "auto", "all", or how many: devices=2')


def read_devices(text: str) -> Devices:
    """Reads how many devices were asked for.

    Raises:
        ZooError: It is neither `auto`, nor `all`, nor a number from 1 on.
    """
    if text == "auto" or text == "all":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ZooError(f"--devices is {shown(text)}; expected auto, all, or how many: --devices 2")
