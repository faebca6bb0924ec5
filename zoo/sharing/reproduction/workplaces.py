"""Temporary folders of trials, which are gone at the end; what a killed process left goes with the next start.

zoo-reproduce-xxxxxxxx/lock    locked by the process that works in it; the lock goes with the process
zoo-reproduce-xxxxxxxx/work    where it works
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from zoo.system.locks import lock

# What temporary folders are called.
PREFIX = "zoo-reproduce-"
LOCK, WORK = "lock", "work"
# A folder is locked within milliseconds of being made.
NEW_SECONDS = 10


@contextlib.contextmanager
def workplace() -> Generator[Path]:
    """Gives a temporary folder, which is gone at the end, however that comes."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / LOCK).open("w") as file:  # closed before the folder goes: Windows removes no open file
            lock(file)
            (folder / WORK).mkdir()
            yield folder / WORK


def remove_dead_workplaces() -> None:
    """Removes the folders of processes that are gone; what a live one holds stays, and so does what is not ours."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if _is_ours(folder) and _is_left(folder / LOCK):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Returns whether a path is a folder of this user's that was made some time ago."""
    found = folder.lstat()
    is_mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return is_mine and folder.is_dir() and not folder.is_symlink() and time.time() - found.st_mtime > NEW_SECONDS


def _is_left(path: Path) -> bool:
    """Returns whether a folder's lock is there, and no process holds it."""
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("r+") as file:
        return lock(file, wait=False)
