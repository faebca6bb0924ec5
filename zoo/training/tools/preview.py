"""What a model will see: a few images of a recipe's data, as read and as augmentation changes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from zoo.backend.keras_globals import pinned
from zoo.data.augmentation.building import augmentation_layers, flip_warning, seed_augmentation
from zoo.data.inputs import Bar, pack_split
from zoo.recipe.schema import Recipe
from zoo.training.compiling.mixing import mixing_layer
from zoo.training.prefix.views import fixed_views
from zoo.training.preparation.preparing import Prepared


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Images before and after augmentation.

    Attributes:
        before: uint8[n, height, width, channels] in [0, 255], as every epoch begins with them.
        after: float32[draws, n, height, width, channels] in [0, 255]; no draws where nothing is augmented.
        draws: The name of each draw: `epoch 1`, or `view 1` where the recipe has fixed views.
        labels: The class of each image, by name.
        mixed: By draw and image, the shares of classes as text; the plain label where nothing is mixed.
        warnings: What the user should know, one line each.
    """

    before: np.ndarray
    after: np.ndarray
    draws: tuple[str, ...]
    labels: tuple[str, ...]
    mixed: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]


@pinned()
def preview(prepared: Prepared, *, count: int, epochs: int, bar: Bar) -> Preview:
    """Reads a few training images, spread over all of them, and augments them as some epochs would, or each fixed view.

    Args:
        prepared: The recipe and its images.
        count: How many images, fewer where there are not as many.
        epochs: How many draws of an augmentation that is drawn anew in each epoch.
        bar: Shows the reading.

    Raises:
        DataError: Images that cannot be read, beyond what `data.on_bad` allows.
    """
    recipe, source = prepared.recipe, prepared.source
    rows = np.unique(np.linspace(0, len(source.train) - 1, count).round().astype(int))
    packed = pack_split(
        source.train.subset(rows),
        prepared.settings,
        replace(prepared.packing, keep=False),
        bar=bar,
        description="reading images",
    )
    images = packed.images[:]
    classes = source.dataset.classes
    plain = np.eye(len(classes), dtype="float32")[packed.labels]
    views = [] if recipe.augment.mixes else fixed_views(recipe.augment, seed=recipe.train.seed)
    if views:
        drawn = [
            (f"view {view.number + 1}", np.concatenate([chunk.pixels for chunk in view.chunks(images)]), plain)
            for view in views
        ]
    else:
        drawn = list(_epochs(recipe, images, plain, epochs))
    pixels = [np.clip(one.astype(np.float32), 0, 255) for _, one, _ in drawn]
    flipped = flip_warning(recipe.augment, classes)
    skipped = [*map(str, packed.skipped)]
    return Preview(
        before=images,
        after=np.stack(pixels) if pixels else np.empty((0, *images.shape), np.float32),
        draws=tuple(name for name, _, _ in drawn),
        labels=tuple(classes[label] for label in packed.labels),
        mixed=tuple(tuple(_named(row, classes) for row in shares) for _, _, shares in drawn),
        warnings=(*source.warnings, *skipped, *([flipped] if flipped else [])),
    )


def _epochs(
    recipe: Recipe, images: np.ndarray, plain: np.ndarray, epochs: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields what epochs make of images and their labels: a name, pixels and shares of classes."""
    layers = augmentation_layers(recipe.augment, channels=images.shape[-1])
    mixing = mixing_layer(recipe.augment)
    apply: Any = keras.Sequential(layers) if layers else None
    for epoch in range(epochs if layers or mixing else 0):
        seed_augmentation([*layers, *([mixing] if mixing else [])], seed=recipe.train.seed, epoch=epoch)
        pixels: Any = images.astype("float32")
        shares: Any = plain
        if apply is not None:
            pixels = apply(pixels, training=True)
        if mixing is not None:
            pixels, shares = mixing(pixels, shares, training=True)
        yield f"epoch {epoch + 1}", np.asarray(pixels), np.asarray(shares)


def _named(shares: np.ndarray, classes: Sequence[str]) -> str:
    """Writes the classes that an image holds, one a line, the largest share first."""
    held = [int(number) for number in np.argsort(-shares) if shares[number] > 0.005]
    if len(held) == 1:
        return classes[held[0]]
    return "\n".join(f"{classes[number]} {100 * shares[number]:.0f} %" for number in held)
