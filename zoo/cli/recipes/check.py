"""`zoo recipe check`: every fault of a recipe."""

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option
from zoo.cli.output import echo, emit
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb
from zoo.errors import ContractError, ZooError

if TYPE_CHECKING:
    from zoo.recipe.overlays import Fault


@click.command("check", cls=Verb)
@click.argument("references", metavar="RECIPE...", nargs=-1, required=True, shell_complete=complete_recipe)
@json_option()
def check_command(references: tuple[str, ...], as_json: bool) -> None:
    """Check recipes and print every fault; exit with 3 if there is one.

    Keys and values are checked, and models, weights, options, stages and built-in data sets are looked up. What a
    recipe extends is checked with it, and so are the hashes and keys of a lock that lies beside it. A line that is not
    TOML does not hide the faults of the others.

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
    from zoo.recipe.overlays import Fault, FaultsError, SourceLocation

    try:
        name = _name_of_valid(reference)
    except FaultsError as error:
        faults, lines = [_fault_to_json(one) for one in error.faults], str(error).splitlines()
    except ZooError as error:
        # Of a file as a whole, which the message names as it is typed.
        message = str(error)
        faults, lines = [_fault_to_json(Fault.of_message(SourceLocation(reference), message))], message.splitlines()
    else:
        return {"recipe": reference, "name": name, "ok": True, "errors": [], "faults": []}
    return {"recipe": reference, "name": None, "ok": False, "errors": lines, "faults": faults}


def _name_of_valid(reference: str) -> str:
    """Returns the name of a recipe without faults, which is also what the lock beside it says, if there is one.

    Raises:
        ZooError: It has faults.
    """
    from zoo.recipe.finding import find_recipe
    from zoo.recipe.loading import load_by_key
    from zoo.recipe.overlays import recipe_error

    file = find_recipe(reference)  # once: from a shelf it is pulled
    recipe, keys = load_by_key(file, against_card=True)
    if any(file.with_name(name).is_file() for name in (f"{file.stem}.lock", "lock.json")):
        from zoo.sharing.difference.against_lock import (
            lock_faults,  # here, because it imports all that locks are made with
        )

        if faults := lock_faults(file, recipe, keys):
            raise recipe_error(faults)
    return recipe.name


def _fault_to_json(fault: "Fault") -> dict[str, Any]:
    from zoo.recipe.validation import dotted

    return {
        "file": fault.location.source,
        "line": fault.location.line or None,
        "key": dotted(fault.path) or None,
        "text": fault.text,
        "suggestion": fault.advice or None,
    }
