"""What is trained and what is not: freezing by selectors, and the table that shows it."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from zoo.errors import ZooError, shown
from zoo.freezing.graphs import flat_operations, graph_of, is_layer, is_nested
from zoo.freezing.selectors import Selector, selected_layers
from zoo.freezing.stages import count_params, stages
from zoo.system.text_tables import table

if TYPE_CHECKING:
    import keras

BatchNormMode = Literal["frozen", "affine", "train"]
BATCHNORM_MODES: tuple[BatchNormMode, ...] = get_args(BatchNormMode)


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """What one stage does in a phase.

    Attributes:
        stage: The stage's name.
        layers: Number of its layers.
        params: Number of its parameters, BatchNorm statistics included.
        trainable_params: Those that gradients reach.
        state: `trainable`, `partly` or `frozen`, by its layers other than BatchNorm.
        batchnorm: The mode of its BatchNorm layers, `mixed`, or `-` where it has none.
        rate: The highest learning rate of a phase for it; None outside of a phase and where nothing is trained.
    """

    stage: str
    layers: int
    params: int
    trainable_params: int
    state: str
    batchnorm: str
    rate: float | None = None


@dataclass(frozen=True)
class Plan:
    """The freeze table of a model: one row a stage."""

    rows: tuple[PlanRow, ...]

    @property
    def trainable_params(self) -> int:
        """Parameters that gradients reach."""
        return sum(row.trainable_params for row in self.rows)

    def with_rates(self, rates: Mapping[str, float]) -> "Plan":
        """Returns the table with the learning rate of each stage that is trained."""
        return Plan(tuple(replace(row, rate=rates[row.stage] if row.trainable_params else None) for row in self.rows))

    def to_json(self) -> list[dict[str, Any]]:
        """Returns the rows as plain data."""
        return [asdict(row) for row in self.rows]

    def __str__(self) -> str:
        header, rows = self._cells()
        return table(header, rows, right=(1, 2, 3, 6))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Shows the table in a notebook."""
        header, rows = self._cells()
        lines = ["".join(f"<th>{escape(title)}</th>" for title in header)]
        lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    def _cells(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        has_rates = any(row.rate is not None for row in self.rows)
        rows = [
            (
                row.stage,
                f"{row.layers}",
                f"{row.params:,}",
                f"{row.trainable_params:,}",
                row.state,
                row.batchnorm,
                *([] if not has_rates else ["-" if row.rate is None else f"{row.rate:.3g}"]),
            )
            for row in self.rows
        ]
        header = ("stage", "layers", "params", "trainable", "state", "batchnorm", *(["rate"] if has_rates else []))
        return header, rows


def freeze(model: "keras.Model", selector: Selector = "!head") -> Plan:
    """Freezes the layers that a selector names, their BatchNorm statistics included; the others stay as they are.

    Compile the model afterwards: what an already compiled model trains does not change. It is warned of when nothing
    was frozen, or nothing is left to train and `all` was not asked for.

    Args:
        model: A functional model, or a Sequential that knows its input; models in it are looked into.
        selector: As for `zoo.freezing.selectors.select`, or a list of terms; by default all but the head.

    Returns:
        The table of stages as the model stands now.

    Raises:
        NotFoundError: The selector matches nothing.
        ZooError: The model's stages cannot be found, or an argument is of a wrong kind.

    Example:

        print(zoo.freeze(model, "stem,stage1"))
    """
    named = selected_layers(model, selector)
    for layer in named:
        _switch_off(layer)
    table = plan(model)
    if not any(layer.weights for layer in named):
        warnings.warn(
            f"freeze: selector {selector!r} names no layer with weights in model '{model.name}'; nothing is frozen",
            stacklevel=2,
        )
    elif not table.trainable_params and selector != "all":
        has_head = bool(table.rows[-1].params)
        why = (
            "; make a part trainable: zoo.unfreeze(model, 'head')" if has_head else ", which has no head; put one on it"
        )
        warnings.warn(f"freeze: nothing is left to train in model '{model.name}'{why}", stacklevel=2)
    return table


def unfreeze(model: "keras.Model", selector: Selector = "all", *, batchnorm: BatchNormMode = "frozen") -> Plan:
    """Makes the layers that a selector names trainable; the others stay as they are.

    Args:
        model: A functional model, or a Sequential that knows its input; models in it are looked into.
        selector: As for `zoo.freezing.selectors.select`, or a list of terms.
        batchnorm: What BatchNorm layers among them do: `frozen` keeps statistics and affine weights still, which
            fine-tuning on little data wants; `affine` trains gamma and beta only; `train` trains all of it.

    Returns:
        The table of stages as the model stands now.

    Raises:
        NotFoundError: The selector matches nothing.
        ZooError: The model's stages cannot be found, or an argument is of a wrong kind.

    Example:

        print(zoo.unfreeze(model, "stage3+", batchnorm="affine"))
    """
    # Anything may be given: an array is neither in a tuple nor out of it.
    given = cast(object, batchnorm)
    if not isinstance(given, str) or given not in BATCHNORM_MODES:
        raise ZooError(f"unfreeze: batchnorm is {shown(given)}; expected {', '.join(BATCHNORM_MODES)}")
    named = selected_layers(model, selector)
    _switch_on(model)
    for layer in named:
        if is_batchnorm(layer):
            _set_batchnorm(layer, batchnorm)
        else:
            layer.trainable = True
            if holds_batchnorm(layer):
                layer.batchnorm = batchnorm
    return plan(model)


def _switch_on(model: Any) -> None:
    """Switches on models whose own switch overrides those of their layers: all were frozen, whatever theirs say."""
    graph = graph_of(model)
    if not model.trainable:
        model.trainable = True
        for layer in flat_operations(graph):
            if is_layer(layer):
                _switch_off(layer)
    for operation in graph.operations:
        if is_nested(operation):
            _switch_on(operation)


def train_only(model: "keras.Model", selector: Selector, *, batchnorm: BatchNormMode) -> Plan:
    """Makes exactly the layers that a selector names trainable, and freezes all others."""
    for layer in layers_of(model):
        _switch_off(layer)
    return unfreeze(model, selector, batchnorm=batchnorm)


def plan(model: "keras.Model") -> Plan:
    """Returns the freeze table of a model as it stands."""
    trainable = {id(weight) for weight in model.trainable_weights}
    rows = [
        PlanRow(
            stage=stage.name,
            layers=len(stage.layers),
            params=sum(count_params(layer) for layer in stage.layers),
            trainable_params=sum(
                math.prod(weight.shape) for layer in stage.layers for weight in layer.weights if id(weight) in trainable
            ),
            state=_state(stage.layers),
            batchnorm=_common_mode([layer for layer in stage.layers if is_batchnorm(layer) or holds_batchnorm(layer)]),
        )
        for stage in stages(model)
    ]
    return Plan(tuple(rows))


def is_batchnorm(layer: Any) -> bool:
    """Returns whether a layer keeps running statistics as BatchNormalization does."""
    import keras

    return isinstance(layer, keras.layers.BatchNormalization)


def holds_batchnorm(layer: Any) -> bool:
    """Returns whether a layer is a whole network, such as a SavedModel, that answers for the BatchNorms inside it.

    Such a layer has an attribute `batchnorm`: the mode that it is in, None where it has none. Setting it is obeyed by a
    trainable layer.
    """
    return getattr(layer, "batchnorm", None) is not None


def is_trained(layer: Any) -> bool:
    """Returns whether training changes a layer: one of its weights, or the statistics of its BatchNorms."""
    if any(weight.trainable for weight in getattr(layer, "weights", ())):
        return True
    return (is_batchnorm(layer) or holds_batchnorm(layer)) and batchnorm_mode_of(layer) == "train"


def layers_of(model: "keras.Model") -> list[Any]:
    """Lists a model's layers in order, those of nested models in their place."""
    return [layer for stage in stages(model) for layer in stage.layers]


def _switch_off(layer: Any) -> None:
    layer.trainable = False
    # On TensorFlow a value that an attribute has already is not set again, so that gamma and beta of an affine
    # BatchNorm, whose own switch is off, would be left on: `AutoTrackable.__setattr__` in
    # https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/trackable/autotrackable.py
    for weight in layer.weights:
        weight.trainable = False


def _set_batchnorm(layer: Any, mode: BatchNormMode) -> None:
    # trainable=False also puts the layer into inference mode, whatever `training` says, so its statistics stay.
    if mode == "train":
        layer.trainable = True
    else:
        _switch_off(layer)
    if mode == "affine":
        for weight in (layer.gamma, layer.beta):
            if weight is not None:
                weight.trainable = True


def _state(layers: Sequence[Any]) -> str:
    states = {layer.trainable for layer in layers if layer.weights and not is_batchnorm(layer)}
    return "partly" if len(states) == 2 else "trainable" if True in states else "frozen"


def _common_mode(layers: Sequence[Any]) -> str:
    modes = {batchnorm_mode_of(layer) for layer in layers}
    return "-" if not modes else modes.pop() if len(modes) == 1 else "mixed"


def batchnorm_mode_of(layer: Any) -> str:
    """Returns what a BatchNorm layer, or one that holds some, does: `frozen`, `affine` or `train`."""
    if holds_batchnorm(layer):
        return layer.batchnorm
    if layer.trainable:
        return "train"
    affine = [weight for weight in (layer.gamma, layer.beta) if weight is not None and weight.trainable]
    return "affine" if affine else "frozen"
