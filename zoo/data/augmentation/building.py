"""From `[augment]` to layers, drawn anew for each batch and the same in every repetition."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.backend.distribution.copies import first_copy
from zoo.errors import DataError
from zoo.recipe.schema import AugmentSection
from zoo.registry.augmentations import AUGMENTATIONS, NONE, AugmentationRow

if TYPE_CHECKING:
    import keras

PREFIX = "augment_"


def augmentation_layers(augment: AugmentSection, *, channels: int = 3) -> "list[keras.layers.Layer]":
    """Builds the layers that a recipe's `[augment]` asks for, in the order in which they apply.

    They take and give float32[batch, height, width, channels] in [0, 255], and change nothing outside of training.

    Args:
        augment: The recipe's section.
        channels: Of the images; saturation is changed where there are three.

    Raises:
        DataError: A change is not for images of so many channels.
        ZooError: A plug-in's layer does not do what `AugmentationRow` says.
    """
    built: list[keras.layers.Layer] = []
    for name, row, options in _asked(augment):
        if channels not in row.channels:
            raise DataError(
                f"augment.layers.{row.name} changes images of {' or '.join(map(str, row.channels))} channels; "
                f"the model takes {channels}. Leave it out."
            )
        asked: dict[str, Any] = {"channels": channels, "name": f"{PREFIX}{name}", **row.filled(options)}
        if not row.is_shipped:
            from zoo.data.augmentation.plug_ins import check_layer

            check_layer(row, AUGMENTATIONS.built(row, **asked), channels=channels, name=asked["name"])
        built.append(AUGMENTATIONS.built(row, **asked))
    return built


def _asked(augment: AugmentSection) -> Iterator[tuple[str, AugmentationRow, Mapping[str, object]]]:
    """Yields what is asked for, in the order in which it applies: the layer's name, the row and the options.

    What a layer draws depends on its place among them, so that further layers come last.
    """
    asked: tuple[tuple[str, str, object, Mapping[str, object]], ...] = (
        # Two layers for "both": Keras' "horizontal_and_vertical" mirrors both ways or not at all.
        ("mirror", "flip", augment.flip in ("horizontal", "both"), {"axis": "horizontal"}),
        ("upend", "flip", augment.flip in ("vertical", "both"), {"axis": "vertical"}),
        ("rotation", "rotation", augment.rotation, {"degrees": augment.rotation}),
        ("translation", "translation", augment.translation, {"share": augment.translation}),
        ("zoom", "zoom", augment.zoom, {"share": augment.zoom}),
        ("crop", "crop", augment.crop, {"share": augment.crop}),
        ("policy", augment.policy, augment.policy != NONE, {}),
        ("color", "color", augment.color, {"strength": augment.color}),
        ("erasing", "erasing", augment.erasing, {"probability": augment.erasing}),
        *((f"layers_{name}", name, True, options) for name, options in augment.layers.items()),
    )
    for name, row, is_on, options in asked:
        if is_on:
            yield name, AUGMENTATIONS.lookup(row), options


def seed_augmentation(augmenters: "Sequence[keras.layers.Layer]", *, seed: int, epoch: int) -> None:
    """Sets the layers' generators for an epoch, so that what they draw is a function of (seed, epoch, batch)."""
    for number, layer in enumerate(augmenters):
        (key,) = np.random.SeedSequence((seed, epoch, number)).generate_state(1)
        generator: Any = getattr(layer, "generator", None)
        if generator is not None:  # a plug-in's layer may draw nothing
            generator.state.assign(np.array([key, 0], dtype=np.uint32))


def seeds_of(augmenters: "Sequence[keras.layers.Layer]") -> list[list[int]]:
    """Reads the layers' generators: what is drawn next is a function of them; empty for a layer that draws nothing."""
    generators: list[Any] = [getattr(layer, "generator", None) for layer in augmenters]
    return [[] if each is None else [int(word) for word in first_copy(each.state)] for each in generators]


def restore_seeds(augmenters: "Sequence[keras.layers.Layer]", seeds: Sequence[Sequence[int]]) -> None:
    """Sets the layers' generators to what `seeds_of` gave."""
    for layer, state in zip(augmenters, seeds, strict=True):
        if state:
            generator: Any = getattr(layer, "generator", None)
            generator.state.assign(np.array(state, dtype=np.uint32))


def flip_warning(augment: AugmentSection, classes: Sequence[str]) -> str | None:
    """Says when a flip is likely to turn an image into none, or into one of another class: digits and letters."""
    if augment.flip == "none" or not all(len(name) == 1 and name.isalnum() for name in classes):
        return None
    return (
        f'augment.flip = "{augment.flip}" mirrors characters: the classes are {", ".join(classes[:4])}, ..., and a '
        'mirrored 2 is not a 2; expected flip = "none"'
    )
