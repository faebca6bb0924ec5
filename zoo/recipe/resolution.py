"""From a reference to the values of a recipe before validation, each with the place that it came from.

find the file -> read it -> lay it over what it extends -> apply its [set], then --set
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, runtime_checkable

from zoo.errors import NotFoundError, RecipeError
from zoo.recipe.finding import find_recipe, find_shipped_recipe
from zoo.recipe.line_numbers import key_lines
from zoo.recipe.overlays import Fault, Overlay, SourceLocation, recipe_error
from zoo.recipe.overrides import apply_overrides, overrides_in, read_overrides
from zoo.recipe.validation import quoted

_MAX_BYTES = 1_000_000
_MAX_EXTENDS_DEPTH = 8


@runtime_checkable
class HasValues(Protocol):
    """A recipe that is loaded already."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Returns its values as TOML has them."""
        ...


def resolve(
    reference: str | Path | HasValues, overrides: Sequence[str] | Mapping[str, object] = ()
) -> tuple[Overlay, list[Fault]]:
    """Reads what a reference leads to, with all that it extends and what overrides it.

    Args:
        reference: The path of a `.toml` file, the name of a shipped recipe, or a recipe.
        overrides: Texts `KEY=VALUE` as for `--set`, or values by key, such as `{"train.batch_size": 64}`.

    Returns:
        The values without `extends` and `[set]`, and what is wrong with the overrides.

    Raises:
        NotFoundError: The reference leads nowhere.
        RecipeError: A file cannot be read.
    """
    faults: list[Fault] = []
    if isinstance(reference, HasValues):
        overlay = Overlay(reference.to_dict(), {(): SourceLocation(f"Recipe '{reference.name}'")})
    else:
        overlay = _resolved(find_recipe(reference), (), faults)
    asked, misread = read_overrides(overrides)
    overlay, unreachable = apply_overrides(overlay, asked)
    return overlay, [*faults, *misread, *unreachable]


def _resolved(path: Path, chain: tuple[Path, ...], faults: list[Fault]) -> Overlay:
    """Returns a file laid over everything that it extends, tweaked by its `[set]`.

    Args:
        path: The file.
        chain: The files on the way here, each extending the next one.
        faults: Receives what is wrong with the tweaks, which does not keep the rest from being checked.

    Raises:
        RecipeError: If this file or one that it extends cannot be read.
    """
    chain = (*chain, path)
    child = _read(path)
    parents = [_resolved(parent, chain, faults) for parent in _parents(child, chain)]
    overlay = child.without("extends", "set")
    for parent in reversed(parents):
        overlay = overlay.over(parent)
    tweaks, misread = overrides_in(child)
    overlay, unreachable = apply_overrides(overlay, tweaks)
    faults += [*misread, *unreachable]
    return overlay


def _read(path: Path) -> Overlay:
    name = _shown(path)
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise RecipeError(f"{name} nests values too deeply; expected a recipe") from error
    except ValueError as error:  # TOML errors, and Python's for integers of too many digits
        raise RecipeError(_syntax_error(name, text, str(error))) from error
    return Overlay(values, {key: SourceLocation(name, line) for key, line in key_lines(text).items()})


def _text(path: Path) -> str:
    name = _shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{name} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise RecipeError(f"{name} is larger than {_MAX_BYTES:,} bytes; expected a recipe")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(f"{name}:{line}: byte {error.start} is not UTF-8; expected text in UTF-8") from error


def _syntax_error(name: str, text: str, message: str) -> str:
    """Moves the line from tomllib's `... (at line 3, column 7)` to the front."""
    what, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+), (column \d+)", place)
    line = int(found[1]) if found else text.count("\n") + 1
    where = f" at {found[2]}" if found else " at the end of the file" if place else ""
    return f"{name}:{line}: not TOML{where}: {what}"


def _parents(child: Overlay, chain: tuple[Path, ...]) -> list[Path]:
    """Returns the files that a recipe extends; raises with a line for each that it may not or cannot."""
    extends = child.values.get("extends", [])
    references: list[Any] = extends if isinstance(extends, list) else [extends]
    parents: list[Path] = []
    faults: list[Fault] = []
    for reference in references:
        try:
            parents.append(_parent(reference, chain))
        except (NotFoundError, RecipeError) as error:
            faults.append(Fault(child.location(("extends",)), f"extends {quoted(reference)}: {error}"))
    if faults:
        raise recipe_error(faults)
    return parents


def _parent(reference: Any, chain: tuple[Path, ...]) -> Path:
    if not isinstance(reference, str):
        raise RecipeError("expected the name of a recipe, or a list of names")
    if "://" in reference:
        raise RecipeError("a recipe cannot name a URL; expected a recipe's name or a file beside this one")
    path = PureWindowsPath(reference)  # knows drives and both slashes
    if path.drive or path.root or ".." in path.parts:
        raise RecipeError("a recipe cannot name an absolute or '..' path; expected a file beside this one")
    is_file = path.suffix == ".toml"
    parent = find_recipe(chain[-1].parent / reference) if is_file else find_shipped_recipe(reference)
    known = [path.resolve() for path in chain]
    if parent.resolve() in known:
        cycle = [*chain[known.index(parent.resolve()) :], parent]
        raise RecipeError(f"a circle of recipes, {_shown_chain(cycle)}")
    if len(chain) > _MAX_EXTENDS_DEPTH:
        raise RecipeError(f"more than {_MAX_EXTENDS_DEPTH} recipes deep, {_shown_chain([*chain, parent])}")
    return parent


def _shown_chain(chain: Sequence[Path]) -> str:
    return " -> ".join(_shown(path) for path in chain)


def _shown(path: Path) -> str:
    """Returns a path as a user would type it from here."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)
