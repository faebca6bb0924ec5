"""From a recipe's file to its values, each with its line; within limits, whoever wrote it."""

import re
import tomllib
from pathlib import Path

from zoo.errors import RecipeError, printable
from zoo.recipe.overlays import Fault, Overlay, SourceLocation, recipe_error
from zoo.recipe.toml.line_numbers import key_lines
from zoo.recipe.toml.tokens import TooMuchError, refuse_too_much
from zoo.recipe.toml.values import unfit_values
from zoo.system.regular_files import TooLargeError, read_regular

MOST_BYTES = 1_000_000


def read_recipe_file(
    path: Path, name: str, *, at_most: int = MOST_BYTES, content: bytes | None = None
) -> tuple[Overlay, int]:
    """Reads a file.

    Args:
        path: Where it is.
        name: What to call it in messages.
        at_most: How many bytes it may have.
        content: Its bytes, where they were read already.

    Returns:
        Its values with their lines, and how many bytes it has.

    Raises:
        RecipeError: It is not a regular file, too large, not UTF-8, not TOML, or beyond the limits of a recipe.
    """
    if content is None:
        content = _content(path, name, at_most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(f"{name}:{line}: byte {error.start} is not UTF-8; expected text in UTF-8") from error
    try:
        refuse_too_much(text)
        values = tomllib.loads(text)
    except TooMuchError as error:
        raise RecipeError(f"{name}:{error.line}: {error}; expected a recipe") from error
    except RecursionError as error:
        raise RecipeError(f"{name} nests values too deeply; expected a recipe") from error
    except ValueError as error:  # TOML errors, and Python's for integers of too many digits
        raise RecipeError(_syntax_error(name, text, str(error))) from error
    overlay = Overlay(values, {key: SourceLocation(name, line) for key, line in key_lines(text).items()})
    if faults := [Fault(overlay.location(at), said) for at, said in unfit_values(values)]:
        raise recipe_error(faults)
    return overlay, len(content)


def _content(path: Path, name: str, at_most: int) -> bytes:
    try:
        return read_regular(path, limit=at_most)
    except TooLargeError as error:
        larger = f"{name} is larger than {at_most:,} bytes"
        together = "" if at_most == MOST_BYTES else f", which are left of {MOST_BYTES:,} for it and all that it extends"
        raise RecipeError(f"{larger}{together}; expected a recipe") from error
    except OSError as error:
        raise RecipeError(f"{name} cannot be read: {error.strerror}") from error


def _syntax_error(name: str, text: str, message: str) -> str:
    """Moves the line from tomllib's `... (at line 3, column 7)` to the front."""
    what, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+), (column \d+)", place)
    line = int(found[1]) if found else text.count("\n") + 1
    where = f" at {found[2]}" if found else " at the end of the file" if place else ""
    return f"{name}:{line}: not TOML{where}: {printable(what)}"
