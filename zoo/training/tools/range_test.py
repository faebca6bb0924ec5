"""The learning-rate range test: train while the rate rises, and see where the loss falls fastest.

Source: Smith 2017 (arXiv:1506.01186), section 3.3, with the exponential rise and the smoothing of fastai's `lr_find`.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from zoo.backend import devices
from zoo.backend.callers_state import alone
from zoo.backend.hardware import allocator
from zoo.backend.keras_globals import pinned, require_no_strategy
from zoo.backend.keras_internals.native_operations import native_operations
from zoo.data import Batches
from zoo.data.augmentation.building import seed_augmentation
from zoo.errors import ZooError
from zoo.freezing.plans import layers_of
from zoo.recipe.schema import Phase
from zoo.report.progress import ProgressDisplay
from zoo.system.interruption import noticed, raise_lost
from zoo.training.batch_size import out_of_memory
from zoo.training.compiling.schedules import RisingRate
from zoo.training.compiling.training_model import TrainingModel, make_training_model
from zoo.training.feeding.batching import batches_of
from zoo.training.prefix.splitting import frozen_prefix
from zoo.training.preparation.preparing import Prepared, build_model, model_warnings, read_inputs

SMOOTHING = 0.9
# Standard deviation of the average in the plot, as a share of the steps.
WIDTH = 0.05
# The loss has left for good when it is so many times its best.
DIVERGED = 4.0
# Fewer losses than these give no slope.
FEWEST_LOSSES = 3


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """What a range test found.

    Attributes:
        rates: The learning rate of each step.
        losses: The loss of each step's batch, before its update, as training measures it.
        smoothed: Their average over neighbouring steps.
        suggested: The rate at which the smoothed loss falls fastest, by decade.
        fell: Whether the smoothed loss fell by more than twice what neighbouring batches differ by; where it did not,
            the suggestion is chance.
        stopped: Why the test stopped before its last step; None where it did not.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggested: float
    fell: bool
    stopped: str | None


@noticed()
@pinned()
def find_rate(
    prepared: Prepared, *, phase_name: str | None = None, rate: RisingRate, display: ProgressDisplay
) -> RangeTest:
    """Trains a recipe's phase from its first weights while the rate rises; nothing is kept of it.

    Args:
        prepared: The recipe and its images.
        phase_name: Whose trainable set and optimizer; by default the first phase's.
        rate: From which rate to which, and over how many steps.
        display: Shows progress.

    Raises:
        NotFoundError: The recipe has no such phase.
        ZooError: The data or the model cannot be used, or the loss is not finite from the first steps on.
    """
    require_no_strategy("lr-find")
    with alone(display.line):
        return _find_rate(prepared, prepared.recipe.phase_named(phase_name), rate, display)


def _find_rate(prepared: Prepared, phase: Phase, rate: RisingRate, display: ProgressDisplay) -> RangeTest:
    recipe = prepared.recipe
    keras.utils.set_random_seed(recipe.train.seed)
    model = build_model(prepared)
    for warning in (*prepared.warnings, *model_warnings(prepared, model, phase)):
        display.line(f"warning: {warning}")
    train = read_inputs(prepared, display).train
    batches = batches_of(recipe, train, len(prepared.source.dataset.classes))
    # Each batch is a step at its own rate, of the weights themselves.
    plain = recipe.model_copy(update={"train": recipe.train.model_copy(update={"accumulate": 1, "ema": 0.0})})
    training_model = make_training_model(model, plain, phase, rate, batches=batches, prefix=frozen_prefix(model))
    allocator.keep_freed_memory()
    losses: list[float] = []
    with native_operations(layers_of(model)), display.bar("rate", rate.steps) as move:
        for images, labels in itertools.islice(_stream(batches, training_model, seed=recipe.train.seed), rate.steps):
            try:
                losses.append(_loss_of_step(training_model, images, labels))
            except Exception as fault:
                if devices.is_out_of_memory(fault):
                    raise out_of_memory(recipe, phase, training_model, batches) from fault
                raise
            move(len(losses), f"loss {losses[-1]:.3f}")
            raise_lost()
            if stopped(losses):
                break
    return suggest_rate([float(rate.at(step)) for step in range(len(losses))], losses)


def _stream(batches: Batches, training_model: TrainingModel, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields batches epoch after epoch without end, under the seeds of augmentation that training has in each."""
    for epoch in itertools.count():
        seed_augmentation(training_model.augmentation_layers, seed=seed, epoch=epoch)
        yield from batches.epoch(epoch)


def _loss_of_step(training_model: TrainingModel, images: np.ndarray, labels: np.ndarray) -> float:
    """Takes a step on a batch and returns the batch's loss before it."""
    training_model.model.reset_metrics()
    pixels = (images, labels) if training_model.takes_labels else images
    return float(np.asarray(training_model.model.train_on_batch(pixels, labels)).ravel()[0])


def stopped(losses: Sequence[float]) -> str | None:
    """Says why a test need not go on; None where it should."""
    if losses and not math.isfinite(losses[-1]):
        return f"the loss became {losses[-1]}"
    averages = running(losses)
    if averages and averages[-1] > DIVERGED * min(averages):
        return f"the loss rose to more than {DIVERGED:g} times its lowest"
    return None


def running(losses: Sequence[float]) -> list[float]:
    """Returns the exponential moving average of losses, without the bias of its beginning."""
    average, smoothed = 0.0, list[float]()
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING**number))
    return smoothed


def smooth(losses: Sequence[float]) -> list[float]:
    """Returns losses averaged over their neighbours on both sides, so that a fall stays where it is."""
    width = max(1.0, len(losses) * WIDTH)
    places = np.arange(len(losses))
    near = np.exp(-0.5 * ((places[:, None] - places) / width) ** 2)
    return list(map(float, near @ np.asarray(losses) / near.sum(axis=1)))


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """Finds the steepest fall of the smoothed losses over the logarithm of the rate.

    Raises:
        ZooError: There are too few finite losses to tell a fall by.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) < FEWEST_LOSSES:
        raise ZooError(
            f"the loss is {losses[-1]} at step {len(losses)}, where the rate is {rates[len(losses) - 1]:.2g}; expected "
            f"{FEWEST_LOSSES} finite losses or more; begin lower: --from {rates[0] / 1000:.1g}"
        )
    smoothed = smooth(finite)
    lowest = int(np.argmin(smoothed)) + 1
    slopes = np.gradient(smoothed, np.log(rates[: len(finite)]))
    steepest = int(np.argmin(slopes[: max(lowest, 2)]))
    return RangeTest(
        rates=tuple(rates[: len(finite)]),
        losses=tuple(finite),
        smoothed=tuple(smoothed),
        suggested=rates[steepest],
        fell=smoothed[0] - min(smoothed) > 2 * float(np.median(np.abs(np.diff(finite)))),
        stopped=stopped(losses),
    )
