"""The batches that a recipe makes of packed images: the one place that says how many, in which order, weighing what."""

from zoo.data import Batches, Pack
from zoo.recipe.schema import Recipe
from zoo.training.batch_size import batch_size_of


def batches_of(recipe: Recipe, pack: Pack, classes: int, *, views: int = 1, shuffle: bool = True) -> Batches:
    """Returns the batches of images that train; without `shuffle` of those that validate, which all count the same."""
    return Batches(
        images=pack.images,
        labels=pack.labels,
        weights=pack.weights if shuffle else None,
        classes=classes,
        batch_size=batch_size_of(recipe),
        seed=recipe.train.seed,
        views=views,
        shuffle=shuffle,
        balanced=shuffle and recipe.data.balance == "sampler",
    )
