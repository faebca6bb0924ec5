"""What a checkpoint keeps of a model and of its training, read from them and put back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.backend.distribution.copies import assign_each, first_copy
from zoo.errors import RunError
from zoo.models.arrays import array_of, arrays_of, by_path, seed_states
from zoo.models.weights import finalize_state
from zoo.runs.checkpoint import AS_TRAINED, OF_AN_EPOCH, Checkpoint


def restore_weights(model: Any, source: Checkpoint) -> None:
    """Puts a checkpoint's weights into a model.

    Raises:
        RunError: They are damaged, or belong to another model.
    """
    arrays = source.model_arrays()
    if set(arrays) != {weight.path for weight in model.weights}:
        raise RunError(f"{source.path}: belongs to another model than {model.name}")
    for weight in model.weights:
        weight.assign(arrays[weight.path])
    finalize_state(model)


def saved_weights(
    model: Any, averages: Mapping[str, Any], *, known: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Reads the weights that a kept model has: the moving average of a weight where there is one, else the weight.

    Args:
        model: The whole model.
        averages: By the path of the weight.
        known: Weights that are taken from here and not read.
    """
    known = known or {}
    weights = {path: averages.get(path, weight) for path, weight in by_path(model.weights).items()}
    return {path: known[path] if path in known else array_of(weight) for path, weight in weights.items()}


def weights_outside(model: Any, training_model: Any) -> dict[str, np.ndarray]:
    """Copies the weights that a training model does not hold: those of a frozen prefix that was run before."""
    held = {weight.path for weight in training_model.weights}
    return {path: array.copy() for path, array in arrays_of(w for w in model.weights if w.path not in held).items()}


def training_state(model: Any, optimizer: Any, averages: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads all that training needs beside `saved_weights`.

    That is: optimizer variables by path; the weights themselves where `saved_weights` has their averages; and seed
    generators by number.
    """
    return {name: array_of(variable) for name, variable in _state_variables(model, optimizer, averages).items()}


def restore_training_state(
    model: Any, optimizer: Any, averages: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Puts back what `training_state` read; the optimizer must be built.

    Raises:
        RunError: The state belongs to another model or optimizer.
    """
    variables = _state_variables(model, optimizer, averages)
    if differing := sorted(set(variables) ^ {name for name in arrays if not name.startswith(OF_AN_EPOCH)}):
        raise RunError(
            f"the checkpoint's state belongs to another training: {len(differing)} entries differ, {differing[0]} first"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _state_variables(model: Any, optimizer: Any, averages: Mapping[str, Any]) -> dict[str, Any]:
    variables = {f"optimizer/{path}": variable for path, variable in by_path(optimizer.variables).items()}
    variables |= {f"{AS_TRAINED}{weight.path}": weight for weight in model.weights if weight.path in averages}
    # In the order of the graph, since their own names count up from process to process.
    states = [state for layer in model.layers for state in seed_states(layer)]
    return variables | {f"seed/{number}": state for number, state in enumerate(states)}


def epoch_state(training_model: Any, augmentation_layers: Sequence[Any]) -> dict[str, np.ndarray]:
    """Reads what an epoch that has begun needs beside: its metrics so far, and what augmentation draws next."""
    variables = _epoch_variables(training_model, augmentation_layers)
    return {name: first_copy(variable) for name, variable in variables.items()}


def restore_epoch_state(
    training_model: Any, augmentation_layers: Sequence[Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Puts back what `epoch_state` read, after the epoch has begun anew.

    Raises:
        RunError: The state belongs to another training.
    """
    variables = _epoch_variables(training_model, augmentation_layers)
    if differing := sorted(set(variables) ^ {name for name in arrays if name.startswith(OF_AN_EPOCH)}):
        raise RunError(f"the checkpoint's state belongs to another training: {differing[0]} differs")
    for name, variable in variables.items():
        assign_each(variable, arrays[name])


def _epoch_variables(training_model: Any, augmentation_layers: Sequence[Any]) -> dict[str, Any]:
    seeds = [state for layer in augmentation_layers for state in seed_states(layer)]
    return {
        **{
            f"{OF_AN_EPOCH}metric/{number}": variable
            for number, variable in enumerate(training_model.metrics_variables)
        },
        **{f"{OF_AN_EPOCH}augmentation/{number}": state for number, state in enumerate(seeds)},
    }
