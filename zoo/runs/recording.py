"""A run's record while the run is at work: on disk at each change, with a status that is true however the work ends."""

import contextlib
from collections.abc import Generator
from dataclasses import replace

from zoo.errors import INTERRUPTIONS, Terminated
from zoo.runs.folder import RunFolder
from zoo.runs.record import RunRecord, Status
from zoo.system.interruption import noticed


class Recording:
    """The record of a run that is at work.

    Attributes:
        record: What is known so far.
    """

    def __init__(self, folder: RunFolder, record: RunRecord) -> None:
        self.record = record
        self._folder = folder

    def update(self, **changes: object) -> None:
        """Changes fields of the record, and writes it."""
        record = replace(self.record, **changes)
        self._folder.write_record(record)
        self.record = record

    def end(self, status: Status, reason: str) -> None:
        """Writes why the work ended before it was done.

        A full disk is a likely cause; then the status on disk stays `running`, and the first fault is reported.
        """
        with contextlib.suppress(OSError):
            self._folder.write_record(replace(self.record, status=status, reason=reason))


@contextlib.contextmanager
def recording(folder: RunFolder, record: RunRecord) -> Generator[Recording]:
    """Writes the record of a run, and keeps its status true, however what is done meanwhile ends."""
    recorded = Recording(folder, record)
    recorded.update()
    try:
        with noticed():
            yield recorded
    except INTERRUPTIONS as fault:
        by = fault.signal if isinstance(fault, Terminated) else "the user"
        recorded.end("interrupted", f"interrupted by {by}")
        raise
    except Exception as fault:
        recorded.end("failed", str(fault) or type(fault).__name__)
        raise
