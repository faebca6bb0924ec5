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
    installed    Pillow is really installed in another version, which decodes these images alike
    patched      the same, and it decodes them a step darker
    key          a key of the recipe
    seed         another one
    precision    mixed_bfloat16
    threads      1, where the lock has another number
    backend      jax, where the lock has tensorflow

A case is right where all that was changed is among the differences, and nothing else is named; where the losses are
the same to the bit, nothing is named at all, and else at least one; and what was changed and is not named is listed as
without effect. Seed, precision, backend, images, the learning rate and the patched Pillow change losses by far more
than rounding: each of them has to be named, whatever else was changed. Of a Pillow that is installed the version has to
be said too. Where pip cannot install it, those cases are counted as not tried.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from other_environment import PACKAGE, CannotInstallError, Environment, make_environment
from reporting import report
from reproduction_changes import CHANGES, IMAGES, WEIGHTS, make_original

# These change losses by more than any rounding.
STRONG = {
    *("image", "lost image", "added", "relabelled", "patched", "seed", "precision", "backend"),
    "key phases.all.learning_rate",
}
# What a process is started with.
VARIABLES = {
    "threads": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    "backend": {"KERAS_BACKEND": "jax"},
}
# Which of them it is started in: whether its Pillow is patched.
ENVIRONMENTS = {"installed": False, "patched": True}
# No pairs: the second is the first, or undoes it.
EXCLUSIVE = ({"image", "lost image"}, {"installed", "patched"})


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
        """Which process it is reproduced in: one of another environment, or with other variables, or ""."""
        return "+".join(kind for kind in self.kinds if kind in VARIABLES or kind in ENVIRONMENTS)


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
                others = [kind for kind in kinds if kind != chosen[0] and {kind, chosen[0]} not in EXCLUSIVE]
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


def judge(case: Case, found: dict[str, Any], environments: Mapping[str, Environment]) -> str:
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
    installed = {environments[kind].version for kind in case.kinds if kind in environments}
    if installed:
        said = {one["now"] for one in found["differences"] if called(one) == f"package package {PACKAGE}"}
        faults["another version is said"] = said - installed
    if found["verdict"] == "bitwise equal":
        faults["named, and nothing differs"] = named
    elif not named:
        faults["not named at all"] = changed
    return "; ".join(f"{what}: {', '.join(sorted(which))}" for what, which in faults.items() if which)


def _name(kind: str, change: str) -> str:
    return change.replace("recipe recipe", "key") if kind == "key" else kind


def make_environments(cases: Sequence[Case], around: Path) -> dict[str, Environment]:
    """Makes the environments that cases need; leaves out one that cannot be made, and says so."""
    made: dict[str, Environment] = {}
    for kind, is_patched in ENVIRONMENTS.items():
        if any(kind in case.kinds for case in cases):
            try:
                made[kind] = make_environment(around / kind, is_patched=is_patched)
            except CannotInstallError as fault:
                click.echo(f"{kind}: not tried, as {PACKAGE} cannot be installed: {fault}", err=True)
    return made


def run_cases(cases: Sequence[Case], cache: Path, environments: Mapping[str, Environment]) -> Iterator[dict[str, Any]]:
    """Reproduces cases, those of one kind of process in one process; nothing is found where there is no environment."""
    processes: dict[str, list[Case]] = {}
    for case in cases:
        processes.setdefault(case.process, []).append(case)
    for process, its in processes.items():
        kinds = [kind for kind in process.split("+") if kind]
        if any(kind in ENVIRONMENTS and kind not in environments for kind in kinds):
            yield from ({"case": asdict(case), "found": None} for case in its)
            continue
        python = next((environments[kind].python for kind in kinds if kind in environments), sys.executable)
        variables = {name: value for kind in kinds for name, value in VARIABLES.get(kind, {}).items()}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables, "XDG_CACHE_HOME": str(cache)}
        given = json.dumps([asdict(case) for case in its])
        with subprocess.Popen(
            [python, __file__, "--child"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
        environments = make_environments(cases, Path(work) / "environments")
        answers: list[dict[str, Any]] = []
        for answer in run_cases(cases, cache, environments):
            case, found = _case(answer["case"]), answer["found"]
            answers.append(answer)
            named = f"{case.number:3d}  {' + '.join(case.kinds) or 'unchanged':<24}"
            if found is None:
                click.echo(f"{named} not tried", err=True)
                continue
            answer["fault"] = judge(case, found, environments)
            click.echo(
                f"{named} {found['verdict']:<16} {found['trials']:2d} trials {answer['seconds']:5.1f} s  "
                f"{answer['fault'] or 'right'}",
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
    return [_row(name, its) for name, its in sorted(groups.items())]


def _row(name: str, its: Sequence[dict[str, Any]]) -> dict[str, object]:
    tried = [answer for answer in its if answer["found"] is not None]
    return {
        "cases": name,
        "number": len(its),
        "not tried": len(its) - len(tried),
        "right": sum(not answer["fault"] for answer in tried),
        "bitwise equal": sum(answer["found"]["verdict"] == "bitwise equal" for answer in tried),
        "trials, mean": float(np.mean([answer["found"]["trials"] for answer in tried])) if tried else 0.0,
        "seconds, mean": float(np.mean([answer["seconds"] for answer in tried])) if tried else 0.0,
    }


if __name__ == "__main__":
    main()
