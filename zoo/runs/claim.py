"""The lock on a run folder, so that two processes never write the same run."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import RunError
from zoo.files import is_still_there


@contextmanager
def claim(path: Path) -> Generator[None]:
    """Holds a run folder for as long as the process lives; the lock goes with the process, however it ends.

    Raises:
        RunError: Another process holds it.
    """
    lock = path / ".claim"
    taken = RunError(f"{path}: another process works on this run; wait for it, or choose another --run")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise taken from fault
        if not is_still_there(lock, file):
            raise taken
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
