"""The lock on a run folder, so that two processes never write the same run."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import RunError


@contextmanager
def claim(path: Path) -> Iterator[None]:
    """Holds a run folder for as long as the process lives; the lock goes with the process, however it ends.

    Raises:
        RunError: Another process holds it.
    """
    lock = path / ".claim"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise RunError(
                f"{path}: another process works on this run; wait for it, or choose another --run"
            ) from fault
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
