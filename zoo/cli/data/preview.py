"""`zoo data preview`: what a model sees of its images."""

from pathlib import Path

import click

from zoo.cli.options import OutFile, RecipeRequest, gathered, json_option, recipe_options, trust_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.groups import Verb
from zoo.cli.shell.start import start_backend


@click.command("preview", cls=Verb)
@recipe_options()
@click.option("--count", default=8, show_default=True, type=click.IntRange(1, 50), help="Images on the sheet.")
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(1, 20), help="Draws of the augmentation.")
@click.option("--out", type=OutFile(".png"), default=Path("preview.png"), show_default=True, help="The sheet to write.")
@trust_option
@json_option()
@gathered(RecipeRequest)
def preview_command(asked: RecipeRequest, count: int, epochs: int, out: Path, as_json: bool) -> None:
    """Draw some training images of RECIPE as the model gets them: as read, and as its views or some epochs change them.

    The sheet shows a mirrored digit, a crop that cuts the object off, or a wrong range.

    \b
    Examples:
      zoo data preview finetune/from-scratch --data photos/
      zoo data preview quickstart --set augment.policy=trivial --out sheet.png
    """
    job = asked.job()
    start_backend()
    from zoo.report.figures import save_figure
    from zoo.report.progress import Display
    from zoo.report.sheet import SheetRow, plot_sheet
    from zoo.training.preparation.preparing import prepare
    from zoo.training.tools.preview import preview

    with Display() as display:
        seen = preview(prepare(job.recipe, job.data), count=count, epochs=epochs, bar=display.bar)
        for warning in seen.warnings:
            display.line(f"warning: {warning}")
    rows = [SheetRow(name="as read", images=seen.before, captions=[""] * len(seen.labels))]
    for name, images, mixed in zip(seen.draws, seen.after, seen.mixed, strict=True):
        # The class stands above all draws; a draw says more only where images are mixed.
        captions = ["" if said == label else said for said, label in zip(mixed, seen.labels, strict=True)]
        rows.append(SheetRow(name=name, images=images, captions=captions))
    save_figure(plot_sheet(seen.labels, rows, f"{job.recipe.name}: what {job.recipe.model.name} sees"), out)
    low, high, mean = int(seen.before.min()), int(seen.before.max()), float(seen.before.mean())
    if as_json:
        document = {
            "sheet": str(out),
            "images": len(seen.before),
            "shape": seen.before.shape[1:],
            "augmented": len(seen.after) > 0,
            "draws": seen.draws,
            "pixels": {"min": low, "max": high, "mean": round(mean, 2)},
        }
        emit("data-preview", document)
        return
    size = "x".join(map(str, seen.before.shape[1:]))
    echo(f"{counted(len(seen.before), 'image')} of {size}, pixels {low} to {high}, mean {mean:.0f}: {out}")
    if not len(seen.after):
        echo("the recipe augments nothing: each epoch sees them as they are")
