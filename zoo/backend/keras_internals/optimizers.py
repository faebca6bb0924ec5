"""What Keras' optimizers keep to themselves, and the steps of an update that zoo overrides.

Keras has no public way to give each variable its own rate, decay and moving average (asked for in
https://github.com/keras-team/keras/issues/11934); `update_step` is the only public step of an update. All names are
those of https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/base_optimizer.py.
"""

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zoo.backend.keras_internals.guard import private, unsupported

SOURCE = "keras/src/optimizers/base_optimizer.py"
# Methods that an optimizer of zoo overrides, with their arguments. A hook that has another name is never called, and
# training goes on without it; therefore `require_hooks` counts the calls.
HOOKS: dict[str, tuple[str, ...]] = {
    "_filter_empty_gradients": ("grads", "vars"),
    "_apply_weight_decay": ("variables",),
    "_update_model_variables_moving_average": ("trainable_variables",),
}

UPDATE_STEP = "update_step"


def inner_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer inside the one that mixed_float16 wraps around it to scale the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def applied_batches(optimizer: Any) -> Any:
    """Returns the variable that counts the calls of `apply`.

    The public `iterations` is divided by the batches of a step where gradients are accumulated.
    """
    return private(optimizer, "_iterations", source=SOURCE)


def trained_variables(optimizer: Any) -> Sequence[Any]:
    """Returns the variables that an optimizer was built for, in the order of its slots; no public name has them."""
    return private(optimizer, "_trainable_variables", source=SOURCE)


def variable_index(optimizer: Any, variable: Any) -> int:
    """Returns a variable's place among those that the optimizer was built for.

    TensorFlow's `update_step` gets the tf.Variable inside of Keras' variable, so that no list of ours would find it.
    """
    return private(optimizer, "_get_variable_index", source=SOURCE)(variable)


def has_weight_decay(optimizer: Any, variable: Any) -> bool:
    """Returns whether `exclude_from_weight_decay`, which has no public counterpart, left a variable in."""
    return private(optimizer, "_use_weight_decay", source=SOURCE)(variable)


def moving_averages(optimizer: Any) -> Sequence[Any]:
    """Returns the moving average of each trained variable, in their order; empty where none are kept."""
    return private(optimizer, "_model_variables_moving_average", source=SOURCE) if optimizer.use_ema else ()


def name_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Names the slots of a built optimizer that Keras leaves without names of their own, by what they belong to.

    State is kept by name. Adafactor calls its factors of every kernel `kernel`:
    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/adafactor.py

    Args:
        optimizer: Its lists of slots are in the order of the variables.
        variables: What it was built for.
    """
    counts = Counter(slot.path for slot in optimizer.variables)
    unnamed = {
        id(slot)
        for slot in optimizer.variables
        if counts[slot.path] > 1 or not slot.path.startswith(f"{optimizer.name}/")
    }
    for attribute, held in vars(optimizer).items() if unnamed else ():
        if isinstance(held, list) and len(held) == len(variables):
            slots: list[Any] = held
            for variable, slot in zip(variables, slots, strict=True):
                if id(slot) in unnamed:
                    private(slot, "_path", source="keras/src/backend/common/variables.py")
                    slot._path = f"{optimizer.name}/{variable.path.replace('/', '_')}_{attribute.strip('_')}"


@functools.cache
def require_hooks(base: type[Any], **options: Any) -> None:
    """Makes sure that Keras calls what zoo overrides in an optimizer: each hook in one update of one variable.

    Args:
        base: The class that is derived from.
        **options: What its constructor needs, each value hashable.

    Raises:
        ZooError: A hook is missing, takes other arguments or is not called.
    """
    for hook, arguments in HOOKS.items():
        found = tuple(inspect.signature(private(base, hook, source=SOURCE)).parameters)[1:]
        if found != arguments:
            raise unsupported(
                f"{base.__name__}.{hook} takes ({', '.join(found)})",
                expected=f"({', '.join(arguments)})",
                source=SOURCE,
            )
    missed = set(HOOKS) - _hooks_called(base, options)
    if missed:
        raise unsupported(
            f"{base.__name__}.apply does not call {', '.join(sorted(missed))}", expected="one call each", source=SOURCE
        )


@functools.cache
def steps_missed(base: type[Any], **options: Any) -> frozenset[str]:
    """Returns what an optimizer class leaves out in one update of one variable: hooks, and `update_step`.

    Args:
        base: The class.
        **options: What its constructor needs, each value hashable.
    """
    return frozenset({*HOOKS, UPDATE_STEP} - _hooks_called(base, options))


def _hooks_called(base: type[Any], options: Mapping[str, Any]) -> set[str]:
    # A thread of its own is in no strategy's scope, where a step outside of `fit` fails.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(_hooks_called_here, base, options).result()


def _hooks_called_here(base: type[Any], options: Mapping[str, Any]) -> set[str]:
    import keras
    import numpy as np

    called: set[str] = set()

    def counting(hook: str) -> Callable[..., Any]:
        def count(self: Any, *arguments: Any) -> Any:
            called.add(hook)
            return getattr(base, hook)(self, *arguments)

        return count

    counted: Any = type(base.__name__, (base,), {hook: counting(hook) for hook in (*HOOKS, UPDATE_STEP)})
    # A tensor for its first value: an initializer's name would draw from Python's random numbers.
    variable: Any = keras.Variable(np.ones((2, 2), "float32"), name="checked")
    optimizer = counted(0.5, weight_decay=0.5, use_ema=True, name="checked", **options)
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones((2, 2))], [variable])
    return called
