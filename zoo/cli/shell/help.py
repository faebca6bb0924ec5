"""`zoo help`: what `--help` behind a verb prints."""

import click

from zoo.cli.output import echo
from zoo.cli.shell.completion import complete_verb
from zoo.cli.shell.groups import Verb, nearest_verb


@click.command("help", cls=Verb)
@click.argument("verbs", nargs=-1, metavar="[VERB]...", shell_complete=complete_verb)
@click.pass_context
def help_command(context: click.Context, verbs: tuple[str, ...]) -> None:
    """Show the help of a VERB, or of all.

    \b
    Examples:
      zoo help finetune
      zoo help recipe check
    """
    parent = context.find_root()
    command = parent.command
    for verb in verbs:
        found = command.get_command(parent, verb) if isinstance(command, click.Group) else None
        if found is None:
            known = command.list_commands(parent) if isinstance(command, click.Group) else []
            raise click.UsageError(f"No such command '{verb}'.{nearest_verb(verb, known)}")
        parent = found.context_class(found, parent=parent, info_name=verb)
        command = found
    echo(command.get_help(parent), whole=True)
