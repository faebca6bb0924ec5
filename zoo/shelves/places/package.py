"""Shelves of installed packages: an entry point of the group `zoo.recipes` names a package whose folder is one.

    [project.entry-points."zoo.recipes"]
    acme = "acme_recipes"

The folder holds `recipes/` and `objects/` as any shelf does, or plain files `NAME.toml`, of which each is version 1 of
its recipe. It is read as data: nothing of the package is run.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path

from zoo.errors import in_one_line
from zoo.foreign.toml_documents import read_toml
from zoo.shelves.faults import ShelfError
from zoo.shelves.names import is_recipe_name, is_shelf_name
from zoo.shelves.places.folder import FolderPlace
from zoo.shelves.places.place import RECIPES, Place, document_path, object_path
from zoo.shelves.versions import FileRecord, VersionDocument, VersionMetadata, version_text
from zoo.system.files import sha256_of
from zoo.system.regular_files import read_regular

GROUP = "zoo.recipes"
RECIPE_FILE = "recipe.toml"
# Most bytes of a plain recipe.
LIMIT = 1_000_000
READ_ONLY = "a package is only read; push to a folder, and package that"
# The files of a package have no date of their own.
_NO_DATE = "1980-01-01T00:00:00Z"


def package_shelves() -> dict[str, str]:
    """Returns the shelves that installed packages bring: the package of each, by the shelf's name."""
    return {one.name: one.value for one in metadata.entry_points(group=GROUP) if is_shelf_name(one.name)}


def package_place(name: str, package: str) -> Place:
    """Opens the shelf of a package.

    Args:
        name: The shelf's name.
        package: As the entry point has it: `acme_recipes`, or a package below another.

    Raises:
        ShelfError: It has no folder.
    """
    url = f"package {package}"
    try:
        found = importlib.util.find_spec(package.partition(":")[0])
    except (ImportError, ValueError) as fault:
        raise ShelfError(f"shelf '{name}': {url} cannot be found ({in_one_line(fault)})") from fault
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if not folders:
        raise ShelfError(f"shelf '{name}': {url} has no folder; expected a package with recipes in it")
    root = Path(folders[0])
    if (root / RECIPES).is_dir():
        return FolderPlace(root, why_read_only=READ_ONLY, url=url)
    return PlainRecipes(root, url)


class PlainRecipes:
    """A folder of plain files `NAME.toml`; see `Place` for what it offers."""

    is_listed = True
    is_near = True
    why_read_only = READ_ONLY
    after_writing = ""

    def __init__(self, root: Path, url: str) -> None:
        self.url = url
        self._root = root

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists version 1 of each recipe."""
        names = [path.stem for path in self._root.glob("*.toml") if is_recipe_name(path.stem)]
        return sorted((one, 1) for one in names if name in (None, one))

    def read(self, path: str, *, limit: int) -> bytes:
        """Makes the document of a recipe, or reads a recipe by its content."""
        for name, number in self.documents():
            content = self._content(name)
            if path == document_path(name, number):
                return _document(name, content)
            if path == object_path(sha256_of(content)) and len(content) <= limit:
                return content
        raise FileNotFoundError(2, "there is no such file", f"{self.url}/{path}")

    def stream(self, path: str, *, size: int) -> Iterator[bytes]:
        """Yields a recipe."""
        yield self.read(path, limit=size)

    def create(self, path: str, content: bytes) -> bool:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {READ_ONLY}")

    def put(self, path: str, source: Path | bytes, *, sha256: str) -> None:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {READ_ONLY}")

    def alone(self) -> AbstractContextManager[None]:
        """Keeps nobody waiting."""
        return nullcontext()

    def replace(self, path: str, content: bytes) -> None:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {READ_ONLY}")

    def _content(self, name: str) -> bytes:
        try:
            return read_regular(self._root / f"{name}.toml", limit=LIMIT)
        except OSError as fault:
            raise ShelfError(f"{fault.filename or self._root}: {fault.strerror}; install the package again") from fault


def _document(name: str, content: bytes) -> bytes:
    return version_text(
        VersionDocument(
            name=name,
            version=1,
            published=_NO_DATE,
            files={RECIPE_FILE: FileRecord(sha256=sha256_of(content), size=len(content))},
            metadata=VersionMetadata(description=_description(content)),
        )
    )


def _description(content: bytes) -> str:
    try:
        said = read_toml(content.decode()).get("description", "")
    except ValueError:
        return ""
    return said[:1000] if isinstance(said, str) else ""
