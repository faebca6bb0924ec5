"""What training on several devices of TensorFlow refuses, and in what it differs from training on one."""

from typing import Any

from zoo.backend.distribution import mirrored
from zoo.backend.distribution.copies import copies
from zoo.errors import RecipeError
from zoo.freezing.contract import moving_variables
from zoo.models.arrays import seed_states
from zoo.recipe.schema import Recipe
from zoo.training.trainable import apply_freezing


def check_several_devices(model: Any, recipe: Recipe) -> list[str]:
    """Says in what a run differs from one on one device, beyond rounding, or that devices are idle.

    Goes through the trainable sets of all phases.

    Args:
        model: As it was built for several devices.
        recipe: What runs.

    Raises:
        RecipeError: A step is to be compiled by XLA, a batch has fewer images than there are devices, or the model
            holds variables of which there is one copy only.
    """
    several = mirrored.current()
    if several is None:
        idle = mirrored.idle_devices()
        return [idle] if idle else []
    _check_recipe(recipe, len(several))
    if single := [weight.path for weight in model.weights if len(copies(weight)) != len(several)]:
        raise RecipeError(
            f"model '{recipe.model.name}' makes variables of its own, such as {single[0]}, which cannot be copied to "
            "several devices; type --devices 1"
        )
    moving: list[str] = []
    for phase in recipe.phases:
        apply_freezing(model, phase)
        if moving_variables(model):
            moving.append(f"'{phase.name}'")
    said: list[str] = []
    if moving:
        said.append(f"BatchNorm that trains (phase {', '.join(moving)}) goes by the statistics of each device's images")
    if recipe.augment.changes_images or any(seed_states(layer) for layer in model.layers):
        said.append("augmentation and dropout draw on each device for itself: the same for as many devices")
    return said


def _check_recipe(recipe: Recipe, devices: int) -> None:
    if recipe.train.xla == "on":
        raise RecipeError(
            f'train.xla is "on", and {devices} devices train, whose steps TensorFlow does not compile by XLA; '
            "type --set train.xla=auto, or --devices 1"
        )
    size = recipe.train.batch_size
    if isinstance(size, int) and size < devices:
        raise RecipeError(
            f"train.batch_size is {size}, and {devices} devices share a batch; expected {devices} or more; "
            f"type --set train.batch_size={devices}, or --devices {size}"
        )
