"""The arguments and options that several verbs share, and the types that they have."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.shell.completion import complete_key, complete_reference
from zoo.errors import DataError, did_you_mean
from zoo.foreign import trust
from zoo.system.paths import given_path

if TYPE_CHECKING:
    from zoo.jobs.resolving import Job

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class InPath(click.Path):
    """A path that is read: an empty one, which would be the current folder, and an address are refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives the path, with `~` as the home folder."""
        try:
            return super().convert(given_path(value) if isinstance(value, str) else value, param, ctx)
        except DataError as fault:
            self.fail(in_words_of(ctx, str(fault)), param, ctx)


# The advice where a source stands in the place of a path.
_SET_SOURCE = "type --set data.source="


def in_words_of(context: click.Context | None, text: str) -> str:
    """Returns an advice with the option that a verb has for it; one that has none takes files and folders."""
    advice, found, source = text.partition(_SET_SOURCE)
    options = {option for one in context.command.params for option in one.opts} if context else {"--set"}
    if not found or "--set" in options:
        return text
    return f"{advice}type --source {source}" if "--source" in options else f"{advice}expected a file or folder"


class OutFile(click.Path):
    """A file that is to be written, which is refused before any work is done where it cannot be.

    Args:
        suffixes: What its name may end in: another ending would promise another kind of file. None takes every name.
    """

    def __init__(self, *suffixes: str) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives a path in a folder that is there."""
        try:
            path = super().convert(given_path(value) if isinstance(value, str) else value, param, ctx)
        except DataError as fault:
            self.fail(str(fault), param, ctx)
        if isinstance(path, Path) and not path.parent.is_dir():
            self.fail(f"there is no folder '{path.parent}'", param, ctx)
        if isinstance(path, Path) and not os.access(path.parent, os.W_OK):
            self.fail(f"the folder '{path.parent}' cannot be written to", param, ctx)
        if isinstance(path, Path) and self.suffixes and path.suffix.lower() not in (*self.suffixes, ""):
            self.fail(f"'{path}' ends in {path.suffix}; expected {' or '.join(self.suffixes)}", param, ctx)
        return path


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


@dataclass(frozen=True, kw_only=True)
class RecipeRequest:
    """The recipe that a verb works on, as it was typed.

    Attributes:
        recipe: A recipe's file or name, a run folder, or a model's name.
        data: Where its images are; None where the recipe or the run says it.
        overrides: What `--set` changes.
    """

    recipe: str
    data: Path | None
    overrides: tuple[str, ...]

    def job(self) -> "Job":
        """Finds and checks the recipe and its images.

        Raises:
            ZooError: One of them cannot be used.
        """
        from zoo.jobs.resolving import make_job  # imports pydantic

        return make_job(self.recipe, self.data, self.overrides)


def gathered(into: type[Any], *, name: str = "asked") -> Decorator:
    """Hands the options that a dataclass has fields for to a verb as one argument."""
    names = [field.name for field in fields(into)]

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def gather(**given: Any) -> Any:
            return verb(**{name: into(**{field: given.pop(field) for field in names})}, **given)

        return gather

    return decorate


class _Images(click.Option):
    """An option that takes images; help says which files are some, plug-ins' own included."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Returns the option and its help."""
        from zoo.registry.sources import suffixes  # loads the plug-ins of sources

        self.help = self.help or f"Images: a folder with a subfolder per class, {', '.join(suffixes())}."
        return super().get_help_record(ctx)


def data_option(said: str = "") -> Decorator:
    """Takes images.

    Args:
        said: The help; by default what can be given.
    """
    return click.option("--data", type=InPath(), cls=_Images, help=said)


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_key,
    help="Change a key of the recipe; repeatable. 'zoo recipe keys' lists them.",
)


def recipe_options(*, required: bool = True) -> Decorator:
    """Takes RECIPE|RUN|MODEL, its images and changes to it: the fields of `RecipeRequest`."""
    recipe = click.argument(
        "recipe",
        type=Reference(),
        required=required,
        metavar="RECIPE|RUN|MODEL",
        shell_complete=complete_reference,
    )
    return lambda verb: recipe(data_option()(set_option(verb)))


def json_option(said: str = "Print a JSON document and nothing else.") -> Decorator:
    """Takes `--json`: a verb then prints by `output.emit`, and nothing else on stdout."""
    return click.option("--json", "as_json", is_flag=True, help=said)


def _grant(context: click.Context, _: click.Parameter, granted: bool) -> None:
    if granted:
        context.with_resource(trust.granting())


# For every verb that may load a tfhub model: what refuses an unknown one tells the user to add it.
trust_option = click.option(
    "--trust-code",
    is_flag=True,
    expose_value=False,
    callback=_grant,
    help="Let the SavedModel of a tfhub model run on this machine, from now on: it is a program.",
)
