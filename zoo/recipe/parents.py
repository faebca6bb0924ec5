"""A recipe's file and all that it extends, as they were written: for who shares them, or notes their hashes."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.recipe.resolution import FilesRead, resolve
from zoo.shelves.cached import version_of

SUFFIX = ".toml"


@dataclass(frozen=True, kw_only=True)
class WrittenRecipe:
    """A file of a recipe.

    Attributes:
        name: For the first the file's name, for another what `extends` calls it; without `.toml`, a recipe's name.
        content: Its bytes.
        version: The version on a shelf that it was pulled from, as `name@sha256:...`; None of any other file.
    """

    name: str
    content: bytes
    version: str | None = None


def written_files(reference: str | Path, read: FilesRead | None = None) -> list[WrittenRecipe]:
    """Returns a recipe's file and each that it extends, once each: the first is the recipe's own.

    Args:
        reference: The path of a `.toml` file or the name of a recipe, which `load_recipe` has found to hold.
        read: What `load_recipe` read of it; None where it is to be read again.

    Raises:
        RecipeError: A file cannot be read.
    """
    if read is None:
        resolve(reference, read=(read := FilesRead()))
    found: dict[Path, WrittenRecipe] = {}
    own = Path(reference).name if str(reference).endswith(SUFFIX) else str(reference)
    left: list[tuple[Path, str]] = [(next(iter(read.contents)), own)]
    while left:
        real, name = left.pop(0)
        if real in found:
            continue
        version = version_of(real)
        found[real] = WrittenRecipe(
            name=name, content=read.contents[real], version=None if version is None else version.identity
        )
        left += [(file, _name_of(parent, name)) for parent, file in read.parents.get(real, ())]
    return list(found.values())


def _name_of(parent: str, child: str) -> str:
    """Returns what a parent is called; a file beside a recipe that is found by name would be found by name too."""
    if not parent.endswith(SUFFIX):
        return parent
    beside = (PurePosixPath(child).parent / parent).as_posix()
    return beside if child.endswith(SUFFIX) else beside.removesuffix(SUFFIX)
