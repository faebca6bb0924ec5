"""What a second process on a second core makes of a training, and what it costs.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --rehearse

One process on one core; two processes on two, joined over loopback by JAX, with the same recipe and so the same
batches; and two on two that know nothing of one another, each with half of the images in batches of half the size:
what the two cores give where nothing is sent and nobody waits. In turns; each process is kept on its core by
`taskset`. Three recipes on images that are made here:

- `compute-bound`: a net that computes for long in each step. Twice the cores at best halve a step.
- `engine`: a net that computes next to nothing, on few images. What a step of joined processes takes beyond one of
  those apart is the engine's: what is sent, and waiting for one another.
- `first pass`: frozen layers that are run once (`train.prefix_cache`), each process its share of the images.

Seconds of a step are those of training in the epochs after the first, which compiles; those of a first pass are
`first_pass` of run.json, after a round that is thrown away and leaves what was compiled. `ratio` is one process'
seconds by those of two, `apart` the same of those that share nothing, `overhead` what a step of joined ones takes more
than theirs. All are medians over the rounds. Nothing else may run on the machine meanwhile.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from reporting import markdown, report

CLASSES = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training that is measured.

    Attributes:
        name: What it is called in the table.
        net: A model's name.
        side: Of its images, in pixels.
        images: How many train.
        batch: Images of a step.
        epochs: How many; the first one is left out.
        train: What trains, a selector.
        prefix_cache: Whether frozen layers are run once.
    """

    name: str
    net: str
    side: int
    images: int
    batch: int
    epochs: int
    train: str = "all"
    prefix_cache: str = "off"

    @property
    def is_first_pass(self) -> bool:
        """Whether the pass over frozen layers is measured, in place of steps."""
        return self.prefix_cache == "required"


CASES = (
    Case(name="compute-bound", net="mnist_conv", side=28, images=4096, batch=2048, epochs=3),
    Case(name="engine", net="mnist_conv_tiny", side=28, images=256, batch=32, epochs=4),
    Case(
        name="first pass",
        net="resnet50",
        side=64,
        images=768,
        batch=64,
        epochs=2,
        train="head",
        prefix_cache="required",
    ),
)
REHEARSED = tuple(replace(case, net="mnist_conv_tiny", side=28, images=32, batch=8, epochs=2) for case in CASES)
# How processes train, by name: on how many cores, and whether as one.
SIDES = {"one": 1, "two": 2, "apart": 2}


def write_inputs(case: Case, folder: Path) -> None:
    """Writes the recipe and the images of a case, recipe.toml and data.npz."""
    import numpy as np

    chance = np.random.default_rng(0)
    channels = () if case.side == 28 else (3,)
    arrays: dict[str, Any] = {"classes": np.array([f"class {number}" for number in range(CLASSES)])}
    for split, count in (("train", case.images), ("val", 2 * case.batch)):
        arrays[f"x_{split}"] = chance.integers(0, 256, (count, case.side, case.side, *channels), np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % CLASSES
    np.savez(folder / "data.npz", **arrays)
    lines = [
        'name = "scaling"',
        f'[model]\nname = "{case.net}"\nweights = "none"',
        f"[data]\nimage_size = {case.side}",
        f'[train]\nbatch_size = {case.batch}\nprefix_cache = "{case.prefix_cache}"\nprecision = "float32"',
        f'[[phases]]\nname = "only"\ntrain = "{case.train}"\nepochs = {case.epochs}',
    ]
    (folder / "recipe.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(case: Case, side: str, folder: Path, cores: Sequence[int]) -> float:
    """Trains a case in one process on each core; returns seconds of a step, or of the first pass."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    with tempfile.TemporaryDirectory(dir=folder) as place:
        runs = [Path(place) / f"run-{number}" for number in range(len(cores))]
        started: list[subprocess.Popen[str]] = []
        for number, core in enumerate(cores):
            join = ["--coordinator", address, "--processes", len(cores), "--process", number] if side == "two" else []
            run = runs[0] if side == "two" else runs[number]
            command = ["zoo", "finetune", folder / "recipe.toml", "--data", folder / "data.npz", "--run", run]
            words = ["taskset", "-c", core, sys.executable, "-m", *command, *join]
            # What was computed in an earlier round may not be found; what was compiled may.
            environment = {
                **os.environ,
                "KERAS_BACKEND": "jax",
                "XDG_CACHE_HOME": f"{place}/cache-{number if side == 'apart' else 0}",
                "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "ZOO_ENGINE": "keras",
            }
            started.append(
                subprocess.Popen(
                    [*map(str, words)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
            )
        for process in started:
            _, stderr = process.communicate()
            if process.returncode:
                raise click.ClickException(f"{case.name}, {side}: {stderr.strip().splitlines()[-1:]}")
        return statistics.mean(seconds_of(case, run) for run in (runs if side == "apart" else runs[:1]))


def seconds_of(case: Case, run: Path) -> float:
    """Reads in a finished run what is measured of it."""
    if case.is_first_pass:
        return json.loads((run / "run.json").read_text(encoding="utf-8"))["seconds"]["first_pass"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return statistics.median(case.batch / row["images_per_second"] for row in rows[1:])


def halved(case: Case) -> Case:
    """Returns what each of two processes trains on that know nothing of one another."""
    return replace(case, images=case.images // 2, batch=case.batch // 2)


def row_of(case: Case, seconds: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Returns a line of the table, of the seconds of each side, round by round."""
    one, two, apart = (statistics.median(seconds[side]) for side in SIDES)
    ratios = [a / b for a, b in zip(seconds["one"], seconds["two"], strict=True)]
    return {
        "case": case.name,
        "net": f"{case.net}, {case.side} px, batch {case.batch}",
        "one process, s": one,
        "two, s": two,
        "two apart, s": apart,
        "ratio": round(one / two, 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "apart": round(one / apart, 3),
        "overhead, ms": round(1000 * (two - apart), 2),
        "runs": {side: list(runs) for side, runs in seconds.items()},
    }


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--rehearse", is_flag=True, help="One round of tiny trainings, of which nothing is kept.")
def main(rounds: int, rehearse: bool) -> None:
    """Measures two processes on two cores beside one on one."""
    if not shutil.which("taskset"):
        raise click.ClickException("taskset is not installed; it is in util-linux")
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise click.ClickException("there is one core here; expected two")
    cases = REHEARSED if rehearse else CASES
    found: dict[str, dict[str, list[float]]] = {case.name: {side: [] for side in SIDES} for case in cases}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {(case.name, side): Path(temporary) / case.name / side for case in cases for side in SIDES}
        for case in cases:
            for side in SIDES:
                folders[case.name, side].mkdir(parents=True)
                write_inputs(halved(case) if side == "apart" else case, folders[case.name, side])
        for turn in range(1 if rehearse else rounds + 1):
            for case in cases:
                for side, count in SIDES.items():
                    trained = halved(case) if side == "apart" else case
                    took = measure(trained, side, folders[case.name, side], cores[:count])
                    click.echo(f"round {turn}  {case.name}, {side}: {took:.4f} s", err=True)
                    if turn or rehearse:  # the first one compiles
                        found[case.name][side].append(took)
    rows = [row_of(case, found[case.name]) for case in cases]
    if rehearse:
        click.echo(markdown(rows))
    else:
        report("scaling", rows)


if __name__ == "__main__":
    main()
