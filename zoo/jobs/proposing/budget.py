"""What is given up so that a run ends within a budget of time. The order is documented in docs/recipe-new.md.

Epochs first, down to half of them; then the layers below the last three stages, which then run once; then pixels; then
epochs down to two; then all layers but the head.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from zoo.errors import ZooError
from zoo.jobs.proposing.draft import Draft, Scope
from zoo.jobs.proposing.forecast import (
    ERROR,
    Costs,
    Forecast,
    Work,
    at_size,
    duration,
    epoch_seconds,
    forecast,
)
from zoo.jobs.proposing.measuring import Measured
from zoo.jobs.proposing.rule import PLANS, SMALLEST_SIZE, STRIDE

# A phase has as many epochs at least: its prefix is run once only where there are two.
FEWEST_EPOCHS = 2
# A step down in size, as a share of the side.
SMALLER = 0.8


# What was measured, by the names of the phases and the image size.
Known = dict[tuple[tuple[str, ...], int], Measured]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What fits.

    Attributes:
        draft: With what is left.
        forecast: Of it.
        given_up: What the rule would have done besides, a line each.
    """

    draft: Draft
    forecast: Forecast
    given_up: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How drafts are made and measured.

    Attributes:
        decide: Gives the rule's draft for a scope.
        measure: Measures it.
        smallest: The smallest image size that the model and the rule allow.
    """

    decide: Callable[[Scope], Draft]
    measure: Callable[[Draft], Measured]
    smallest: int = SMALLEST_SIZE


def fit(seconds: float, choices: Choices) -> Fitted:
    """Finds what ends within a budget, and gives up as little as it takes.

    Args:
        seconds: The budget.
        choices: How drafts are made and measured.

    Raises:
        ZooError: Not even the least of it ends in time.
    """
    full, least = choices.decide(Scope()), math.inf
    target = seconds / (1 + ERROR)
    known: Known = {}
    for scope, share in _rungs(full, choices.smallest):
        wanted = choices.decide(scope)
        phases, size = tuple(wanted.phases), wanted.data["image_size"].value
        if (phases, size) not in known:
            if share and not _may_fit(wanted, known, target, share):
                continue
            known[phases, size] = _head_alone(wanted, known) or choices.measure(wanted)
        measured = known[phases, size]
        epochs = _epochs_within(measured.costs, measured.work, target, share=share)
        if epochs is not None:
            draft = choices.decide(replace(scope, epochs=epochs))
            found = forecast(measured.costs, replace(measured.work, epochs=epochs))
            return Fitted(draft=draft, forecast=found, given_up=tuple(_given_up(full, draft)))
        least = min(least, _least(measured, size, choices.smallest))
        if least > target:
            break
    raise ZooError(
        f"--budget {duration(seconds)}: the least run of model '{full.model['name'].value}' on these images takes "
        f"about {duration(least)}; expected --budget {math.ceil(least * (1 + ERROR))}s or more, or a smaller --model"
    )


def _least(measured: Measured, size: int, smallest: int) -> float:
    """Guesses the seconds of the least run: the first phase at the smallest size for two epochs."""
    first = next(iter(measured.costs.phases))
    phases = {first: measured.costs.phases[first]}
    factor = (min(size, smallest) / size) ** 2
    costs = at_size(replace(measured.costs, phases=phases), factor)
    return forecast(costs, replace(measured.work, epochs={first: FEWEST_EPOCHS})).seconds


def _head_alone(wanted: Draft, known: Known) -> Measured | None:
    """Returns what the head alone costs, where it was measured with what trains after it; else None."""
    for (phases, size), measured in known.items():
        if len(wanted.phases) == 1 and size == wanted.data["image_size"].value and phases[0] in wanted.phases:
            head = measured.costs.phases[phases[0]]
            measure_image = head.validation_batch / measured.work.batch_size
            costs = replace(measured.costs, phases={phases[0]: head}, measure_image=measure_image)
            return Measured(costs, replace(measured.work, epochs=wanted.epochs))
    return None


def _rungs(full: Draft, smallest: int) -> Iterator[tuple[Scope, float]]:
    """Yields what is tried, in order, each with the share of its epochs that it has to keep."""
    plans = [plan for plan in PLANS if len(full.phases) > 1] or ["all"]
    for plan in plans:
        yield Scope(plan=plan), 0.5  # pyright: ignore[reportArgumentType] -- the keys are the plans
    lowest = plans[-1]
    size = full.data["image_size"].value
    sizes = list(_sizes(size, smallest))
    for smaller in sizes:
        yield Scope(plan=lowest, image_size=smaller), 0.5  # pyright: ignore[reportArgumentType]
    last = sizes[-1] if sizes else None
    yield Scope(plan=lowest, image_size=last), 0.0  # pyright: ignore[reportArgumentType]
    if len(full.phases) > 1:
        yield Scope(plan="head", image_size=last), 0.0


def _may_fit(wanted: Draft, known: Known, target: float, share: float) -> bool:
    """Guesses from what was measured at a larger size whether it is worth measuring; True where nothing was."""
    phases, size = tuple(wanted.phases), wanted.data["image_size"].value
    of_them = [(other, measured) for (names, other), measured in known.items() if names == phases]
    if not of_them:
        return True
    other, measured = of_them[-1]
    work = replace(measured.work, epochs=wanted.epochs)
    return _epochs_within(at_size(measured.costs, (size / other) ** 2), work, target, share=share) is not None


def _sizes(size: int, smallest: int) -> Iterator[int]:
    """Yields smaller image sizes, each some steps of the stride below the one before."""
    while (size := math.floor(size * SMALLER / STRIDE) * STRIDE) >= max(smallest, STRIDE):
        yield size


def _epochs_within(costs: Costs, work: Work, target: float, *, share: float) -> Mapping[str, int] | None:
    """Takes epochs away, the last phase's first, until a run ends in time.

    Args:
        costs: Of its parts.
        work: With all epochs.
        target: Seconds.
        share: Of its epochs that each phase keeps.

    Returns:
        The epochs of each phase, or None where too few would be left.
    """
    epochs = dict(work.epochs)
    for name in reversed(epochs):
        over = forecast(costs, replace(work, epochs=epochs)).seconds - target
        if over <= 0:
            break
        fewest = min(epochs[name], max(FEWEST_EPOCHS, math.ceil(share * epochs[name])))
        each = epoch_seconds(costs.phases[name], work)
        epochs[name] = max(fewest, epochs[name] - math.ceil(over / max(each, 1e-9)))
    return epochs if forecast(costs, replace(work, epochs=epochs)).seconds <= target else None


def _given_up(full: Draft, draft: Draft) -> Iterator[str]:
    """Says in what a draft does less than the rule wants."""
    if "all" in full.phases and "all" not in draft.phases:
        left = "the last three stages train after the head" if "top" in draft.phases else "the head alone trains"
        yield f"training all layers: {left}"
    size, wanted = draft.data["image_size"].value, full.data["image_size"].value
    if size < wanted:
        yield f"images of {wanted} pixels: they go in with {size}"
    for name, epochs in draft.epochs.items():
        before = full.epochs.get(name, full.epochs.get("all", epochs))
        if epochs < before:
            yield f"{before} epochs of '{name}': it has {epochs}"
