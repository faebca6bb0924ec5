"""Optimizers by name, with what Keras' own lack: a rate for each stage, and slots that live from phase to phase."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from zoo.errors import RecipeError
from zoo.freezing.plans import violation
from zoo.recipe.schema import Phase
from zoo.training.compiling.schedules import RateByStep, RisingRate

MOMENTUM = 0.9
# What belongs to one phase: its step counter, its rate, gradients that were not applied, and the ages below.
OF_ONE_PHASE = ("iteration", "learning_rate", "gradient_accumulator", "steps_before")


def by_variable(base: type[Any]) -> type[Any]:
    """Derives an optimizer class that treats each variable by its own rate and age.

    A variable's age is the number of steps that it was trained in the phases before, when its slots were carried over.
    Adam corrects the bias of its averages by the age and the step together, so that phases that train the same with
    the same rate are one training, bit by bit, and what is new begins as new.
    """

    class ByVariable(base):
        factors: Mapping[str, float] = {}
        phase_name = ""
        # Steps of the phases before: who looks at `iterations` from outside sees those of the run.
        first_step = 0
        _at: Any = None

        def build(self, variables: Sequence[Any]) -> None:
            if self.built:
                return
            super().build(variables)
            self._factors = [self.factors.get(variable.path, 1.0) for variable in variables]
            self.steps_before = self.add_variable((len(variables),), dtype=self._iterations.dtype, name="steps_before")

        @property
        def iterations(self) -> Any:
            step = super().iterations
            if self._at is not None:
                return step + self.steps_before[self._at]
            return step + self.first_step if self.first_step else step

        def _refuse_rate(self, value: Any) -> None:
            raise RecipeError(
                f"phase '{self.phase_name}': a callback sets the learning rate to {value}, which the recipe decides; "
                f"change the recipe instead: --set phases.{self.phase_name}.learning_rate=... or .schedule=..."
            )

        learning_rate = base.learning_rate.setter(_refuse_rate)

        def get_config(self) -> dict[str, Any]:
            # A file that a callback saves is loaded by Keras alone, which does not know our schedules.
            return {**super().get_config(), "learning_rate": float(_read(self.learning_rate))}

        def save_own_variables(self, store: Any) -> None:
            # As the base class lays them out: it has a variable for its rate, and none for ages.
            iterations, *others = [_read(each) for each in self.variables if each is not self.steps_before]
            age = int(_read(self.steps_before).max(initial=0))
            rate = np.float32(_read(self.learning_rate))
            for number, value in enumerate([iterations + np.asarray(age, iterations.dtype), rate, *others]):
                store[str(number)] = value

        def _filter_empty_gradients(self, grads: Sequence[Any], vars: Sequence[Any]) -> Any:
            # Keras warns and trains the others. JAX has zeros for what the loss does not depend on, and none is empty.
            empty = [variable.path for gradient, variable in zip(grads, vars, strict=True) if gradient is None]
            if empty:
                raise violation(self.phase_name, empty, "to be trained, yet have no gradient")
            return super()._filter_empty_gradients(grads, vars)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self._at = self._get_variable_index(variable)
            factor = self._factors[self._at]
            try:
                super().update_step(gradient, variable, learning_rate if factor == 1.0 else learning_rate * factor)
            finally:
                self._at = None

        def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
            # Keras shrinks all by one rate; the decay of a slow stage has to be as slow as its steps.
            for variable in variables if self.weight_decay is not None else ():
                if self._use_weight_decay(variable):
                    factor = self._factors[self._get_variable_index(variable)]
                    shrink = keras.ops.cast(self.learning_rate, variable.dtype) * (self.weight_decay * factor)
                    variable.assign(variable - variable * shrink)

        def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
            # Keras begins every average anew at step 0, and moves it by batches where gradients are accumulated.
            every = self.gradient_accumulation_steps or 1
            is_step = (self._iterations + 1) % every == 0
            for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
                age = super().iterations + self.steps_before[self._get_variable_index(variable)]
                momentum = keras.ops.cast(keras.ops.not_equal(age, 0), variable.dtype) * self.ema_momentum
                moved = momentum * average + (1 - momentum) * variable
                average.assign(moved if every == 1 else keras.ops.where(is_step, moved, average))

        def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
            # Keras puts the averages into the model when `fit` ends; training may go on in another phase.
            pass

    # Keras saves it as what it is based on.
    ByVariable.__name__, ByVariable.__module__ = base.__name__, "keras.optimizers"
    return ByVariable


AdamW, Adam, SGD = (by_variable(base) for base in (keras.optimizers.AdamW, keras.optimizers.Adam, keras.optimizers.SGD))


class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' own, which saves what it wraps as that saves itself."""

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables by their numbers, as Keras reads them."""
        inner: dict[str, Any] = {}
        self.inner_optimizer.save_own_variables(inner)
        for number, value in enumerate([*map(_read, self._variables), *inner.values()]):
            store[str(number)] = value


# Keras saves it as what it is based on.
LossScaleOptimizer.__module__ = "keras.optimizers"

# Each takes a learning-rate schedule, the weight decay and further settings.
OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adamw": lambda rate, decay, **settings: AdamW(rate, weight_decay=decay, name="adamw", **settings),
    "adam": lambda rate, decay, **settings: Adam(rate, weight_decay=decay or None, name="adam", **settings),
    "sgd": lambda rate, decay, **settings: SGD(
        rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay or None, name="sgd", **settings
    ),
}


def build_optimizer(
    phase: Phase,
    rate: RateByStep | RisingRate,
    *,
    model: keras.Model,
    factors: Mapping[str, float] | None = None,
    ema: float = 0.0,
    accumulate: int = 1,
    clip_norm: float = 0.0,
) -> keras.optimizers.Optimizer:
    """Builds a phase's optimizer; weight decay leaves out biases and normalisation, which are vectors.

    Under mixed_float16 it is wrapped in one that scales the loss, so that small gradients do not become 0.

    Args:
        phase: The recipe's phase.
        rate: Its learning rate by step.
        model: Its trainable set is already that of the phase.
        factors: What the rate is multiplied by, by the path of a variable; 1 for all others.
        ema: Momentum of the moving average of the weights that the optimizer keeps; 0 keeps none.
        accumulate: Batches whose mean gradient makes one step.
        clip_norm: Largest global norm of the gradient; 0 leaves it as it is.
    """
    settings: dict[str, Any] = {"use_ema": True, "ema_momentum": ema} if ema else {}
    if accumulate > 1:
        settings["gradient_accumulation_steps"] = accumulate
    if clip_norm:
        settings["global_clipnorm"] = clip_norm
    optimizer: Any = OPTIMIZERS[phase.optimizer](rate.for_optimizer(), phase.weight_decay, **settings)
    optimizer.factors = dict(factors or {})
    optimizer.phase_name = phase.name
    if phase.weight_decay:
        vectors = [weight for weight in model.trainable_weights if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=vectors)
    if model.dtype_policy.name == "mixed_float16":
        return LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
    return optimizer


@dataclass(frozen=True)
class Memory:
    """What an optimizer knows of the variables that it trained.

    Attributes:
        slots: Its variables by path; the path names optimizer, variable and slot.
        steps: By a variable's path: the steps that it was trained without a break.
        averages: Its moving average by a variable's path; empty where none is kept.
    """

    slots: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    steps: dict[str, int] = field(default_factory=dict[str, int])
    averages: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


def remember(optimizer: Any) -> Memory:
    """Reads what the next phase's optimizer can go on with."""
    inner = inner_optimizer(optimizer)
    steps = int(_read(inner.iterations)) - inner.first_step
    before = _read(inner.steps_before)
    return Memory(
        slots={
            variable.path: _read(variable).copy()
            for variable in optimizer.variables
            if not variable.name.endswith(OF_ONE_PHASE)
        },
        steps={weight.path: int(age) + steps for weight, age in zip(inner._trainable_variables, before, strict=True)},
        averages={path: _read(average).copy() for path, average in moving_averages(optimizer).items()},
    )


def _read(value: Any) -> np.ndarray:
    # By its value, since Keras' Variable warns when NumPy 2 reads it.
    return np.asarray(getattr(value, "value", value))


def take_averages(model: keras.Model, memory: Memory) -> None:
    """Gives each weight that is not trained any more its moving average, which is what was validated."""
    trained = {id(weight) for weight in model.trainable_weights}
    for weight in model.weights:
        if weight.path in memory.averages and id(weight) not in trained:
            weight.assign(memory.averages[weight.path])


def carry_over(optimizer: Any, memory: Memory) -> None:
    """Lets a built optimizer go on with the slots of the variables that the one before trained too.

    Another kind of optimizer has other slots: then all begin anew.
    """
    inner = inner_optimizer(optimizer)
    carried = [variable for variable in optimizer.variables if variable.path in memory.slots]
    for variable in carried:
        variable.assign(memory.slots[variable.path])
    if carried:
        inner.steps_before.assign([memory.steps.get(weight.path, 0) for weight in inner._trainable_variables])


def inner_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer inside the one that mixed_float16 wraps around it to scale the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def loss_scale(optimizer: Any) -> float | None:
    """Returns what mixed_float16 multiplies the loss by at the moment; None under the other policies."""
    scale = getattr(optimizer, "dynamic_scale", None)
    return None if scale is None else float(_read(scale))


def applied_steps(optimizer: Any) -> int:
    """Returns the steps of this phase that were taken; mixed_float16 skips those whose gradients are not finite."""
    return int(_read(inner_optimizer(optimizer)._iterations))


def moving_averages(optimizer: Any) -> dict[str, Any]:
    """Returns the moving average of each trained weight by the weight's path; empty where none is kept."""
    inner = inner_optimizer(optimizer)
    if not inner.use_ema:
        return {}
    return {
        weight.path: average
        for weight, average in zip(inner._trainable_variables, inner._model_variables_moving_average, strict=True)
    }
