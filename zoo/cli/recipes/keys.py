"""`zoo recipe keys` and `zoo recipe schema`: what a recipe may say."""

from dataclasses import asdict

import click

from zoo.cli.options import json_option
from zoo.cli.output import INDENT, echo, emit, print_json
from zoo.cli.shell.groups import Verb


@click.command("keys", cls=Verb)
@click.argument("pattern", required=False)
@json_option()
def keys_command(pattern: str | None, as_json: bool) -> None:
    """List the keys of a recipe: default, what else is allowed, and what it does.

    PATTERN keeps the keys in whose name or meaning it occurs, or that match it as a wildcard.

    \b
    Examples:
      zoo recipe keys
      zoo recipe keys flip
      zoo recipe keys 'train.*'
    """
    from zoo.recipe.reference import recipe_keys

    keys = recipe_keys(pattern)
    if as_json:
        emit("recipe-keys", {"keys": [asdict(key) for key in keys]})
        return
    for key in keys:
        echo(f"{key.name}  (required)" if key.default is None else f"{key.name} = {key.default}")
        echo(f"    expected: {key.expected}")
        echo(f"    {key.meaning}")
        for choice in key.choices:
            echo(f"      {choice}")


@click.command("schema", cls=Verb)
def schema_command() -> None:
    """Print the JSON schema of recipe files, for editors.

    It names the models, weights, options and recipes that are installed here. An editor of TOML takes it by a recipe's
    first line, #:schema ./recipe.schema.json, or by its settings.

    \b
    Example:
      zoo recipe schema > recipe.schema.json
    """
    from zoo.recipe.toml.editor_schema import editor_schema

    print_json(editor_schema(), indent=INDENT)
