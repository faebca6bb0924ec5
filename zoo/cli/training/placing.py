"""The options that say where a run computes, and the process that waits beside one that trains with others."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.backend.distribution.joining import JoinRequest, Member, member_of
from zoo.backend.distribution.placement import read_devices
from zoo.backend.distribution.supervising import run_supervised
from zoo.backend.keras_globals import named_backend
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.backend.distribution.placement import Devices

LAUNCHERS = ("ray",)


@dataclass(frozen=True, kw_only=True)
class PlacingOptions:
    """Where a run computes, as it was typed."""

    devices: "Devices"
    coordinator: str | None
    processes: int | None
    process: int | None
    launcher: str | None

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
        click.option("--launcher", type=click.Choice(LAUNCHERS), help="Let a Ray cluster start --processes N."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def run_as_member(member: Member) -> int:
    """Runs this same command as one of several processes, and waits for it; returns its exit code."""
    return run_supervised([sys.executable, "-m", "zoo", *sys.argv[1:]], member)


def launch(placing: PlacingOptions, run: Path | None) -> str:
    """Lets a cluster start this same command in several processes, and waits for them.

    Args:
        placing: Where it computes.
        run: The folder of the run.

    Returns:
        What process 0 wrote on stdout.

    Raises:
        ZooError: What was typed is not whole, or one of the processes failed.
    """
    from zoo.backend.distribution.ray_train import Launch, launch_on_ray

    if placing.coordinator is not None or placing.process is not None:
        raise click.UsageError("--launcher ray says who takes part: leave out --coordinator and --process")
    if placing.processes is None or placing.processes < 2:
        raise click.UsageError(
            "--launcher ray needs how many processes train together, 2 or more: --processes 2 (for one: ray job submit "
            "-- zoo finetune ...)"
        )
    if placing.devices == "all":
        raise click.UsageError("--devices is all, and Ray gives each process its GPUs; expected how many: --devices 1")
    if run is None or not run.is_absolute():
        raise click.UsageError(
            "--launcher ray needs --run with a whole path on storage that Ray's hosts share, as --run /shared/runs/pets"
        )
    if (backend := named_backend()) != "jax":
        raise ZooError(f"--launcher ray joins processes by JAX, and the backend is {backend}; set KERAS_BACKEND=jax")
    asked = Launch(
        arguments=_without_launcher(sys.argv[1:]),
        processes=placing.processes,
        gpus=placing.devices if isinstance(placing.devices, int) else None,
        folder=str(Path.cwd()),
    )
    return launch_on_ray(asked)


def _without_launcher(typed: Sequence[str]) -> tuple[str, ...]:
    kept: list[str] = []
    words = iter(typed)
    for word in words:
        if word == "--launcher":
            next(words, None)
        elif not word.startswith("--launcher="):
            kept.append(word)
    return tuple(kept)
