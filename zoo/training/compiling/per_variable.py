"""Optimizers that treat each variable by its own rate and age, derived from Keras' own."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.backend.distribution.copies import first_copy
from zoo.backend.keras_internals import fused_adam, native_operations
from zoo.backend.keras_internals import optimizers as internals
from zoo.errors import RecipeError
from zoo.freezing.contract import contract_error

if TYPE_CHECKING:
    KerasOptimizer = keras.optimizers.Optimizer
else:
    KerasOptimizer = object  # the class that is derived from comes after it

STEPS_BEFORE = "steps_before"


class PerVariable(KerasOptimizer):
    """What an optimizer does for each variable by itself, laid over the class that it is derived from.

    Attributes:
        factors: What the rate is multiplied by, by the path of a variable; 1 for all others.
        phase_name: The phase that it trains, for messages.
        first_step: Steps of the phases before: who looks at `iterations` from outside sees those of the run.
        steps_before: int[variables], the age of each at the phase's first step.
    """

    factors: Mapping[str, float] = {}
    phase_name = ""
    first_step = 0

    def build(self, variables: Sequence[Any]) -> None:
        """Makes the slots of the variables that train, and their ages."""
        if self.built:
            return
        super().build(variables)
        internals.name_slots(self, variables)
        self._factors = [self.factors.get(variable.path, 1.0) for variable in variables]
        self.steps_before = self.add_variable((len(variables),), dtype=self.steps_in_phase.dtype, name=STEPS_BEFORE)

    @property
    def iterations(self) -> Any:
        """Steps of the run."""
        return self.steps_in_phase + self.first_step if self.first_step else self.steps_in_phase

    @property
    def steps_in_phase(self) -> Any:
        """Steps of this phase."""
        return super().iterations

    def age(self, variable: Any) -> Any:
        """Returns the steps that a variable was trained for without a break."""
        return self.steps_in_phase + self.steps_before[internals.variable_index(self, variable)]

    @property
    def learning_rate(self) -> Any:
        """The rate of the moment, before factors."""
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise RecipeError(
            f"phase '{self.phase_name}': a callback sets the learning rate to {value}, which the recipe decides; "
            f"change the recipe instead: --set phases.{self.phase_name}.learning_rate=... or .schedule=..."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what Keras alone can rebuild it from."""
        # A file that a callback saves is loaded by Keras alone, which does not know our schedules.
        return {**super().get_config(), "learning_rate": float(read(self.learning_rate))}

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables by their numbers, as the class that it is derived from reads them."""
        # As the base class lays them out: it has a variable for its rate, and none for ages.
        iterations, *others = [read(each) for each in self.variables if each is not self.steps_before]
        age = int(read(self.steps_before).max(initial=0))
        rate = np.float32(read(self.learning_rate))
        for number, value in enumerate([iterations + np.asarray(age, iterations.dtype), rate, *others]):
            store[str(number)] = value

    def _filter_empty_gradients(self, grads: Sequence[Any], vars: Sequence[Any]) -> Any:
        # Keras warns and trains the others. JAX has zeros for what the loss does not depend on, and none is empty.
        empty = [variable.path for gradient, variable in zip(grads, vars, strict=True) if gradient is None]
        if empty:
            raise contract_error(self.phase_name, empty, "to be trained, yet have no gradient")
        return super()._filter_empty_gradients(grads, vars)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable, by its own rate and at its own age."""
        factor = self._factors[internals.variable_index(self, variable)]
        rate = learning_rate if factor == 1.0 else learning_rate * factor
        seen = self._at_age(self.age(variable))
        if native_operations.is_used() and fused_adam.is_known(seen):
            fused_adam.update(seen, gradient, variable, rate)
        else:
            seen.update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        # Keras shrinks all by one rate; the decay of a slow stage has to be as slow as its steps.
        if self.weight_decay is None:
            return
        for variable in variables:
            if internals.has_weight_decay(self, variable):
                factor = self._factors[internals.variable_index(self, variable)]
                shrink = keras.ops.cast(self.learning_rate, variable.dtype) * (self.weight_decay * factor)
                variable.assign(variable - variable * shrink)

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        # Keras begins every average anew at step 0, and updates it by batches where gradients are accumulated.
        every = self.gradient_accumulation_steps or 1
        is_step = (internals.applied_batches(self) + 1) % every == 0
        for variable, average in zip(trainable_variables, internals.moving_averages(self), strict=True):
            has_begun = keras.ops.not_equal(self.age(variable), 0)
            momentum = keras.ops.cast(has_begun, variable.dtype) * self.ema_momentum
            moved = momentum * average + (1 - momentum) * variable
            average.assign(
                moved if every == 1 else keras.ops.where(is_step, moved, keras.ops.convert_to_tensor(average))
            )

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Leaves the weights as they are."""
        # Keras puts the averages into the model when `fit` ends; training may go on in another phase.

    def _at_age(self, age: Any) -> Any:
        """Returns the optimizer as one variable sees it: all that it holds, and for `iterations` the variable's age."""
        derived: Any = type(self)
        seen = object.__new__(_seen_from_a_variable(derived))
        # Past Keras' `__setattr__`, which would take the age for one of the optimizer's own variables.
        seen.__dict__.update(vars(self), iterations=age)
        return seen


def per_variable(base: type[Any], **options: Any) -> type[Any]:
    """Derives an optimizer class that treats each variable by its own rate and age.

    A variable's age is the number of steps that it was trained for without a break, in this phase and those before, as
    long as its slots were carried over. Where Keras corrects the bias of an average by the step, it is by the age, so
    that phases that train the same with the same rate are one training, bit by bit, and what is new begins as new.

    Args:
        base: A class of Keras, or of a plug-in.
        **options: What its constructor takes beside what all of Keras' take; their values are hashable.

    Raises:
        ZooError: The installed release of Keras does not call what is overridden here.
    """
    internals.require_hooks(base, **options)
    return _derived(base)


@functools.cache
def _derived(base: type[Any]) -> type[Any]:
    # Keras saves it as what it is based on.
    module = "keras.optimizers" if base.__module__.startswith("keras.") else base.__module__
    return type(base.__name__, (PerVariable, base), {"__module__": module})


@functools.cache
def _seen_from_a_variable(derived: type[Any]) -> type[Any]:
    """Returns the class that an optimizer is derived from, with an attribute in place of the property `iterations`."""
    return type(derived.__name__, derived.__bases__[1:], {"iterations": None})


def read(value: Any) -> np.ndarray:
    """Reads a variable by its value, since Keras' Variable warns when NumPy 2 reads it."""
    return first_copy(value) if isinstance(value, keras.Variable) else np.asarray(value)


class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' own, which saves what it wraps as that saves itself."""

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables by their numbers, as Keras reads them."""
        inner: dict[str, Any] = {}
        self.inner_optimizer.save_own_variables(inner)
        of_inner = {id(variable) for variable in self.inner_optimizer.variables}
        own = [read(variable) for variable in self.variables if id(variable) not in of_inner]
        for number, value in enumerate([*own, *inner.values()]):
            store[str(number)] = value


# Keras saves it as what it is based on.
LossScaleOptimizer.__module__ = "keras.optimizers"
