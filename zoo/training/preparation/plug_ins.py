"""Tries what the plug-ins of a recipe give, for all phases, before the first of them trains."""

from zoo.data.augmentation.building import augmentation_layers
from zoo.recipe.schema import Recipe
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS


def check_plug_ins(recipe: Recipe, *, channels: int) -> None:
    """Makes sure of every row that another package registered and a recipe names.

    Args:
        recipe: What runs.
        channels: Of the model's input.

    Raises:
        ZooError: A row does not do what its table expects.
    """
    from zoo.training.compiling.losses import build_loss
    from zoo.training.compiling.plug_ins import checked_optimizer_class
    from zoo.training.compiling.schedules import LearningRateSchedule

    if not LOSSES.lookup(recipe.train.loss).is_shipped:
        build_loss(recipe.train)
    for phase in recipe.phases:
        LearningRateSchedule.of_phase(phase, 1)
        row = OPTIMIZERS.lookup(phase.optimizer)
        if not row.is_shipped:
            checked_optimizer_class(row, OPTIMIZERS.built(row), row.filled(phase.optimizer_options))
    names = [recipe.augment.policy, *recipe.augment.layers]
    if not all(AUGMENTATIONS.lookup(name).is_shipped for name in names if name != "none"):
        augmentation_layers(recipe.augment, channels=channels)
