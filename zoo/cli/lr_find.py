"""`zoo lr-find`: which learning rate to begin with."""

from dataclasses import asdict
from pathlib import Path

import click

from zoo.cli.output import TRUST_OPTION, OutFile, echo, echo_json, start_backend


@click.command("lr-find")
@click.argument("recipe", metavar="RECIPE|RUN|MODEL")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Images: a folder with a subfolder per class, .csv, .jsonl, .npz."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe; repeatable.")
@click.option("--phase", metavar="NAME", help="Whose layers and optimizer; by default the first phase's.")
@click.option("--from", "lowest", default=1e-6, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--to", "highest", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--steps", default=100, show_default=True, type=click.IntRange(min=10))
@click.option("--out", type=OutFile(), default=Path("lr-find.png"), show_default=True, help="The plot to write.")
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document and nothing else.")
def lr_find(
    recipe: str,
    data: Path | None,
    overrides: tuple[str, ...],
    phase: str | None,
    lowest: float,
    highest: float,
    steps: int,
    out: Path,
    as_json: bool,
) -> None:
    """Train a phase of RECIPE while the learning rate rises, and suggest the one at which the loss falls fastest.

    Nothing is kept but the plot. A phase is tested from the model's first weights, also where others come before it.

    \b
    Examples:
      zoo lr-find finetune/linear-probe --data photos/
      zoo lr-find finetune/lp-ft --data photos/ --phase all --to 0.1
    """
    if highest <= lowest:
        raise click.UsageError(f"--to is {highest}; expected more than --from, which is {lowest}")
    from zoo.finetuning import make_job

    job = make_job(recipe, data, overrides)
    name = job.recipe.phase_named(phase).name
    start_backend()
    from zoo.report.curves import plot_range_test, save_figure
    from zoo.training.progress import Display
    from zoo.training.range_test import find_rate
    from zoo.training.schedules import RisingRate

    rate = RisingRate(lowest=lowest, highest=highest, steps=steps)
    with Display() as display:
        found = find_rate(job.recipe, job.data, phase_name=phase, rate=rate, display=display)
    save_figure(plot_range_test(found.rates, found.losses, found.smoothed, found.suggested), out)
    if as_json:
        document = {"schema": 1, "kind": "lr-find", "phase": name, "plot": str(out), **asdict(found)}
        echo_json(document)
        return
    echo(f"{len(found.rates)} of {steps} steps, rates {found.rates[0]:.2g} to {found.rates[-1]:.2g}: {out}")
    echo(f"the loss falls fastest at {found.suggested:.2g}: --set phases.{name}.learning_rate={found.suggested:.2g}")
