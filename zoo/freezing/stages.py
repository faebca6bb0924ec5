"""Stages of a model.

A stage ends at a layer whose output every path through the model crosses. Splitting the model there gives a prefix
and a suffix that share its layers, and whose composition is the whole model exactly.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.freezing.graphs import flat_operations, graph_of, is_layer, is_nested, known_ends, legal_cuts

if TYPE_CHECKING:
    import keras

HEAD = "head"


@dataclass(frozen=True)
class ModelStage:
    """A stage of a built model.

    Attributes:
        name: `stem`, `stage1` to `stageN`, or `head`.
        layers: Its layers in the order of the graph, the input layer and bare operations such as `+` not counted.
        last: The layer or operation that it ends with.
    """

    name: str
    layers: tuple["keras.layers.Layer", ...]
    last: "keras.Operation"

    @property
    def params(self) -> int:
        """Number of parameters, BatchNorm statistics included."""
        return sum(count_params(layer) for layer in self.layers)

    def __repr__(self) -> str:
        return f"ModelStage({self.name!r}: {len(self.layers)} layers, {self.params:,} parameters)"


def count_params(layer: "keras.layers.Layer") -> int:
    """Counts a layer's parameters without the call that Keras refuses on layers that have none."""
    return sum(math.prod(weight.shape) for weight in layer.weights)


def stages(model: "keras.Model") -> tuple[ModelStage, ...]:
    """Returns a model's stages in order, the head last.

    A model from `zoo.build` has the stages of its card, and so have copies of it, other heads on its layers, and what
    `keras.applications` builds: the card is found by the names of the layers. A model that holds another one as a
    layer, as Keras' own way of transfer learning does, has the stages of that one, and all that follows is its head.
    For any other model, and one whose card lists none, they are derived from its legal cuts: a stage ends where the
    maps are about to shrink, and the head begins after the last map, or with the last layer that has weights. A
    backbone of the zoo without a head has a head without layers.

    Raises:
        ZooError: The model is not functional, or its stages cannot be found.

    Example:

        for stage in zoo.stages(zoo.build("mnist_conv")):
            print(stage.name, stage.params)
    """
    graph = graph_of(model)
    blueprint = getattr(model, "blueprint", None)
    listed = () if blueprint is None else blueprint.card.stages
    if not listed:
        ends = _ends(graph, is_whole=True)
    else:
        named = {stage.last_layer: stage.name for stage in listed if stage.last_layer}
        cuts = set(legal_cuts(model))
        illegal = [name for name in named if name not in cuts]
        if illegal:
            raise ZooError(f"model '{model.name}': {', '.join(illegal)} is not a layer that every path crosses")
        ends = _by_identity(graph, named)
    found: list[ModelStage] = []
    collected: list[Any] = []
    last: Any = None
    for last in flat_operations(graph):
        if is_layer(last):
            collected.append(last)
        if id(last) in ends:
            found.append(ModelStage(ends[id(last)], tuple(collected), last))
            collected = []
    found.append(ModelStage(HEAD, tuple(collected), last))
    return tuple(found)


def _by_identity(graph: Any, named: dict[str, str]) -> dict[int, str]:
    return {id(operation): named[operation.name] for operation in graph.operations if operation.name in named}


def _ends(graph: Any, *, is_whole: bool) -> dict[int, str]:
    """Finds the last operation of each stage, by identity: of a known card, of a nested model, or derived.

    Args:
        graph: A functional model.
        is_whole: Its head is its own; else what follows it in another model is the head.
    """
    known = known_ends(graph)
    if known:
        return _by_identity(graph, known)
    for wrapper in graph.operations:
        wrapped = getattr(wrapper, "layer", None)
        if is_nested(wrapped) and _holds_known(graph_of(wrapped)):
            raise ZooError(
                f"model '{graph.name}' holds a network inside its layer '{wrapper.name}', so that its stages cannot be "
                f"found; take those of that: zoo.stages(model.get_layer('{wrapper.name}').layer)"
            )
    nested = [layer for layer in graph.operations if is_nested(layer) and layer.weights]
    ours = [layer for layer in nested if _holds_known(graph_of(layer))]
    is_chain = {layer.name for layer in nested} <= {*legal_cuts(graph), graph.operations[-1].name}
    if len(ours) > 1 or (not ours and len(nested) > 1 and not is_chain):
        several = [layer.name for layer in ours or nested]
        raise ZooError(
            f"model '{graph.name}' holds several networks ({', '.join(several)}), so that its stages cannot be found; "
            f"name the layers of one: zoo.stages(model.get_layer('{several[0]}'))"
        )
    backbone = ours or nested
    found = _ends_inside(graph, backbone[0], is_whole=is_whole) if len(backbone) == 1 else {}
    # Several one after the other are blocks of this network, as in ConvNeXt.
    return found or _derived_ends(graph, is_whole=is_whole)


def _holds_known(graph: Any) -> bool:
    nested = [layer for layer in graph.operations if is_nested(layer) and layer.weights]
    return bool(known_ends(graph)) or any(_holds_known(graph_of(layer)) for layer in nested)


def _ends_inside(graph: Any, nested: Any, *, is_whole: bool) -> dict[int, str]:
    inside = graph_of(nested)
    after = graph.operations[graph.operations.index(nested) + 1 :]
    has_head = any(getattr(operation, "weights", ()) for operation in after)
    return _ends(inside, is_whole=is_whole and not has_head)


def _derived_ends(graph: Any, *, is_whole: bool) -> dict[int, str]:
    """Ends of stages for a model without a table: the last cut at each size of the maps.

    A stage without parameters goes with the next one.
    """
    operations: list[Any] = list(graph.operations)
    weighted = [number for number, operation in enumerate(operations) if getattr(operation, "weights", ())]
    cuts = {*legal_cuts(graph), *([] if is_whole else [operations[-1].name])}
    # Where nothing follows, the head holds at least the last layer with weights.
    end_of_backbone = (weighted[-1] if weighted else 0) if is_whole else len(operations)
    last_at_size: dict[tuple[int | None, ...], int] = {}
    for number, operation in enumerate(operations[:end_of_backbone]):
        shape = operation.output.shape if operation.name in cuts else ()
        if len(shape) > 2:
            last_at_size[tuple(shape[1:-1])] = number
    ends: list[int] = []
    before = -1
    for number in sorted(last_at_size.values()):
        if any(before < one <= number for one in weighted):
            ends.append(number)
            before = number
    names = ["stem", *(f"stage{number}" for number in range(1, len(ends)))]
    return {id(_last_inside(operations[number])): name for number, name in zip(ends, names, strict=False)}


def _last_inside(operation: Any) -> Any:
    return list(flat_operations(graph_of(operation)))[-1] if is_nested(operation) else operation
