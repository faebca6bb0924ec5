"""Numbers of one model taken over by another of its architecture: what fits, and which classifier is new."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.backend.keras_internals.graphs import producer
from zoo.errors import WeightsError
from zoo.freezing.stages import HEAD, stages
from zoo.models.blueprint import blueprint_of
from zoo.models.weights import load_into

if TYPE_CHECKING:
    import keras
    import numpy as np

RGB = 3
PROBABILITIES = "probabilities"


class NewClassifierWarning(UserWarning):
    """The classifier that weights on disk hold was not taken, so that a new one is to be trained."""


def warn_of_new_classifier(path: Path | None, why: str, names: Sequence[str]) -> None:
    """Says, to who calls `build`, that the classifier in a file or folder is left there."""
    warnings.warn(
        f"build: {path}: {why}: the classifier for {len(names)} classes is new, with random numbers",
        NewClassifierWarning,
        stacklevel=3,
    )


def take_over(model: "keras.Model", arrays: "Mapping[str, np.ndarray]", *, keep_classifier: bool, origin: str) -> bool:
    """Assigns the numbers of a model of the same architecture.

    Args:
        model: Just built.
        arrays: By the paths of its weights.
        keep_classifier: Whether the classifier is taken over too; a new one keeps the numbers that it was built with.
        origin: Where the numbers are from, for messages.

    Returns:
        Whether any layer keeps the numbers that it was built with.

    Raises:
        WeightsError: They do not fit.
    """
    classifier = classifier_of(model).name
    arrays = _with_more_channels(model, arrays)
    if not keep_classifier:
        arrays = {path: array for path, array in arrays.items() if not path.startswith(f"{classifier}/")}
    head = [layer.name for stage in stages(model) if stage.name == HEAD for layer in stage.layers]
    # A hidden dense layer of the head is new where another input size changes its shape; nothing else may be.
    fresh = load_into(model, arrays, may_be_new=head, origin=origin)
    if keep_classifier and classifier in fresh:
        raise WeightsError(f"{origin} hold no classifier for {len(blueprint_of(model).classes)} classes")
    return bool(fresh)


def _with_more_channels(model: "keras.Model", arrays: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
    """Fits RGB weights to inputs of more channels.

    The stem's kernel starts at zero for every further channel, so that an image gives at first what its red, green and
    blue give; a normalisation that belongs to the weights treats it as the mean of the three.
    """
    import numpy as np

    fitted = dict(arrays)
    blueprint = blueprint_of(model)
    channels = blueprint.input_shape[-1]
    if channels <= RGB or blueprint.card.input_shape[-1] != RGB:
        return fitted
    stem = next(layer for layer in model.layers if hasattr(layer, "kernel"))
    for layer in model.layers[: model.layers.index(stem) + 1]:
        for weight in layer.weights:
            array = fitted.get(weight.path)
            if array is None or tuple(array.shape) == tuple(weight.shape):
                continue
            if array.ndim == 4 and array.shape[2] == RGB:
                fitted[weight.path] = np.pad(array, ((0, 0), (0, 0), (0, channels - RGB), (0, 0)))
            elif array.shape == (RGB,):
                fitted[weight.path] = np.concatenate([array, np.repeat(array.mean(), channels - RGB)]).astype(
                    array.dtype
                )
    return fitted


def classifier_of(model: "keras.Model") -> "keras.layers.Layer":
    """Returns the layer that gives the logits which the softmax takes; some families reshape them in between."""
    operation = producer(model.get_layer(PROBABILITIES).input)
    while not getattr(operation, "weights", ()):
        operation = producer(operation.input)
    return operation


def has_classifier(model: "keras.Model", arrays: "Mapping[str, np.ndarray]") -> bool:
    """Whether numbers hold a classifier of the model's shape."""
    return all(
        weight.path in arrays and tuple(arrays[weight.path].shape) == tuple(weight.shape)
        for weight in classifier_of(model).weights
    )
