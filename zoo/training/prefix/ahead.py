"""Which phases' frozen prefixes are run in one pass: known before the first, from the recipe and the model's layers.

A phase's first pass leaves what later phases need, where no phase until then trains a layer of theirs. It rests on
counts and not on the clock or on what the cache holds, so that a resumed or repeated run decides alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras

from zoo.freezing.graphs import operations_of
from zoo.recipe.schema import Phase, Recipe
from zoo.training.prefix import policy
from zoo.training.prefix.splitting import Prefix, frozen_prefix
from zoo.training.prefix.views import fixed_views
from zoo.training.trainable import apply_freezing


@dataclass(frozen=True, kw_only=True)
class PhasePrefix:
    """What a phase freezes, and whether it is run once.

    Attributes:
        phase: The phase.
        prefix: Its frozen prefix, or None.
        reason: Why it is not run once; empty where it is.
        later: Phases after it, whose prefixes are within this one and the same as now until they are needed.
    """

    phase: Phase
    prefix: Prefix | None
    reason: str = ""
    later: Sequence["PhasePrefix"] = ()


def look_ahead(model: keras.Model, recipe: Recipe) -> list[PhasePrefix]:
    """Says of each phase what it freezes, and in which phase's first pass that is computed.

    Args:
        model: The whole model; it is left frozen as for the last phase.
        recipe: Its phases, views and `train.prefix_cache`.
    """
    found: list[PhasePrefix] = []
    for phase in recipe.phases:
        apply_freezing(model, phase)
        found.append(PhasePrefix(phase=phase, prefix=frozen_prefix(model)))
    return found if recipe.train.prefix_cache == "off" else together(found, recipe)


def together(phases: Sequence[PhasePrefix], recipe: Recipe) -> list[PhasePrefix]:
    """Finds the phases whose prefixes are run in one pass.

    Args:
        phases: Each phase of the recipe with what it freezes.
        recipe: Its views count: each of them is a pass.
    """
    views = len(fixed_views(recipe.augment, seed=recipe.train.seed))
    is_drawn_anew = recipe.augment.mixes or (recipe.augment.changes_images and not views)
    found = list(phases)
    # The phases that a pass can be run for: each one's pass is that of the first of its group.
    free: list[int] = []
    for number, one in enumerate(phases):
        reason = policy.why_never(one.prefix, epochs=one.phase.epochs, augmented=is_drawn_anew, views=views)
        found[number] = replace(one, reason=reason)
        if not reason:
            free.append(number)
    while free:
        first, *others = free
        group = [first, *(later for later in others if _stays(phases, first, later))]
        epochs = [(phases[number].phase.epochs, policy.cost_of(phases[number].prefix)) for number in group]
        reason = policy.why_not_once(epochs, views=views)
        if reason:
            found[first] = replace(found[first], reason=reason)
            free.remove(first)
            continue
        for place in reversed(range(len(group))):
            later = [found[number] for number in group[place + 1 :]]
            found[group[place]] = replace(found[group[place]], later=later)
            free.remove(group[place])
    return found


def _stays(phases: Sequence[PhasePrefix], first: int, later: int) -> bool:
    """Returns whether a later phase's prefix lies within those of a first phase and of all between them."""
    cut = _prefix(phases[later]).cut
    return all(
        one.prefix is not None and any(operation.name == cut for operation in operations_of(one.prefix.prefix))
        for one in phases[first:later]
    )


def _prefix(one: PhasePrefix) -> Prefix:
    assert one.prefix is not None  # else it would have a reason
    return one.prefix
