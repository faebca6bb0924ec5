"""`zoo recipe`: list, show, propose, check, compare, lock and share recipes."""

import click

from zoo.cli.recipes.check import check_command
from zoo.cli.recipes.diff import diff_command
from zoo.cli.recipes.keys import keys_command, schema_command
from zoo.cli.recipes.lock import lock_command
from zoo.cli.recipes.ls import ls_command
from zoo.cli.recipes.new import new_command
from zoo.cli.recipes.pull import pull_command
from zoo.cli.recipes.push import push_command
from zoo.cli.recipes.show import show_command
from zoo.cli.shell.groups import VerbGroup


@click.group(cls=VerbGroup)
def recipe() -> None:
    """List, show, propose, check, compare, lock and share recipes.

    A recipe is one TOML file that says how a model is trained. Wherever a recipe is expected, give the
    path of a .toml file, the name of one that ships with zoo, or SHELF/NAME of one on a shelf.
    """


for command in (
    ls_command,
    show_command,
    new_command,
    check_command,
    diff_command,
    lock_command,
    keys_command,
    schema_command,
    push_command,
    pull_command,
):
    recipe.add_command(command)
