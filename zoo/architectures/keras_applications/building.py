"""Builds a model of `keras.applications` by Keras' own function, on our pixels."""

import contextlib
import threading
import warnings
from collections.abc import Generator, Mapping
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
    with _names_from_zero(), _channels_unremarked(inputs.shape[-1]):
        normalised = normalise(inputs, variant.pixels or family.pixels)
        if family.graph is not None:
            graph: Any = family.graph(normalised, name=name, classes=classes)
        else:
            graph = getattr(keras.applications, variant.function)(
                weights=None,
                input_tensor=normalised,
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


# A filter of warnings is the whole process's.
_FILTERING = threading.Lock()


@contextlib.contextmanager
def _channels_unremarked(channels: int) -> Generator[None]:
    """Leaves out Keras' warning of inputs that are neither grey nor RGB; see the README on channels."""
    if channels in (1, 3):
        yield
        return
    with _FILTERING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This model usually expects")
        yield


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
