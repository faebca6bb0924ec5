"""A run's record while the run is at work: on disk at each change, with a status that is true however the work ends."""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import replace

from zoo.errors import INTERRUPTIONS, Terminated
from zoo.runs.folder import RunFolder
from zoo.runs.record import ResultRecord, RunRecord, SecondsRecord, Status
from zoo.system.files import sha256_of, write_atomic
from zoo.system.integrity.manifests import MANIFEST_FILE
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
        """Changes fields of the record, and writes it.

        Raises:
            OSError: It could not be written; the record is as it was.
        """
        record = replace(self.record, **changes)
        self._folder.write_record(record)
        self.record = record

    def note(self, **changes: object) -> None:
        """Changes fields of the record, which the next update writes."""
        self.record = replace(self.record, **changes)

    def done(self, result: ResultRecord, seconds: SecondsRecord | None = None) -> None:
        """Writes that the run is done, with the hashes of files that no other document has; then only the manifest.

        A process that is killed before the manifest leaves a run whose every file can be checked all the same.

        Args:
            result: What the model that is kept was measured at.
            seconds: What the run took its time for.
        """
        hashes = {**(self.record.sha256 or {}), **self._folder.hashes_at_end()}
        self.update(status="done", result=result, seconds=seconds, sha256=hashes)
        self._folder.write_manifest()

    def write_texts(self, texts: Mapping[str, str]) -> None:
        """Writes files whose hashes the record has from then on, those that are not there as they should be.

        While one is replaced the record has no hash of it, so that no kill leaves a file that looks damaged.

        Args:
            texts: By the name of the file, in the order in which they are written.
        """
        hashes = {name: sha256_of(text) for name, text in texts.items()}
        for name, text in texts.items():
            if hashes[name] != (self.record.sha256 or {}).get(name):
                write_atomic(self._folder.path / name, text)
        if hashes != self.record.sha256:
            self.update(sha256=hashes)

    def end(self, status: Status, reason: str) -> None:
        """Writes why the work ended before it was done.

        A full disk is a likely cause; then the status on disk stays `running`, and the first fault is reported.
        """
        with contextlib.suppress(OSError):
            # After the manifest nothing may change that it compares.
            (self._folder.path / MANIFEST_FILE).unlink(missing_ok=True)
            self._folder.write_record(replace(self.record, status=status, reason=reason))


@contextlib.contextmanager
def recording(folder: RunFolder, record: RunRecord, texts: Mapping[str, str]) -> Generator[Recording]:
    """Writes the record of a run and the texts that it covers, and keeps its status true, however the work ends.

    Args:
        folder: Where it is written.
        record: What is known of the run.
        texts: Files by their names, in the order in which they are written: the last makes the run one that has begun.
    """
    there = {name: sha256_of(text) for name, text in texts.items() if folder.holds(name, text)}
    recorded = Recording(folder, replace(record, sha256=there or None))
    recorded.update()
    try:
        with noticed():
            recorded.write_texts(texts)
            yield recorded
    except INTERRUPTIONS as fault:
        by = fault.signal if isinstance(fault, Terminated) else "the user"
        recorded.end("interrupted", f"interrupted by {by}")
        raise
    except Exception as fault:
        recorded.end("failed", str(fault) or type(fault).__name__)
        raise
