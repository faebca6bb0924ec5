"""The curves of a training as geometry: what the template of a chart draws as SVG."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.sharing.site.contents import Epoch
from zoo.sharing.site.wording import brief, figure

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 22, 38
# Beyond, a line gets no dots, and every so many epochs are drawn.
MOST_DOTS, MOST_POINTS = 60, 300
# Longer names of phases would run into the next one's.
LONGEST_NAME = 14
# What is larger is damage, and would overflow; what is smaller is 0 on every chart.
LARGEST, SMALLEST = 1e12, 1e-12
# The split and its name, as in metrics.jsonl.
SPLITS = (("train", ""), ("validation", "val_"))


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis: where it is, and what stands there."""

    at: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Dot:
    """An epoch's value on a line: where it is, and what a pointer on it shows."""

    x: str
    y: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """The values of one split.

    Attributes:
        split: `train` or `validation`.
        path: The line, in SVG's words; broken where values are missing.
        dots: Its values; empty where there are many, but for those that stand alone.
    """

    split: str
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of one metric against the epoch.

    Attributes:
        metric: `accuracy` or `loss`.
        lines: Training and validation, where they have values.
        x_ticks: Epochs.
        y_ticks: Values.
        phases: Where phases begin, with their names.
        kept: The epoch whose model was kept, on the validation line, or None.
        summary: What it shows, in a sentence for who cannot see it.
    """

    metric: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    phases: tuple[Tick, ...]
    kept: Dot | None
    summary: str


def charts_of(epochs: Sequence[Epoch], kept_step: int | None) -> tuple[Chart, ...]:
    """Lays out accuracy and loss; a metric without any value has no chart.

    Args:
        epochs: The rows of metrics.jsonl, in their order.
        kept_step: The step whose model was kept, or None.
    """
    drawn = (_chart(epochs, metric, kept_step) for metric in ("accuracy", "loss"))
    return tuple(chart for chart in drawn if chart is not None)


def drawn_epochs(count: int) -> list[int]:
    """Returns the numbers of the epochs that are drawn, from 1: all, or every so many and the last."""
    every = max(1, math.ceil(count / MOST_POINTS))
    return [number for number in range(1, count + 1) if number % every == 0 or number in (1, count)]


def _chart(epochs: Sequence[Epoch], metric: str, kept_step: int | None) -> Chart | None:
    values = {split: [_finite(getattr(row, prefix + metric)) for row in epochs] for split, prefix in SPLITS}
    present = [value for column in values.values() for value in column if value is not None]
    if not present:
        return None
    marks = _marks(present, metric)
    low, high = min(*marks, *present), max(*marks, *present)
    across, up = _scale(0.5, len(epochs) + 0.5, LEFT, WIDTH - RIGHT), _scale(low, high, HEIGHT - BOTTOM, TOP)

    def dot(split: str, number: int, value: float) -> Dot:
        label = f"{split}, epoch {number:,}: {figure(value, metric)}"
        return Dot(x=_written(across(number)), y=_written(up(value)), label=label)

    lines = tuple(_line(split, column, dot) for split, column in values.items() if any(v is not None for v in column))
    # Without a validation split nothing decided which epoch is kept.
    kept = [
        dot("validation, kept", number, value)
        for number, (row, value) in enumerate(zip(epochs, values["validation"], strict=True), 1)
        if value is not None and kept_step is not None and row.step == kept_step
    ]
    begins = [number for number, row in enumerate(epochs, 1) if number == 1 or row.phase != epochs[number - 2].phase]
    return Chart(
        metric=metric,
        lines=lines,
        x_ticks=tuple(
            Tick(at=_written(across(mark)), label=f"{mark:,.0f}")
            for mark in nice_ticks(1, len(epochs))
            if mark == round(mark) and 1 <= mark <= len(epochs)
        ),
        y_ticks=tuple(Tick(at=_written(up(mark)), label=_of_axis(mark, metric)) for mark in marks),
        phases=tuple(
            Tick(at=_written(across(number - 0.5)), label=brief(epochs[number - 1].phase, LONGEST_NAME))
            for number in begins[:8]
        ),
        kept=kept[-1] if kept else None,
        summary=_summary(metric, values),
    )


def _line(split: str, column: Sequence[float | None], dot: Callable[[str, int, float], Dot]) -> Line:
    chosen = drawn_epochs(len(column))
    path, dots, alone, pen_is_down = list[str](), list[Dot](), list[Dot](), False
    for place, number in enumerate(chosen):
        value = column[number - 1]
        if value is None:
            pen_is_down = False
            continue
        here = dot(split, number, value)
        path.append(f"{'L' if pen_is_down else 'M'}{here.x} {here.y}")
        dots.append(here)
        goes_on = place + 1 < len(chosen) and column[chosen[place + 1] - 1] is not None
        if not pen_is_down and not goes_on:
            alone.append(here)
        pen_is_down = True
    return Line(split=split, path=" ".join(path), dots=tuple(dots if len(column) <= MOST_DOTS else alone))


def _marks(present: Sequence[float], metric: str) -> list[float]:
    """Returns the round values of the axis, none where the metric cannot be."""
    low, high = min(present), max(present)
    floor = 0.0 if low >= 0 else low
    ceiling = 1.0 if metric == "accuracy" and high <= 1 else math.inf
    return [mark for mark in nice_ticks(low, high) if floor - 1e-9 <= mark <= ceiling + 1e-9]


def nice_ticks(low: float, high: float) -> list[float]:
    """Returns 3 to 8 round values, in steps of 1, 2 or 5 times a power of ten, from around `low` to around `high`.

    Args:
        low: The smallest value.
        high: The largest one; where it is the same, a range around it is taken.
    """
    if high - low <= abs(high) * 1e-9:
        low, high = low - max(abs(low) * 0.1, 0.05), high + max(abs(high) * 0.1, 0.05)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    # Multiples of a whole step, so that 0.1 * 3 is written as 0.3.
    return [number * step for number in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _finite(value: float | None) -> float | None:
    if value is None or not abs(value) < LARGEST:  # NaN is not below it either
        return None
    return value if abs(value) > SMALLEST else 0.0


def _written(place: float) -> str:
    return f"{place:.1f}"


def _of_axis(mark: float, metric: str) -> str:
    return f"{100 * mark:.4g} %" if metric == "accuracy" else f"{mark:.4g}"


def _summary(metric: str, values: dict[str, list[float | None]]) -> str:
    parts = list[str]()
    for split, column in values.items():
        present = [value for value in column if value is not None]
        if present:
            first, last = figure(present[0], metric), figure(present[-1], metric)
            parts.append(f"{split} from {first} to {last}")
    return f"{metric} over {len(next(iter(values.values()))):,} epochs: {', '.join(parts)}"
