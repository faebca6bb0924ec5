"""When what happened in a short run, and what its parts cost by that."""

import itertools
import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import keras

from zoo.jobs.proposing.forecast import Costs, PhaseCosts, Work
from zoo.training.prefix.caching import RUNNING
from zoo.training.prefix.policy import TRAINING_COST

Kind = Literal["begin", "move", "end", "epoch", "test", "test_batch", "tested"]
# What images are read under, on a display.
READING = "reading "


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        seconds: When.
        kind: `begin`, `move` and `end` of a bar, `epoch` at an epoch's line, and what validates.
        name: Of the bar.
        number: How far the bar has come; the epoch.
    """

    seconds: float
    kind: Kind
    name: str = ""
    number: int = 0


class Timeline:
    """A display that notes what it is shown, and shows nothing."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.events: list[Event] = []
        self._clock = clock

    def note(self, kind: Kind, name: str = "", number: int = 0) -> None:
        """Notes that something happens now."""
        self.events.append(Event(self._clock(), kind, name, number))

    def line(self, text: str) -> None:
        """Keeps to itself what is said: the run that is proposed will say it."""

    @contextmanager
    def bar(self, description: str, total: int) -> Generator[Callable[[int, str], None]]:
        """Notes when a bar begins, moves and ends."""
        self.note("begin", description, total)
        try:
            yield lambda done, detail="": self.note("move", description, done)
        finally:
            self.note("end", description, total)

    def epoch(self, row: Mapping[str, Any], *, phase_epochs: int) -> None:
        """Notes that an epoch is over."""
        self.note("epoch", row["phase"], row["epoch_in_phase"])

    def __enter__(self) -> "Timeline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class ValidationClock(keras.callbacks.Callback):
    """Notes on a timeline when batches validate, which no display shows."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes that validation begins."""
        self._timeline.note("test")

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes that a batch has validated."""
        self._timeline.note("test_batch", number=batch)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Notes that validation is over."""
        self._timeline.note("tested")


def costs_of(events: Sequence[Event], *, began: float, ended: float, work: Work) -> Costs:
    """Takes a short run apart: what it took to begin and end, and each batch between.

    What the parts add up to, for as much work, is what the short run took. What is done once, such as tracing a step,
    is what the first of its kind took beyond the others.

    Args:
        events: Of the run, in order.
        began: When it began.
        ended: When it was over.
        work: How much there was to do.

    Returns:
        Its costs; `start` and `read_image` are 0, since it began with pixels.
    """
    first = [event.seconds for event in events if event.kind == "end" and event.name.startswith(READING)]
    before = max(first, default=began)
    build, phases = before - began, dict[str, PhaseCosts]()
    for name in work.epochs:
        over = next(event.seconds for event in events if event.kind == "end" and event.name == name)
        inside = [event for event in events if before < event.seconds <= over]
        phases[name] = _phase_costs(inside, name, began=before, ended=over, work=work)
        before = over
    last = phases[next(reversed(phases))]
    measure_image = last.validation_batch / work.batch_size
    end = max(0.0, ended - before - measure_image * work.validation)
    return Costs(start=0.0, build=build, read_image=0.0, phases=phases, end=end, measure_image=measure_image)


def _phase_costs(events: Sequence[Event], name: str, *, began: float, ended: float, work: Work) -> PhaseCosts:
    passed, pass_seconds = 0, 0.0
    for what in {event.name: None for event in events if event.name.startswith(RUNNING)}:
        bar = [event for event in events if event.name == what]
        moves = [event for event in bar if event.kind == "move"]
        if bar and moves:
            passed += moves[-1].number
            pass_seconds += bar[-1].seconds - bar[0].seconds
    epochs, tests = _epochs(events, name), _tests(events)
    gaps = [gap for moves, _ in epochs for gap in _gaps(moves)]
    batch = _typical(gaps) if gaps else 0.0
    test_gaps = [gap for test in tests for gap in _gaps(test)]
    validation_batch = _typical(test_gaps) if test_gaps else batch / TRAINING_COST
    batches, test_batches = len(epochs[-1][0]), len(tests[-1]) if tests else 0
    last_epoch = epochs[-1][1] - epochs[-2][1] if len(epochs) > 1 else 0.0
    epoch = max(0.0, last_epoch - batches * batch - test_batches * validation_batch)
    each = batches * batch + test_batches * validation_batch + epoch
    begin = max(0.0, ended - began - pass_seconds - len(epochs) * each)
    return PhaseCosts(
        begin=begin,
        pass_image=pass_seconds / passed if passed else 0.0,
        batch=batch,
        validation_batch=validation_batch,
        epoch=epoch,
    )


def _epochs(events: Sequence[Event], name: str) -> list[tuple[list[float], float]]:
    """Returns of each epoch when its batches ended, and when it was over."""
    epochs: list[tuple[list[float], float]] = []
    moves: list[float] = []
    for event in events:
        if event.name == name and event.kind == "move":
            moves.append(event.seconds)
        elif event.name == name and event.kind == "epoch":
            epochs.append((moves, event.seconds))
            moves = []
    return epochs


def _tests(events: Sequence[Event]) -> list[list[float]]:
    """Returns of each validation when its batches ended."""
    tests: list[list[float]] = []
    for event in events:
        if event.kind == "test":
            tests.append([])
        elif event.kind == "test_batch" and tests:
            tests[-1].append(event.seconds)
    return tests


def _typical(gaps: Sequence[float]) -> float:
    """Returns the mean of gaps without those that something else made twice as long."""
    usual = 2 * statistics.median(gaps)
    return statistics.fmean(gap for gap in gaps if gap <= usual)


def _gaps(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(moments)]
