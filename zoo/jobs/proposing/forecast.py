"""How long a run will take, from what its parts cost. Pure arithmetic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.system.text_tables import counted

# What a forecast may be wrong by.
ERROR = 0.1


@dataclass(frozen=True, kw_only=True)
class PhaseCosts:
    """What a phase costs, in seconds.

    Attributes:
        begin: To choose, compile and trace what it trains, and to end.
        pass_image: Of the one pass of an image through the frozen prefix; 0 where there is none.
        batch: Of a batch that trains.
        validation_batch: Of a batch that validates.
        epoch: Of what happens at each epoch's end besides: metrics, checkpoint.
    """

    begin: float
    pass_image: float
    batch: float
    validation_batch: float
    epoch: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run costs, in seconds.

    Attributes:
        start: Before it: the interpreter, Keras and its backend.
        build: To build the model and what else comes before the first phase.
        read_image: To hash, decode and resize an image.
        phases: Of each phase, by its name.
        end: To keep the best model, draw curves and close.
        measure_image: Of an image that the best model is measured on.
    """

    start: float
    build: float
    read_image: float
    phases: Mapping[str, PhaseCosts]
    end: float
    measure_image: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much there is to do.

    Attributes:
        train: Images that train.
        validation: Images that validate.
        batch_size: Images of a batch.
        epochs: Of each phase, by its name.
    """

    train: int
    validation: int
    batch_size: int
    epochs: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How long a run will take.

    Attributes:
        parts: Seconds by what is done, in order.
    """

    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return sum(self.parts.values())

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {"seconds": round(self.seconds, 1), "parts": {name: round(one, 1) for name, one in self.parts.items()}}

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {duration(seconds)}" for name, seconds in self.parts.items())
        return f"{duration(self.seconds)}, give or take {100 * ERROR:.0f} %: {listed}"


def forecast(costs: Costs, work: Work) -> Forecast:
    """Adds up what a run will take, from an empty cache."""
    images = work.train + work.validation
    parts = {"start": costs.start + costs.build, "reading": costs.read_image * images}
    for name, phase in costs.phases.items():
        parts[name] = phase_seconds(phase, work, work.epochs[name])
    parts["end"] = costs.end + costs.measure_image * work.validation
    return Forecast(parts=parts)


def phase_seconds(costs: PhaseCosts, work: Work, epochs: int) -> float:
    """Adds up what a phase will take."""
    begin = costs.begin + costs.pass_image * (work.train + work.validation)
    return begin + epochs * epoch_seconds(costs, work)


def epoch_seconds(costs: PhaseCosts, work: Work) -> float:
    """Adds up what an epoch will take, its validation included."""
    training = costs.batch * math.ceil(work.train / work.batch_size)
    validating = costs.validation_batch * math.ceil(work.validation / work.batch_size)
    return training + validating + costs.epoch


def at_size(costs: Costs, factor: float) -> Costs:
    """Guesses the costs at another image size: what is done to pixels costs by their number.

    Args:
        costs: At the size that was measured.
        factor: How many times as many pixels an image has.
    """
    phases = {
        name: replace(
            phase,
            pass_image=phase.pass_image * factor,
            batch=phase.batch * factor,
            validation_batch=phase.validation_batch * factor,
        )
        for name, phase in costs.phases.items()
    }
    return replace(costs, phases=phases, measure_image=costs.measure_image * factor)


def duration(seconds: float) -> str:
    """Writes a time for people, as in `12 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes} min {left} s" if left and minutes < 10 else f"{round(seconds / 60)} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def of_epochs(epochs: Mapping[str, int]) -> str:
    """Writes how many epochs each phase has."""
    return ", ".join(f"'{name}' {counted(count, 'epoch')}" for name, count in epochs.items())
