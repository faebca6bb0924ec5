"""`zoo recipe ls`: which recipes there are."""

import click

from zoo.cli.options import json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.groups import Verb
from zoo.recipe.finding import describe_shipped_recipes
from zoo.system.text_tables import beside


@click.command("ls", cls=Verb)
@json_option()
def ls_command(as_json: bool) -> None:
    """List the recipes that ship with zoo.

    \b
    Example:
      zoo recipe ls
    """
    shipped = describe_shipped_recipes()
    if as_json:
        emit("recipes", {"recipes": [{"name": one.name, "description": one.description} for one in shipped]})
        return
    column = max((len(one.name) for one in shipped), default=0) + 2
    for one in shipped:
        echo(beside(one.name, one.description, column=column, width=stdout_width()), whole=True)
