"""What is known of the files of a run, against which each is compared as it is read.

Of a finished run manifest.json has the hash of every file. Until then, run.json has those of recipe.toml and
images.json, a checkpoint's manifest those of its files, and card.json that of the numbers; these documents are sealed.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import RunError
from zoo.system.integrity.manifests import CoveredFolder, finished_folder
from zoo.system.regular_files import kind_of
from zoo.system.sealing import DamagedDocumentError, read_document

RECORD_FILE = "run.json"


def covered(run: Path) -> CoveredFolder:
    """Returns a run's folder with the hashes that are known of its files.

    Raises:
        RunError: The document that has them is damaged.
    """
    finished = finished_folder(run)
    if finished is not None:
        return finished
    return CoveredFolder(run, _hashes_in_record(run), noted_in=RECORD_FILE)


def _hashes_in_record(run: Path) -> dict[str, str]:
    try:
        hashes = read_document(run / RECORD_FILE, follow_links=False).values.get("sha256")
    except DamagedDocumentError as fault:
        raise RunError(f"{run / RECORD_FILE}: cannot be read ({fault})") from None
    except OSError:  # who needs it says so
        return {}
    if not isinstance(hashes, dict):
        return {}
    return {name: sha256 for name, sha256 in hashes.items() if isinstance(sha256, str)}


def read_checked(run: Path, name: str, *, limit: int) -> bytes:
    """Reads a file of a run, and compares it with what is known of it.

    Raises:
        FileNotFoundError: It is not there, and nothing says that it should be.
        RunError: It is damaged, missing, not a regular file, or too large.
    """
    # The record itself is compared with the manifest only, and has its own seal.
    folder = finished_folder(run) or CoveredFolder(run, {}) if name == RECORD_FILE else covered(run)
    return folder.read(name, limit=limit)


def foreign_entries(run: Path) -> Iterator[tuple[Path, str]]:
    """Yields what a run folder holds that zoo never writes: links and special files, and what each is."""
    for at, folders, files in os.walk(run):
        for path in (Path(at, name) for name in sorted((*folders, *files))):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # removed meanwhile
                continue
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                yield path, "a symbolic link" if stat.S_ISLNK(mode) else kind_of(mode)


def refuse_foreign_entries(run: Path) -> None:
    """Checks that whatever is written in a run folder stays in it; the folder itself may be a link.

    Raises:
        RunError: Some part of it is a link or a special file.
    """
    for path, what in foreign_entries(run):
        raise RunError(f"{path}: is {what}; expected a file or folder of the run's own; remove it, or begin a new run")
