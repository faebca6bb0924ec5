"""python -m tests.survival --kills 300 --backend tensorflow: kills by hand, a table, and one JSON."""

import sys
import tempfile
from pathlib import Path

import click

from tests.survival.matrix import Bench, Plan
from tests.survival.trainings import TRAININGS


@click.command()
@click.option("--kills", default=300, show_default=True)
@click.option("--saves", help="How many inside a save.  [default: a fifth]", type=int)
@click.option("--cached", help="How many inside packing or the first pass.  [default: two fifteenths]", type=int)
@click.option("--in-a-row", default=Plan.in_a_row, show_default=True, help="How often one run is killed.")
@click.option("--backend", type=click.Choice(["tensorflow", "jax"]), default="tensorflow", show_default=True)
@click.option("--lanes", default=2, show_default=True, help="Runs side by side.")
@click.option("--training", "trainings", multiple=True, type=click.Choice(list(TRAININGS)), default=list(TRAININGS))
@click.option("--every", multiple=True, default=Plan.every, help="Values of checkpoint.every, in turns.")
@click.option("--seed", default=0, show_default=True)
@click.option("--nice", default=10, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; what failed stays there.")
@click.option("--json", "kept", type=click.Path(path_type=Path), default=Path("survival.json"), show_default=True)
def main(
    kills: int,
    saves: int | None,
    cached: int | None,
    in_a_row: int,
    backend: str,
    lanes: int,
    trainings: tuple[str, ...],
    every: tuple[str, ...],
    seed: int,
    nice: int,
    folder: Path | None,
    kept: Path,
) -> None:
    """Kills training runs, resumes them, and compares what they give with what undisturbed ones give."""
    plan = Plan(
        kills=kills,
        saves=kills // 5 if saves is None else saves,
        cached=kills * 2 // 15 if cached is None else cached,
        in_a_row=in_a_row,
        seed=seed,
        trainings=trainings,
        every=every,
    )
    folder = Path(tempfile.mkdtemp(prefix="survival-")) if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    with Bench(folder, backend=backend, lanes=lanes, nice=nice) as bench:
        result = bench.work_off(plan, say=click.echo, kept=kept)
    rows = result.rows()
    header = list(rows[0])
    for cells in (header, ["---"] * len(header), *([str(row[key]) for key in header] for row in rows)):
        click.echo(f"| {' | '.join(cells)} |")
    for fault in result.faults:
        click.echo(fault)
    click.echo(f"{len(result.chains)} runs in {folder}; {kept}")
    sys.exit(1 if result.faults else 0)


if __name__ == "__main__":
    main()
