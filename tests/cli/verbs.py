"""The verbs of the command line, for tests over all of them."""

import click

from zoo.cli import VERBS, main


def verbs():
    """Gives each verb as it is typed, with its command."""
    context = click.Context(main)
    for name in VERBS:
        verb = main.get_command(context, name)
        if isinstance(verb, click.Group):
            yield from ((f"{name} {one}", verb.commands[one]) for one in verb.commands)
        else:
            yield name, verb
