"""`zoo lr-find`: which learning rate to begin with."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import OutFile, RecipeRequest, gathered, json_option, recipe_options, trust_option
from zoo.cli.output import echo, emit
from zoo.cli.shell.start import start_backend

if TYPE_CHECKING:
    from zoo.recipe.schema import Phase
    from zoo.training.tools.range_test import RangeTest


@click.command("lr-find")
@recipe_options()
@click.option("--phase", metavar="NAME", help="Whose layers and optimizer; by default the first phase's.")
@click.option("--from", "lowest", default=1e-6, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--to", "highest", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--steps", default=100, show_default=True, type=click.IntRange(min=10))
@click.option("--out", type=OutFile(".png"), default=Path("lr-find.png"), show_default=True, help="The plot to write.")
@trust_option
@json_option()
@gathered(RecipeRequest)
def lr_find(
    asked: RecipeRequest,
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
    job = asked.job()
    tested = job.recipe.phase_named(phase)
    start_backend()
    from zoo.report.curves import plot_range_test
    from zoo.report.figures import save_figure
    from zoo.report.progress import Display
    from zoo.training.compiling.schedules import RisingRate
    from zoo.training.preparation.preparing import prepare
    from zoo.training.preparation.same_run import say_where_data_differs
    from zoo.training.tools.range_test import find_rate

    rate = RisingRate(lowest=lowest, highest=highest, steps=steps)
    with Display() as display:
        prepared = prepare(job.recipe, job.data, weights=job.weights)
        if job.repeats is not None:
            say_where_data_differs(job.repeats, prepared.source.dataset, display)
        found = find_rate(prepared, phase_name=phase, rate=rate, display=display)
    figure = plot_range_test(
        found.rates,
        found.losses,
        found.smoothed,
        found.suggested if found.fell else None,
        title=f"{job.recipe.name}, phase {tested.name}: loss while the rate rises",
        present=tested.learning_rate,
    )
    save_figure(figure, out)
    if as_json:
        document = {"phase": tested.name, "plot": str(out), **asdict(found), "present": tested.learning_rate}
        emit("lr-find", document)
        return
    _tell(found, tested, steps, out)


def _tell(found: "RangeTest", tested: "Phase", steps: int, out: Path) -> None:
    echo(f"{len(found.rates)} of {steps} steps, rates {found.rates[0]:.2g} to {found.rates[-1]:.2g}: {out}")
    if found.stopped:
        echo(f"stopped: {found.stopped}")
    if not found.fell:
        echo("no rate is suggested: the loss does not fall by more than batches differ;")
        echo("look at the plot, and try more --steps, a lower --from or a higher --to")
        return
    echo(f"the loss falls fastest at {found.suggested:.2g}; the recipe has {tested.learning_rate:.2g}:")
    echo(f"  --set phases.{tested.name}.learning_rate={found.suggested:.2g}")
