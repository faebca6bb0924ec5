"""What a run shows while it works: bars with time left on a terminal, a line an epoch elsewhere. All on stderr."""

import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SHOWN_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


class Display:
    """Shows what a run does. Use it as a context manager; outside a terminal it prints plain lines only."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
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
        """Prints a line above the bars."""
        self._console.print(text, markup=False)

    @contextmanager
    def bar(self, description: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Shows a bar; call what it yields with (done, detail)."""
        task = self._bars.add_task(description, total=total, detail="")
        try:
            yield lambda done, detail="": self._bars.update(task, completed=done, detail=detail)
        finally:
            self._bars.remove_task(task)

    def epoch(self, row: Mapping[str, Any], *, phase_epochs: int) -> None:
        """Prints a finished epoch's line."""
        figures = "  ".join(f"{name} {row[name]:.4f}" for name in SHOWN_METRICS if row.get(name) is not None)
        self.line(f"{row['phase']} {row['epoch_in_phase']}/{phase_epochs}  {figures}  {row['seconds']:.1f} s")
