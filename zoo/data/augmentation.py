"""Random changes to training images: Keras' own layers, drawn anew for each step and the same in every repetition."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.recipe.schema import AugmentSection

if TYPE_CHECKING:
    import keras

PREFIX = "augment_"


def augmentation_layers(augment: AugmentSection, *, channels: int = 3) -> "list[keras.layers.Layer]":
    """Builds the layers that a recipe's `[augment]` asks for, in the order in which they apply.

    They take and give float32[batch, height, width, channels] in [0, 255], and change nothing outside of training.

    Args:
        augment: The recipe's section.
        channels: Of the images; saturation is changed where there are three.
    """
    from keras import layers

    from zoo.data import policies

    policy: Any = policies.POLICIES.get(augment.policy)
    colors: dict[str, Any] = {"brightness_factor": augment.color, "contrast_factor": augment.color}
    if channels == 3:
        # 0 is grey, 0.5 the image itself.
        colors["saturation_factor"] = (0.5 - augment.color / 2, 0.5 + augment.color / 2)
    table: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
        # Two layers for "both": Keras' "horizontal_and_vertical" mirrors both ways or not at all.
        ("mirror", augment.flip in ("horizontal", "both"), layers.RandomFlip, {"mode": "horizontal"}),
        ("upend", augment.flip in ("vertical", "both"), layers.RandomFlip, {"mode": "vertical"}),
        ("rotation", augment.rotation, layers.RandomRotation, {"factor": augment.rotation / 360, **policies.FILL}),
        (
            "translation",
            augment.translation,
            layers.RandomTranslation,
            {"height_factor": augment.translation, "width_factor": augment.translation, **policies.FILL},
        ),
        ("zoom", augment.zoom, layers.RandomZoom, {"height_factor": (-augment.zoom, augment.zoom), **policies.FILL}),
        ("crop", augment.crop, policies.RandomWindow, {"smallest": 1 - augment.crop}),
        ("policy", policy, policy, {"channels": channels}),
        ("color", augment.color, layers.RandomColorJitter, colors),
        # A tuple, since Keras draws the probability itself from a range; areas of arXiv:1708.04896, section 3.1.
        (
            "erasing",
            augment.erasing,
            layers.RandomErasing,
            {"factor": (augment.erasing,) * 2, "scale": (0.02, 0.4), "value_range": policies.VALUE_RANGE},
        ),
    )
    return [
        layer(**settings, seed=0, dtype="float32", name=f"{PREFIX}{name}")
        for name, wanted, layer, settings in table
        if wanted
    ]


def seed_augmentation(augmenters: "Sequence[keras.layers.Layer]", *, seed: int, epoch: int) -> None:
    """Sets the layers' generators for an epoch, so that what they draw is a function of (seed, epoch, step)."""
    for number, layer in enumerate(augmenters):
        (key,) = np.random.SeedSequence((seed, epoch, number)).generate_state(1)
        generator: Any = layer
        generator.generator.state.assign(np.array([key, 0], dtype=np.uint32))


def flip_warning(augment: AugmentSection, classes: Sequence[str]) -> str | None:
    """Says when a flip is likely to turn an image into none, or into one of another class: digits and letters."""
    if augment.flip == "none" or not all(len(name) == 1 and name.isalnum() for name in classes):
        return None
    return (
        f'augment.flip = "{augment.flip}" mirrors characters: the classes are {", ".join(classes[:4])}, ..., and a '
        'mirrored 2 is no 2; expected flip = "none"'
    )
