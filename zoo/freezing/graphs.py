"""The graph of a model that zoo may not have made, and which architecture it is.

What zoo knows of a model hangs on the object that `zoo.build` gives. Copies (`load_model`, `clone_model`, pickle,
deepcopy), a new head on old layers and a backbone inside another model have lost it, but they keep names and order of
layers, by which a card is found again: the ends of its stages, each a legal cut, with as many layers between them.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.backend.keras_internals.graphs import calls_in_order, graph_inside, is_sequential
from zoo.errors import ZooError, shown
from zoo.registry import Card

if TYPE_CHECKING:
    import keras

# By so many layers a stem may differ from its card's: our preprocessing, grey to RGB, a Rescaling of a weight set.
OTHER_IN_STEM = 2


def graph_of(model: Any) -> Any:
    """Returns what holds a model's graph: itself, or what a built Sequential is inside.

    Raises:
        ZooError: It is not a model, or has no graph.
    """
    inside = graph_inside(model)
    if inside is not None:
        return inside
    if not hasattr(model, "layers"):
        held = getattr(type(model), "model", None)
        hint = "; give its .model" if held is not None else "; zoo.build makes one"
        raise ZooError(f"a model is {shown(model)}; expected a functional keras.Model{hint}")
    if is_sequential(model):
        raise ZooError(
            f"model '{model.name}' is a Sequential that does not know its input; begin it with keras.Input(...)"
        )
    raise ZooError(f"model '{model.name}' has no graph; expected a functional keras.Model")


def is_nested(operation: Any) -> bool:
    """Returns whether a layer is itself a model with a graph."""
    return graph_inside(operation) is not None


def flat_operations(graph: Any) -> Iterator[Any]:
    """Yields layers and bare operations in the order of the graph, those of nested models in their place."""
    for operation in graph.operations:
        if is_nested(operation):
            yield from flat_operations(graph_of(operation))
        else:
            yield operation


def operations_of(model: Any) -> list[Any]:
    """Lists layers and bare operations in the order of the graph; a nested model is one of them."""
    return list(graph_of(model).operations)


def is_layer(operation: Any) -> bool:
    """Returns whether it is a layer; an operation such as `a + b` has neither weights nor a switch to train it."""
    return hasattr(operation, "trainable") and type(operation).__name__ != "InputLayer"


def legal_cuts(model: "keras.Model") -> list[str]:
    """Lists, in order, the layers whose output every path from the input to the output crosses."""
    nodes = calls_in_order(graph_of(model))
    calls = Counter(id(node.operation) for node in nodes)
    outputs = {id(tensor) for tensor in model.outputs}
    # An output of the model stays open to the end, so that nothing after an early output is a cut.
    uses = Counter(id(tensor) for node in nodes for tensor in node.input_tensors) + Counter(outputs)
    cuts: list[str] = []
    open_uses: dict[int, int] = {}
    for node in nodes:
        for tensor in node.input_tensors:
            open_uses[id(tensor)] -= 1
            if not open_uses[id(tensor)]:
                del open_uses[id(tensor)]
        produced = {id(tensor) for tensor in node.output_tensors}
        open_uses |= {tensor: uses[tensor] for tensor in produced if uses[tensor]}
        if node.is_input or len(produced) != 1 or calls[id(node.operation)] > 1:
            continue
        if set(open_uses) == produced and not produced & outputs:
            cuts.append(node.operation.name)
    return cuts


def known_ends(graph: Any) -> dict[str, str]:
    """Finds the card whose stages a graph has: the last layer of each stage, and its name.

    A graph that goes over to another head early has a card's first stages. Nothing is found for a graph that has no
    card's stages from the first on.

    Raises:
        ZooError: Several cards begin so, and their stages differ.
    """
    found = _known(graph)
    if len({tuple(ends) for ends, _ in found}) > 1:
        names = sorted(card.name for _, card in found)
        raise ZooError(
            f"model '{graph.name}' begins like {' and '.join(names[:3])}, and their stages differ; "
            "cut it where a stage of the whole model ends, or at its head"
        )
    return _legal(graph, found[0][0]) if found else {}


def known_cards(graph: Any) -> list[Card]:
    """Finds the card whose stages a graph has; several where it only begins as they do, none where it is not known."""
    return [card for _, card in _known(graph)]


def _known(graph: Any) -> list[tuple[dict[str, str], Card]]:
    segments = _segments(graph)
    whole: list[tuple[dict[str, str], Card]] = []
    begun: list[tuple[dict[str, str], Card]] = []
    for name in registry.list_models():
        card = registry.info(name)
        ends = _ends_of(card, segments, graph)
        if ends:
            has_all = len(ends) == sum(1 for stage in card.stages if stage.last_layer)
            # One stage alone is alike in many families.
            if has_all:
                whole.append((ends, card))
            elif len(ends) > 1:
                begun.append((ends, card))
    # A net of few stages may be the beginning of one of more.
    return [max(whole, key=lambda one: (one[1].name == graph.name, len(one[0])))] if whole else begun


def _legal(graph: Any, ends: dict[str, str]) -> dict[str, str]:
    """Passes on ends of stages that every path crosses; of a backbone without a head, the last is its output."""
    crossed = {*legal_cuts(graph), graph.operations[-1].name}
    illegal = [name for name in ends if name not in crossed]
    if illegal:
        raise ZooError(
            f"model '{graph.name}': not every path crosses {', '.join(illegal)}, where a stage ends, so that its "
            "stages cannot be found; take those of the model that it was made of"
        )
    return ends


@dataclass(frozen=True)
class _Segment:
    """What a graph holds up to an operation."""

    layers: int
    params: int


def _segments(graph: Any) -> dict[str, _Segment]:
    """Counts layers and parameters up to each operation, by its name, in order."""
    found: dict[str, _Segment] = {}
    layers = params = 0
    for operation in graph.operations:
        layers += is_layer(operation)
        params += sum(math.prod(weight.shape) for weight in getattr(operation, "weights", ()))
        found[operation.name] = _Segment(layers, params)
    return found


def _ends_of(card: Card, segments: dict[str, _Segment], graph: Any) -> dict[str, str]:
    """Returns a card's stages that a graph has, from the stem on.

    Their numbers of layers and parameters have to be the card's, but for what may differ: options change widths, other
    channels change the stem, and for a graph of the card's own name that has all of its stages the card may be wrong.
    """
    shape = graph.inputs[0].shape[1:]
    is_whole = all(stage.last_layer in segments for stage in card.stages if stage.last_layer)
    is_sure = graph.name == card.name and is_whole
    ends: dict[str, str] = {}
    before = _Segment(0, 0)
    for stage in card.stages:
        end = segments.get(stage.last_layer)
        if end is None or len(shape) != len(card.input_shape):
            break
        more = end.layers - before.layers - stage.layers
        is_wide = bool(card.options) or stage.params is None or (not ends and shape[-1] != card.input_shape[-1])
        params_fit = is_wide or end.params - before.params == stage.params
        if not is_sure and not (params_fit and abs(more) <= (0 if ends else OTHER_IN_STEM)):
            break
        ends[stage.last_layer] = stage.name
        before = end
    return ends
