"""The frozen prefix of a model: all that comes before what a phase trains, and gives the same for the same image."""

from dataclasses import dataclass
from typing import Any

import keras

from zoo.freezing.plans import moves
from zoo.freezing.stages import HEAD, legal_cuts, stages


@dataclass(frozen=True)
class Prefix:
    """The frozen part of a model, split off.

    Attributes:
        cut: The name of its last layer; every path through the model crosses its output.
        prefix: From pixels to that output. It is run in inference mode: BatchNorm by its statistics, dropout and
            stochastic depth off.
        suffix: From there to the probabilities; it shares the model's layers.
        silenced: Names of layers that would draw random numbers in training and do not, since their stage is frozen.
    """

    cut: str
    prefix: keras.Model
    suffix: keras.Model
    silenced: tuple[str, ...]


def frozen_prefix(model: keras.Model) -> Prefix | None:
    """Splits a model above the last place below which nothing is trained; None where there is no such place.

    Layers of a stage that is partly trained may belong to it, such as the pooling of a head, but not those that draw
    random numbers: they go on to do so.
    """
    parts = stages(model)
    stage_of = {layer.name: stage.name for stage in parts for layer in stage.layers}
    trained = {stage.name for stage in parts if any(moves(layer) for layer in stage.layers)} | {HEAD}
    cuts = set(legal_cuts(model))
    last: Any = None
    has_weights = False
    drawing: list[str] = []
    silenced: tuple[str, ...] = ()
    for operation in _operations(model):
        if moves(operation):
            break
        if _draws(operation):
            if stage_of[operation.name] in trained:
                break
            drawing.append(operation.name)
        has_weights = has_weights or bool(getattr(operation, "weights", ()))
        if has_weights and operation.name in cuts:
            last, silenced = operation, tuple(drawing)
    if last is None:
        return None
    return Prefix(
        cut=last.name,
        prefix=keras.Model(model.input, last.output, name="prefix"),
        suffix=keras.Model(last.output, model.output, name="suffix"),
        silenced=silenced,
    )


def _operations(model: Any) -> list[Any]:
    return model.operations


def _draws(layer: Any) -> bool:
    weights = {id(weight) for weight in getattr(layer, "weights", ())}
    return any("seed" in state.path for state in getattr(layer, "variables", ()) if id(state) not in weights)
