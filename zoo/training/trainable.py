"""What a phase trains: its trainable set and its BatchNorm mode."""

import keras

from zoo.errors import RecipeError
from zoo.freezing.plans import BatchNormMode, Plan, train_only
from zoo.recipe.schema import Phase
from zoo.training.compiling.training_model import rate_factors


def apply_freezing(model: keras.Model, phase: Phase) -> Plan:
    """Makes exactly what the phase trains trainable, in its BatchNorm mode.

    Raises:
        NotFoundError: The selector matches nothing.
        RecipeError: What it matches has nothing to train.
    """
    mode = batchnorm_mode(phase, model.blueprint.weights)
    plan = train_only(model, phase.train, batchnorm=mode)
    if not plan.trainable_params:
        raise RecipeError(
            f'phase \'{phase.name}\' (train = "{phase.train}", batchnorm = "{mode}") has nothing to train; '
            f'expected a selector of layers with weights, such as "head"'
        )
    rates = rate_factors(model, phase)
    return plan.with_rates({stage: phase.learning_rate * factor for stage, factor in rates.items()})


def batchnorm_mode(phase: Phase, weights: str) -> BatchNormMode:
    """Resolves `auto`: statistics are learnt when the weights are random, and kept still when they are pretrained."""
    if phase.batchnorm != "auto":
        return phase.batchnorm
    return "train" if weights == "none" else "frozen"
