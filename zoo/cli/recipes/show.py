"""`zoo recipe show`: a recipe with everything resolved."""

from pathlib import Path

import click

from zoo.cli.options import OutFile, json_option, set_option
from zoo.cli.output import echo, emit
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb


@click.command("show", cls=Verb)
@click.argument("reference", metavar="RECIPE", shell_complete=complete_recipe)
@set_option
@click.option("--plot", type=OutFile(".png"), metavar="PNG", help="Draw the learning rate into this file.")
@json_option()
def show_command(reference: str, overrides: tuple[str, ...], plot: Path | None, as_json: bool) -> None:
    """Print a recipe with everything resolved: what it extends, overrides and defaults.

    \b
    Examples:
      zoo recipe show quickstart
      zoo recipe show finetune/default --set phases.head.epochs=1 > mine.toml
      zoo recipe show finetune/gradual --plot rates.png
    """
    from zoo.cli.recipes.rates import plot_recipe_rates
    from zoo.recipe.loading import load_recipe

    resolved = load_recipe(reference, overrides)
    if plot is not None:
        plot_recipe_rates(resolved, plot)
    if as_json:
        emit("recipe", {"recipe": resolved.to_dict()})
    else:
        echo(resolved.to_toml().removesuffix("\n"), whole=True)
        if plot is not None:
            # Not on stdout, which is a recipe that can be written into a file.
            echo(f"learning rates  {plot}", err=True, whole=True)
