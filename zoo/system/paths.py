"""Paths as people give them: an empty one is not the current folder, and an address is not a path."""

import os
import re
from pathlib import Path
from typing import cast

from zoo.errors import DataError, shown

# A path that pathlib has read has lost one of the two slashes.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)(?!/)(?=.)")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_SOURCE = re.compile(r"(hf|tfds|builtin):\S+")


def given_path(given: os.PathLike[str] | str, what: str = "the path") -> Path:
    """Reads a path as a user gives it; `~` stands for the home folder, as in a shell.

    Args:
        given: As it was typed.
        what: Its name, for messages.

    Raises:
        DataError: It is not a path, is empty, or the address of something on the network.

    Example:

        given_path("~/photos")
    """
    unchecked = cast(object, given)
    if not isinstance(unchecked, str | os.PathLike):
        raise DataError(f"{what} is {shown(unchecked)}; expected a file or folder, such as photos/")
    text = os.fsdecode(unchecked)
    if not text.strip():
        raise DataError(f"{what} is empty; expected a file or folder, such as photos/ (. is the current folder)")
    if "\0" in text:
        raise DataError(f"{what} is {text!a}; expected a path without a zero byte")
    path = Path(text)
    if text.startswith("file://"):
        raise DataError(f"{text}: is an address; expected a path; leave out file://")
    address = _ADDRESS.match(text)
    if address and not _is_there(path):
        whole = f"{address[1]}://{text[address.end() :]}"
        steps = "download it, unpack it, and" if whole.lower().endswith(_ARCHIVES) else "download it, and"
        raise DataError(f"{whole}: is an address, which is not read; {steps} give its path")
    if _SOURCE.fullmatch(text) and not _is_there(path):
        raise DataError(f"{text}: is a source, not a path; type --set data.source={text}")
    if text.startswith("~") and not _is_there(path):
        try:
            return path.expanduser()
        except RuntimeError:  # there is no such user
            return path
    return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than a name may be, as signed addresses are
        return False
