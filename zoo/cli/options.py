"""Types of options and arguments that several verbs share."""

from pathlib import Path
from typing import Any

import click

from zoo.errors import DataError
from zoo.paths import given_path


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
