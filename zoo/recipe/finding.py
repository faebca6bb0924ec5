"""Finds recipes: as a path, in a bundle, by the name of one that ships, or on a shelf as `vision/pets`."""

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import NotFoundError, RecipeError, did_you_mean, nearest, printable

# Of a version on a shelf: what trains.
RECIPE_FILE = "recipe.toml"
BUNDLE_SUFFIX = ".zip"
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ShippedRecipe:
    """A recipe that comes with zoo, under the name that finds it."""

    name: str
    description: str
    path: Path


def recipes_folder() -> Path:
    """Returns the folder of the shipped recipes: `zoo/recipes` of a wheel, else `recipes` of the checkout."""
    packaged = _PACKAGE_FOLDER / "recipes"
    return packaged if packaged.is_dir() else _PACKAGE_FOLDER.parent / "recipes"


def shipped_recipes() -> list[str]:
    """Returns the sorted names of the shipped recipes, such as `finetune/default`."""
    return sorted(_shipped_paths())


def describe_shipped_recipes() -> list[ShippedRecipe]:
    """Returns the shipped recipes, sorted by name, each with the description in its file."""
    return [
        ShippedRecipe(name, tomllib.loads(path.read_text("utf-8")).get("description", ""), path)
        for name, path in sorted(_shipped_paths().items())
    ]


def find_recipe(reference: str | Path) -> Path:
    """Finds the file of a recipe.

    Args:
        reference: The path of an existing `.toml` file or of a bundle, the name of a shipped recipe, or a recipe on a
            shelf: `vision/pets`, `vision/pets@3`, `vision/pets@sha256:...`.

    Returns:
        The path as it was given, that of the shipped file, or that of the file that was pulled or unpacked into the
        cache.

    Raises:
        NotFoundError: If there is no such file, and no shipped recipe and none on a shelf has that name.
        RecipeError: If the path leads to something other than a `.toml` file.
    """
    if not os.fspath(reference).strip():
        raise NotFoundError("the recipe is empty; expected the path of a .toml file or a name; see 'zoo recipe ls'")
    path = Path(reference)
    if path.is_file() and path.suffix == ".toml":
        return path
    if is_bundle_file(path):
        return _unpacked(path)
    name = os.fspath(reference)
    if path.exists() and name not in _shipped_paths():
        what = "a folder" if path.is_dir() else "not a recipe"
        shelf = f"; {name}@VERSION is the recipe on the shelf" if is_on_shelf(name) and "@" not in name else ""
        raise RecipeError(f"'{path}' is {what}; expected a .toml file or the name of a recipe{shelf}")
    if path.suffix.lower() == ".toml":
        raise NotFoundError(f"{path}: there is no such file.{_near_file(path)} See 'zoo recipe ls'.")
    file = Path(f"{name}.toml")
    if name not in _shipped_paths() and file.is_file():
        raise NotFoundError(f"Unknown recipe '{name}'. There is a file '{file}': type its ending too.")
    return find_named_recipe(name)


def find_named_recipe(name: str) -> Path:
    """Returns the file of a shipped recipe, or of one on a shelf, which is pulled.

    Raises:
        NotFoundError: There is none; the message has the nearest name.
        ZooError: The shelf cannot be used, or something on it was altered.
    """
    if is_on_shelf(name):
        return _pulled(name)
    return find_shipped_recipe(name)


def is_bundle_file(path: Path) -> bool:
    """Returns whether a path leads to what 'zoo bundle' wrote, damaged or not."""
    if path.suffix.lower() != BUNDLE_SUFFIX or not path.is_file():
        return False
    from zoo.shelves.bundles.archive import is_bundle

    return is_bundle(path)


def _unpacked(path: Path) -> Path:
    from zoo.shelves.bundles.opened import open_bundle

    file = open_bundle(path).path / RECIPE_FILE
    if not file.is_file():
        raise NotFoundError(f"{path}: holds no {RECIPE_FILE}; expected a bundle of a recipe")
    return file


def is_on_shelf(reference: str | Path) -> bool:
    """Returns whether a name is that of a recipe on a shelf that is known here; nothing is asked of the shelf."""
    shelf, slash, _ = os.fspath(reference).partition("/")
    if not slash or not shelf or Path(reference).suffix == ".toml" or os.fspath(reference) in _shipped_paths():
        return False
    return shelf in _shelf_names()


def is_version(reference: str | Path) -> bool:
    """Returns whether a reference leads to a version on a shelf: what is there by that path comes first."""
    return not os.path.lexists(reference) and is_on_shelf(reference)


def _shelf_names() -> list[str]:
    from zoo.shelves.shelf import shelf_names

    return shelf_names()


def _pulled(reference: str) -> Path:
    from zoo.shelves.pulling import pull

    found = pull(reference)
    if found.note:
        print(printable(found.note), file=sys.stderr)
    path = found.path / RECIPE_FILE
    if not path.is_file():
        raise NotFoundError(f"{found.version.reference}: holds no {RECIPE_FILE}; expected a version of a recipe")
    return path


def _near_file(path: Path) -> str:
    """Suggests the recipe that ships under a file's name, or the file beside it that is called nearly so."""
    name = path.with_suffix("").as_posix()
    if name in _shipped_paths():
        return f" Did you mean '{name}'?"
    # By their names without the ending, which makes any two alike.
    beside = {one.stem: str(one) for one in path.parent.glob("*.toml")}
    best = nearest(path.stem, beside)
    return f" Did you mean '{beside[best]}'?" if best is not None else did_you_mean(name, _shipped_paths())


def find_shipped_recipe(name: str) -> Path:
    """Returns the file of a shipped recipe, or raises `NotFoundError` with the nearest name."""
    shipped = _shipped_paths()
    if name not in shipped:
        shelf, slash, rest = name.partition("/")
        on_shelves = [f"{one}/{rest}" for one in _shelf_names()] if slash else []
        near = did_you_mean(name, [*shipped, *on_shelves])
        is_of_shelf = slash and not any(one.startswith(f"{shelf}/") for one in shipped)
        see = "'zoo recipe ls' and 'zoo shelf ls'" if is_of_shelf else "'zoo recipe ls'"
        raise NotFoundError(f"Unknown recipe '{name}'.{near} See {see}.")
    return shipped[name]


def _shipped_paths() -> dict[str, Path]:
    folder = recipes_folder()
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.toml")}
