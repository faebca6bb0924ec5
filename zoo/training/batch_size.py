"""How many images fit into memory at a time, and how to train as before with fewer.

An accelerator says that its memory is used up, and training can be tried again with less. A CPU process is killed
instead: there, what a batch needs is estimated from the model's maps and compared with what is free.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from zoo.backend import devices
from zoo.backend.distribution import mirrored
from zoo.backend.memory import available_bytes
from zoo.data import Batches
from zoo.data.packs.pixels import Pixels
from zoo.errors import ZooError
from zoo.recipe.schema import Phase, Recipe
from zoo.training.compiling.schedules import LearningRateSchedule
from zoo.training.compiling.training_model import TrainingModel, make_training_model
from zoo.training.prefix.splitting import frozen_prefix

# A step of `train.batch_size = "auto"` sees so many images, times the recipe's `accumulate`, on whatever it is trained:
# as many batches as memory needs. More would be another training, with another best learning rate.
AUTO = 32
# A batch holds each map, its gradient, and one copy that a kernel works on; each weight, its gradient and two slots.
COPIES_OF_MAPS, COPIES_OF_WEIGHTS = 3, 4
# The rest is for the system and for what fragments.
SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True, kw_only=True)
class MicroBatches:
    """The images of a step in batches whose gradients are averaged.

    Attributes:
        batch_size: Images of a batch: `train.batch_size`.
        accumulate: Batches of a step: `train.accumulate`.
    """

    batch_size: int
    accumulate: int


def divide(recipe: Recipe, batch_size: int, fitting: int) -> MicroBatches:
    """Divides a recipe's batch so that none is larger than what fits, and a step sees as many images or more."""
    return MicroBatches(batch_size=fitting, accumulate=recipe.train.accumulate * math.ceil(batch_size / fitting))


def largest_that_fits(fits: Callable[[int], bool], size: int) -> int | None:
    """Halves a batch size until it fits; None where not even one image does."""
    while size and not fits(size):
        size //= 2
    return size or None


def batch_bytes(model: keras.Model, batch_size: int) -> int:
    """Estimates the memory that training on a batch takes, in bytes.

    Args:
        model: Its trainable set counts: below the lowest trained layer no map is kept.
        batch_size: Images of the batch.
    """
    split = frozen_prefix(model)
    operations: Any = (split.suffix if split else model).operations
    numbers = sum(math.prod(output.shape[1:]) for operation in operations for output in _outputs(operation))
    width = 2 if "16" in model.compute_dtype else 4
    return COPIES_OF_MAPS * numbers * width * batch_size + COPIES_OF_WEIGHTS * 4 * model.count_params()


def _outputs(operation: Any) -> list[Any]:
    return [tensor for tensor in keras.tree.flatten(operation.output) if tensor.shape[0] is None]


def memory_warning(model: keras.Model, recipe: Recipe, device: devices.Accelerator) -> str | None:
    """Says that a CPU's memory is likely to be too small for a batch of the model as it is frozen now, or None."""
    free = available_bytes()
    if device.kind != "cpu" or free is None:
        return None
    size = batch_size_of(recipe)
    needed = batch_bytes(model, size)
    if needed < free:
        return None
    fitting = largest_that_fits(lambda some: batch_bytes(model, some) < SHARE_OF_MEMORY * free, size)
    return (
        f"a batch of {size} images needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
        f"{_advice(recipe, size, fitting)}"
    )


def out_of_memory(recipe: Recipe, phase: Phase, training_model: TrainingModel, batches: Batches) -> ZooError:
    """Finds out which batch would have fitted a phase that ran out of memory, and says so."""
    failed = f"phase '{phase.name}': out of memory with train.batch_size = {batches.batch_size}"
    if (several := mirrored.current()) is not None:  # after a failed step TensorFlow sums up over them no more
        half = divide(recipe, batches.batch_size, max(1, batches.batch_size // 2))
        return ZooError(
            f"{failed} on {len(several)} devices; half of it: --set train.batch_size={half.batch_size} "
            f"--set train.accumulate={half.accumulate} takes steps of as many images"
        )
    fitting = largest_that_fits(lambda size: _runs(training_model, batches, size), batches.batch_size // 2)
    return ZooError(f"{failed}; {_advice(recipe, batches.batch_size, fitting)}")


def _advice(recipe: Recipe, batch_size: int, fitting: int | None) -> str:
    if fitting is None:
        return "not even one image would fit; take a smaller data.image_size, a smaller model, or train fewer stages"
    smaller = divide(recipe, batch_size, fitting)
    return (
        f"{fitting} would fit: --set train.batch_size={smaller.batch_size} --set train.accumulate={smaller.accumulate} "
        f"takes steps of as many images"
    )


def _runs(training_model: TrainingModel, batches: Batches, size: int) -> bool:
    images, labels = replace(batches, batch_size=size).batch(0, 0)
    devices.renew_lost(training_model.model)
    try:
        training_model.model.train_on_batch((images, labels) if training_model.takes_labels else images, labels)
    except Exception as fault:
        if not devices.is_out_of_memory(fault):
            raise
        return False
    return True


def batch_size_of(recipe: Recipe) -> int:
    """Returns the images of a batch of a recipe that runs: `prepare` puts a number in the place of "auto"."""
    if recipe.train.batch_size == "auto":
        raise ValueError(f"recipe '{recipe.name}': train.batch_size is \"auto\"; expected a recipe from prepare()")
    return recipe.train.batch_size


def find_micro_batches(
    recipe: Recipe, model: keras.Model, phase: Phase, images: Pixels, device: devices.Accelerator
) -> MicroBatches:
    """Finds the batch that `train.batch_size = "auto"` asks for: as much of a step as fits.

    On a CPU, which is not faster for more, at most 32 images; on an accelerator up to the whole step. It goes by memory
    and not by the clock, so that the same recipe is divided alike on the same card.

    Args:
        recipe: The resolved recipe.
        model: To try on, frozen for the phase; not the run's own, since it is trained.
        phase: The one that needs most memory.
        images: uint8[n, height, width, channels], some to try on.
        device: What trains.

    Returns:
        Batches that fit. A step sees 32 images times the recipe's `accumulate`; more only where fewer than 32 fit, and
        32 is not a multiple of them.

    Raises:
        ZooError: Not even one image fits.
    """
    if device.kind == "cpu":
        free = available_bytes()
        fitting = largest_that_fits(
            lambda size: free is None or batch_bytes(model, size) < SHARE_OF_MEMORY * free, AUTO
        )
    else:
        fitting = _fitting_on_accelerator(recipe, model, phase, images)
    if fitting is None:
        raise ZooError(f"recipe '{recipe.name}': {_advice(recipe, 1, None)}")
    if fitting > AUTO:
        return MicroBatches(batch_size=fitting, accumulate=AUTO * recipe.train.accumulate // fitting)
    return divide(recipe, AUTO, fitting)


def _fitting_on_accelerator(recipe: Recipe, model: keras.Model, phase: Phase, images: Pixels) -> int | None:
    """Tries the whole step at once, then what divides it, then fewer than 32 images; None where not even one fits."""
    accumulate, classes = recipe.train.accumulate, model.output_shape[-1]
    count = AUTO * accumulate
    batches = Batches(
        images=np.resize(images[:AUTO], (count, *images.shape[1:])),
        labels=np.arange(count) % classes,
        classes=classes,
        batch_size=count,
        seed=recipe.train.seed,
        shuffle=False,
    )
    rate = LearningRateSchedule.of_phase(phase, 1)
    training_model = make_training_model(model, recipe, phase, rate, batches=batches, prefix=frozen_prefix(model))
    for at_once in range(accumulate, 1, -1):
        if accumulate % at_once == 0 and _runs(training_model, batches, AUTO * at_once):
            return AUTO * at_once
    return largest_that_fits(lambda size: _runs(training_model, batches, size), AUTO)


def in_micro_batches(recipe: Recipe, batches: MicroBatches) -> Recipe:
    """Returns the recipe with these batches to a step."""
    train = {"batch_size": batches.batch_size, "accumulate": batches.accumulate}
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=train)})
