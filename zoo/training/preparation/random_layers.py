"""A warning of what learns little: a head on random layers that stay frozen."""

import keras

from zoo.freezing.plans import is_batchnorm
from zoo.freezing.stages import stages
from zoo.recipe.schema import Recipe
from zoo.training.trainable import apply_freezing


def random_layers_warning(model: keras.Model, recipe: Recipe, *, begins_with_weights: bool = False) -> str | None:
    """Says which phase trains on top of random layers that no phase up to it trains; goes through all trainable sets.

    Args:
        model: As `build` gives it.
        recipe: The resolved recipe.
        begins_with_weights: Its numbers are taken from elsewhere than its card.

    Returns:
        A sentence, or None where there is nothing to warn of.
    """
    if begins_with_weights or model.blueprint.weights != "none":
        return None
    trained: set[str] = set()
    for phase in recipe.phases:
        apply_freezing(model, phase)
        weighted = {
            stage.name: [layer for layer in stage.layers if layer.trainable_variables or _is_frozen(layer)]
            for stage in stages(model)
        }
        trained |= {layer.name for layers in weighted.values() for layer in layers if not _is_frozen(layer)}
        random = [name for name, layers in weighted.items() if any(layer.name not in trained for layer in layers)]
        if random:
            card = model.blueprint.card
            choice = f'set model.weights = "{card.weights[0].name}", or ' if card.weights else ""
            return (
                f"{recipe.model.name} begins with random weights, and phase '{phase.name}' keeps {', '.join(random)} "
                f"frozen as they are; {choice}"
                "train all of it, as the recipe finetune/from-scratch does"
            )
    return None


def _is_frozen(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer has kernels that are not trained; what BatchNorm and Normalization hold is not random."""
    if is_batchnorm(layer) or not layer.weights or type(layer).__name__ == "Normalization":
        return False
    return not layer.trainable_variables
