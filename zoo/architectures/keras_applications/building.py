"""Builds a model of `keras.applications` by Keras' own function, on our pixels."""

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.architectures.keras_applications.families import Family
from zoo.architectures.keras_applications.pixels import normalise
from zoo.backend.keras_internals.process_state import name_counts
from zoo.errors import ZooError
from zoo.registry import Builder, Card

if TYPE_CHECKING:
    from keras import KerasTensor


def builder(family: Family) -> Builder:
    """Returns the builder of a family's variants, under the names that a fresh session would give."""

    def build(
        inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None, **options: object
    ) -> "KerasTensor":
        return _build(family, card.name, inputs, classes=classes, dropout=dropout, options=options)

    return build


def _build(
    family: Family,
    name: str,
    inputs: "KerasTensor",
    *,
    classes: int,
    dropout: float | None,
    options: Mapping[str, object],
) -> "KerasTensor":
    import keras

    alpha: Any = options.get("alpha", 1.0)
    if alpha <= 0:
        raise ZooError(f"build: option alpha of model '{name}' is {alpha!r}; expected a width above 0")
    variant = family.variants[name]
    function = getattr(keras.applications, variant.function)
    with _names_from_zero(), _sequentials_laid_flat(function), warnings.catch_warnings():
        # Keras warns of inputs that are neither grey nor RGB; see the README on channels.
        warnings.filterwarnings("ignore", message="This model usually expects")
        graph = function(
            weights=None,
            input_tensor=normalise(inputs, variant.pixels or family.pixels),
            input_shape=tuple(inputs.shape[1:]),
            classes=classes,
            classifier_activation=None,
            **family.arguments,
            **options,
        )
    rate = variant.dropout if dropout is None else dropout
    if family.dropout_layer:
        graph.get_layer(family.dropout_layer).rate = rate
    elif rate:
        features = graph.get_layer(family.classifier).input
        dropped = keras.layers.Dropout(rate, name="head_dropout")(features)
        return keras.layers.Dense(classes, name=family.classifier)(dropped)
    return graph.output


@contextlib.contextmanager
def _names_from_zero() -> Generator[None]:
    """Lets Keras count `conv2d`, `conv2d_1`, ... from the start, so that a model's names do not depend on others.

    Weights are found by name.
    """
    counts = name_counts()
    before = dict(counts)
    counts.clear()
    try:
        yield
    finally:
        counts.clear()
        counts.update(before)


class _Chain:
    """Calls layers one after the other, as a Sequential does, but leaves them in the graph they are called in."""

    def __init__(self, layers: Sequence[Any], name: str) -> None:
        self._layers = layers

    def __call__(self, inputs: "KerasTensor") -> "KerasTensor":
        return functools.reduce(lambda tensor, layer: layer(tensor), self._layers, inputs)


@contextlib.contextmanager
def _sequentials_laid_flat(function: Callable[..., Any]) -> Generator[None]:
    """Keeps ConvNeXt flat, whose stem and downsampling are nested models in Keras: stages cut between layers."""
    module = sys.modules[function.__module__]
    nested = getattr(module, "Sequential", None)
    if nested is None:
        yield
        return
    module.Sequential = _Chain  # pyright: ignore[reportAttributeAccessIssue]: a module of Keras
    try:
        yield
    finally:
        module.Sequential = nested  # pyright: ignore[reportAttributeAccessIssue]
