"""What a phase trains on where its frozen prefix is run only once: activations instead of pixels."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from zoo.backend.memory import has_memory
from zoo.data import Pack, Pixels
from zoo.errors import RecipeError
from zoo.inference.batches import predict_in_batches
from zoo.recipe.schema import Phase, Recipe
from zoo.report.progress import Display
from zoo.system.cache import cache_folder, is_writable
from zoo.training.prefix import caching
from zoo.training.prefix.splitting import Prefix, frozen_prefix
from zoo.training.prefix.views import View, fixed_views


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A phase's images as what its frozen prefix gives for them.

    Attributes:
        split: The prefix, and the suffix that trains on them.
        train: The activations of the images to learn from, one view after the other.
        validation: Those of the images to validate on, or None.
        views: Fixed views of each image that trains; 1 where it is taken as it is.
        computed: How many images the prefix was run on, each view counted.
    """

    split: Prefix
    train: Pack
    validation: Pack | None
    views: int
    computed: int


def run_once(
    split: Prefix | None, recipe: Recipe, phase: Phase, train: Pack, validation: Pack | None, display: Display
) -> Cached | None:
    """Runs the frozen prefix once, or says why not.

    Raises:
        RecipeError: The recipe requires it, and it cannot be.
        OSError: The recipe requires it, and it can be kept nowhere.
    """
    if recipe.train.prefix_cache == "off":
        return None
    is_required = recipe.train.prefix_cache == "required"
    views = fixed_views(recipe.augment, seed=recipe.train.seed)
    needed: list[tuple[Pack, Sequence[View]]] = [(train, views), *([(validation, ())] if validation else [])]
    count = sum(len(pack.labels) * max(1, len(seen)) for pack, seen in needed)
    reason = "nothing is frozen below what is trained"
    if split is not None:
        is_drawn_anew = recipe.augment.mixes or (recipe.augment.changes_images and not views)
        reason = caching.refusal(split, epochs=phase.epochs, augmented=is_drawn_anew, views=len(views))
    place: caching.Place | None = None
    there: list[np.ndarray | None] = []
    if split is not None and not reason:
        # What is there is used even if it would have no room now: a resumed phase goes on as it began.
        there = [caching.find(split, pack.images, seen) for pack, seen in needed]
        size = count * caching.bytes_of(split)
        place = caching.place_for(size) if any(found is None for found in there) else "there"
        if place is None:
            gigabytes = f"its {size / 1e9:.1f} GB"
            reason = (
                f"{gigabytes} fit neither in {cache_folder()} nor in memory"
                if is_writable(caching.KIND)
                else f"{caching.entries_folder()} cannot be written, and {gigabytes} do not fit in memory"
            )
    if reason and is_required:
        raise RecipeError(f"phase '{phase.name}': train.prefix_cache is \"required\", and {reason}")
    if split is None or place is None:
        display.line(f"{phase.name}: no prefix cache: {reason}")
        return None
    if place == "there":
        display.line(f"{phase.name}: what comes up to {split.cut} is in the cache")
    else:
        per_epoch = sum(len(pack.labels) for pack, _ in needed)
        forecast = caching.forecast(split, train.images, count=count, per_epoch=per_epoch)
        why = "" if is_writable(caching.KIND) else f", since {caching.entries_folder()} cannot be written"
        display.line(f"{phase.name}: runs up to {split.cut} once: {forecast} {place}{why}")
    keep = functools.partial(_kept, split, needed, there, display)
    try:
        kept = keep(in_memory=place == "in memory")
    except OSError as fault:
        why = f"{fault.filename or cache_folder()}: {fault.strerror or fault}"
        if has_memory(count * caching.bytes_of(split)):
            display.line(f"{phase.name}: {why}; what comes up to {split.cut} is kept in memory")
            kept = keep(in_memory=True)
        elif is_required:
            raise
        else:
            display.line(f"{phase.name}: no prefix cache: {why}")
            return None
    packs = [replace(pack, images=found.activations) for (pack, _), found in zip(needed, kept, strict=True)]
    return Cached(
        split=split,
        train=packs[0],
        validation=packs[1] if validation else None,
        views=max(1, len(views)),
        computed=sum(found.computed for found in kept),
    )


def _kept(
    split: Prefix,
    needed: Sequence[tuple[Pack, Sequence[View]]],
    there: Sequence[np.ndarray | None],
    display: Display,
    *,
    in_memory: bool,
) -> list[caching.Kept]:
    return [
        caching.keep(split, pack.images, views=views, in_memory=in_memory, bar=display.bar, what=what)
        if found is None
        else caching.Kept(found, computed=0)
        for (pack, views), found, what in zip(needed, there, ("train", "validation"), strict=False)
    ]


def predict(model: keras.Model, images: Pixels) -> np.ndarray:
    """Computes a trained model's probabilities, from what is kept of its frozen prefix where something is.

    Returns:
        float32[n, classes].
    """
    split = frozen_prefix(model)
    kept = None if split is None else caching.find(split, images)
    if split is None or kept is None:
        return predict_in_batches(model, images)
    return predict_in_batches(split.suffix, kept)
