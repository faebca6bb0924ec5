"""The one beginning of all that trains or looks at a recipe's images: what was asked, and what runs, where, on what."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry
from zoo.backend import devices
from zoo.backend.compute import precision
from zoo.backend.distribution import mirrored
from zoo.backend.keras_globals import pinned
from zoo.backend.keras_internals.replicas import run_on_first
from zoo.data import InCode, Packing, Settings
from zoo.data.augmentation.building import flip_warning
from zoo.data.inputs import Inputs, Source, leak_warning, open_source, pack_source, settings_for_model
from zoo.errors import DataError, RecipeError, offering
from zoo.models.blueprint import blueprint_of
from zoo.models.building import build
from zoo.models.taking_over import NewClassifierWarning
from zoo.recipe.checks.without_effect import without_effect
from zoo.recipe.schema import Phase, Recipe
from zoo.report.progress import ProgressDisplay
from zoo.report.step_times import StepTimes
from zoo.runs.record import OriginRecord, RecipeFileRecord
from zoo.training.batch_size import AUTO, batch_size_of, memory_warning
from zoo.training.preparation.hyperrule import with_hyperrule
from zoo.training.preparation.initial_weights import InitialWeights
from zoo.training.preparation.plug_ins import check_plug_ins
from zoo.training.preparation.random_layers import random_layers_warning
from zoo.training.preparation.several_devices import check_several_devices
from zoo.training.trainable import apply_freezing

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a recipe begins with; no image is decoded yet, and no model built.

    Attributes:
        asked: The resolved recipe, as it was given.
        recipe: What runs: with what its data and its weights decide, and a batch of "auto" as the number to begin with.
        data: The images as they were given; None for a source that ships or downloads.
        source: The images, opened.
        weights: What the model begins with in place of the recipe's weights, or None.
        device: What trains.
        policy: The dtype policy that the model is built under.
        input_shape: Height, width and channels of the model's input.
        warnings: What the user should know of recipe, data and device, one line each.
        origin: The version on a shelf, or the bundle, that the recipe is from, or None.
        recipe_files: What the recipe was written in, where it extends anything, or None.
    """

    asked: Recipe
    recipe: Recipe
    data: Path | InCode | None
    source: Source
    weights: InitialWeights | None
    device: devices.Accelerator
    policy: str
    input_shape: tuple[int, ...]
    warnings: tuple[str, ...]
    origin: OriginRecord | None = None
    recipe_files: tuple[RecipeFileRecord, ...] | None = None

    @property
    def settings(self) -> Settings:
        """The pixels that the model takes."""
        return settings_for_model(self.recipe.data, self.input_shape)

    @property
    def packing(self) -> Packing:
        """How the images are packed: kept for later runs, as far as there is room."""
        return Packing(on_bad=self.recipe.data.on_bad, keep=True, check=self.source.check)

    @property
    def has_auto_batch(self) -> bool:
        """Whether the batch is found out when it is known what fits into memory."""
        return self.asked.train.batch_size == "auto"

    @property
    def plan(self) -> Recipe:
        """What runs as far as it is known before training: a batch of "auto" is as it was asked."""
        train = self.recipe.train.model_copy(update={"batch_size": self.asked.train.batch_size})
        return self.recipe.model_copy(update={"train": train})


def prepare(recipe: Recipe, data: Path | InCode | None, *, weights: InitialWeights | None = None) -> Prepared:
    """Opens a recipe's images, and decides all that follows from them.

    Args:
        recipe: The resolved recipe.
        data: The images; None for a source that ships or downloads.
        weights: What the model begins with in place of the recipe's weights, or None.

    Raises:
        DataError: The images cannot be opened or divided, or the model takes no images.
        RecipeError: A phase never takes a step.
        ZooError: A row of a plug-in does not do what its table expects.
    """
    source = open_source(recipe.data, data, seed=recipe.train.seed)
    runs = with_hyperrule(_with_first_batch(recipe), source.train)
    refuse_phases_without_a_step(runs, len(source.train))
    if weights is not None:
        runs = _for_given_weights(runs)
    device = devices.accelerator()
    policy = precision.resolve(recipe.train.precision, device)
    check_plug_ins(runs, channels=input_shape(runs)[-1])
    return Prepared(
        asked=recipe,
        recipe=runs,
        data=data,
        source=source,
        weights=weights,
        device=device,
        policy=policy,
        input_shape=input_shape(runs),
        warnings=_warnings(runs, source, policy, device),
    )


def _warnings(recipe: Recipe, source: Source, policy: str, device: devices.Accelerator) -> tuple[str, ...]:
    has_own_validation = source.dataset.validation is not None
    idle = without_effect(recipe, validates=source.validation is not None, has_own_validation=has_own_validation)
    others = (precision.warning(policy, device), flip_warning(recipe.augment, source.dataset.classes))
    return (*source.warnings, *idle, *(warning for warning in others if warning))


def refuse_phases_without_a_step(recipe: Recipe, images: int) -> None:
    """Refuses phases whose batches never come to a step, which would leave the model as it was.

    Args:
        recipe: What runs.
        images: How many train.

    Raises:
        RecipeError: The message names the first such phase.
    """
    accumulate = recipe.train.accumulate
    batches_per_epoch = math.ceil(images / batch_size_of(recipe))
    for phase in recipe.phases:
        batches = phase.epochs * batches_per_epoch
        if batches < accumulate:
            raise RecipeError(
                f"train.accumulate is {accumulate}, and phase '{phase.name}' has {batches} batches: it never takes a "
                f"step; expected <= {batches}; type --set train.accumulate={batches}"
            )


def _with_first_batch(recipe: Recipe) -> Recipe:
    """Puts the number of images that a batch of "auto" begins with in its place."""
    if recipe.train.batch_size != "auto":
        return recipe
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"batch_size": AUTO})})


def _for_given_weights(recipe: Recipe) -> Recipe:
    """Returns the recipe for a model that begins with given weights: they are pretrained, so `auto` is `frozen`."""
    phases = [
        phase.model_copy(update={"batchnorm": "frozen"}) if phase.batchnorm == "auto" else phase
        for phase in recipe.phases
    ]
    return recipe.model_copy(update={"phases": tuple(phases)})


def input_shape(recipe: Recipe) -> tuple[int, ...]:
    """Returns height, width and channels of the model's input: the recipe's image size, or the card's.

    Raises:
        DataError: The model takes no images.
    """
    card, _ = registry.lookup(recipe.model.name).adapted(recipe.model.builder_options)
    if len(card.input_shape) != 3:
        raise DataError(
            f"model '{card.name}' takes input {'x'.join(map(str, card.input_shape))}; expected height, width and "
            f"channels, since recipes read images; train it in code: zoo.build('{card.name}').fit(...)"
        )
    size = recipe.data.image_size
    return (size, size, card.input_shape[-1]) if size else card.input_shape


@pinned()
def build_model(prepared: Prepared, *, is_resumed: bool = False) -> "keras.Model":
    """Builds the model with the weights that it begins with.

    Args:
        prepared: Its recipe, precision and class names.
        is_resumed: Whether all numbers come from a checkpoint, so that given weights need not be there.

    Raises:
        ZooError: It cannot be built, or its weights cannot be found or read.
    """
    weights = None
    if prepared.weights is not None:
        weights = "none" if is_resumed else prepared.weights.path
    with warnings.catch_warnings(), mirrored.on_each_device():
        warnings.simplefilter("ignore", NewClassifierWarning)  # what is new was said at the beginning
        model = build_for(prepared.recipe, prepared.source.dataset.classes, policy=prepared.policy, weights=weights)
    if mirrored.current() is not None:
        run_on_first(model)
    if prepared.weights is not None:
        # Also where they are no longer there.
        model.blueprint = replace(blueprint_of(model), own_licence=prepared.weights.licence)
    return model


def build_for(recipe: Recipe, classes: Sequence[str], *, policy: str, weights: str | None = None) -> "keras.Model":
    """Builds a recipe's model for the data's class names, with its own weights where none are given."""
    dropout = recipe.model.dropout
    with offering("begin with random ones: --set model.weights=none"):
        return build(
            recipe.model.name,
            classes=classes,
            input_shape=input_shape(recipe),
            weights=recipe.model.weights if weights is None else weights,
            precision=policy,
            dropout=None if dropout == "auto" else dropout,
            **recipe.model.builder_options,
        )


def largest_phase(model: "keras.Model", recipe: Recipe) -> Phase:
    """Returns the phase that trains most parameters; goes through the trainable sets of all.

    Raises:
        ZooError: One selects nothing, or nothing that can be trained.
    """
    return max(recipe.phases, key=lambda phase: apply_freezing(model, phase).trainable_params)


def model_warnings(prepared: Prepared, model: "keras.Model", phase: Phase) -> list[str]:
    """Says what the user should know of a model before it trains; leaves it frozen for the phase.

    Args:
        prepared: Its recipe and device.
        model: From `build_model`.
        phase: Whose step has to fit into memory.

    Raises:
        RecipeError: Several devices cannot train it.
    """
    recipe = prepared.recipe
    several = check_several_devices(model, recipe)
    random = random_layers_warning(model, recipe, begins_with_weights=prepared.weights is not None)
    apply_freezing(model, phase)
    others = (random, memory_warning(model, recipe, prepared.device))
    return [*several, *(warning for warning in others if warning)]


def read_inputs(prepared: Prepared, display: ProgressDisplay, times: StepTimes | None = None) -> Inputs:
    """Decodes the images that train and validate, and says what was skipped or changed, and what validation lacks.

    Args:
        prepared: Has the images, opened.
        display: Shows progress.
        times: Knows which step is at work.

    Raises:
        DataError: Images that cannot be read, beyond what `data.on_bad` allows.
    """
    source, data = prepared.source, prepared.recipe.data
    how = replace(prepared.packing, say=display.line)
    times = times or StepTimes()
    with times.step("hashing"):
        source.dataset.hash_files()
    with times.step("decoding"):
        inputs = pack_source(source, prepared.settings, how, bar=display.bar)
    if leak := leak_warning(inputs, check=source.check):
        display.line(f"warning: {leak}")
    for skipped in inputs.skipped:
        display.line(str(skipped))
    for line in inputs.converted.lines(data.white):
        display.line(line)
    return inputs
