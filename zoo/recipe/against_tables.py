"""What a recipe's options say to rows of open tables: faults that show before all work."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from zoo.recipe.overlays import Fault, Layer
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.sources import SOURCES, is_known, source_row


def table_faults(layer: Layer) -> Iterator[Fault]:
    """Yields options that a source or an augmentation does not have, and augmentations that are not there.

    Args:
        layer: The raw values; those of a wrong type are left to the schema.
    """
    yield from _source_faults(layer)
    yield from _augmentation_faults(layer)


def _source_faults(layer: Layer) -> Iterator[Fault]:
    data = _table(layer.values, "data")
    source = data.get("source", "folder")
    if not isinstance(source, str) or not is_known(source):
        return
    for option, text in SOURCES.option_faults(source_row(source).name, _table(data, "options")):
        yield Fault(layer.origin(("data", "options", option)), f"data.options.{option}{text}")


def _augmentation_faults(layer: Layer) -> Iterator[Fault]:
    known = AUGMENTATIONS.names()
    for name, options in _table(_table(layer.values, "augment"), "layers").items():
        path = ("augment", "layers", name)
        if name not in known:
            listed = f"{AUGMENTATIONS.hint(name)} There are: {', '.join(known)}."
            yield Fault(layer.origin(path), f"augment.layers.{name}: unknown augmentation.{listed}")
        elif isinstance(options, dict):
            for option, text in AUGMENTATIONS.option_faults(name, cast("Mapping[str, object]", options)):
                yield Fault(layer.origin((*path, option)), f"augment.layers.{name}.{option}{text}")


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}
