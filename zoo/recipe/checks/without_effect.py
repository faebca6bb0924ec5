"""Keys of a recipe that are set and change nothing, because of what the recipe or its data is besides."""

from collections.abc import Iterator

from zoo.recipe.schema import DataSection, Recipe

# Selectors of the last stage alone, on whose rate `layer_decay` puts a factor of 1.
HEAD_ONLY = ("head", "last:1")


def without_effect(recipe: Recipe, *, validates: bool, has_own_validation: bool = False) -> list[str]:
    """Lists the keys that change nothing, each in a sentence that says why and what to type.

    Only what is certain is said, whatever the model is.

    Args:
        recipe: The resolved recipe.
        validates: Whether there are images to validate on.
        has_own_validation: Whether the data comes with a validation split.
    """
    return [
        *_views(recipe),
        *_unmonitored(recipe, validates=validates),
        *_share(recipe, has_own_validation),
        *_decay(recipe),
    ]


def _views(recipe: Recipe) -> Iterator[str]:
    augment = recipe.augment
    if not augment.views:
        return
    place = f"augment.views = {augment.views} changes nothing"
    if not augment.changes_images:
        yield (
            f"{place} where no augmentation is set: all views are the image itself; "
            "add one, such as augment.flip=horizontal"
        )
    elif augment.mixes:
        yield (
            f"{place} with augment.mixup or cutmix, which mix the images anew in each epoch; leave out one or the other"
        )
    elif recipe.train.prefix_cache == "off":
        yield f'{place} with train.prefix_cache = "off", since views are of the prefix cache; set it to "auto"'


def _unmonitored(recipe: Recipe, *, validates: bool) -> Iterator[str]:
    if validates:
        return
    remedy = "without validation images, and the last epoch is kept; set data.validation, such as 0.1"
    if recipe.train.early_stopping:
        yield f"train.early_stopping = {recipe.train.early_stopping} changes nothing {remedy}"
    if recipe.checkpoint.monitor != type(recipe.checkpoint)().monitor:
        yield f'checkpoint.monitor = "{recipe.checkpoint.monitor}" changes nothing {remedy}'


def _share(recipe: Recipe, has_own_validation: bool) -> Iterator[str]:
    share = recipe.data.validation
    if has_own_validation and isinstance(share, float) and share not in (0.0, DataSection().validation):
        yield (
            f"data.validation = {share:g} changes nothing: the data has a validation split of its own, which is taken; "
            "leave out the share, or the split"
        )


def _decay(recipe: Recipe) -> Iterator[str]:
    for phase in recipe.phases:
        if phase.layer_decay != 1.0 and phase.train in HEAD_ONLY:
            yield (
                f"phases.{phase.name}.layer_decay = {phase.layer_decay:g} changes nothing where only the head is "
                f'trained; expected more stages, such as phases.{phase.name}.train="last:3"'
            )
