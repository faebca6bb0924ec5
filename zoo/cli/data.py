"""`zoo data`: what a recipe's images are, and what a model sees of them."""

import json
from pathlib import Path

import click

from zoo.cli.output import TRUST_OPTION, start_backend


@click.group()
def data() -> None:
    """Look at a recipe's images."""


@data.command("preview")
@click.argument("recipe", metavar="RECIPE|RUN|MODEL")
@click.option("--data", "path", type=click.Path(path_type=Path), help="Images: a folder with a subfolder per class.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the recipe; repeatable.")
@click.option("--count", default=8, show_default=True, type=click.IntRange(1, 50), help="Images on the sheet.")
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(1, 20), help="Draws of the augmentation.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("preview.png"), show_default=True, help="The sheet to write."
)
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document and nothing else.")
def preview_command(
    recipe: str, path: Path | None, overrides: tuple[str, ...], count: int, epochs: int, out: Path, as_json: bool
) -> None:
    """Draw some training images of RECIPE as the model gets them: as read, and as some epochs augment them.

    One look shows a mirrored digit, a crop that cuts the object off, or a wrong range.

    \b
    Examples:
      zoo data preview finetune/from-scratch --data photos/
      zoo data preview quickstart --set augment.policy=trivial --out sheet.png
    """
    start_backend()
    from zoo.finetuning import make_job
    from zoo.report.curves import save_figure
    from zoo.report.sheet import plot_sheet
    from zoo.training.preview import preview
    from zoo.training.progress import Display

    job = make_job(recipe, path, overrides)
    with Display() as display:
        seen = preview(job.recipe, job.data, count=count, epochs=epochs, bar=display.bar)
        for warning in seen.warnings:
            display.line(f"warning: {warning}")
    drawn = [
        (f"epoch {number}", images, captions)
        for number, (images, captions) in enumerate(zip(seen.after, seen.mixed, strict=True), 1)
    ]
    save_figure(plot_sheet([("as read", seen.before, seen.labels), *drawn], job.recipe.name), out)
    low, high, mean = int(seen.before.min()), int(seen.before.max()), float(seen.before.mean())
    if as_json:
        document = {
            "schema": 1,
            "kind": "data-preview",
            "sheet": str(out),
            "images": len(seen.before),
            "shape": seen.before.shape[1:],
            "augmented": len(seen.after) > 0,
            "pixels": {"min": low, "max": high, "mean": round(mean, 2)},
        }
        click.echo(json.dumps(document))
        return
    size = "x".join(map(str, seen.before.shape[1:]))
    click.echo(f"{len(seen.before)} images of {size}, pixels {low} to {high}, mean {mean:.0f}: {out}")
    if not len(seen.after):
        click.echo("the recipe augments nothing: each epoch sees them as they are")
