"""What whole commands take, from the prompt to the run's folder: this tree beside another one, by step.

    git worktree add ../before SOME_COMMIT
    python benchmarks/whole_runs.py --data clothing/ --runs runs/whole --before ../before
    python benchmarks/whole_runs.py --data clothing/ --runs runs/whole --before ../before --rounds 5 --count 3000

A linear probe of 30 epochs and `finetune/default`, EfficientNet-Lite0 with ImageNet weights at 224 pixels. Both trees
are run by this Python, in turns. Each command begins with an empty cache, but for the font list of matplotlib, which is
not ours; "again" is the same command of this tree once more, which finds the cache of the first. A round before the
first, of one epoch, is not counted: it compiles Python's modules. Steps are those that `zoo finetune --json` prints.
"""

import json
import os
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from reporting import report
from split_photos import prepare
from whole_command import run

HERE = Path(__file__).parent.parent
PROBE = ("finetune/linear-probe", "--set", "phases.head.epochs=30")
CASES = {"probe": PROBE, "default": ("finetune/default",)}
SHORT = ("finetune/linear-probe", "--set", "phases.head.epochs=1")
# Commands end with this where a recipe expects more than it comes to.
NOT_AS_EXPECTED = 3


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One command.

    Attributes:
        case: What it trained.
        side: Which tree, or `again`.
        seconds: From its start to its end.
        cpu_seconds: On all cores.
        peak_bytes: The most memory that it held.
        steps: Seconds by step; empty of a tree that does not print them.
    """

    case: str
    side: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    steps: Mapping[str, float]


def rows_of(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Makes a row for the whole and for each step, with a column of medians over the rounds for each case and side."""
    columns: dict[str, dict[str, float | None]] = {}
    for case, side in dict.fromkeys((one.case, one.side) for one in trials):
        some = [one for one in trials if (one.case, one.side) == (case, side)]
        seconds = [one.seconds for one in some]
        columns[f"{case}, {side}"] = {
            "whole command": round(statistics.median(seconds), 2),
            "least": round(min(seconds), 2),
            "most": round(max(seconds), 2),
            **{step: round(statistics.median(one.steps.get(step, 0.0) for one in some), 2) for step in some[0].steps},
            "CPU seconds": round(statistics.median(one.cpu_seconds for one in some), 2),
            "peak MB": round(statistics.median(one.peak_bytes for one in some) / 1e6),
        }
    steps = dict.fromkeys(step for column in columns.values() for step in column)
    steps |= {last: steps.pop(last) for last in ("CPU seconds", "peak MB")}
    return [{"step": step, **{name: column.get(step) for name, column in columns.items()}} for step in steps]


def steps_of(document: Mapping[str, Any]) -> dict[str, float]:
    """Returns the seconds of each step and phase, from what the command printed."""
    steps = dict(document.get("seconds") or {})
    steps.pop("total", None)
    phases = steps.pop("phases", {})
    return {**steps, **{f"phase {name}": seconds for name, seconds in phases.items()}}


def take(case: str, side: str, words: Sequence[str], *, tree: Path, folder: Path, keeps_cache: bool) -> Trial:
    """Runs a command of a tree, with an empty cache or the one that is there."""
    place = folder / tree.resolve().name
    if not keeps_cache:
        shutil.rmtree(place / "cache" / "zoo", ignore_errors=True)
    shutil.rmtree(place / "run", ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    log = place / "printed.txt"
    command = [sys.executable, "-P", "-m", "zoo", "finetune", *words, "--data", str(folder / "photos")]
    cost = run(
        [*command, "--run", str(place / "run"), "--json"],
        log=log,
        variables={**os.environ, "PYTHONPATH": str(tree.resolve()), "XDG_CACHE_HOME": str(place / "cache")},
    )
    said = log.read_text(encoding="utf-8")
    if cost.code not in (0, NOT_AS_EXPECTED):
        raise click.ClickException(f"{tree}: zoo finetune {' '.join(words)} ended with {cost.code}:\n{said[-2000:]}")
    # What goes to stderr comes before the document.
    document = json.loads(said[said.index("\n{\n") :] if "\n{\n" in said else said)
    return Trial(
        case=case,
        side=side,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        peak_bytes=cost.peak_bytes,
        steps=steps_of(document),
    )


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Has train/ and validation/.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where photos, caches and runs go.")
@click.option("--before", type=click.Path(exists=True, path_type=Path), help="Another tree of the project.")
@click.option("--count", default=1000, show_default=True, help="How many photos train and validate.")
@click.option("--rounds", default=3, show_default=True, help="How often each is run.")
def main(data: Path, runs: Path, before: Path | None, count: int, rounds: int) -> None:
    """Runs both commands of both trees in turns, and prints what they took by step."""
    folder = (runs / str(count)).resolve()
    prepare(data, folder / "photos", count)
    shutil.rmtree(folder / "photos" / "test", ignore_errors=True)
    sides = {"after": HERE, **({"before": before} if before else {})}
    for side, tree in sides.items():
        take("", side, SHORT, tree=tree, folder=folder, keeps_cache=False)
    trials: list[Trial] = []
    for number in range(rounds):
        for case, words in CASES.items():
            # Who goes first changes from round to round.
            for side in sorted(sides, reverse=number % 2 == 0):
                trials.append(take(case, side, words, tree=sides[side], folder=folder, keeps_cache=False))
                click.echo(f"{case}, {side}: {trials[-1].seconds:.2f} s", err=True)
            trials.append(take(case, "again", words, tree=HERE, folder=folder, keeps_cache=True))
            click.echo(f"{case}, again: {trials[-1].seconds:.2f} s", err=True)
    report("whole_runs", rows_of(sorted(trials, key=lambda one: (one.case, one.side))))


if __name__ == "__main__":
    main()
