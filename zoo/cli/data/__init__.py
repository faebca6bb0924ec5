"""`zoo data`: what images are, what is wrong with them, and what a model sees of them."""

import click

from zoo.cli.data.check import check_command
from zoo.cli.data.pack import pack_command
from zoo.cli.data.preview import preview_command
from zoo.cli.shell.groups import VerbGroup


@click.group(cls=VerbGroup)
def data() -> None:
    """Check images, decode them ahead, and look at what a model sees of them."""


for command in (check_command, pack_command, preview_command):
    data.add_command(command)
