"""The lock on a run folder, so that two processes never write the same run."""

import errno
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from zoo.errors import RunError
from zoo.runs.folder import read_only
from zoo.system.files import is_still_there
from zoo.system.locks import lock


@contextmanager
def claim(path: Path) -> Generator[None]:
    """Holds a run folder for as long as the process lives; the lock goes with the process, however it ends.

    Raises:
        RunError: Another process holds it, or this user may not write in it.
    """
    file_path = path / ".claim"
    taken = RunError(f"{path}: another process works on this run; wait for it, or choose another --run")
    with _opened(path, file_path) as file:
        if not lock(file, wait=False) or not is_still_there(file_path, file):
            raise taken
        try:
            yield
        finally:
            with suppress(PermissionError):  # Windows removes no open file; an empty one may stay
                file_path.unlink(missing_ok=True)


def _opened(path: Path, file_path: Path) -> IO[str]:
    try:
        return file_path.open("w")
    except OSError as fault:
        if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise read_only(path, fault.strerror) from fault
        raise
