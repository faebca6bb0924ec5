"""What a phase trains on where its frozen prefix is run only once: activations instead of pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from zoo.backend.memory import has_memory
from zoo.data import Pack, Pixels
from zoo.data.inputs import Bar
from zoo.errors import RecipeError
from zoo.inference.batches import predict_in_batches
from zoo.recipe.schema import Phase, Recipe
from zoo.report.progress import ProgressDisplay
from zoo.system.cache import cache_folder, is_writable, room
from zoo.training.prefix import caching, policy
from zoo.training.prefix.splitting import Prefix, frozen_prefix
from zoo.training.prefix.views import View, fixed_views


@dataclass(frozen=True, kw_only=True)
class CachedActivations:
    """A phase's images as what its frozen prefix gives for them.

    Attributes:
        prefix: The prefix, and the suffix that trains on them.
        train: The activations of the images to learn from, one view after the other.
        validation: Those of the images to validate on, or None.
        views: Fixed views of each image that trains; 1 where it is taken as it is.
        computed: How many images the prefix was run on, each view counted.
    """

    prefix: Prefix
    train: Pack
    validation: Pack | None
    views: int
    computed: int


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Images whose activations a phase needs.

    Attributes:
        name: What they are, for a bar.
        pack: Their pixels.
        views: Fixed views of them; none where they are taken as they are.
        found: Their activations, where they are in the cache.
    """

    name: str
    pack: Pack
    views: Sequence[View] = ()
    found: np.ndarray | None = None

    @property
    def count(self) -> int:
        """How many activations there are to be."""
        return len(self.pack.labels) * max(1, len(self.views))


@dataclass(frozen=True, kw_only=True)
class PrefixPlan:
    """How a frozen prefix is run once.

    Attributes:
        prefix: What is run.
        needed: On what: the images to learn from, and those to validate on where there are any.
        place: Where its activations are, or will be.
    """

    prefix: Prefix
    needed: Sequence[Needed]
    place: policy.Place

    @property
    def count(self) -> int:
        """How many activations there are to be."""
        return sum(each.count for each in self.needed)

    def __str__(self) -> str:
        if self.place == "there":
            return f"what comes up to {self.prefix.cut} is in the cache"
        per_epoch = sum(len(each.pack.labels) for each in self.needed)
        images = self.needed[0].pack.images
        forecast = policy.forecast(self.prefix, images, count=self.count, per_epoch=per_epoch)
        why = "" if is_writable(caching.KIND) else f", since {caching.entries_folder()} cannot be written"
        return f"runs up to {self.prefix.cut} once: {forecast} {self.place}{why}"

    def run(self, *, in_memory: bool, bar: Bar) -> CachedActivations:
        """Runs the prefix on what is not in the cache.

        Raises:
            OSError: The cache cannot be written.
        """
        outputs = [
            caching.PrefixOutput(each.found, computed=0)
            if each.found is not None
            else caching.get_or_compute(
                self.prefix, each.pack.images, views=each.views, in_memory=in_memory, bar=bar, what=each.name
            )
            for each in self.needed
        ]
        packs = [replace(each.pack, images=found.activations) for each, found in zip(self.needed, outputs, strict=True)]
        return CachedActivations(
            prefix=self.prefix,
            train=packs[0],
            validation=packs[1] if len(packs) > 1 else None,
            views=max(1, len(self.needed[0].views)),
            computed=sum(found.computed for found in outputs),
        )


@dataclass(frozen=True)
class NotCached:
    """A phase that trains on pixels.

    Attributes:
        reason: Why its frozen prefix is not run once.
    """

    reason: str


def plan_prefix(
    prefix: Prefix | None, recipe: Recipe, phase: Phase, train: Pack, validation: Pack | None
) -> PrefixPlan | NotCached:
    """Decides whether a phase's frozen prefix is run once, and where its activations are kept."""
    if prefix is None:
        return NotCached("nothing is frozen below what is trained")
    views = fixed_views(recipe.augment, seed=recipe.train.seed)
    is_drawn_anew = recipe.augment.mixes or (recipe.augment.changes_images and not views)
    reason = policy.why_not_cached(prefix, epochs=phase.epochs, augmented=is_drawn_anew, views=len(views))
    if reason:
        return NotCached(reason)
    needed = [Needed(name="train", pack=train, views=views)]
    if validation is not None:
        needed.append(Needed(name="validation", pack=validation))
    # What is there is used even if it would have no room now: a resumed phase goes on as it began.
    needed = [replace(each, found=caching.find(prefix, each.pack.images, each.views)) for each in needed]
    size = sum(each.count for each in needed) * policy.bytes_of(prefix)
    missing = [each for each in needed if each.found is None]
    begun = sum(caching.bytes_there(prefix, each.pack.images, each.views) for each in missing)
    place = policy.place_for(size, there=begun) if missing else "there"
    if place is None:
        gigabytes = f"its {size / 1e9:.1f} GB"
        if is_writable(caching.KIND):
            free = f"where {room(there=begun) / 1e9:.1f} GB may be taken"
            return NotCached(f"{gigabytes} fit neither in {cache_folder()}, {free}, nor in memory")
        return NotCached(f"{caching.entries_folder()} cannot be written, and {gigabytes} do not fit in memory")
    return PrefixPlan(prefix=prefix, needed=needed, place=place)


def cache_prefix(
    prefix: Prefix | None, recipe: Recipe, phase: Phase, train: Pack, validation: Pack | None, display: ProgressDisplay
) -> CachedActivations | None:
    """Runs a phase's frozen prefix once, or says why not.

    Raises:
        RecipeError: The recipe requires it, and it is not possible.
        OSError: The recipe requires it, and its activations can be kept nowhere.
    """

    def say(text: str) -> None:
        display.line(f"{phase.name}: {text}")

    asked = recipe.train.prefix_cache
    if asked == "off":
        return None
    plan = plan_prefix(prefix, recipe, phase, train, validation)
    if isinstance(plan, NotCached):
        if asked == "required":
            raise RecipeError(f"phase '{phase.name}': train.prefix_cache is \"required\", and {plan.reason}")
        say(f"no prefix cache: {plan.reason}")
        return None
    say(str(plan))
    try:
        return plan.run(in_memory=plan.place == "in memory", bar=display.bar)
    except OSError as fault:
        why = f"{fault.filename or cache_folder()}: {fault.strerror or fault}"
        if has_memory(plan.count * policy.bytes_of(plan.prefix)):
            say(f"{why}; what comes up to {plan.prefix.cut} is kept in memory")
            return plan.run(in_memory=True, bar=display.bar)
        if asked == "required":
            raise
        say(f"no prefix cache: {why}")
        return None


def predict(model: keras.Model, images: Pixels) -> np.ndarray:
    """Computes a trained model's probabilities, from what is kept of its frozen prefix where something is.

    Returns:
        float32[n, classes].
    """
    prefix = frozen_prefix(model)
    kept = None if prefix is None else caching.find(prefix, images)
    if prefix is None or kept is None:
        return predict_in_batches(model, images)
    return predict_in_batches(prefix.suffix, kept)
