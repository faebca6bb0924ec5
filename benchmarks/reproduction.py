"""Whether `zoo reproduce --quick` names the right cause: 100 seeded changes, singles and pairs, and unchanged controls.

    pip install '.[dev]'
    python benchmarks/reproduction.py --changes 100 --controls 10

A small network is trained on 24 images and locked. For each case a copy of recipe, lock, images and weights is changed
in one way or in two, and reproduced:

    image        pixels of an image are others; the old file is still where the first team has it
    lost image   the same, and the old file is nowhere
    added        an image more
    relabelled   an image in the folder of another class
    weights      one bit of what the model begins with
    package      another version in the lock
    key          a key of the recipe
    seed         another one
    precision    mixed_bfloat16
    threads      1, where the lock has another number
    backend      jax, where the lock has tensorflow

A case is right where all that was changed is among the differences, and nothing else is named; where the losses are
the same to the bit, nothing is named at all, and else at least one; and what was changed and is not named is listed as
without effect. Seed, precision, backend, images and the learning rate change losses by far more than rounding: each of
them has to be named, whatever else was changed.
"""

import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from reporting import report

RECIPE = """name = "tiny"
[model]
name = "mnist_conv_tiny"
[data]
validation = 0.0
[train]
batch_size = 4
deterministic = true
seed = 0
[[phases]]
name = "all"
train = "all"
epochs = 4
batchnorm = "train"
learning_rate = 0.01
"""
# Keys that change what is trained, with another value.
KEYS = {
    "phases.all.learning_rate": "learning_rate = 0.003",
    "phases.all.optimizer": 'optimizer = "sgd"',
    "phases.all.weight_decay": "weight_decay = 0.3",
    "phases.all.schedule": 'schedule = "constant"',
    "train.label_smoothing": "label_smoothing = 0.1",
    "train.clip_norm": "clip_norm = 0.05",
    "train.ema": "ema = 0.9",
    "description": 'description = "another"',
}
IMAGES, WEIGHTS, LOCK = "photos", "begun.safetensors", "tiny.lock"
# These change losses by more than any rounding.
STRONG = {"image", "lost image", "added", "relabelled", "seed", "precision", "backend", "key phases.all.learning_rate"}
# What a process is started with.
VARIABLES = {
    "threads": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    "backend": {"KERAS_BACKEND": "jax"},
}


@dataclass(frozen=True)
class Case:
    """A copy that was changed.

    Attributes:
        number: Which.
        folder: Where it is.
        kinds: What was changed.
        changes: The same with what a difference is called by, as `kind name`.
    """

    number: int
    folder: str
    kinds: tuple[str, ...]
    changes: tuple[str, ...]

    @property
    def process(self) -> str:
        """Which process it is reproduced in: one with other variables, or ""."""
        return "+".join(kind for kind in self.kinds if kind in VARIABLES)


def write_photos(folder: Path, *, count: int) -> None:
    """Writes images of two classes that a network can tell apart: each has a band of its own on noise."""
    generator = np.random.default_rng(0)
    for number in range(2 * count):
        image = generator.integers(0, 90, (28, 28)).astype(np.uint8)
        image[14 * (number % 2) : 14 * (number % 2) + 14] += 150
        path = folder / ("cat", "dog")[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def make_original(folder: Path) -> None:
    """Trains and locks what is reproduced."""
    import zoo
    from zoo.sharing.locks.making import lock_runs

    write_photos(folder / IMAGES, count=12)
    time.sleep(2.5)  # what is older is known by its path
    (folder / "tiny.toml").write_text(RECIPE)
    first = zoo.finetune(folder / "tiny.toml", folder / IMAGES, run=folder / "first", verbose=0)
    shutil.copyfile(first.path / "model" / "model.safetensors", folder / WEIGHTS)
    run = zoo.finetune(folder / "tiny.toml", folder / IMAGES, run=folder / "run", weights=folder / WEIGHTS, verbose=0)
    (folder / LOCK).write_text(lock_runs(run.path).to_text())


def any_image(folder: Path, chance: random.Random, but: Sequence[str] = ()) -> Path:
    """Chooses an image that nothing else was done to."""
    files = sorted(path for path in (folder / IMAGES).rglob("*.png") if path.name not in but)
    return chance.choice(files)


def change_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Turns a square of an image's pixels around."""
    path = any_image(folder, chance, taken)
    taken.append(path.name)
    pixels = np.array(Image.open(path))
    row, column = chance.randrange(20), chance.randrange(20)
    pixels[row : row + 8, column : column + 8] = 255 - pixels[row : row + 8, column : column + 8]
    Image.fromarray(pixels).save(path)
    return f"data {path.relative_to(folder / IMAGES).as_posix()}"


def add_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Adds an image like another, with other noise."""
    path = any_image(folder, chance, taken)
    pixels = np.array(Image.open(path)).astype(int) + np.random.default_rng(chance.randrange(1000)).integers(
        -9, 9, (28, 28)
    )
    name = path.with_name(f"{chance.randrange(100):03d}b.png")
    taken.append(name.name)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(name)
    return f"data {name.relative_to(folder / IMAGES).as_posix()}"


def relabel_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Moves an image to the other class."""
    path = any_image(folder, chance, taken)
    taken.append(path.name)
    other = path.parents[1] / {"cat": "dog", "dog": "cat"}[path.parent.name] / path.name
    path.rename(other)
    return f"data {other.relative_to(folder / IMAGES).as_posix()}"


def flip_weights(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Flips a bit of a weight, whichever."""
    from safetensors.numpy import load_file, save_file

    arrays = {name: array.copy() for name, array in load_file(folder / WEIGHTS).items()}
    flat = arrays[chance.choice(sorted(name for name, array in arrays.items() if array.dtype == np.float32))].reshape(
        -1
    )
    flat.view(np.uint32)[chance.randrange(flat.size)] ^= np.uint32(1 << chance.randrange(32))
    save_file(arrays, folder / WEIGHTS)
    return "weights weights"


def fake_package(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another version of a package into the lock."""
    from zoo.sharing.locks.lock import read_lock

    lock = read_lock(folder / LOCK)
    name = chance.choice(["keras", "numpy", "pillow", "tensorflow", "zoo"])
    (folder / LOCK).write_text(replace(lock, versions={**lock.versions, name: "0.0.1"}).to_text())
    return f"package package {name}"


def set_key(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another value of a key."""
    key = chance.choice(list(KEYS))
    table, _, name = key.rpartition(".")
    text = (folder / "tiny.toml").read_text()
    lines = [line for line in text.splitlines() if line.partition(" = ")[0] != name]
    place = {"": 0, "train": lines.index("[train]") + 1, "phases.all": len(lines)}[table]
    (folder / "tiny.toml").write_text("\n".join([*lines[:place], KEYS[key], *lines[place:]]) + "\n")
    return f"recipe recipe {key}"


def set_seed(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another seed."""
    path = folder / "tiny.toml"
    path.write_text(path.read_text().replace("seed = 0", f"seed = {chance.randrange(1, 1000)}"))
    return "seed recipe train.seed"


def set_precision(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another precision."""
    path = folder / "tiny.toml"
    path.write_text(path.read_text().replace("[train]\n", '[train]\nprecision = "mixed_bfloat16"\n'))
    return "precision recipe train.precision"


Change = Callable[[Path, random.Random, list[str]], str]
CHANGES: dict[str, Change] = {
    "image": change_image,
    "lost image": change_image,
    "added": add_image,
    "relabelled": relabel_image,
    "weights": flip_weights,
    "package": fake_package,
    "key": set_key,
    "seed": set_seed,
    "precision": set_precision,
    "threads": lambda *_: "threads threads",
    "backend": lambda *_: "backend backend",
}


def make_cases(original: Path, around: Path, *, changes: int, controls: int, seed: int) -> Iterator[Case]:
    """Makes the copies: two singles to three pairs, and every kind about as often."""
    chance = random.Random(seed)
    kinds = list(CHANGES)
    for number in range(changes + controls):
        folder = around / f"{number:03d}"
        shutil.copytree(original, folder, ignore=shutil.ignore_patterns("run", "first"))
        chosen: list[str] = []
        if number < changes:
            chosen = [kinds[number % len(kinds)]]
            if number % 5 > 1:
                others = [kind for kind in kinds if kind != chosen[0] and {kind, chosen[0]} != {"image", "lost image"}]
                chosen.append(chance.choice(others))
        taken: list[str] = []
        done = [CHANGES[kind](folder, chance, taken) for kind in chosen]
        yield Case(number=number, folder=str(folder), kinds=tuple(chosen), changes=tuple(done))


def reproduce_all(cases: Sequence[Case]) -> None:
    """Reproduces cases in this process; prints a line of JSON for each."""
    import zoo

    cache = os.environ["XDG_CACHE_HOME"]
    for case in cases:
        folder = Path(case.folder)
        # In a cache of its own nothing is known of files elsewhere that have the old content.
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache") if "lost image" in case.kinds else cache
        began = time.perf_counter()
        found = zoo.reproduce(
            folder / "tiny.toml", folder / IMAGES, quick=True, weights=folder / WEIGHTS, verbose=0
        ).to_json()
        click.echo(json.dumps({"case": asdict(case), "found": found, "seconds": time.perf_counter() - began}))


def judge(case: Case, found: dict[str, Any]) -> str:
    """Says what is wrong with an answer; "" where it is right."""

    def called(one: dict[str, Any]) -> str:
        return f"{one['kind']} {one.get('file') or one['name']}"

    differences, without = ({called(one) for one in found[name]} for name in ("differences", "without_effect"))
    named = {called(one) for one in (*found["causes"], *found["left"])}
    changed = set(case.changes)
    if case.process and "backend" in case.kinds:
        # Another backend brings packages of its own.
        differences = {one for one in differences if not one.startswith("package") or one in changed}
    strong = {change for kind, change in zip(case.kinds, case.changes, strict=True) if _name(kind, change) in STRONG}
    faults = {
        "not among the differences": changed - differences,
        "differs, and was not changed": differences - changed,
        "named, and was not changed": named - changed,
        "neither named nor without effect": changed - named - without,
        "not named": strong - named,
    }
    if found["verdict"] == "bitwise equal":
        faults["named, and nothing differs"] = named
    elif not named:
        faults["not named at all"] = changed
    return "; ".join(f"{what}: {', '.join(sorted(which))}" for what, which in faults.items() if which)


def _name(kind: str, change: str) -> str:
    return change.replace("recipe recipe", "key") if kind == "key" else kind


def run_cases(cases: Sequence[Case], cache: Path) -> Iterator[dict[str, Any]]:
    """Reproduces cases, those of one kind of process in one process."""
    processes: dict[str, list[Case]] = {}
    for case in cases:
        processes.setdefault(case.process, []).append(case)
    for process, its in processes.items():
        variables = {name: value for kind in process.split("+") if kind for name, value in VARIABLES[kind].items()}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables, "XDG_CACHE_HOME": str(cache)}
        command = [sys.executable, __file__, "--child"]
        given = json.dumps([asdict(case) for case in its])
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(given)
            child.stdin.close()
            for line in child.stdout:
                yield json.loads(line)


@click.command()
@click.option("--changes", default=100, show_default=True)
@click.option("--controls", default=10, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--only", type=int, multiple=True, help="Numbers of cases.")
@click.option("--child", is_flag=True, hidden=True)
def main(changes: int, controls: int, seed: int, only: tuple[int, ...], child: bool) -> None:
    """Changes, reproduces, and counts what was named rightly."""
    if child:
        cases = json.loads(sys.stdin.read())
        reproduce_all([_case(one) for one in cases])
        return
    with tempfile.TemporaryDirectory(prefix="reproduction-") as work:
        original, cache = Path(work) / "original", Path(work) / "cache"
        os.environ["XDG_CACHE_HOME"] = str(cache)
        original.mkdir()
        make_original(original)
        cases = list(make_cases(original, Path(work) / "cases", changes=changes, controls=controls, seed=seed))
        cases = [case for case in cases if not only or case.number in only]
        answers: list[dict[str, Any]] = []
        for answer in run_cases(cases, cache):
            case, found = _case(answer["case"]), answer["found"]
            answer["fault"] = judge(case, found)
            answers.append(answer)
            click.echo(
                f"{case.number:3d}  {' + '.join(case.kinds) or 'unchanged':<24} {found['verdict']:<16} "
                f"{found['trials']:2d} trials {answer['seconds']:5.1f} s  {answer['fault'] or 'right'}",
                err=True,
            )
    report("reproduction", _rows(answers))


def _case(document: dict[str, Any]) -> Case:
    return Case(**{**document, "kinds": tuple(document["kinds"]), "changes": tuple(document["changes"])})


def _rows(answers: Sequence[dict[str, Any]]) -> list[dict[str, object]]:
    groups: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for answer in answers:
        kinds = answer["case"]["kinds"]
        groups["unchanged" if not kinds else "one change" if len(kinds) == 1 else "two changes"].append(answer)
        for kind in kinds:
            groups[f"with {kind}"].append(answer)
    groups["all changes"] = [answer for answer in answers if answer["case"]["kinds"]]
    return [
        {
            "cases": name,
            "number": len(its),
            "right": sum(not answer["fault"] for answer in its),
            "bitwise equal": sum(answer["found"]["verdict"] == "bitwise equal" for answer in its),
            "trials, mean": float(np.mean([answer["found"]["trials"] for answer in its])) if its else 0.0,
            "seconds, mean": float(np.mean([answer["seconds"] for answer in its])) if its else 0.0,
        }
        for name, its in sorted(groups.items())
    ]


if __name__ == "__main__":
    main()
