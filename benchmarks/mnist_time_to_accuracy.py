"""How long two CPU cores train until 99 % of MNIST's test images are right.

    pip install '.[bench]'
    python benchmarks/mnist_time_to_accuracy.py --data mnist.npz --environments environments --rounds 10

Side by side, in turns, each in a process of its own:

    fast          `seed/fast` as it is: its accuracy is that of its last epoch, whatever came before
    keras         `mnist_conv`, weights at random, by plain Keras: `compile("adam")` and `fit` in batches of 128
    pytorch       the net and the training of PyTorch's MNIST example, in an environment of its own
    recipe        `pretrain/mnist_conv` as it is, whose schedule is made for its last epoch
    short recipe  the same with `phases.all.epochs=2`

The first three unless `--contestant` names others. The clock runs while a contestant trains, compilation included, and
stands while it is measured on the test images, which is after each epoch. All but `fast` end where they reach the
target. Who has not reached it after its epochs has no time. A whole command is all that its process takes, imports and
measurements included; that of `fast` is `zoo finetune seed/fast`, which runs beside the one that has the clock.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from environments import last_line, make_environment
from full_training import PINS
from reporting import report
from whole_command import run

HERE = Path(__file__).parent
MOST_EPOCHS = 14  # as many as PyTorch's example trains


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Who trains.

    Attributes:
        side: A file of accuracy_sides/.
        asked: What it is asked beside data, target and seed.
        command: The recipe whose command is timed as a whole; by default that is the side's process.
    """

    side: str
    asked: Mapping[str, Any]
    command: str = ""


def _recipe(name: str, *settings: str, stops: bool) -> dict[str, Any]:
    return {"recipe": name, "settings": settings, "stops": stops}


CONTESTANTS = {
    "fast": Contestant(side="toolkit.py", asked=_recipe("seed/fast", stops=False), command="seed/fast"),
    "keras": Contestant(side="plain_keras.py", asked={"net": "mnist_conv"}),
    "pytorch": Contestant(side="pytorch_example.py", asked={}),
    "recipe": Contestant(side="toolkit.py", asked=_recipe("pretrain/mnist_conv", stops=True)),
    "short recipe": Contestant(
        side="toolkit.py", asked=_recipe("pretrain/mnist_conv", "phases.all.epochs=2", stops=True)
    ),
}
SIDE_BY_SIDE = ("fast", "keras", "pytorch")


class SideError(Exception):
    """A side ended with an error; the text is the last line that it said."""


def measure(name: str, python: str, data: Path, *, target: float, seed: int) -> dict[str, Any]:
    """Lets a contestant train, alone on the machine.

    Returns:
        `epochs`: of each, the seconds of training until its end, and the accuracy; `whole`: seconds of the whole
        command.

    Raises:
        SideError: Its process failed.
    """
    contestant = CONTESTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "answer.json"
        asked = {**contestant.asked, "data": str(data.absolute()), "target": target, "seed": seed}
        asked |= {"epochs": MOST_EPOCHS, "answer": str(found)}
        command = [python, str(HERE / "accuracy_sides" / contestant.side), json.dumps(asked)]
        whole = _seconds(command, Path(folder))
        if contestant.command:
            words = ["finetune", contestant.command, "--data", str(data), "--run", f"{folder}/run"]
            program = [sys.executable, "-c", "from zoo.cli import main; main()"]
            whole = _seconds([*program, *words, "--set", f"train.seed={seed}"], Path(folder))
        return {"epochs": json.loads(found.read_text(encoding="utf-8")), "whole": whole}


def _seconds(command: Sequence[str], folder: Path) -> float:
    """Runs a command that finds nothing cached by an earlier one."""
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "XDG_CACHE_HOME": f"{folder}/cache", "XDG_CONFIG_HOME": f"{folder}/config"}
    log = folder / "log.txt"
    cost = run(command, log=log, variables={**os.environ, **own, "TF_CPP_MIN_LOG_LEVEL": "2"})
    if cost.code:
        raise SideError(last_line(log.read_text(encoding="utf-8", errors="replace")))
    return cost.seconds


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="mnist.npz.")
@click.option("--environments", type=click.Path(path_type=Path), required=True, help="Where PyTorch is installed.")
@click.option("--target", default=0.99, show_default=True)
@click.option("--rounds", default=10, show_default=True, help="Each with a seed of its own.")
@click.option("--contestant", "names", multiple=True, type=click.Choice(list(CONTESTANTS)), default=SIDE_BY_SIDE)
def main(data: Path, environments: Path, target: float, rounds: int, names: tuple[str, ...]) -> None:
    """Times each contestant in turns and prints the medians."""
    pythons = dict.fromkeys(names, sys.executable)
    if "pytorch" in pythons:
        pythons["pytorch"] = str(make_environment(environments, "pytorch", PINS))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name, found in runs.items():
            found.append(measure(name, pythons[name], data, target=target, seed=turn))
            click.echo(f"round {turn + 1}  {name}: {json.dumps(found[-1])}", err=True)
    report("mnist_time_to_accuracy", rows_of(runs, target))


def rows_of(runs: Mapping[str, Sequence[Mapping[str, Any]]], target: float) -> list[dict[str, Any]]:
    """Sums up each contestant's runs, beside the first contestant's."""
    rows = [_row(name, found, target) for name, found in runs.items()]
    first = rows[0]["median seconds"]
    for row in rows:
        seconds = row["median seconds"]
        row[f"times {rows[0]['contestant']}"] = round(seconds / first, 2) if seconds and first else None
    # Single runs come last.
    return [{**{key: value for key, value in row.items() if key != "runs"}, "runs": row["runs"]} for row in rows]


def _row(name: str, runs: Sequence[Mapping[str, Any]], target: float) -> dict[str, Any]:
    """Sums up a contestant's runs, each by its last epoch."""
    reached = [run["epochs"] for run in runs if run["epochs"][-1]["accuracy"] >= target]
    seconds = [epochs[-1]["seconds"] for epochs in reached]
    accuracies = [run["epochs"][-1]["accuracy"] for run in runs]
    return {
        "contestant": name,
        "median seconds": round(statistics.median(seconds), 2) if seconds else None,
        "least": min(seconds, default=None),
        "most": max(seconds, default=None),
        "median epochs": statistics.median(map(len, reached)) if reached else None,
        "reached": f"{len(reached)} of {len(runs)}",
        "mean accuracy": round(statistics.mean(accuracies), 5),
        "whole command, median": round(statistics.median(run["whole"] for run in runs), 1),
        "runs": list(runs),
    }


if __name__ == "__main__":
    main()
