"""Learning-rate schedules: pure functions of the step, so that a run can be resumed anywhere."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

# One formula serves the optimizer and the record: `xp` is keras.ops inside the compiled step, NumPy outside.
Shape = Callable[[Any, Any], Any]


def _linear_rise(done: Any, xp: Any) -> Any:
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
    rise: Shape = _linear_rise
    start: float = 0.0
    warmup: float = 0.0


SCHEDULES = {
    "constant": Schedule(fall=lambda done, xp: xp.ones_like(done)),
    # Loshchilov and Hutter 2017 (arXiv:1608.03983), without restarts.
    "cosine": Schedule(fall=lambda done, xp: 0.5 * (1.0 + xp.cos(math.pi * done))),
    "linear": Schedule(fall=lambda done, xp: 1.0 - done),
    # A tenth at a half and at three quarters: He et al. 2016 (arXiv:1512.03385), section 4.2.
    "step": Schedule(fall=lambda done, xp: xp.where(done < 0.5, 1.0, xp.where(done < 0.75, 0.1, 0.01))),
    # A tenth at 30, 60 and 90 %: Kolesnikov et al. 2020 (arXiv:1912.11370), section 3.3.
    "bit": Schedule(
        fall=lambda done, xp: xp.where(done < 0.3, 1.0, xp.where(done < 0.6, 0.1, xp.where(done < 0.9, 0.01, 0.001)))
    ),
    # Smith and Topin 2019 (arXiv:1708.07120) with fastai's cosine annealing: from 1/25 up, then down to 1/250,000.
    "one_cycle": Schedule(
        fall=lambda done, xp: 4e-6 + (1.0 - 4e-6) * 0.5 * (1.0 + xp.cos(math.pi * done)),
        rise=_cosine_rise,
        start=0.04,
        warmup=0.3,
    ),
}


@dataclass(frozen=True, kw_only=True)
class RateByStep:
    """The learning rate of a phase.

    Attributes:
        peak: The recipe's learning rate.
        schedule: A name in `SCHEDULES`.
        steps: Optimizer steps of the whole phase.
        warmup: The recipe's share of them that warm up; 0 takes the schedule's own.
    """

    peak: float
    schedule: str
    steps: int
    warmup: float = 0.0

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps over which the rate first rises."""
        return round((self.warmup or SCHEDULES[self.schedule].warmup) * self.steps)

    def at(self, step: Any, xp: Any = np) -> Any:
        """Returns the rate at a step of the phase, counted from 0."""
        schedule = SCHEDULES[self.schedule]
        rising = schedule.start + (1.0 - schedule.start) * schedule.rise(step / max(1, self.warmup_steps), xp)
        falling = schedule.fall(
            xp.clip((step - self.warmup_steps) / max(1, self.steps - self.warmup_steps), 0.0, 1.0), xp
        )
        return self.peak * xp.where(step < self.warmup_steps, rising, falling)

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


_RATES: dict[str, type[RateByStep] | type[RisingRate]] = {rate.__name__: rate for rate in (RateByStep, RisingRate)}


@keras.saving.register_keras_serializable(package="zoo")
class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rate by step as a Keras optimizer takes it; it can be saved and loaded as Keras' own can."""

    def __init__(self, rate: RateByStep | RisingRate) -> None:
        super().__init__()
        self._rate = rate

    def __call__(self, step: Any) -> Any:
        """Returns the rate at a step of the phase, counted from 0."""
        return self._rate.at(keras.ops.cast(step, "float32"), keras.ops)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` rebuilds it from, as plain data."""
        return {"kind": type(self._rate).__name__, **asdict(self._rate)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KerasSchedule":
        """Rebuilds it from what `get_config` returned."""
        settings = dict(config)
        return cls(_RATES[settings.pop("kind")](**settings))
