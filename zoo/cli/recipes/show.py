"""`zoo recipe show`: a recipe with everything resolved."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import OutFile, json_option, set_option
from zoo.cli.output import echo, emit, stdout_width, table
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb
from zoo.system.text_tables import cells

if TYPE_CHECKING:
    from zoo.recipe.by_key import RecipeValue

# On a narrow screen values are cut, keys and places are not.
SHORTEST_VALUE = 16


@click.command("show", cls=Verb)
@click.argument("reference", metavar="RECIPE", shell_complete=complete_recipe)
@set_option
@click.option("--resolved", is_flag=True, help="Print each key with where its value was written.")
@click.option("--plot", type=OutFile(".png"), metavar="PNG", help="Draw the learning rate into this file.")
@json_option()
def show_command(reference: str, overrides: tuple[str, ...], resolved: bool, plot: Path | None, as_json: bool) -> None:
    """Print a recipe with everything resolved: what it extends, overrides and defaults.

    With --resolved it is a table: each key, its value, and the file and line that it comes from, or --set, or default.

    \b
    Examples:
      zoo recipe show quickstart
      zoo recipe show finetune/default --set phases.head.epochs=1 > mine.toml
      zoo recipe show finetune/default --resolved
      zoo recipe show finetune/gradual --plot rates.png
    """
    from zoo.cli.recipes.rates import plot_recipe_rates
    from zoo.recipe.loading import load_by_key

    recipe, keys = load_by_key(reference, overrides)
    if plot is not None:
        plot_recipe_rates(recipe, plot)
    if as_json:
        written = {"keys": [_key_to_json(one) for one in keys]} if resolved else {}
        emit("recipe", {"recipe": recipe.to_dict(), **written})
        return
    echo(_table(keys) if resolved else recipe.to_toml().removesuffix("\n"), whole=True)
    if plot is not None:
        # Not on stdout, which is a recipe that can be written into a file.
        echo(f"learning rates  {plot}", err=True, whole=True)


def _table(keys: Sequence["RecipeValue"]) -> str:
    from zoo.recipe.validation import quoted

    rows = [(one.key, "none" if one.value is None else quoted(one.value), _place(one)) for one in keys]
    width = stdout_width()
    if width is not None:
        room = max(width - sum(max(cells(row[column]) for row in rows) for column in (0, 2)) - 4, SHORTEST_VALUE)
        rows = [
            (key, value if cells(value) <= room else f"{value[: room - 3]}...", place) for key, value, place in rows
        ]
    return table(("key", "value", "from"), rows)


def _place(one: "RecipeValue") -> str:
    if one.location is None:
        return "default"
    return str(one.location) if one.location.line else "--set"


def _key_to_json(one: "RecipeValue") -> dict[str, Any]:
    in_file = one.location is not None and one.location.line > 0
    return {
        "key": one.key,
        "value": one.value,
        "from": "file" if in_file else "default" if one.location is None else "--set",
        "file": one.location.source if one.location and in_file else None,
        "line": one.location.line if one.location and in_file else None,
    }
