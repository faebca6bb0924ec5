"""What zoo shows while it works: bars with time left on a terminal, a line an epoch elsewhere. All on stderr.

What is said in words goes to a logger of `zoo` as well. It is not printed where the program's own logging writes it to
the same screen.
"""

import logging
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, Literal, Protocol, TextIO, cast

from zoo.errors import LONGEST_LINE, ZooError, printable, shown
from zoo.system.text_tables import fold, screen_width

Verbose = Literal["auto", 0, 1, 2]

SHOWN_METRICS = {"loss": "loss", "accuracy": "accuracy", "val_loss": "val_loss", "val_accuracy": "val_accuracy"}
# What they are called on a narrow screen.
SHORT = {**SHOWN_METRICS, "accuracy": "acc", "val_accuracy": "val_acc"}
# The forms of an epoch's line, longest first: digits behind the point, and what the figures are called.
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


# As a library does: a program that does not set logging up sees nothing of it.
logging.getLogger("zoo").addHandler(logging.NullHandler())
_WARNING = "warning: "


class ProgressDisplay(Protocol):
    """What work is shown on; a context manager."""

    def line(self, text: str) -> None:
        """Says something, a warning where it begins with `warning: `."""
        ...

    def bar(self, description: str, total: int) -> AbstractContextManager[Callable[[int, str], None]]:
        """Shows a bar; call what it yields with (done, detail)."""
        ...

    def epoch(self, row: Mapping[str, Any], *, phase_epochs: int) -> None:
        """Shows a finished epoch, a line of metrics.jsonl."""
        ...

    def __enter__(self) -> "ProgressDisplay": ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_display(verbose: Verbose = "auto", *, logger: str) -> ProgressDisplay:
    """Makes what a call shows its work on.

    Args:
        verbose: As Keras has it: 0 is silent, 1 shows bars, 2 a line an epoch; `auto` shows bars on a terminal, and
            lines elsewhere.
        logger: The logger's name, such as `zoo.finetune`, to which all is said that is said in words.

    Raises:
        ZooError: It is something else.
    """
    given = cast(object, verbose)
    if not isinstance(given, str | int) or given not in ("auto", 0, 1, 2):
        raise ZooError(f'verbose is {shown(verbose)}; expected "auto", 0 (silent), 1 (bars) or 2 (a line an epoch)')
    if verbose == 0:
        return SilentDisplay(logger)
    return Display(logger, bars={"auto": None, 1: True, 2: False}[verbose])


class SilentDisplay:
    """Shows nothing, and logs what is said in words."""

    def __init__(self, logger: str = "zoo") -> None:
        self._logger = logging.getLogger(logger)

    def __enter__(self) -> "SilentDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def line(self, text: str) -> None:
        """Logs a text."""
        _log(self._logger, printable(text, at_most=LONGEST_LINE))

    @contextmanager
    def bar(self, description: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Shows no bar."""
        yield lambda done, detail="": None

    def epoch(self, row: Mapping[str, Any], *, phase_epochs: int) -> None:
        """Logs a finished epoch."""
        self.line(_epoch_line(row, phase_epochs, *FORMS[0]))


class Display:
    """Shows what a run does. Use it as a context manager; outside a terminal it prints plain lines only."""

    def __init__(self, logger: str = "zoo", *, bars: bool | None = None) -> None:
        """Begins to show.

        Args:
            logger: The name of the logger to which all is said that is said in words.
            bars: Whether to show bars; by default on a terminal.
        """
        # Here, because verbs that show no progress import this module too.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._logger = logging.getLogger(logger)
        stream = _Forgiving(sys.stderr)
        # A program without a window has no stderr; rich would take stdout then, which is for results.
        self._console = Console(
            file=cast(TextIO, stream),
            highlight=False,
            soft_wrap=True,
            quiet=stream.is_missing,
            force_terminal=True if bars else None,
        )
        self._shortest = 0
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left  {task.fields[detail]}"),
            console=self._console,
            transient=True,
            disable=not (self._console.is_terminal if bars is None else bars),
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
        text = printable(text, at_most=LONGEST_LINE)
        if not _log(self._logger, text):
            self._console.print(fold(text, self._width), markup=False)

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
        lines = [_epoch_line(row, phase_epochs, digits, labels) for digits, labels in FORMS]
        width = self._width
        # A form that was once too long is not gone back to, so that figures stay below one another.
        while width is not None and self._shortest < len(lines) - 1 and len(lines[self._shortest]) > width - SLACK:
            self._shortest += 1
        self.line(lines[self._shortest])

    @property
    def _width(self) -> int | None:
        return screen_width(sys.stderr)


def _epoch_line(row: Mapping[str, Any], phase_epochs: int, digits: int, labels: Mapping[str, str]) -> str:
    number = f"{row['epoch_in_phase']:>{len(str(phase_epochs))}}/{phase_epochs}"
    figures = [f"{label} {row[name]:.{digits}f}" for name, label in labels.items() if row.get(name) is not None]
    return "  ".join([f"{row['phase']} {number}", *figures, f"{row['seconds']:.1f} s"])


def _log(logger: logging.Logger, text: str) -> bool:
    """Logs a text; returns whether that put it on the screen."""
    level = logging.WARNING if text.startswith(_WARNING) else logging.INFO
    logger.log(level, "%s", text.removeprefix(_WARNING))
    return logger.isEnabledFor(level) and any(
        isinstance(handler, logging.StreamHandler)
        and handler.level <= level
        and getattr(handler, "stream", None) in (sys.stdout, sys.stderr)
        for handler in _handlers(logger)
    )


def _handlers(logger: logging.Logger) -> Generator[logging.Handler]:
    """Goes through the handlers that hear a logger."""
    hears: logging.Logger | None = logger
    while hears is not None:
        yield from hears.handlers
        hears = hears.parent if hears.propagate else None


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
