"""Names on a shelf: of shelves, recipes and files, and the references that people type.

A name comes from elsewhere and becomes a path: what could lead out of its folder is refused before it is used.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zoo.errors import NotFoundError, printable

_SHELF = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_RECIPE = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_FILE = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_REFERENCE = re.compile(r"([^/@\s]+)/([^/@\s]+)(?:@(\S+))?")
LONGEST_FILE_NAME = 200


def is_shelf_name(text: str) -> bool:
    """Returns whether a text can name a shelf: small letters, digits and hyphens."""
    return _SHELF.fullmatch(text) is not None


def is_recipe_name(text: str) -> bool:
    """Returns whether a text can name a recipe on a shelf: small letters, digits and hyphens."""
    return _RECIPE.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Returns whether a text is a SHA-256 in hex."""
    return _SHA256.fullmatch(text) is not None


def is_file_name(text: str) -> bool:
    """Returns whether a text can name a file of a version: a path below a folder that cannot leave it."""
    parts = text.split("/")
    return len(text) <= LONGEST_FILE_NAME and _FILE.fullmatch(text) is not None and not {".", ".."} & set(parts)


def fault_of_file_names(names: Iterable[str]) -> str:
    """Says what is wrong with the names of a version's files together; empty where nothing is.

    A file system may not tell capitals from small letters, and no file is a folder too.
    """
    folded: dict[str, str] = {}
    for name in names:
        if not is_file_name(name):
            return f"file name '{printable(name)}' is not allowed; expected letters, digits, '.', '_' and '-'"
        if name.casefold() in folded:
            return f"'{name}' and '{folded[name.casefold()]}' are one file where capitals do not count"
        folded[name.casefold()] = name
    for name in folded:
        above = name.rpartition("/")[0]
        while above:
            if above in folded:
                return f"'{folded[above]}' is a file and the folder of '{folded[name]}'"
            above = above.rpartition("/")[0]
    return ""


@dataclass(frozen=True)
class Reference:
    """A recipe on a shelf as it is typed: `vision/pets`, `vision/pets@3` or `vision/pets@sha256:...`.

    Attributes:
        shelf: The shelf's name.
        name: The recipe's.
        number: The version's; None for the newest, or where the hash says which.
        sha256: Of the version's document; None where it is not given.
    """

    shelf: str
    name: str
    number: int | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        which = f"@{self.number}" if self.number is not None else f"@sha256:{self.sha256}" if self.sha256 else ""
        return f"{self.shelf}/{self.name}{which}"


def read_reference(text: str) -> Reference:
    """Reads a reference.

    Raises:
        NotFoundError: It is not one; the message says what is expected.
    """
    found = _REFERENCE.fullmatch(text)
    which = (found[3] if found else None) or ""
    number = int(which) if _NUMBER.fullmatch(which) else None
    sha256 = which.removeprefix("sha256:") if which.startswith("sha256:") else None
    if (
        found is None
        or not (is_shelf_name(found[1]) and is_recipe_name(found[2]))
        or (found[3] is not None and number is None and not is_sha256(sha256 or ""))
    ):
        expected = "expected SHELF/NAME, SHELF/NAME@VERSION or SHELF/NAME@sha256:HASH, such as vision/pets@3"
        raise NotFoundError(f"'{printable(text)}' does not name a recipe on a shelf; {expected}")
    return Reference(found[1], found[2], number, sha256)
