"""What the default recipe should do: `finetune/default` as it is, and with one change each.

    python benchmarks/default_recipe.py --data clothing/ --runs runs/default

EfficientNet-Lite0 with ImageNet weights at 224 pixels. First on the data's own validation photos, with several seeds;
then flips once more in three of five folds of all photos, with three seeds each. A change is paired with the recipe as
it is by photos and seed. Runs share a cache; a finished run is read. Accuracies are the best model's on the photos that
also chose its epoch.
"""

import random
import shutil
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from reporting import report
from training import train

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Change:
    """A change to the recipe, and how often it is measured.

    Attributes:
        settings: As `--set` takes them.
        seeds: On the data's own split.
        seeds_of_a_fold: In each fold; 0 where the own split decides.
    """

    settings: tuple[str, ...]
    seeds: int
    seeds_of_a_fold: int = 0


CHANGES = {
    AS_IT_IS: Change((), seeds=6, seeds_of_a_fold=3),
    "flip, two fixed views": Change(("augment.flip=horizontal", "augment.views=2"), seeds=6, seeds_of_a_fold=3),
    "crop 0.875, bicubic": Change(("data.crop_share=0.875", "data.interpolation=bicubic"), seeds=3),
    "bicubic": Change(("data.interpolation=bicubic",), seeds=3),
}
FOLDS, FOLDS_TRAINED = 5, 3


def fold(data: Path, folder: Path) -> list[Path]:
    """Copies all photos of a data set into folders that validate a fifth each, the classes in proportion."""
    by_class: dict[str, list[Path]] = defaultdict(list)
    for photo in sorted(data.glob("*/*/*"), key=lambda photo: (photo.parent.name, photo.name)):
        by_class[photo.parent.name].append(photo)
    chance = random.Random(0)
    for name, photos in by_class.items():
        chance.shuffle(photos)
        for number, photo in enumerate(photos):
            for validated in range(FOLDS):
                split = "validation" if number % FOLDS == validated else "train"
                copied = folder / str(validated) / split / name / photo.name
                copied.parent.mkdir(parents=True, exist_ok=True)
                if not copied.exists():
                    shutil.copy(photo, copied)
    return [folder / str(number) for number in range(FOLDS)]


def measure(change: str, parts: Sequence[Path], seeds: int, runs: Path) -> list[float]:
    """Trains on each part with each seed; returns the accuracies in that order."""
    records = [
        train(
            "finetune/default",
            (*CHANGES[change].settings, f"train.seed={seed}"),
            data=part,
            run=runs / f"{change.replace(', ', '-').replace(' ', '-')}-{part.name}-{seed}",
            cache=runs / "cache",
        )
        for part in parts
        for seed in range(seeds)
    ]
    return [record["metrics"]["accuracy"] for record in records]


def compare(split: str, parts: Sequence[Path], seeds: dict[str, int], runs: Path) -> list[dict[str, Any]]:
    """Returns a row for each change: its mean, and how far it is from the recipe as it is in runs that are paired."""
    rows: list[dict[str, Any]] = []
    plain: list[float] = []
    for change, count in seeds.items():
        accuracies = measure(change, parts, count, runs)
        plain = plain or accuracies
        gains = [100 * (ours - other) for ours, other in zip(accuracies, plain, strict=False)]
        is_changed = change != AS_IT_IS
        rows.append(
            {
                "finetune/default": change,
                "validated": split,
                "trained": len(accuracies),
                "accuracy": round(statistics.mean(accuracies), 4),
                "standard deviation": round(statistics.stdev(accuracies), 4),
                "points gained": round(statistics.mean(gains), 2) if is_changed else None,
                "standard error": round(statistics.stdev(gains) / len(gains) ** 0.5, 2) if is_changed else None,
                "runs": accuracies,
            }
        )
        click.echo(f"{rows[-1]}", err=True)
    return rows


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Photos, with a validation.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where the runs and folds go.")
@click.option("--folds", default=FOLDS_TRAINED, show_default=True, help="How many of the folds are trained.")
def main(data: Path, runs: Path, folds: int) -> None:
    """Trains the default recipe and its changes, and prints what each gives."""
    own = {name: change.seeds for name, change in CHANGES.items()}
    rows = compare("its own photos", [data], own, runs)
    folded = {name: change.seeds_of_a_fold for name, change in CHANGES.items() if change.seeds_of_a_fold}
    parts = fold(data, runs / "folds")[:folds]
    rows += compare(f"{folds} of {FOLDS} folds", parts, folded, runs)
    report("default_recipe", rows)


if __name__ == "__main__":
    main()
