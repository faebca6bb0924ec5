"""Selectors: words that name parts of a model, such as `stage3+` or `!head`."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import NotFoundError, ZooError, did_you_mean, printable, shown
from zoo.foreign.patterns import PatternError, compile_pattern
from zoo.freezing.stages import HEAD, ModelStage, count_params, stages

if TYPE_CHECKING:
    import keras

SELECTOR_FORMS = "head, all, none, stage4, stage3+, last:2, layers:-20, params:30%, re:REGEX"
LONGEST_SELECTOR = 2_000
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
    if len(selector) > LONGEST_SELECTOR:
        return f"selector has {len(selector):,} characters; expected at most {LONGEST_SELECTOR:,}"
    terms = [term.strip().removeprefix("!").strip() for term in selector.split(",") if term.strip()]
    if not terms:
        return f"selector '{selector}' is empty; expected one or more of {SELECTOR_FORMS}, joined by commas"
    for term in terms:
        kind, colon, value = term.partition(":")
        if kind == "re" and colon:
            try:
                compile_pattern(value)
            except PatternError as fault:
                return f"selector '{printable(term)}': not a regular expression ({fault})"
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
        target = float(value[:-1]) / 100 * sum(count_params(layer) for layer in weighted)
        chosen: list[Any] = []
        held = 0
        for layer in reversed(weighted):
            if held >= target:
                break
            chosen.append(layer)
            held += count_params(layer)
        return chosen
    if kind == "re":
        try:
            pattern = compile_pattern(value)
            return [layer for layer in ordered if pattern.matches(layer.name)]
        except PatternError as fault:
            raise NotFoundError(
                f"selector 're:{printable(value)}' is not a regular expression for names of layers: {fault}"
            ) from fault
    return []


def _no_match(parts: Sequence[ModelStage], term: str) -> NotFoundError:
    names = [part.name for part in parts]
    layers = [layer.name for part in parts for layer in part.layers]
    near = did_you_mean(term, names) or did_you_mean(term.partition(":")[2] or term, layers)
    return NotFoundError(
        f"selector '{term}' matches nothing.{near} The stages are {', '.join(names)}; a selector is {SELECTOR_FORMS}"
    )
