"""A recipe's file and all that it extends, as they were written: for who shares them, or notes their hashes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.recipe.finding import find_recipe
from zoo.recipe.resolution import parent_of
from zoo.recipe.toml.reading import MOST_BYTES, read_recipe_file
from zoo.system.regular_files import read_regular

SUFFIX = ".toml"


@dataclass(frozen=True, kw_only=True)
class WrittenRecipe:
    """A file of a recipe.

    Attributes:
        name: For the first the file's name, for another what `extends` calls it.
        content: Its bytes.
        is_named: Whether it goes by a recipe's name and not by a path beside the first.
    """

    name: str
    content: bytes
    is_named: bool = False


def written_files(reference: str | Path) -> list[WrittenRecipe]:
    """Reads a recipe's file and each that it extends, once each: the first is the recipe's own.

    Args:
        reference: The path of a `.toml` file or the name of a recipe, which `load_recipe` has found to hold: circles
            and depth are refused there.

    Raises:
        RecipeError: A file cannot be read.
    """
    first = find_recipe(reference)
    is_named = Path(reference) != first
    found: dict[Path, WrittenRecipe] = {}
    left: list[tuple[Path, tuple[Path, ...], str, bool]] = [
        (first, (first,), str(reference) if is_named else first.name, is_named)
    ]
    while left:
        path, chain, name, by_name = left.pop(0)
        if path.resolve() in found:
            continue
        content = read_regular(path, limit=MOST_BYTES)
        overlay, _ = read_recipe_file(path, str(path), content=content)
        found[path.resolve()] = WrittenRecipe(name=name, content=content, is_named=by_name)
        extends: Any = overlay.values.get("extends", [])
        for parent in extends if isinstance(extends, list) else [extends]:
            file = parent_of(parent, chain)
            beside = str(parent).endswith(SUFFIX) and not by_name
            below = file.relative_to(first.parent).as_posix() if beside else _name_of(parent, name)
            left.append((file, (*chain, file), below, not beside))
    return list(found.values())


def _name_of(parent: str, child: str) -> str:
    """Returns what a recipe that is found by name is called; one beside such a recipe lies where that does."""
    if not parent.endswith(SUFFIX):
        return parent
    return f"{child.rpartition('/')[0]}/{parent}".removeprefix("/").removesuffix(SUFFIX)
