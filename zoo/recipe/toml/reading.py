"""From a recipe's file to its values, each with its line; within limits, whoever wrote it."""

from dataclasses import replace
from pathlib import Path

from zoo.errors import RecipeError
from zoo.foreign.toml_documents import TooMuchError, refuse_too_much
from zoo.recipe.overlays import Fault, KeyPath, Overlay, SourceLocation, recipe_error
from zoo.recipe.toml.line_numbers import key_lines
from zoo.recipe.toml.parsing import parse_what_can_be_read
from zoo.recipe.toml.values import unfit_values
from zoo.system.regular_files import TooLargeError, read_regular

MOST_BYTES = 1_000_000


def read_recipe_file(path: Path, name: str, *, content: bytes | None = None) -> tuple[Overlay, int]:
    """Reads a file; what is wrong with a line does not keep the others from being read.

    Args:
        path: Where it is.
        name: What to call it in messages.
        content: Its bytes, where they were read already.

    Returns:
        Its values with their lines and what is wrong with others, and how many bytes it has.

    Raises:
        RecipeError: It is not a regular file, too large, not UTF-8, or beyond the limits of a recipe; or it is not
            TOML in such a way that nothing of it can be read.
    """
    if content is None:
        content = read_content(path, name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"byte {error.start} is not UTF-8"
        raise recipe_error([Fault(SourceLocation(name, line), found, "expected text in UTF-8")]) from error
    try:
        refuse_too_much(text)
        read = parse_what_can_be_read(text)
    except TooMuchError as error:
        raise recipe_error([Fault(SourceLocation(name, error.line), str(error), "expected a recipe")]) from error
    except RecursionError as error:
        raise RecipeError(f"{name} nests values too deeply; expected a recipe") from error
    lines = {} if read.values is None else key_lines(read.text)
    keys = {lines[path]: path for path in read.unread if path in lines}
    faults = [
        Fault(SourceLocation(name, one.line), one.found, one.advice, keys.get(one.line, ())) for one in read.faults
    ]
    if read.values is None:
        raise recipe_error(faults)
    locations = {key: SourceLocation(name, line) for key, line in lines.items()}
    overlay = Overlay(read.values, locations, frozenset(read.unread))
    for at, said in unfit_values(read.values):
        place = _key_around(at)
        faults.append(Fault.of_message(overlay.location(at), said, place))
        overlay = overlay.without_value(place)
    return replace(overlay, faults=tuple(faults)), len(content)


def _key_around(path: KeyPath) -> KeyPath:
    """Returns the key that a value stands at, inside a list or not."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def read_content(path: Path, name: str, *, at_most: int = MOST_BYTES) -> bytes:
    """Reads the bytes of a recipe's file.

    Args:
        path: Where it is.
        name: What to call it in messages.
        at_most: How many bytes it may have.

    Raises:
        RecipeError: It is not a regular file, or too large.
    """
    try:
        return read_regular(path, limit=at_most)
    except TooLargeError as error:
        larger = f"{name} is larger than {at_most:,} bytes"
        together = "" if at_most == MOST_BYTES else f", which are left of {MOST_BYTES:,} for it and all that it extends"
        raise RecipeError(f"{larger}{together}; expected a recipe") from error
    except OSError as error:
        raise RecipeError(f"{name} cannot be read: {error.strerror}") from error
