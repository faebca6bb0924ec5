"""What `fit` trains: the model with augmentation and mixing around it, compiled for a phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from zoo.backend.distribution import mirrored
from zoo.backend.keras_globals import pinned
from zoo.data import Batches
from zoo.data.augmentation.building import augmentation_layers
from zoo.freezing.contract import moving_variables
from zoo.freezing.stages import stages
from zoo.recipe.schema import Phase, Recipe
from zoo.training.compiling.losses import AccuracyOfWeighted, build_loss, class_weights
from zoo.training.compiling.mirrored_model import as_mirrored
from zoo.training.compiling.mixing import AccuracyOnMixedLabels, Mixing, OnMixedLabels, mixing_layer
from zoo.training.compiling.optimizers import build_optimizer
from zoo.training.compiling.schedules import LearningRateSchedule, RisingRate
from zoo.training.prefix.splitting import Prefix, is_run_apart, through

JIT_COMPILE: dict[str, Any] = {"auto": "auto", "on": True, "off": False}


@dataclass(frozen=True, kw_only=True)
class TrainingModel:
    """What a phase trains.

    Attributes:
        model: Compiled; its layers are the zoo model's, and those of augmentation.
        augmentation_layers: Those of augmentation and mixing, whose seeds are set for each epoch.
        takes_labels: Whether it takes (pixels, labels) instead of pixels, to mix them.
    """

    model: keras.Model
    augmentation_layers: tuple[Any, ...]
    takes_labels: bool


def make_training_model(
    model: keras.Model,
    recipe: Recipe,
    phase: Phase,
    rate: LearningRateSchedule | RisingRate,
    *,
    batches: Batches,
    prefix: Prefix | None,
    suffix: keras.Model | None = None,
) -> TrainingModel:
    """Compiles what a phase trains.

    Args:
        model: Its trainable set is already that of the phase.
        recipe: Its augmentation and training sections count, and how it balances classes.
        phase: Its optimizer and layer-wise rates count.
        rate: Learning rate by batch.
        batches: What trains it: whether images have weights, and how many each class has, decide the loss.
        prefix: The model's frozen prefix, or None.
        suffix: What trains instead of all of it, where the prefix has been run already.
    """
    with mirrored.on_each_device():
        augmenters = augmentation_layers(recipe.augment, channels=model.input_shape[-1]) if suffix is None else []
        mixing = mixing_layer(recipe.augment)
    training_model: Any = suffix if suffix is not None else _assembled(model, augmenters, prefix, mixing)
    if mirrored.current() is not None:
        training_model = as_mirrored(training_model, moving_variables(model))
    weighted = batches.weights is not None
    per_class = class_weights(recipe.data, batches.labels, batches.classes)
    loss = build_loss(recipe.train, per_class, weighted=weighted)
    with mirrored.on_each_device():
        optimizer = build_optimizer(
            phase,
            rate,
            model=model,
            factors=_factors_by_path(model, phase),
            ema=recipe.train.ema,
            accumulate=recipe.train.accumulate,
            clip_norm=recipe.train.clip_norm,
        )
        training_model.compile(
            optimizer=optimizer,
            loss=OnMixedLabels(loss) if mixing else loss,
            metrics=[_accuracy(weighted=weighted, mixed=mixing is not None)],
            # Keras' "auto" leaves XLA off while TensorFlow's operations are deterministic.
            jit_compile=JIT_COMPILE[recipe.train.xla],
            # Keras would go by the policy of the model that is compiled, which only holds this one's layers.
            auto_scale_loss=False,
        )
    seeded = (*augmenters, *([mixing] if mixing else []))
    return TrainingModel(model=training_model, augmentation_layers=seeded, takes_labels=mixing is not None)


def _accuracy(*, weighted: bool, mixed: bool) -> keras.metrics.Metric:
    if mixed:
        return AccuracyOnMixedLabels(weighted=weighted)
    return AccuracyOfWeighted() if weighted else keras.metrics.CategoricalAccuracy(name="accuracy")


def rate_factors(model: keras.Model, phase: Phase) -> dict[str, float]:
    """Returns each stage's share of the phase's learning rate: `layer_decay` once for every stage above it.

    Source: Howard and Ruder 2018 (arXiv:1801.06146), section 3.2, by groups of layers as in Clark et al. 2020
    (arXiv:2003.10555).
    """
    names = [stage.name for stage in stages(model)]
    return {name: phase.layer_decay ** (len(names) - 1 - number) for number, name in enumerate(names)}


def _factors_by_path(model: keras.Model, phase: Phase) -> dict[str, float]:
    factors = rate_factors(model, phase)
    return {
        weight.path: factors[stage.name]
        for stage in stages(model)
        for layer in stage.layers
        for weight in layer.weights
    }


def _assembled(
    model: keras.Model,
    augmenters: Sequence[keras.layers.Layer],
    prefix: Prefix | None,
    mixing: Mixing | None,
) -> keras.Model:
    """Puts together what `fit` trains: augmentation, the frozen prefix in inference mode, the rest.

    What is saved and exported is the model itself, whose layers these are.
    """
    if not augmenters and not is_run_apart(prefix) and mixing is None:
        # Not the model itself, which is compiled for those who look at it: see `one_run`.
        return keras.Model(model.input, model.output)
    with pinned(model.dtype_policy.name):
        pixels = keras.Input(model.input_shape[1:], dtype="float32", name="pixels")
        x = keras.Sequential(augmenters, name="augmentation")(pixels) if augmenters else pixels
        if mixing is None:
            return keras.Model(pixels, through(model, prefix, x))
        labels = keras.Input(model.output_shape[1:], dtype="float32", name="labels")
        x, mixed = mixing(x, labels)
        beside = keras.layers.Concatenate(dtype="float32", name="labels_and_probabilities")
        return keras.Model([pixels, labels], beside([mixed, through(model, prefix, x)]))
