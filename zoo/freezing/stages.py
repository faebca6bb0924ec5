"""Stages of a model, and the selectors that name parts of it.

A stage ends at a layer whose output every path through the model crosses. Splitting the model there gives a prefix
and a suffix that share its layers, and whose composition is the whole model exactly.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import NotFoundError, ZooError, did_you_mean, shown
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
    For any other model they are derived from its legal cuts: a stage ends where the maps are about to shrink, and the
    head begins after the last map, or with the last layer that has weights. A backbone of the zoo without a head has a
    head without layers.

    Raises:
        ZooError: The model is not functional, or its stages cannot be told.

    Example:

        for stage in zoo.stages(zoo.build("mnist_conv")):
            print(stage.name, stage.params)
    """
    graph = graph_of(model)
    blueprint = getattr(model, "blueprint", None)
    if blueprint is None:
        ends = _ends(graph, is_whole=True)
    else:
        named = {stage.last_layer: stage.name for stage in blueprint.card.stages if stage.last_layer}
        illegal = [name for name in named if name not in set(legal_cuts(model))]
        if illegal:
            raise ZooError(f"model '{model.name}': {', '.join(illegal)} is no layer that every path crosses")
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
                f"told; take those of that: zoo.stages(model.get_layer('{wrapper.name}').layer)"
            )
    nested = [layer for layer in graph.operations if is_nested(layer) and layer.weights]
    ours = [layer for layer in nested if _holds_known(graph_of(layer))]
    is_chain = {layer.name for layer in nested} <= {*legal_cuts(graph), graph.operations[-1].name}
    if len(ours) > 1 or (not ours and len(nested) > 1 and not is_chain):
        several = [layer.name for layer in ours or nested]
        raise ZooError(
            f"model '{graph.name}' holds several networks ({', '.join(several)}), so that its stages cannot be told; "
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


SELECTOR_FORMS = "head, all, none, stage4, stage3+, last:2, layers:-20, params:30%, re:REGEX"
_COUNT = r"-?[1-9]\d*"
_SHARE = r"\d+(\.\d+)?%"


Selector = str | Iterable[str]


def select(model: "keras.Model", selector: Selector) -> frozenset[str]:
    """Returns the names of the layers that a selector names.

    Args:
        model: A functional model.
        selector: Terms joined by commas, or a list of them, each adding layers, or removing them when it begins with
            `!`: `all`, `none`, a stage (`stem`, `stage2`, `head`), `stage3+` (that stage and every later one),
            `last:2` (the last two stages, the head counted; all of them where there are fewer), `layers:-20` (the last
            twenty layers that have weights; `layers:5` the first five), `params:30%` (the fewest last layers that hold
            at least 30 % of the parameters), `re:REGEX` (layers whose name contains a match). A selector that begins
            with a removal starts from `all`.

    Raises:
        NotFoundError: A term matches nothing; the message lists what exists.
        ZooError: The selector is not a text or a list of texts.
    """
    return frozenset(layer.name for layer in selected_layers(model, selector))


def selected_layers(model: "keras.Model", selector: Selector) -> list[Any]:
    """Returns the layers that a selector names, in order; those of nested models may have a name twice.

    Raises:
        NotFoundError: A term matches nothing.
        ZooError: The selector is not a text or a list of texts.
    """
    parts = stages(model)
    terms = _terms(selector)
    if not terms:
        raise NotFoundError(
            f"selector '{_joined(selector)}' is empty; expected one or more of {SELECTOR_FORMS}, joined by commas"
        )
    everything = [layer for part in parts for layer in part.layers]
    chosen = {id(layer) for layer in everything} if terms[0].startswith("!") else set[int]()
    for term in terms:
        if term.startswith("!"):
            chosen -= {id(layer) for layer in _match(parts, term[1:].strip())}
        else:
            chosen |= {id(layer) for layer in _match(parts, term)}
    return [layer for layer in everything if id(layer) in chosen]


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
    if _selects_no_stage(selector, names):
        return f"selector '{selector}' leaves nothing to train; expected a selector of layers, such as \"{HEAD}\""
    return None


def _selects_no_stage(selector: str, names: Sequence[str]) -> bool:
    """Whether terms that are all of whole stages leave none; of others it is not known before the model is built."""
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    selected = set(names) if terms[0].startswith("!") else set[str]()
    for term in terms:
        plain = term.removeprefix("!").strip()
        kind, _, value = plain.partition(":")
        if kind in ("layers", "params", "re"):
            return False
        if kind == "last":
            meant = set(names[-int(value) :])
        elif plain.endswith("+"):
            meant = set(names[names.index(plain[:-1]) :])
        else:
            meant = {"all": set(names), "none": set[str]()}.get(plain, {plain})
        selected = selected - meant if term.startswith("!") else selected | meant
    return not selected


def _is_term(term: str, names: Sequence[str]) -> bool:
    kind, _, value = term.partition(":")
    if kind == "params" and re.fullmatch(_SHARE, value):
        return float(value[:-1]) > 0
    numbered = (kind == "last" and re.fullmatch("[1-9][0-9]*", value)) or (
        kind == "layers" and re.fullmatch(_COUNT, value)
    )
    return bool(numbered) or term in ("all", "none", *names) or (term.endswith("+") and term[:-1] in names)


def _joined(selector: object) -> str:
    listed = [selector] if isinstance(selector, str) else selector
    if not isinstance(listed, list | tuple | set | frozenset) or not all(isinstance(term, str) for term in listed):
        raise ZooError(
            f"selector is {shown(selector)}; expected a text such as 'stem,stage1', or a list of its terms; "
            f"a term is {SELECTOR_FORMS}"
        )
    # Removals come last where there is no order.
    ordered = listed if isinstance(listed, list | tuple) else sorted(listed, key=lambda term: (term[:1] == "!", term))
    return ",".join(ordered)


def _terms(selector: Selector) -> list[str]:
    return [term.strip() for term in _joined(selector).split(",") if term.strip()]


def _match(parts: Sequence[ModelStage], term: str) -> list[Any]:
    names = [part.name for part in parts]
    kind, colon, value = term.partition(":")
    if term == "all":
        matched = list(parts)
    elif term == "none":
        return []
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
    return [layer for part in matched for layer in part.layers]


def _match_layers(parts: Sequence[ModelStage], kind: str, value: str) -> list[Any]:
    ordered = [layer for part in parts for layer in part.layers]
    weighted = [layer for layer in ordered if layer.weights]
    if kind == "layers" and re.fullmatch(_COUNT, value):
        count = int(value)
        return weighted[count:] if count < 0 else weighted[:count]
    if kind == "params" and re.fullmatch(_SHARE, value):
        wanted = float(value[:-1]) / 100 * sum(count_params(layer) for layer in weighted)
        chosen: list[Any] = []
        held = 0
        for layer in reversed(weighted):
            if held >= wanted:
                break
            chosen.append(layer)
            held += count_params(layer)
        return chosen
    if kind == "re":
        try:
            pattern = re.compile(value)
        except re.error as fault:
            raise NotFoundError(f"selector 're:{value}' is no regular expression: {fault}") from fault
        return [layer for layer in ordered if pattern.search(layer.name)]
    return []


def _no_match(parts: Sequence[ModelStage], term: str) -> NotFoundError:
    names = [part.name for part in parts]
    layers = [layer.name for part in parts for layer in part.layers]
    near = did_you_mean(term, names) or did_you_mean(term.partition(":")[2] or term, layers)
    return NotFoundError(
        f"selector '{term}' matches nothing.{near} The stages are {', '.join(names)}; a selector is {SELECTOR_FORMS}"
    )
