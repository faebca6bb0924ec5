"""Writes checkpoints beside training: on a thread of its own, one at a time."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

from zoo.runs import checkpoint
from zoo.runs.checkpoint import Snapshot
from zoo.runs.folder import RunFolder
from zoo.system.files import TO_WRITE_AFTER_ALL


class SaveErrors:
    """What becomes of a fault in saving while training goes on: `train.on_save_error` of the recipe."""

    def __init__(self, on_save_error: Literal["stop", "warn"], say: Callable[[str], object]) -> None:
        """Prepares.

        Args:
            on_save_error: Whether to raise it, or to say it once for each kind.
            say: Told what is to be known.
        """
        self._stops = on_save_error == "stop"
        self._say = say
        self._said: set[int | None] = set()

    @contextmanager
    def handled(self) -> Generator[None]:
        """Says a fault of the block, the first of its kind.

        Raises:
            OSError: Training is to stop.
        """
        try:
            yield
        except OSError as fault:
            if self._stops:
                raise
            self._say_once(fault)

    def _say_once(self, fault: OSError) -> None:
        if fault.errno not in self._said:
            self._said.add(fault.errno)
            remedy = TO_WRITE_AFTER_ALL.get(fault.errno or 0)
            self._say(
                f"warning: {fault.filename}: {fault.strerror or fault}; training goes on and tries again at the next "
                f"checkpoint{f'; {remedy} meanwhile' if remedy else ''}"
            )


class CheckpointWriter:
    """Writes snapshots, and after each the lines of metrics.jsonl that it holds.

    Attributes:
        cost: Processor seconds that the last snapshot took, from reading it off the device to its last byte.
        unsaved_epochs: Those whose checkpoint could not be written; counted from 1.
    """

    def __init__(
        self, folder: RunFolder, *, keep: int, history: Sequence[Mapping[str, Any]], errors: SaveErrors
    ) -> None:
        """Prepares.

        Args:
            folder: Where they go.
            keep: Number of newest checkpoints to keep beside the best.
            history: The lines that metrics.jsonl holds.
            errors: Takes what goes wrong.
        """
        self.cost = 0.0
        self.unsaved_epochs: list[int] = []
        self._errors = errors
        self._unsaved: Snapshot | None = None
        self._line_is_torn = False
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
            self._try_again()

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """The lines of metrics.jsonl, those included that wait for their checkpoint."""
        return self._history

    @property
    def has_saved(self) -> bool:
        """Whether the last snapshot, which is not being written any more, is on disk."""
        return self._unsaved is None

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
            OSError: It could not be written, and training is to stop; earlier checkpoints are untouched.
        """
        at_work, self._at_work = self._at_work, None
        if at_work is None:
            return
        with self._errors.handled():
            try:
                at_work.result()
            except OSError:
                if self._unsaved is not None and self._unsaved.progress.partial_epoch is None:
                    self.unsaved_epochs.append(self._unsaved.progress.epoch)
                raise

    def write(self, snapshot: Snapshot, *, cost: float) -> None:
        """Begins to write; there is none being written.

        Args:
            snapshot: What nothing else changes from now on.
            cost: Processor seconds that reading it took.
        """
        self._unsaved = snapshot
        self._at_work = self._thread.submit(self._write, snapshot, cost)

    def _write(self, snapshot: Snapshot, cost: float) -> None:
        began = time.thread_time()
        # A step whose gradient was not finite shows in the next batch's loss, and this would be the newest checkpoint.
        if snapshot.progress.partial_epoch is not None and not snapshot.is_finite:
            self._unsaved = None
            return
        checkpoint.save(self._folder.checkpoints, snapshot, keep=self._keep)
        self._unsaved = None
        self._write_lines(snapshot.history)
        self.cost = cost + time.thread_time() - began

    def _write_lines(self, history: Sequence[Mapping[str, Any]]) -> None:
        if self._line_is_torn:
            self._folder.write_metrics(history)
            self._lines_written, self._line_is_torn = len(history), False
        for row in history[self._lines_written :]:
            self._line_is_torn = True
            self._folder.append_metrics(row)
            self._line_is_torn = False
            self._lines_written += 1

    def _try_again(self) -> None:
        """Writes the last snapshot once more where it could not be written, before the end needs it."""
        snapshot = self._unsaved
        with self._errors.handled():
            if snapshot is not None:
                self._write(snapshot, 0.0)
                self.unsaved_epochs = [epoch for epoch in self.unsaved_epochs if epoch != snapshot.progress.epoch]
            elif self._lines_written < len(self._history) or self._line_is_torn:
                self._write_lines(self._history)
