"""Options that several verbs share, and the types of options and arguments."""

from pathlib import Path
from typing import Any

import click

from zoo.cli.shell.completion import complete_key
from zoo.errors import DataError, did_you_mean
from zoo.system.paths import given_path


class InPath(click.Path):
    """A path that is read: an empty one, which would be the current folder, and an address are refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives the path, with `~` as the home folder."""
        try:
            return super().convert(given_path(value) if isinstance(value, str) else value, param, ctx)
        except DataError as fault:
            self.fail(str(fault), param, ctx)


class Reference(click.ParamType):
    """What goes by a name, a file or a run folder; an empty text, which would be the current folder, is refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives the text."""
        if isinstance(value, str) and not value.strip():
            self.fail("it is empty; expected a name, or the path of a file or run folder", param, ctx)
        return value


class Choice(click.Choice[str]):
    """One of some words; another word is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Says what was typed, what it may be, and what is near."""
        return f"{super().get_invalid_choice_message(value, ctx)}{did_you_mean(str(value), self.choices)}"


SET_OPTION = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_key,
    help="Change a key of the recipe; repeatable. 'zoo recipe keys' lists them.",
)
