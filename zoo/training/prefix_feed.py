"""What a phase trains on where its frozen prefix is run only once: activations instead of pixels."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from zoo.data import Pack
from zoo.data.augmentation import augmentation_layers
from zoo.errors import RecipeError
from zoo.recipe.schema import Phase, Recipe
from zoo.training import prefix_cache
from zoo.training.feeding import predict_in_batches
from zoo.training.mixing import mixing_layer
from zoo.training.prefix import Prefix, frozen_prefix
from zoo.training.progress import Display


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A phase's images as what its frozen prefix gives for them.

    Attributes:
        split: The prefix, and the suffix that trains on them.
        train: The activations of the images to learn from.
        validation: Those of the images to validate on, or None.
        computed: How many images the prefix was run on.
    """

    split: Prefix
    train: Pack
    validation: Pack | None
    computed: int


def run_once(
    split: Prefix | None, recipe: Recipe, phase: Phase, train: Pack, validation: Pack | None, display: Display
) -> Cached | None:
    """Runs the frozen prefix once, or says why not.

    Raises:
        RecipeError: The recipe requires it, and it cannot be.
    """
    if recipe.train.prefix_cache == "off":
        return None
    count = len(train.labels) + (len(validation.labels) if validation else 0)
    reason = "nothing is frozen below what is trained"
    if split is not None:
        is_augmented = bool(augmentation_layers(recipe.augment) or mixing_layer(recipe.augment))
        reason = prefix_cache.refusal(split, count=count, epochs=phase.epochs, augmented=is_augmented)
    if reason and recipe.train.prefix_cache == "required":
        raise RecipeError(f"phase '{phase.name}': train.prefix_cache is \"required\", and {reason}")
    if reason or split is None:
        display.line(f"{phase.name}: no prefix cache: {reason}")
        return None
    packs = [train, *([validation] if validation else [])]
    if all(prefix_cache.find(split, pack.images) is not None for pack in packs):
        display.line(f"{phase.name}: what comes up to {split.cut} is in the cache")
    else:
        forecast = prefix_cache.forecast(split, train.images, count=count)
        display.line(f"{phase.name}: runs up to {split.cut} once: {forecast}")
    computed = 0

    def kept(pack: Pack, what: str) -> Pack:
        nonlocal computed
        found = prefix_cache.keep(split, pack.images, bar=display.bar, what=what)
        computed += found.computed
        return replace(pack, images=found.activations)

    try:
        activations = kept(train, "train")
        validated = kept(validation, "validation") if validation else None
    except OSError as fault:
        if recipe.train.prefix_cache == "required":
            raise
        display.line(f"{phase.name}: no prefix cache: {fault.filename or 'the cache'}: {fault.strerror or fault}")
        return None
    return Cached(split=split, train=activations, validation=validated, computed=computed)


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Computes a trained model's probabilities, from what is kept of its frozen prefix where something is.

    Returns:
        float32[n, classes].
    """
    split = frozen_prefix(model)
    kept = None if split is None else prefix_cache.find(split, images)
    if split is None or kept is None:
        return predict_in_batches(model, images)
    return predict_in_batches(split.suffix, kept)
