"""What a phase trains on where its frozen prefix is run only once: activations instead of pixels."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from zoo.backend.determinism import fixed_threads
from zoo.backend.distribution.agreement import gathered
from zoo.backend.distribution.placement import current
from zoo.backend.memory import has_memory
from zoo.data import Pack, Pixels
from zoo.data.inputs import Bar
from zoo.errors import RecipeError
from zoo.inference.batches import predict_each_batch, predict_in_batches
from zoo.inference.engines import BATCH, EngineFaultError
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.system.cache import cache_folder
from zoo.system.partial_entries import discard, is_held, partial_of
from zoo.training.prefix import caching, policy
from zoo.training.prefix.ahead import look_ahead
from zoo.training.prefix.caching import Activations
from zoo.training.prefix.engine import PassEngine
from zoo.training.prefix.planning import FrozenPrefixes, NotCached, PrefixPlan, plan_prefix, with_prefix
from zoo.training.prefix.sharing import get_together
from zoo.training.prefix.splitting import Prefix, frozen_prefix, joined


def frozen_prefixes(model: keras.Model, recipe: Recipe, engine: PassEngine) -> FrozenPrefixes:
    """Returns what the phases of a run freeze; the model is left frozen as for the last one.

    Args:
        model: The whole model.
        recipe: Its phases.
        engine: What computes their first passes.
    """
    return FrozenPrefixes(phases=look_ahead(model, recipe), engine=engine)


@dataclass(frozen=True, kw_only=True)
class CachedActivations:
    """A phase's images as what its frozen prefix gives for them.

    Attributes:
        prefix: The prefix, and the suffix that trains on them.
        train: The activations of the images to learn from, one view after the other.
        validation: Those of the images to validate on, or None.
        views: Fixed views of each image that trains; 1 where it is taken as it is.
        computed: How many images the prefix was run on, each view counted.
        engine: What computes it in place of Keras, with its version; empty where Keras does.
    """

    prefix: Prefix
    train: Pack
    validation: Pack | None
    views: int
    computed: int
    engine: str


def cache_prefix(
    prefixes: FrozenPrefixes,
    number: int,
    recipe: Recipe,
    train: Pack,
    validation: Pack | None,
    display: ProgressDisplay,
) -> CachedActivations | None:
    """Runs a phase's frozen prefix once, or says why not.

    Args:
        prefixes: Those of all phases; takes what later ones need.
        number: Which phase.
        recipe: The whole recipe.
        train: Pixels and labels to learn from.
        validation: Pixels and labels to validate on, or None.
        display: Shows what is done.

    Raises:
        RecipeError: The recipe requires it, and it is not possible.
        OSError: The recipe requires it, and its activations can be kept nowhere.
    """
    one, activations = prefixes.phases[number], prefixes.activations

    def say(text: str) -> None:
        display.line(f"{one.phase.name}: {text}")

    asked = recipe.train.prefix_cache
    if asked == "off":
        return None
    activations.keep_only([prefix.cut for _, prefix in with_prefix(prefixes.phases[number:])])
    plan = plan_prefix(prefixes, number, recipe, train, validation)
    if prefixes.engine.refusal:
        say(prefixes.engine.refusal)
        prefixes.engine.refusal = ""
    if isinstance(plan, PrefixPlan) and plan.engine and plan.place != "there":
        compiled = prefixes.engine.take_over(plan.engine, plan.prefixes, plan.needed[0].pack.images[:BATCH])
        if isinstance(compiled, str):
            say(f"{compiled}; Keras computes")
            prefixes.engine.choose("")
            plan = plan_prefix(prefixes, number, recipe, train, validation)
        else:
            plan = replace(plan, compiled=compiled)
    if isinstance(plan, NotCached):
        if asked == "required":
            raise RecipeError(f"phase '{one.phase.name}': train.prefix_cache is \"required\", and {plan.reason}")
        say(f"no prefix cache: {plan.reason}")
        return None
    prefixes.engine.choose(plan.engine)
    plan = _as_each_alone(plan, say)
    say(str(plan))
    try:
        return _wherever_it_can_be_kept(plan, activations, display, say, is_required=asked == "required")
    except EngineFaultError as fault:
        say(f"{fault}; Keras computes all of the pass")
        _forget(plan, activations)
        prefixes.engine.choose("")
        return cache_prefix(prefixes, number, recipe, train, validation, display)


def _forget(plan: PrefixPlan, activations: Activations) -> None:
    """Removes what an engine that failed has left, but whole entries."""
    activations.keep_only(())
    for each in plan.needed:
        for prefix in plan.prefixes:
            partial = partial_of(each.folder_of(prefix, plan.engine))
            if not is_held(partial):
                discard(partial)


def _wherever_it_can_be_kept(
    plan: PrefixPlan,
    activations: Activations,
    display: ProgressDisplay,
    say: Callable[[str], None],
    *,
    is_required: bool,
) -> CachedActivations | None:
    """Runs a prefix; where the cache cannot be written, in memory, or not.

    Raises:
        OSError: The recipe requires it, and its activations can be kept nowhere.
        EngineFaultError: What computes in place of Keras failed.
    """
    try:
        return _timed(plan, activations, display, say)
    except OSError as fault:
        if current().processes > 1:  # the others go on as was planned
            raise
        why = f"{fault.filename or cache_folder()}: {fault.strerror or fault}"
        # What an engine has taken over computes what it does for later phases too.
        plan = replace(plan, place="in memory", kept=plan.kept if plan.compiled else ())
        if has_memory(plan.count * sum(map(policy.bytes_of, plan.prefixes))):
            say(f"{why}; what comes up to {plan.prefix.cut} is kept in memory")
            return _timed(plan, activations, display, say)
        if is_required:
            raise
        say(f"no prefix cache: {why}")
        return None


def _as_each_alone(plan: PrefixPlan, say: Callable[[str], None]) -> PrefixPlan:
    """Leaves out later phases where bits are promised, and a pass for all gives others than a pass for each.

    XLA fuses a layer with what comes after it, and sums in another order then. A run that goes on in a later phase may
    have to compute what that needs alone.
    """
    if not plan.kept or fixed_threads() is None:
        return plan
    prefixes = plan.prefixes
    batch = plan.needed[0].pack.images[:BATCH]
    together: list[np.ndarray] = []
    predict_each_batch(joined(prefixes), batch, lambda *outputs: together.extend(outputs), batch_size=BATCH)
    alone = [predict_in_batches(each.prefix, batch, batch_size=BATCH) for each in prefixes]
    if all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True)):
        return plan
    names = ", ".join(name for name, _ in with_prefix(plan.kept))
    say(f"one pass for {names} too would round otherwise; what they need is computed alone, for the same bits")
    return replace(plan, kept=())


def _timed(
    plan: PrefixPlan, activations: Activations, display: ProgressDisplay, say: Callable[[str], None]
) -> CachedActivations:
    """Runs a prefix, and says what that took and saves.

    Raises:
        OSError: The cache cannot be written.
    """
    began = time.perf_counter()
    cached = _run(plan, activations, display.bar)
    seconds = time.perf_counter() - began
    if cached.computed:
        per_epoch = sum(len(each.pack.labels) for each in plan.needed)
        say(str(policy.saving(plan.prefix, seconds=seconds, computed=cached.computed, per_epoch=per_epoch)))
    return cached


def _run(plan: PrefixPlan, activations: Activations, bar: Bar) -> CachedActivations:
    """Runs a prefix on what is not in the cache.

    Raises:
        OSError: The cache cannot be written.
    """
    prefixes = plan.prefixes
    model = plan.compiled or joined(prefixes)
    computed = 0
    packs: list[Pack] = []
    for each in plan.needed:
        array = each.found
        if array is None or (current().processes > 1 and plan.place != "there"):  # another process may lack it
            folders = [each.folder, *(each.folder_of(prefix, plan.engine) for prefix in prefixes[1:])]
            images, in_memory = each.pack.images, plan.place == "in memory"
            get = get_together if current().processes > 1 else caching.get_or_compute
            output = get(model, images, folders, views=each.views, in_memory=in_memory, bar=bar, what=each.name)
            computed += output.computed
            array = output.activations[each.folder]
            for folder, prefix in zip(folders, prefixes, strict=True):
                if folder in output.activations:
                    activations.add(prefix.cut, folder, output.activations[folder])
        packs.append(replace(each.pack, images=array))
    return CachedActivations(
        prefix=plan.prefix,
        train=packs[0],
        validation=packs[1] if len(packs) > 1 else None,
        views=max(1, len(plan.needed[0].views)),
        computed=computed,
        engine=plan.engine,
    )


def predict(model: keras.Model, images: Pixels, prefixes: FrozenPrefixes) -> np.ndarray:
    """Computes a trained model's probabilities, from what is kept of its frozen prefix where something is.

    Returns:
        float32[n, classes].
    """
    prefix = frozen_prefix(model)
    if prefix is None:
        return predict_in_batches(model, images)
    kept = prefixes.activations.find(caching.folder_of(prefix, images, engine=prefixes.engine.name))
    is_there = gathered("kept activations", "there" if kept is not None else "")
    if kept is None or not all(is_there):
        return predict_in_batches(model, images)
    return predict_in_batches(prefix.suffix, kept)
