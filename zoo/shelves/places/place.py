"""What every place of a shelf can do: list documents, read, write what is new. It knows nothing of what they mean."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from zoo.shelves.faults import ShelfError

# Most versions of a shelf that are listed.
MOST_VERSIONS = 50_000
RECIPES, INDEX = "recipes", "index.json"


def document_path(name: str, number: int) -> str:
    """Returns where the document of a version lies, below the shelf."""
    return f"{RECIPES}/{name}/{number}.json"


def object_path(sha256: str) -> str:
    """Returns where a file lies, by its content."""
    return f"objects/sha256/{sha256[:2]}/{sha256}"


def number_of(file_name: str) -> int | None:
    """Returns the version that a file of a recipe's folder is the document of; None for any other file."""
    number = file_name.removesuffix(".json")
    is_number = number.isascii() and number.isdecimal() and len(number) <= 9 and not number.startswith("0")
    return int(number) if is_number and file_name.endswith(".json") else None


def check_count(url: str, count: int) -> None:
    """Refuses a shelf that would fill the memory.

    Raises:
        ShelfError: It holds too many versions.
    """
    if count > MOST_VERSIONS:
        raise ShelfError(f"{url}: holds more than {MOST_VERSIONS:,} versions, which are not listed; part the shelf")


class Place(Protocol):
    """A place of a shelf.

    Paths are below it, with slashes. A file that is not there raises `FileNotFoundError`; what cannot be reached
    `UnreachableError`; any other fault `ShelfError`, in one line that names the place.

    Attributes:
        url: Where it is, for messages, without anything secret.
        is_listed: Whether its documents can be listed; else index.json says which there are.
        is_near: Whether reading thousands of documents takes no longer than reading index.json.
        why_read_only: Why nothing can be written; empty where it can.
    """

    url: str
    is_listed: bool
    is_near: bool
    why_read_only: str

    @property
    def after_writing(self) -> str:
        """What is to be done after a version was written, such as a commit; empty for nothing."""
        ...

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists the versions that have a document, of one recipe or of all."""
        ...

    def read(self, path: str, *, limit: int) -> bytes:
        """Reads a small file whole; one with more bytes than `limit` is refused before they are taken."""
        ...

    def stream(self, path: str, *, size: int) -> Iterator[bytes]:
        """Yields a file in pieces, at most one byte more than `size`."""
        ...

    def create(self, path: str, content: bytes) -> bool:
        """Writes a file that is not there yet, whole; returns False, and changes nothing, where it is there."""
        ...

    def put(self, path: str, source: Path | bytes, *, sha256: str) -> None:
        """Writes a file that is named by its content, whole, where it is not there yet."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Keeps others that ask for the same from going on meanwhile, where the place has locks; else nobody."""
        ...

    def replace(self, path: str, content: bytes) -> None:
        """Writes a small file, whole, over what may be there."""
        ...
