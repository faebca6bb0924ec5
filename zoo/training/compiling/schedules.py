"""The learning rate of a phase, batch by batch, so that a run can be resumed anywhere."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np

from zoo.recipe.schema import Phase
from zoo.registry.schedules import SCHEDULES, Schedule
from zoo.training.compiling.plug_ins import checked_schedule


@dataclass(frozen=True, kw_only=True)
class LearningRateSchedule:
    """The learning rate of a phase.

    Keras asks for it once for each batch, also where `train.accumulate` makes a step of several.

    Attributes:
        peak: The recipe's learning rate.
        schedule: A name in `SCHEDULES`.
        options: Those of the schedule that the recipe sets.
        batches: Batches of the whole phase.
        warmup: The recipe's share of them that warm up; 0 takes the schedule's own.
    """

    peak: float
    schedule: str
    batches: int
    warmup: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of_phase(cls, phase: Phase, batches: int) -> "LearningRateSchedule":
        """Returns what a phase of a recipe asks for.

        Args:
            phase: The phase.
            batches: Batches of the whole phase.

        Raises:
            ZooError: The schedule is a plug-in's, and does not give shares of the rate.
        """
        row = SCHEDULES.lookup(phase.schedule)
        if not row.is_shipped:
            checked_schedule(row, SCHEDULES.built(row, **row.filled(phase.schedule_options)))
        return cls(
            peak=phase.learning_rate,
            schedule=phase.schedule,
            batches=batches,
            warmup=phase.warmup,
            options=phase.schedule_options,
        )

    @property
    def shape(self) -> Schedule:
        """How it goes, as a share of the peak."""
        row = SCHEDULES.lookup(self.schedule)
        return SCHEDULES.built(row, **row.filled(self.options))

    @property
    def warmup_batches(self) -> int:
        """Of `batches`, those over which the rate first rises."""
        return round((self.warmup or self.shape.warmup) * self.batches)

    def at(self, batch: Any, xp: Any = np) -> Any:
        """Returns the rate at a batch of the phase, counted from 0."""
        shape, warmup_batches = self.shape, self.warmup_batches
        rising = shape.start + (1.0 - shape.start) * shape.rise(batch / max(1, warmup_batches), xp)
        falling = shape.fall(xp.clip((batch - warmup_batches) / max(1, self.batches - warmup_batches), 0.0, 1.0), xp)
        return self.peak * xp.where(batch < warmup_batches, rising, falling)

    def for_optimizer(self) -> keras.optimizers.schedules.LearningRateSchedule:
        """Returns the same function as a Keras optimizer takes it."""
        return KerasSchedule(self)


@dataclass(frozen=True, kw_only=True)
class RisingRate:
    """An exponential rise, for the range test.

    Attributes:
        lowest: At the first step.
        highest: At the last step.
        steps: Steps in all.
    """

    lowest: float
    highest: float
    steps: int

    def at(self, step: Any, xp: Any = np) -> Any:
        """Returns the rate at a step, counted from 0."""
        return self.lowest * xp.exp(math.log(self.highest / self.lowest) * step / max(1, self.steps - 1))

    def for_optimizer(self) -> keras.optimizers.schedules.LearningRateSchedule:
        """Returns the same function as a Keras optimizer takes it."""
        return KerasSchedule(self)


_RATES: dict[str, type[LearningRateSchedule] | type[RisingRate]] = {
    rate.__name__: rate for rate in (LearningRateSchedule, RisingRate)
}


@keras.saving.register_keras_serializable(package="zoo")
class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rate as a Keras optimizer takes it; it can be saved and loaded as Keras' own can."""

    def __init__(self, rate: LearningRateSchedule | RisingRate) -> None:
        super().__init__()
        self._rate = rate

    def __call__(self, step: Any) -> Any:
        """Returns the rate at a batch of the phase, counted from 0, which Keras calls a step."""
        return self._rate.at(keras.ops.cast(step, "float32"), keras.ops)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` rebuilds it from, as plain data."""
        return {"kind": type(self._rate).__name__, **asdict(self._rate)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KerasSchedule":
        """Rebuilds it from what `get_config` returned."""
        settings = dict(config)
        return cls(_RATES[settings.pop("kind")](**settings))
