"""What a run shows while it works: bars with time left on a terminal, a line an epoch elsewhere. All on stderr."""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zoo.system.text_tables import fold, screen_width, without_controls

SHOWN_METRICS = {"loss": "loss", "accuracy": "accuracy", "val_loss": "val_loss", "val_accuracy": "val_accuracy"}
# What they are called on a narrow screen.
SHORT = {**SHOWN_METRICS, "accuracy": "acc", "val_accuracy": "val_acc"}
# How an epoch's line may look, longest first: digits behind the point, and what the figures are called.
FORMS: tuple[tuple[int, Mapping[str, str]], ...] = (
    (4, SHOWN_METRICS),
    (4, SHORT),
    (3, SHORT),
    (3, {name: SHORT[name] for name in ("loss", "val_loss", "val_accuracy")}),
    (3, {name: SHORT[name] for name in ("val_loss", "val_accuracy")}),
    (3, {"val_accuracy": SHORT["val_accuracy"]}),
    (3, {}),
)
# A time may grow by a digit, from 9.9 to 10.0 seconds.
SLACK = 1


class Display:
    """Shows what a run does. Use it as a context manager; outside a terminal it prints plain lines only."""

    def __init__(self) -> None:
        stream = _Forgiving(sys.stderr)
        # A program without a window has no stderr; rich would take stdout then, which is for results.
        self._console = Console(file=cast(TextIO, stream), highlight=False, soft_wrap=True, quiet=stream.is_missing)
        self._shortest = 0
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left  {task.fields[detail]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def line(self, text: str) -> None:
        """Prints a line above the bars; on a terminal it is folded between words where it is too long."""
        self._console.print(fold(without_controls(text), self._width), markup=False)

    @contextmanager
    def bar(self, description: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Shows a bar; call what it yields with (done, detail)."""
        task = self._bars.add_task(description, total=total, detail="")
        try:
            yield lambda done, detail="": self._bars.update(task, completed=done, detail=detail)
        finally:
            self._bars.remove_task(task)

    def epoch(self, row: Mapping[str, Any], *, phase_epochs: int) -> None:
        """Prints a finished epoch's line; on a narrow terminal with shorter names, then with fewer figures."""
        number = f"{row['epoch_in_phase']:>{len(str(phase_epochs))}}/{phase_epochs}"
        seconds = f"{row['seconds']:.1f} s"
        lines = [
            "  ".join(
                [
                    f"{row['phase']} {number}",
                    *(f"{label} {row[name]:.{digits}f}" for name, label in labels.items() if row.get(name) is not None),
                    seconds,
                ]
            )
            for digits, labels in FORMS
        ]
        width = self._width
        # A form that was once too long is not gone back to, so that figures stay below one another.
        while width is not None and self._shortest < len(lines) - 1 and len(lines[self._shortest]) > width - SLACK:
            self._shortest += 1
        self.line(lines[self._shortest])

    @property
    def _width(self) -> int | None:
        return screen_width(sys.stderr)


class _Forgiving:
    """A stream to which what cannot be written is lost: nobody reads it any more, and the work goes on."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def is_missing(self) -> bool:
        """Whether there is no stream, or a closed one."""
        return self._stream is None or bool(getattr(self._stream, "closed", False))

    def write(self, text: str) -> int:
        """Writes a text, if it can be."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is held back, if it can be."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
