"""Is a proposed recipe as good as the best of a grid, and does a run take as long as was forecast?

    python benchmarks/recipe_new.py --data clothing/ --name clothing --runs runs/new

`zoo recipe new` proposes a recipe; it is trained as it is, from an empty cache, and its seconds are compared with the
forecast. Then the same model at the same size with the same batches and epochs is trained by a fixed grid: four rates
by three freeze plans, of which two begin with the proposed head. Accuracies are the best model's on the images that
also chose its epoch, for all alike. A finished run is read.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from reporting import report
from training import train

from zoo.recipe.schema import Phase, Recipe

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
# By name, what trains after the head; the head alone has the epochs of both.
PLANS = {"head": None, "head, then last:3": "last:3", "head, then all": "all"}


def fewer(data: Path, folder: Path, images: int) -> Path:
    """Copies about as many training images, spread over each class, with all that validate."""
    splits = [split for split in sorted(data.iterdir()) if split.is_dir()]
    has_splits = any(split.name == "train" for split in splits)
    classes = sorted((data / "train" if has_splits else data).iterdir())
    total = sum(len(list(one.iterdir())) for one in classes)
    for one in classes:
        files = sorted(one.iterdir())
        count = max(2, round(len(files) * images / total))
        for row in np.unique(np.linspace(0, len(files) - 1, count).round().astype(int)):
            target = folder / one.relative_to(data) / files[row].name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(files[row], target)
    if has_splits:
        for split in splits:
            if split.name != "train":
                shutil.copytree(split, folder / split.name, dirs_exist_ok=True)
    return folder


def propose(data: Path, file: Path, words: tuple[str, ...]) -> dict[str, Any]:
    """Proposes a recipe from an empty cache, in a process of its own; one that is there is read."""
    kept = file.with_suffix(".json")
    if not kept.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        code = "from zoo.cli import main; main()"
        command = [sys.executable, "-c", code, "recipe", "new", "--data", str(data), "--out", str(file), "--force"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(file.with_suffix(".cache"))}
        ended = subprocess.run(
            [*command, *words, "--json"], check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        kept.write_text(ended.stdout, encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def grid(recipe: Recipe) -> Mapping[tuple[str, float], Recipe]:
    """Returns the recipes of the grid, which share all with a proposed one but the phases."""
    first, last = recipe.phases[0], recipe.phases[-1]
    points: dict[tuple[str, float], Recipe] = {}
    for plan, selector in PLANS.items():
        for rate in RATES:
            changed = {"learning_rate": rate}
            phases: tuple[Phase, ...]
            if selector is None or len(recipe.phases) == 1:
                epochs = sum(phase.epochs for phase in recipe.phases)
                train_what = selector or "head"
                phases = (first.model_copy(update={**changed, "train": train_what, "epochs": epochs}),)
            else:
                phases = (first, last.model_copy(update={**changed, "train": selector}))
            points[plan, rate] = recipe.model_copy(update={"phases": phases})
    return points


def row(plan: str, rate: float | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a run came to."""
    return {
        "plan": plan,
        "rate": rate,
        "accuracy": record["metrics"]["accuracy"],
        "seconds": round(record["wall_seconds"], 1),
        "forecast": None,
        "off by": None,
        "points below the best": None,
    }


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="A folder, or an .npz file.")
@click.option("--name", required=True, help="What the data is called; the figures go to results/recipe_new_NAME.json.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where recipes and runs go.")
@click.option("--images", type=int, help="Train on about so many images of a folder.")
@click.option("--size", type=int, help="Side of the images, in place of the rule's.")
@click.option("--budget", help="As for zoo recipe new.")
@click.option("--rounds", default=1, show_default=True, help="How often it is proposed and trained.")
@click.option("--grid/--no-grid", "with_grid", default=True, help="Whether to train the grid too.")
def main(
    data: Path,
    name: str,
    runs: Path,
    images: int | None,
    size: int | None,
    budget: str | None,
    rounds: int,
    with_grid: bool,
) -> None:
    """Proposes a recipe, trains it and the grid, and prints what each came to."""
    folder = runs / name
    if images is not None:
        data = fewer(data, folder / f"{name}-{images}", images)
    words = (*(("--image-size", str(size)) if size else ()), *(("--budget", budget) if budget else ()))
    rows: list[dict[str, Any]] = []
    recipe: Recipe | None = None
    for number in range(rounds):
        file = folder / f"proposed-{number}.toml"
        document = propose(data, file, words)
        recipe = Recipe.load(file)
        run = folder / f"proposed-{number}"
        cache = folder / f"cache-{number}"
        done = row("proposed", recipe.phases[-1].learning_rate, train(str(file), (), data=data, run=run, cache=cache))
        forecast = document["forecast"]["seconds"]
        done |= {"forecast": forecast, "off by": f"{100 * (done['seconds'] / forecast - 1):+.1f} %"}
        rows.append(done)
        click.echo(f"{done}", err=True)
    assert recipe is not None  # there are rounds
    for number, ((plan, rate), point) in enumerate(grid(recipe).items() if with_grid else ()):
        file = folder / f"grid-{number}.toml"
        file.write_text(point.to_toml(), encoding="utf-8")
        record = train(str(file), (), data=data, run=folder / f"grid-{number}", cache=folder / "cache-grid")
        rows.append(row(plan, rate, record))
        click.echo(f"{rows[-1]}", err=True)
    best = max(one["accuracy"] for one in rows)
    for one in rows:
        one["points below the best"] = round(100 * (best - one["accuracy"]), 2)
    report(f"recipe_new_{name}", rows)


if __name__ == "__main__":
    main()
