"""The options that say where a run computes, and the process that waits beside one that trains with others."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from zoo.backend.distribution.joining import JoinRequest, Member, member_of
from zoo.backend.distribution.placement import read_devices
from zoo.backend.distribution.supervising import run_supervised
from zoo.backend.keras_globals import named_backend
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.backend.distribution.placement import Devices


@dataclass(frozen=True, kw_only=True)
class PlacingOptions:
    """Where a run computes, as it was typed."""

    devices: "Devices"
    coordinator: str | None
    processes: int | None
    process: int | None

    def member(self) -> Member | None:
        """Returns which of several processes this one is to be; None where it trains alone.

        Raises:
            ZooError: What was typed is not whole, or not what the cluster says.
        """
        asked = JoinRequest(coordinator=self.coordinator, processes=self.processes, process=self.process)
        return member_of(asked, named_backend())


def _read_devices(_context: click.Context, _option: click.Parameter, text: str) -> "Devices":
    try:
        return read_devices(text)
    except ZooError as fault:
        raise click.BadParameter(str(fault)) from fault


def placing_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Takes the fields of `PlacingOptions`."""
    options = (
        click.option(
            "--devices",
            default="auto",
            callback=_read_devices,
            metavar="auto|all|N",
            help="Devices of this host that train together; auto is all GPUs with JAX, else one.",
        ),
        click.option("--coordinator", metavar="HOST:PORT", help="Where process 0 listens, with several hosts."),
        click.option("--processes", type=click.IntRange(1), help="How many processes train together."),
        click.option("--process", type=click.IntRange(0), help="Which of them this one is, from 0."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def run_as_member(member: Member) -> int:
    """Runs this same command as one of several processes, and waits for it; returns its exit code."""
    return run_supervised([sys.executable, "-m", "zoo", *sys.argv[1:]], member)
