"""Stages of a model, and the selectors that name parts of it.

A stage ends at a layer whose output every path through the model crosses. Splitting the model there gives a prefix
and a suffix that share its layers, and whose composition is the whole model exactly.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import NotFoundError, ZooError, did_you_mean

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

    A model from `zoo.build` has the stages of its card. For any other functional model they are derived from
    its legal cuts: a stage ends where the maps are about to shrink, and the head begins after the last map.

    Raises:
        ZooError: The model is not functional, or a stage of its card is no legal cut.

    Example:

        for stage in zoo.stages(zoo.build("mnist_conv")):
            print(stage.name, stage.params)
    """
    operations = _operations(model)
    blueprint = getattr(model, "blueprint", None)
    if blueprint is None:
        ends = _derived_ends(model)
    else:
        ends = {stage.last_layer: stage.name for stage in blueprint.card.stages if stage.last_layer}
        illegal = [name for name in ends if name not in set(legal_cuts(model))]
        if illegal:
            raise ZooError(f"model '{model.name}': {', '.join(illegal)} is no layer that every path crosses")
    found: list[ModelStage] = []
    collected: list[Any] = []
    for operation in operations:
        if _is_layer(operation):
            collected.append(operation)
        if operation.name in ends:
            found.append(ModelStage(ends[operation.name], tuple(collected), operation))
            collected = []
    found.append(ModelStage(HEAD, tuple(collected), operations[-1]))
    return tuple(found)


def _operations(model: "keras.Model") -> list[Any]:
    operations: list[Any] | None = getattr(model, "operations", None)
    if operations is None:
        raise ZooError(f"model '{model.name}' has no graph; expected a functional keras.Model")
    return operations


def _is_layer(operation: Any) -> bool:
    # An operation such as `a + b` has neither weights nor a switch to train it.
    return hasattr(operation, "trainable") and type(operation).__name__ != "InputLayer"


def legal_cuts(model: "keras.Model") -> list[str]:
    """Lists, in order, the layers whose output every path from the input to the output crosses."""
    nodes = _nodes(model)
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


def _nodes(model: "keras.Model") -> list[Any]:
    """Lists the calls of layers in this model's own graph, all inputs first, then in order.

    A layer's `_inbound_nodes` also hold its calls in models that were split off from this one.
    """
    by_depth: dict[int, list[Any]] = model._nodes_by_depth
    in_order = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return sorted(in_order, key=lambda node: not node.is_input)


def _derived_ends(model: "keras.Model") -> dict[str, str]:
    """Ends of stages for a model without a table: the last cut at each size of the maps."""
    last_at_size: dict[tuple[int | None, ...], str] = {}
    cuts = set(legal_cuts(model))
    for operation in _operations(model):
        if operation.name not in cuts:
            continue
        shape = operation.output.shape
        if len(shape) > 2:
            last_at_size[tuple(shape[1:-1])] = operation.name
    names = ["stem", *(f"stage{number}" for number in range(1, len(last_at_size)))]
    return dict(zip(last_at_size.values(), names, strict=False))


_COUNT = r"-?[1-9]\d*"
_SHARE = r"\d+(\.\d+)?%"
SELECTOR_FORMS = "head, all, none, stage4, stage3+, last:2, layers:-20, params:30%, re:REGEX"


def select(model: "keras.Model", selector: str) -> frozenset[str]:
    """Returns the names of the layers that a selector names.

    Args:
        model: A functional model.
        selector: Terms joined by commas, each adding layers, or removing them when it begins with `!`:
            `all`, `none`, a stage (`stem`, `stage2`, `head`), `stage3+` (that stage and every later one),
            `last:2` (the last two stages, the head counted; all of them where there are fewer), `layers:-20` (the last
            twenty layers that have
            weights; `layers:5` the first five), `params:30%` (the fewest last layers that hold at least 30 % of the
            parameters), `re:REGEX` (layers whose name contains a match). A selector that begins with a removal
            starts from `all`.

    Raises:
        NotFoundError: A term matches nothing; the message lists what exists.
    """
    parts = stages(model)
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise NotFoundError(
            f"selector '{selector}' is empty; expected one or more of {SELECTOR_FORMS}, joined by commas"
        )
    everything = {layer.name for part in parts for layer in part.layers}
    selected: set[str] = set(everything) if terms[0].startswith("!") else set()
    for term in terms:
        if term.startswith("!"):
            selected -= _match(parts, term[1:].strip())
        else:
            selected |= _match(parts, term)
    return frozenset(selected)


def selector_fault(selector: str, names: Sequence[str]) -> str | None:
    """Says what is wrong with a selector for a model of these stages, as far as that shows before it is built.

    Args:
        selector: As `select` takes it.
        names: The model's stages in order, as its card has them.

    Returns:
        A sentence, or None where nothing is wrong; whether a regular expression matches a layer shows later.
    """
    terms = [term.strip().removeprefix("!").strip() for term in selector.split(",") if term.strip()]
    if not terms:
        return f"selector '{selector}' is empty; expected one or more of {SELECTOR_FORMS}, joined by commas"
    for term in terms:
        kind, colon, value = term.partition(":")
        if kind == "re" and colon:
            try:
                re.compile(value)
            except re.error as fault:
                return f"selector '{term}': not a regular expression ({fault})"
        elif not _is_term(term, names):
            near = did_you_mean(term, names)
            listed = ", ".join(names)
            return f"selector '{term}' matches nothing.{near} The stages are {listed}; a selector is {SELECTOR_FORMS}"
    return None


def _is_term(term: str, names: Sequence[str]) -> bool:
    kind, _, value = term.partition(":")
    if kind == "params" and re.fullmatch(_SHARE, value):
        return float(value[:-1]) > 0
    numbered = (kind == "last" and re.fullmatch("[1-9][0-9]*", value)) or (
        kind == "layers" and re.fullmatch(_COUNT, value)
    )
    return bool(numbered) or term in ("all", "none", *names) or (term.endswith("+") and term[:-1] in names)


def _match(parts: Sequence[ModelStage], term: str) -> set[str]:
    names = [part.name for part in parts]
    kind, colon, value = term.partition(":")
    if term == "all":
        matched = list(parts)
    elif term == "none":
        return set()
    elif term in names:
        matched = [parts[names.index(term)]]
    elif term.endswith("+") and term[:-1] in names:
        matched = list(parts[names.index(term[:-1]) :])
    elif kind == "last" and value.isdecimal() and int(value) > 0:
        matched = list(parts[-int(value) :])
    elif colon and kind in ("layers", "params", "re"):
        layers = _match_layers(parts, kind, value)
        if not layers:
            raise _no_match(parts, term)
        return layers
    else:
        raise _no_match(parts, term)
    return {layer.name for part in matched for layer in part.layers}


def _match_layers(parts: Sequence[ModelStage], kind: str, value: str) -> set[str]:
    ordered = [layer for part in parts for layer in part.layers]
    weighted = [layer for layer in ordered if layer.weights]
    if kind == "layers" and re.fullmatch(_COUNT, value):
        count = int(value)
        return {layer.name for layer in (weighted[count:] if count < 0 else weighted[:count])}
    if kind == "params" and re.fullmatch(_SHARE, value):
        wanted = float(value[:-1]) / 100 * sum(count_params(layer) for layer in weighted)
        chosen: set[str] = set()
        held = 0
        for layer in reversed(weighted):
            if held >= wanted:
                break
            chosen.add(layer.name)
            held += count_params(layer)
        return chosen
    if kind == "re":
        try:
            pattern = re.compile(value)
        except re.error as fault:
            raise NotFoundError(f"selector 're:{value}' is no regular expression: {fault}") from fault
        return {layer.name for layer in ordered if pattern.search(layer.name)}
    return set()


def _no_match(parts: Sequence[ModelStage], term: str) -> NotFoundError:
    names = [part.name for part in parts]
    layers = [layer.name for part in parts for layer in part.layers]
    near = did_you_mean(term, names) or did_you_mean(term.partition(":")[2] or term, layers)
    return NotFoundError(
        f"selector '{term}' matches nothing.{near} The stages are {', '.join(names)}; a selector is {SELECTOR_FORMS}"
    )
