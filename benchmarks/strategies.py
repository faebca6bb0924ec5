"""Ways to fine-tune, side by side: accuracy, wall time, and what the prefix cache was used for.

    python benchmarks/strategies.py --data clothing/ --runs runs/strategies --size 128

EfficientNet-Lite0 with ImageNet weights by the recipes that ship, as they are but for the image size; one seed each,
and three of LP-FT. Each run has a cache of its own, empty at first. A run that was cut goes on, and its seconds add up;
a finished one is read. Accuracies are the best model's on the validation photos, which also chose it.
"""

import statistics
from pathlib import Path
from typing import Any

import click
from reporting import report
from training import train

STRATEGIES = {"linear-probe": 1, "lp-ft": 3, "gradual": 1, "full": 1, "surgical": 1}


def cached(record: dict[str, Any]) -> str:
    """Says of each phase up to where its prefix was run only once."""
    uses = {phase["name"]: phase["prefix_cache"] for phase in record["phases"]}
    return ", ".join(f"{name}: {use['cut'] if use else '-'}" for name, use in uses.items())


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="A folder of photos.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where the runs go.")
@click.option("--size", default=128, show_default=True, help="Side of the images, in pixels.")
def main(data: Path, runs: Path, size: int) -> None:
    """Trains by each recipe and prints how good and how fast it was."""
    rows: list[dict[str, Any]] = []
    for recipe, seeds in STRATEGIES.items():
        records: list[dict[str, Any]] = []
        for seed in range(seeds):
            run = runs / f"{recipe}-{size}-{seed}"
            settings = (f"data.image_size={size}", f"train.seed={seed}")
            records.append(train(f"finetune/{recipe}", settings, data=data, run=run, cache=run.with_suffix(".cache")))
        accuracies = [record["metrics"]["accuracy"] for record in records]
        rows.append(
            {
                "recipe": recipe,
                "validation accuracy": round(statistics.mean(accuracies), 4),
                "standard deviation": round(statistics.stdev(accuracies), 4) if seeds > 1 else None,
                "minutes": round(statistics.median(record["wall_seconds"] for record in records) / 60, 1),
                "run once up to": cached(records[0]),
                "runs": accuracies,
            }
        )
        click.echo(f"{rows[-1]}", err=True)
    report("strategies", rows)


if __name__ == "__main__":
    main()
