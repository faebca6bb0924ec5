"""The frozen prefix of a model: all that comes before what a phase trains, and gives the same for the same image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from zoo.freezing.graphs import legal_cuts, operations_of
from zoo.freezing.plans import is_trained
from zoo.freezing.stages import HEAD, stages
from zoo.models.arrays import seed_states


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
    trained = {stage.name for stage in parts if any(is_trained(layer) for layer in stage.layers)} | {HEAD}
    cuts = set(legal_cuts(model))
    last: Any = None
    has_weights = False
    random: list[str] = []
    silenced: tuple[str, ...] = ()
    for operation in operations_of(model):
        if is_trained(operation):
            break
        if seed_states(operation):
            if stage_of[operation.name] in trained:
                break
            random.append(operation.name)
        has_weights = has_weights or bool(getattr(operation, "weights", ()))
        if has_weights and operation.name in cuts:
            last, silenced = operation, tuple(random)
    if last is None:
        return None
    return Prefix(
        cut=last.name,
        prefix=keras.Model(model.input, last.output, name="prefix"),
        suffix=keras.Model(last.output, model.output, name="suffix"),
        silenced=silenced,
    )


def joined(prefixes: Sequence[Prefix]) -> keras.Model:
    """Returns a model that gives what each of some prefixes of one model gives, an output each, in one pass."""
    if len(prefixes) == 1:
        return prefixes[0].prefix
    return keras.Model(prefixes[0].prefix.input, [each.prefix.output for each in prefixes], name="prefix")


def is_run_apart(prefix: Prefix | None) -> bool:
    """Returns whether a prefix has to be run apart in training, in inference mode; else the model gives the same."""
    return prefix is not None and bool(prefix.silenced)


def through(model: keras.Model, prefix: Prefix | None, x: Any) -> Any:
    """Passes a tensor of pixels through a model as a phase trains it, with its frozen prefix in inference mode."""
    return prefix.suffix(prefix.prefix(x, training=False)) if prefix and is_run_apart(prefix) else model(x)
