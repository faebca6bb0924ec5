"""The path of an image in a list: as people write it, and why it is not there."""

import re
from pathlib import Path

from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.errors import DataError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def located(place: str, folder: Path, written: str) -> Path:
    """Returns the file that a path names: with `~` for the home folder, and `\\` as Windows writes `/`."""
    if _ADDRESS.match(written):
        advice = "Write the path without file://." if written.startswith("file://") else "Download the images first."
        raise DataError(f"{place}: path is the address '{written}'; expected the path of a file. {advice}")
    path = folder / (Path(written).expanduser() if written.startswith("~/") else written)
    if "\\" in written and not is_there(path):
        turned = folder / written.replace("\\", "/")
        if is_there(turned):
            return turned
    return path


def is_there(path: Path) -> bool:
    """Whether there is a file; what the system takes for no name, such as a too long one, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def all_missing(path: Path, line: int, written: str, count: int) -> DataError:
    """Returns the error for a list of which no image is there: why, as far as its first row shows it."""
    advice = _cause(path.parent, written)
    return DataError(
        f"{path}:{line}: '{written}' and the other images are not there ({count} rows); "
        f"expected paths relative to {path.parent}, or absolute ones. {advice}"
    )


def _cause(folder: Path, written: str) -> str:
    if _DRIVE.match(written):
        return "It is a path of Windows: write the paths as they are on this machine."
    if written.startswith("/"):
        return "It is an absolute path: write the paths as they are on this machine, or relative to the list."
    turned = written.replace("\\", "/")
    for suffix in sorted(IMAGE_SUFFIXES):
        if is_there(folder / (turned + suffix)):
            return f"There is '{turned}{suffix}': write the paths with their suffix."
    subfolders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    for subfolder in subfolders:
        for suffix in ("", *sorted(IMAGE_SUFFIXES)):
            if is_there(subfolder / (turned + suffix)):
                return f"There is '{subfolder.name}/{turned}{suffix}': write the paths so."
    if "\\" in written:
        return "Write / for each \\, and move the file beside its images."
    return "Move the file beside its images."
