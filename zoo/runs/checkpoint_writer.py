"""Writes checkpoints beside training: on a thread of its own, one at a time."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from zoo.runs import checkpoint
from zoo.runs.checkpoint import Snapshot
from zoo.runs.folder import RunFolder


class CheckpointWriter:
    """Writes snapshots, and after each the lines of metrics.jsonl that it holds.

    Attributes:
        cost: Processor seconds that the last snapshot took, from reading it off the device to its last byte.
    """

    def __init__(self, folder: RunFolder, *, keep: int, history: Sequence[Mapping[str, Any]]) -> None:
        """Prepares.

        Args:
            folder: Where they go.
            keep: Number of newest checkpoints to keep beside the best.
            history: The lines that metrics.jsonl holds.
        """
        self.cost = 0.0
        self._folder = folder
        self._keep = keep
        self._history = list(history)
        self._lines_written = len(self._history)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zoo-checkpoint")
        self._at_work: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what is being written; a fault of it is raised where nothing else has gone wrong."""
        self._thread.shutdown(wait=True)
        if fault is None:
            self.wait()

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """The lines of metrics.jsonl, those included that wait for their checkpoint."""
        return self._history

    def add_line(self, row: Mapping[str, Any]) -> None:
        """Adds a line, which the next checkpoint holds."""
        self._history.append(row)

    @property
    def is_busy(self) -> bool:
        """Whether one is being written.

        Raises:
            OSError: The one before could not be written.
        """
        if self._at_work is None or not self._at_work.done():
            return self._at_work is not None
        self.wait()
        return False

    def wait(self) -> None:
        """Waits until what was handed over is on disk.

        Raises:
            OSError: It could not be written; earlier checkpoints are untouched.
        """
        at_work, self._at_work = self._at_work, None
        if at_work is not None:
            at_work.result()

    def write(self, snapshot: Snapshot, *, cost: float) -> None:
        """Begins to write; there is none being written.

        Args:
            snapshot: What nothing else changes from now on.
            cost: Processor seconds that reading it took.
        """
        self._at_work = self._thread.submit(self._write, snapshot, cost)

    def _write(self, snapshot: Snapshot, cost: float) -> None:
        began = time.thread_time()
        # A step whose gradient was not finite shows in the next batch's loss, and this would be the newest checkpoint.
        if snapshot.progress.partial_epoch is not None and not snapshot.is_finite:
            return
        checkpoint.save(self._folder.checkpoints, snapshot, keep=self._keep)
        for row in snapshot.history[self._lines_written :]:
            self._folder.append_metrics(row)
            self._lines_written += 1
        self.cost = cost + time.thread_time() - began
