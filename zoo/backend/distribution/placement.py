"""Where a run computes: on which devices of which processes. What was asked for, and what there is.

A process that trains alone on one device has the placement `ALONE`, in which nothing here does anything.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

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


@contextmanager
def computing(placement: Placement) -> Generator[None]:
    """Computes in a placement while the block lasts."""
    token = _CURRENT.set(placement)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def among(*, processes: int, process: int, launcher: str | None = None) -> Generator[None]:
    """Is one of several processes, which have joined, while the block lasts."""
    with computing(Placement(processes=processes, process=process, devices=processes, launcher=launcher)):
        yield


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
