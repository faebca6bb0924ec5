"""`zoo recipe check`: every fault of a recipe."""

from typing import Any

import click

from zoo.cli.options import json_option
from zoo.cli.output import echo, emit
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb
from zoo.errors import ContractError, ZooError


@click.command("check", cls=Verb)
@click.argument("references", metavar="RECIPE...", nargs=-1, required=True, shell_complete=complete_recipe)
@json_option()
def check_command(references: tuple[str, ...], as_json: bool) -> None:
    """Check recipes and print every fault; exit with 3 if there is one.

    Keys and values are checked, and models, weights, options, stages and built-in data sets are looked up.

    \b
    Examples:
      zoo recipe check mine.toml
      zoo recipe check recipes/*.toml --json
    """
    checked = [_checked(reference) for reference in references]
    if as_json:
        emit("recipe-check", {"recipes": checked})
    else:
        for one in checked:
            if one["ok"]:
                echo(f"ok {one['name']}")
            for fault in one["errors"]:
                echo(fault, err=True)
    failed = [one["recipe"] for one in checked if not one["ok"]]
    if failed:
        raise ContractError(f"{len(failed)} of {len(checked)} recipes failed the check: {', '.join(failed)}")


def _checked(reference: str) -> dict[str, Any]:
    from zoo.recipe.loading import load_recipe

    try:
        name = load_recipe(reference, against_card=True).name
    except ZooError as error:
        return {"recipe": reference, "name": None, "ok": False, "errors": str(error).splitlines()}
    return {"recipe": reference, "name": name, "ok": True, "errors": []}
