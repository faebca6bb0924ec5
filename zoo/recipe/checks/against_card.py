"""What a recipe asks of its model and of built-in data, against what is known: faults that show before all work.

A card knows the weights, options and stages of a model without Keras, so `zoo recipe check` does too.
"""

from collections.abc import Iterator
from typing import Any

from zoo import registry
from zoo.errors import NotFoundError, did_you_mean
from zoo.freezing.selectors import selector_fault
from zoo.recipe.overlays import Fault, KeyPath, Overlay, tables
from zoo.recipe.validation import quoted
from zoo.registry import Card, sources
from zoo.registry.augmentations import AUGMENTATIONS

# What a value must be for the option's default to be of its kind.
_KINDS: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}
_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def card_faults(overlay: Overlay) -> Iterator[Fault]:
    """Yields built-in data that is not there, and what the card of a recipe's model does not have, where it names one.

    Args:
        overlay: The raw values; those of a wrong type are left to the schema.
    """
    yield from _source_faults(overlay)
    model = _table(overlay.values, "model")
    name = model.get("name")
    if not isinstance(name, str):
        return
    known = registry.list_models()
    if name not in known:
        advice = f"{did_you_mean(name, known)} See 'zoo list'.".lstrip()
        found = f"model.name is {quoted(name)}; unknown model"
        yield _fault(overlay, ("model", "name"), found, advice)
        return
    card = registry.info(name)
    wrong_options = list(_option_faults(overlay, card, model))
    yield from wrong_options
    yield from _weights_faults(overlay, card, model, by_options=not wrong_options)
    yield from _size_faults(overlay, card)
    yield from _augmentation_faults(overlay, card)
    names = [stage.name for stage in card.stages]
    for path, phase in tables(overlay.values, "phases"):
        selector = phase.get("train")
        fault = selector_fault(selector, names) if isinstance(selector, str) and selector and names else None
        if fault:
            at = (*path, "train")
            yield Fault.of_message(overlay.location(at), f"{_phase(path)}.train: {fault}", at)


def _option_faults(overlay: Overlay, card: Card, model: dict[str, Any]) -> Iterator[Fault]:
    options = _table(model, "options")
    for option, value in options.items():
        path = ("model", "options", option)
        if option not in card.options:
            known = ", ".join(card.options) or "none"
            advice = f"{did_you_mean(option, card.options)} It has: {known}.".lstrip()
            yield _fault(overlay, path, f"model.options.{option}: model '{card.name}' has no such option", advice)
            continue
        kind = type(card.options[option])
        fits = isinstance(value, _KINDS.get(kind, (object,))) and (kind is bool or not isinstance(value, bool))
        if not fits:
            yield _fault(overlay, path, f"model.options.{option} is {quoted(value)}", f"expected {_WORDS[kind]}")
    handle = model.get("handle")
    if handle and "handle" not in card.options:
        found = f"model.handle is {quoted(handle)}; model '{card.name}' takes none, only 'tfhub' does"
        yield _fault(overlay, ("model", "handle"), found, "leave it out")


def _weights_faults(overlay: Overlay, card: Card, model: dict[str, Any], *, by_options: bool) -> Iterator[Fault]:
    """Yields what is wrong with the weights; where options are at fault, only a name that no set has."""
    weights = model.get("weights", "default")
    if not isinstance(weights, str):
        return
    path = ("model", "weights")
    if weights == "none":
        if card.own_weights:
            found = f"model.weights is \"none\"; the graph of model '{card.name}' brings its own"
            yield _fault(overlay, path, found, "leave it out")
        return
    if not by_options and weights in ("default", *(known.name for known in card.weights)):
        return  # options decide which set of this name it is
    try:
        card.weight_set(weights, _table(model, "options") if by_options else None)
    except NotFoundError as fault:
        yield Fault.of_message(overlay.location(path), f"model.weights is {quoted(weights)}; {fault}", path)


def _size_faults(overlay: Overlay, card: Card) -> Iterator[Fault]:
    size = _table(overlay.values, "data").get("image_size")
    if isinstance(size, int) and 0 < size < card.min_size:
        advice = f"expected {card.min_size} or more, the smallest input of model '{card.name}'"
        yield _fault(overlay, ("data", "image_size"), f"data.image_size is {size}", advice)


def _source_faults(overlay: Overlay) -> Iterator[Fault]:
    """Yields data sets that have a name each, such as the built-in ones, and that are not known."""
    source = _table(overlay.values, "data").get("source")
    if isinstance(source, str) and sources.row_name(source) is None:
        # What has no such row is left to the schema.
        known = sources.listed_names(source.partition(":")[0])
        if known:
            advice = f"{did_you_mean(source, known)} Known: {', '.join(known)}.".lstrip()
            yield _fault(overlay, ("data", "source"), f"data.source is {quoted(source)}; unknown data set", advice)


def _augmentation_faults(overlay: Overlay, card: Card) -> Iterator[Fault]:
    """Yields augmentations that are for images of other channels than the model takes."""
    augment = _table(overlay.values, "augment")
    asked = {("augment", "layers", name): name for name in _table(augment, "layers")}
    asked |= {("augment", "policy"): augment.get("policy")}
    rows = {row.name: row for row in AUGMENTATIONS.rows()}
    for path, name in asked.items():
        row = rows.get(name) if isinstance(name, str) else None
        channels = card.input_shape[-1]
        if row is not None and channels not in row.channels:
            what = f"augment.layers.{name}" if "layers" in path else f'augment.policy "{name}"'
            takes = " or ".join(map(str, row.channels))
            found = f"{what} changes images of {takes} channels; model '{card.name}' takes {channels}"
            yield _fault(overlay, path, found, "leave it out")


def _fault(overlay: Overlay, path: KeyPath, found: str, advice: str) -> Fault:
    return Fault(overlay.location(path), found, advice, path)


def _table(values: dict[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _phase(path: KeyPath) -> str:
    return f"phases[{path[-1]}]"
