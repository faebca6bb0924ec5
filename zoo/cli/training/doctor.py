"""`zoo doctor`: what this machine has, how fast it is, and what would make it faster."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zoo.cli.options import json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.start import start_backend
from zoo.system.text_tables import beside, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.backend.hardware.machine import Advice, Machine
    from zoo.training.tools.speed import Speed

# As wide as the longest word before a line, and a space or two.
COLUMN = 14


@click.command("doctor")
@click.option("--measure", is_flag=True, help="Measure three nets, which takes about a minute.")
@json_option()
def doctor_command(measure: bool, as_json: bool) -> None:
    """Say what this machine computes with, and what would make it faster.

    Nothing is changed. With --measure three nets with random weights take batches of 32 random images: forward, in a
    first pass over frozen layers, and in training all layers. Other programs that compute meanwhile make them slower.

    \b
    Examples:
      zoo doctor
      zoo doctor --measure --json
    """
    from zoo.backend.hardware.machine import advice_for, this_machine

    machine = this_machine()
    advice = advice_for(machine, os.environ)
    speeds = _measured() if measure else None
    if as_json:
        document = {**asdict(machine), "advice": [asdict(one) for one in advice]}
        emit("doctor", document | ({} if speeds is None else {"speeds": [asdict(one) for one in speeds]}))
        return
    for label, text in _facts(machine):
        echo(beside(label, text, column=COLUMN, width=stdout_width()), whole=True)
    if speeds is not None:
        rows = [
            (f"{one.name}, {one.size} px", f"{one.forward:.1f}", f"{one.first_pass:.1f}", f"{one.training:.1f}")
            for one in speeds
        ]
        header = ("images a second", "forward", "first pass", "training")
        echo("\n" + table(header, rows, right=(1, 2, 3), width=stdout_width()))
        echo(f"first pass by {', '.join(dict.fromkeys(one.engine for one in speeds))}")
    _say_advice(advice)


def _measured() -> "Sequence[Speed]":
    start_backend()
    from zoo.report.progress import Display
    from zoo.training.tools.speed import NETS, measure_speed

    speeds: list[Speed] = []
    with Display() as display, display.bar("measuring", len(NETS)) as move:
        for speed in measure_speed():
            speeds.append(speed)
            move(len(speeds), speed.name)
    return speeds


def _facts(machine: "Machine") -> "list[tuple[str, str]]":
    of_all = "" if machine.cores == machine.all_cores else f" of {machine.all_cores}"
    facts = [("cores", f"{machine.cores}{of_all}")]
    if machine.memory is not None:
        free = "" if machine.free_memory is None else f", {machine.free_memory / 1e9:.1f} GB free"
        facts.append(("memory", f"{machine.memory / 1e9:.1f} GB{free}"))
    if machine.instructions is not None:
        facts.append(("instructions", _with_and_without(machine.instructions)))
    installed = {name: version for name, version in machine.engines.items() if version}
    missing = dict.fromkeys((name for name in machine.engines if name not in installed), False)
    names = {f"{name} {version}": True for name, version in installed.items()}
    facts.append(("engines", _with_and_without({**names, **missing})))
    return facts


def _with_and_without(names: "Mapping[str, bool]") -> str:
    there = ", ".join(name for name, is_there in names.items() if is_there) or "none"
    missing = ", ".join(name for name, is_there in names.items() if not is_there)
    return f"{there}; without {missing}" if missing else there


def _say_advice(advice: "Sequence[Advice]") -> None:
    echo()
    for one in advice:
        echo(f"faster: {one.why}: {one.type}", whole=True)
    if not advice:
        echo("nothing is known that would make it faster")
