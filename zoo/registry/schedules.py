"""Learning-rate schedules by name: how the rate goes over a phase, as pure functions of what is done of it.

The entry points of plug-ins are `zoo.schedules`. One formula serves the optimizer and the record: `xp` is keras.ops
inside the compiled step, and NumPy outside.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

from zoo.registry.tables import Option, Row, Table

Shape = Callable[[Any, Any], Any]
"""Takes a share that is done, float in [0, 1], and `xp`; returns a share of the highest rate."""


def linear_rise(done: Any, xp: Any) -> Any:
    """Rises from 0 to 1 along a line."""
    return done


def _cosine_rise(done: Any, xp: Any) -> Any:
    return 0.5 * (1.0 - xp.cos(math.pi * done))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the rate goes, as a share of the recipe's learning rate.

    Attributes:
        fall: From the end of the warm-up: takes the share of the remaining steps that is done, in [0, 1].
        rise: During the warm-up: takes the share of it that is done, and goes from 0 to 1.
        start: The share at the first step of a warm-up.
        warmup: The share of the steps that warm up where the recipe says 0.
    """

    fall: Shape
    rise: Shape = linear_rise
    start: float = 0.0
    warmup: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ScheduleRow(Row):
    """A schedule; `build` takes the options by name and returns a `Schedule`."""

    build: Callable[..., Schedule]


SCHEDULES = Table("schedule", group="zoo.schedules", row=ScheduleRow)

_END = Option(default=0.0, at_least=0, at_most=1, meaning="What is left of the highest rate at the end, as a share.")
_END_ABOVE_0 = Option(default=0.01, above=0, at_most=1, meaning=_END.meaning)


def _falling_to(end_factor: float, shape: Shape) -> Shape:
    """Takes a shape that falls from 1 to 0, and lets it end higher."""
    if end_factor == 0:
        return shape
    return lambda done, xp: end_factor + (1.0 - end_factor) * shape(done, xp)


def _cosine_shape(done: Any, xp: Any) -> Any:
    return 0.5 * (1.0 + xp.cos(math.pi * done))


def _constant() -> Schedule:
    return Schedule(fall=lambda done, xp: xp.ones_like(done))


def _cosine(end_factor: float) -> Schedule:
    return Schedule(fall=_falling_to(end_factor, _cosine_shape))


def _linear(end_factor: float) -> Schedule:
    return Schedule(fall=_falling_to(end_factor, lambda done, xp: 1.0 - done))


def _polynomial(power: float, end_factor: float) -> Schedule:
    return Schedule(fall=_falling_to(end_factor, lambda done, xp: (1.0 - done) ** power))


def _exponential(end_factor: float) -> Schedule:
    return Schedule(fall=lambda done, xp: xp.exp(math.log(end_factor) * done))


def _step(milestones: Sequence[float], gamma: float) -> Schedule:
    ends = sorted(milestones)
    # As decimals: 0.1 * 0.1 is 0.010000000000000002.
    shares = [float(Fraction(str(gamma)) ** number) for number in range(len(ends) + 1)]

    def fall(done: Any, xp: Any) -> Any:
        share: Any = shares[-1]
        for end, before in zip(reversed(ends), reversed(shares[:-1]), strict=True):
            share = xp.where(done < end, before, share)
        return share

    return Schedule(fall=fall)


def _bit() -> Schedule:
    return _step((0.3, 0.6, 0.9), 0.1)


def _one_cycle(start_factor: float, end_factor: float) -> Schedule:
    return Schedule(
        fall=lambda done, xp: end_factor + (1.0 - end_factor) * 0.5 * (1.0 + xp.cos(math.pi * done)),
        rise=_cosine_rise,
        start=start_factor,
        warmup=0.3,
    )


def _cosine_restarts(cycles: int, t_mul: float, m_mul: float, end_factor: float) -> Schedule:
    lengths = {cycle: t_mul**cycle for cycle in range(cycles)}
    # What is shorter than float32 can tell has no steps.
    lengths = {cycle: length for cycle, length in lengths.items() if length >= 1e-6 * sum(lengths.values())}
    ends = [end / sum(lengths.values()) for end in accumulate(lengths.values())]
    starts = [0.0, *ends[:-1]]

    def fall(done: Any, xp: Any) -> Any:
        # From the last cycle to the first: `where` keeps the cycle that the step is in.
        share: Any = 0.0
        for place, cycle in reversed([*enumerate(lengths)]):
            inside = xp.clip((done - starts[place]) / (ends[place] - starts[place]), 0.0, 1.0)
            of_cycle = m_mul**cycle * _cosine_shape(inside, xp)
            share = of_cycle if place == len(ends) - 1 else xp.where(done < ends[place], of_cycle, share)
        return share

    return Schedule(fall=_falling_to(end_factor, fall))


for _row in (
    ScheduleRow(name="constant", summary="The highest rate throughout.", build=_constant),
    ScheduleRow(
        name="cosine",
        summary="Half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).",
        options={"end_factor": _END},
        build=_cosine,
    ),
    ScheduleRow(
        name="one_cycle",
        summary="Up over 0.3 of the steps, then down, in cosines (Smith and Topin 2019, arXiv:1708.07120).",
        options={
            "start_factor": Option(
                default=0.04, at_least=0, at_most=1, meaning="What the rise begins with, as a share of the highest."
            ),
            # 1/25 and 1/250,000 are fastai's.
            "end_factor": Option(default=4e-6, at_least=0, at_most=1, meaning=_END.meaning),
        },
        build=_one_cycle,
    ),
    ScheduleRow(name="linear", summary="Along a line.", options={"end_factor": _END}, build=_linear),
    ScheduleRow(
        name="step",
        summary="Times gamma at each milestone (He et al. 2016, arXiv:1512.03385, section 4.2).",
        options={
            "milestones": Option(
                default=(0.5, 0.75), above=0, below=1, meaning="Shares of the steps after the warm-up."
            ),
            "gamma": Option(default=0.1, above=0, below=1, meaning="The factor."),
        },
        build=_step,
    ),
    ScheduleRow(
        name="bit",
        summary="A tenth at 30, 60 and 90 % (Kolesnikov et al. 2020, arXiv:1912.11370, section 3.3).",
        build=_bit,
    ),
    ScheduleRow(
        name="cosine_restarts",
        summary="Cosines, each from the top again (SGDR; Loshchilov and Hutter 2017, arXiv:1608.03983).",
        options={
            "cycles": Option(default=3, at_least=1, at_most=100, meaning="How many."),
            "t_mul": Option(default=1.0, at_least=0.1, at_most=10, meaning="How much longer each is than the last."),
            "m_mul": Option(default=1.0, above=0, at_most=1, meaning="How much of the last one's height each has."),
            "end_factor": _END,
        },
        build=_cosine_restarts,
    ),
    ScheduleRow(
        name="exponential",
        summary="By the same factor each step.",
        options={"end_factor": _END_ABOVE_0},
        build=_exponential,
    ),
    ScheduleRow(
        name="polynomial",
        summary="A power of what is left of the steps.",
        options={
            "power": Option(default=2.0, above=0, at_most=20, meaning="Of the share that is left."),
            "end_factor": _END,
        },
        build=_polynomial,
    ),
):
    SCHEDULES.register(_row)
