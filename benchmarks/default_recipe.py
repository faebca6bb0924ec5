"""What the default recipe should do: `finetune/default` as it is, and with one change each.

    python benchmarks/default_recipe.py --data clothing/ --runs runs/default

EfficientNet-Lite0 with ImageNet weights at 224 pixels, three seeds on the data's own validation photos; then every
photo, those that validate included, is validated once in five folds, with two seeds each. A change is paired with the
recipe as it is by fold and seed. Runs share a cache; a finished run is read. Accuracies are the kept model's on the
photos that also chose its epoch.
"""

import random
import shutil
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
from reporting import report
from training import train

AS_IT_IS = "as it is"
CHANGES: dict[str, tuple[str, ...]] = {
    AS_IT_IS: (),
    "flip in two views": ("augment.flip=horizontal", "augment.views=2"),
    "crop 0.875, bicubic": ("data.crop_share=0.875", "data.interpolation=bicubic"),
    "bicubic": ("data.interpolation=bicubic",),
}
FOLDS = 5
SEEDS = 3
SEEDS_OF_A_FOLD = 2


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


def measure(change: str, parts: list[Path], seeds: int, runs: Path) -> list[dict[str, Any]]:
    """Trains on each part with each seed; returns run.json of each, in that order."""
    return [
        train(
            "finetune/default",
            (*CHANGES[change], f"train.seed={seed}"),
            data=part,
            run=runs / f"{change.replace(' ', '-')}-{part.name}-{seed}",
            cache=runs / "cache",
        )
        for part in parts
        for seed in range(seeds)
    ]


def compare(split: str, parts: list[Path], seeds: int, runs: Path) -> list[dict[str, Any]]:
    """Returns a row for each change: its mean, and how far it is from the recipe as it is in runs that are paired."""
    rows: list[dict[str, Any]] = []
    plain: list[float] = []
    for change in CHANGES:
        records = measure(change, parts, seeds, runs)
        accuracies = [record["metrics"]["accuracy"] for record in records]
        plain = plain or accuracies
        gains = [100 * (ours - other) for ours, other in zip(accuracies, plain, strict=True)]
        compared = change != AS_IT_IS
        rows.append(
            {
                "finetune/default": change,
                "validated": split,
                "runs of": len(accuracies),
                "accuracy": round(statistics.mean(accuracies), 4),
                "standard deviation": round(statistics.stdev(accuracies), 4),
                "gain, points": round(statistics.mean(gains), 2) if compared else None,
                "its standard error": round(statistics.stdev(gains) / len(gains) ** 0.5, 2) if compared else None,
                "runs": accuracies,
            }
        )
        click.echo(f"{rows[-1]}", err=True)
    return rows


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Photos, with a validation.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where the runs and folds go.")
def main(data: Path, runs: Path) -> None:
    """Trains the default recipe and its changes, and prints what each gives."""
    own = compare("the data's own split", [data], SEEDS, runs)
    folds = compare(f"each photo once, {FOLDS} folds", fold(data, runs / "folds"), SEEDS_OF_A_FOLD, runs)
    report("default_recipe", [*own, *folds])


if __name__ == "__main__":
    main()
