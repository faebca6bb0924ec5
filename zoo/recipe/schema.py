"""The recipe schema: every key with its type, range and default, section by section."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field

from zoo.errors import NotFoundError, did_you_mean
from zoo.freezing.selectors import LONGEST_SELECTOR
from zoo.recipe.fields import (
    ArchitectureOptions,
    AugmentationLayers,
    BetaParameter,
    Columns,
    Count,
    CountFromOne,
    Factor,
    Interval,
    LearningRate,
    ModelHandle,
    ModelName,
    Momentum,
    NameIn,
    Norm,
    OptionsOf,
    PathInRecipeFolder,
    PhaseName,
    PolicyName,
    RecipeName,
    RowOptions,
    Share,
    ShareBelowOne,
    SourceName,
    SourceOptions,
    SplitName,
    Text,
    Views,
    WeightDecay,
    WeightsName,
)
from zoo.recipe.resolution import resolve
from zoo.recipe.validation import validated
from zoo.registry.fitting import MAX_WHITE, SMALLEST_CROP_SHARE, ImageFit, Interpolation, Resize
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS
from zoo.registry.schedules import SCHEDULES


class Section(BaseModel):
    """What all sections share: unknown keys, wrong types and infinite numbers are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ModelSection(Section):
    """The model that is trained."""

    name: ModelName
    """The model's name, as `zoo list` shows it."""
    handle: ModelHandle = ""
    """The module of a `tfhub` model: a path beside the recipe, `https://...#sha256=HEX`, or `sha256:HEX`."""
    weights: WeightsName = "default"
    """`default`, `none` or the name of a set."""
    dropout: Literal["auto"] | ShareBelowOne = "auto"
    """`auto` is the family's own; a number is the rate before the classifier only."""
    options: ArchitectureOptions = {}
    """Options of the architecture, such as `alpha`."""

    @property
    def builder_options(self) -> dict[str, object]:
        """What `zoo.build` takes besides the name."""
        return {**self.options, **({"handle": self.handle} if self.handle else {})}


class DataSection(Section):
    """The images and how they are read."""

    source: SourceName = "folder"
    """What the data is: class folders, a list, arrays, or a data set by name.

    `folder` knows lists and archives by their ending.
    """
    path: PathInRecipeFolder = ""
    """Relative to the recipe; usually given by `--data`."""
    image_size: Annotated[int, Field(ge=0, le=8192)] = 0
    """Side in pixels; 0 is the model's own."""
    resize: Resize = "crop"
    """`crop` cuts out the centre, `pad` puts the whole on black, `stretch` ignores the shape."""
    crop_share: Annotated[float, Field(ge=SMALLEST_CROP_SHARE, le=1)] = 1.0
    """Share of the largest centred crop, or with `stretch` of the whole, that is taken of each side."""
    interpolation: Interpolation = "bilinear"
    """`bilinear` or `bicubic`; both are antialiased."""
    white: Annotated[int, Field(ge=0, le=MAX_WHITE)] = 0
    """The value of pixels of more than 8 bits that becomes 255, such as 4095 where 12 bits lie in 16; 0 is 65535."""
    validation: ShareBelowOne | SplitName = 0.1
    """A share, used where the data has no validation split (0: nothing is monitored), or a split's name."""
    options: SourceOptions = {}
    """Options of the source, where a plug-in's has any."""
    columns: Columns = {}
    """What columns are called in a list, `hf:` or `tfds:`: `{path = "file_name", label = "class"}`."""
    group: Text = ""
    """CSV column or filename regex whose members stay on one side of a split."""
    on_bad: Literal["skip", "stop"] = "skip"
    """What to do about unreadable images: `skip` up to 1 %, or `stop`."""
    balance: Literal["none", "class_weight", "sampler"] = "none"
    """How rare classes are made up for: `class_weight` by weights of the loss, `sampler` by drawing all as often."""

    @property
    def fit(self) -> ImageFit:
        """How images are brought to the model's input size."""
        return ImageFit(
            resize=self.resize, crop_share=self.crop_share, interpolation=self.interpolation, white=self.white
        )


class AugmentSection(Section):
    """Random changes to the training images."""

    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Which way images are mirrored, each with a probability of a half."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest turn to either side, in degrees."""
    translation: Share = 0.0
    """Largest shift in either direction, as a share of the side."""
    zoom: ShareBelowOne = 0.0
    """Largest change of size, as a share: 0.1 is from 10 % smaller to 10 % larger."""
    crop: ShareBelowOne = 0.0
    """Largest share of the side that is cut away; a window at a random place is brought to full size."""
    color: ShareBelowOne = 0.0
    """Largest change of brightness, contrast and, in RGB images, saturation."""
    erasing: Share = 0.0
    """Probability that a rectangle of an image is noise."""
    policy: PolicyName = "none"
    """Random operations from a list: `trivial` one for each image, `randaugment` two, `augmix` mixed chains."""
    layers: AugmentationLayers = {}
    """Further changes, in the order in which they apply after the others: `{solarize = {threshold = 0.5}}`."""
    mixup: BetaParameter = 0.0
    """Beta parameter of the share to which two images are blended; 0 is off."""
    cutmix: BetaParameter = 0.0
    """Beta parameter of the share of an image that a window of another one covers; 0 is off."""
    views: Views = 0
    """Fixed views per image for the prefix cache; 0 draws fresh ones every epoch."""

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed with one another."""
        return bool(self.mixup or self.cutmix)

    @property
    def changes_images(self) -> bool:
        """Whether anything is done to images at all."""
        return self.model_copy(update={"views": 0}) != AugmentSection()


class TrainSection(Section):
    """What holds for all phases."""

    batch_size: Literal["auto"] | CountFromOne = 32
    """Images in a batch; `auto` is what fits into memory of a step of 32 images times `accumulate`."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """What is computed in; `auto` is float32 on a CPU and mixed on GPUs and TPUs."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of everything that is random: the split, new weights, the order, augmentation, dropout."""
    deterministic: bool = False
    """Whether the same run gives the same numbers to the bit, on a CPU; see [exactness](exactness.md)."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether steps are compiled by XLA; `auto` leaves it to Keras."""
    loss: Annotated[str, NameIn(LOSSES)] = "crossentropy"
    """What is minimised."""
    loss_options: Annotated[RowOptions, OptionsOf("loss", LOSSES)] = {}
    """Options of the loss, such as `{gamma = 1.5}` of `focal`."""
    label_smoothing: ShareBelowOne = 0.0
    """Share of a label that is spread evenly over all classes."""
    ema: Momentum = 0.0
    """Momentum of the moving average of the weights; 0 is off."""
    accumulate: CountFromOne = 1
    """Batches per optimizer step."""
    clip_norm: Norm = 0.0
    """Largest global norm of the gradient; 0 is off."""
    prefix_cache: Literal["auto", "off", "required"] = "auto"
    """Whether what frozen layers give is computed once and kept: `auto` where that is exact and saves time.

    `required` fails where it cannot be.
    """
    on_save_error: Literal["stop", "warn"] = "stop"
    """What to do when a checkpoint cannot be written: end the run, or say it and try again at the next one."""
    early_stopping: Count = 0
    """Epochs without improvement before a phase ends; 0 is off."""
    hyperrule: Literal["none", "bit"] = "none"
    """`bit`: epochs, image size, crop and mixup follow from the data, in place of what the recipe says."""


class Phase(Section):
    """One stretch of training with one trainable set and one compile."""

    name: PhaseName
    """The phase's name, unique in the recipe; `--set phases.NAME.epochs=3` names it."""
    train: Annotated[str, Field(min_length=1, max_length=LONGEST_SELECTOR)]
    """A selector of stages, such as `head`, `stage3+` or `last:2`."""
    epochs: CountFromOne = 5
    """How often each training image is seen."""
    optimizer: Annotated[str, NameIn(OPTIMIZERS)] = "adamw"
    """What turns gradients into steps."""
    optimizer_options: Annotated[RowOptions, OptionsOf("optimizer", OPTIMIZERS)] = {}
    """Options of the optimizer, such as `{beta_2 = 0.98}` of `adamw`."""
    learning_rate: LearningRate = 1e-3
    """The highest learning rate of the phase; `zoo lr-find` suggests one."""
    weight_decay: WeightDecay = 0.0
    """Decoupled decay of the weights, times the learning rate at each step."""
    layer_decay: Factor = 1.0
    """Factor on the learning rate per stage away from the head."""
    schedule: Annotated[str, NameIn(SCHEDULES)] = "cosine"
    """How the rate goes over the phase."""
    schedule_options: Annotated[RowOptions, OptionsOf("schedule", SCHEDULES)] = {}
    """Options of the schedule, such as `{milestones = [0.5, 0.9]}` of `step`."""
    warmup: ShareBelowOne = 0.0
    """Share of the phase's steps over which the rate rises first."""
    batchnorm: Literal["auto", "frozen", "affine", "train"] = "auto"
    """`auto`: `train` when the weights are random, else `frozen`."""


class CheckpointSection(Section):
    """When training is saved, and by which figure a model is the best."""

    every: Interval = "epoch"
    """How often a checkpoint is written besides at each epoch's end; `epoch_end`: never.

    `epoch` writes one inside a long epoch every 4 to 30 seconds, as often as takes at most 1 % of the time.
    """
    keep: CountFromOne = 2
    """How many of the newest checkpoints stay, besides the best."""
    monitor: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    """By which figure a model is the best."""


class Expectation(Section):
    """What the best model must reach: a run fails when it measures less than `value - tolerance`."""

    metric: Literal["val_accuracy"] = "val_accuracy"
    """The figure that is expected."""
    value: Share
    """What it should reach."""
    tolerance: Share = 0.02
    """How far it may fall below."""


class Recipe(Section):
    """A complete recipe: all that decides a run, but the data itself.

    Example:

        recipe = zoo.Recipe.load("quickstart", ["train.batch_size=32"])
        print(recipe.train.batch_size)
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    """The version of this format."""
    name: RecipeName
    """The recipe's name, which its runs are called by."""
    description: Text = ""
    """One line for `zoo recipe ls`."""
    model: ModelSection
    data: DataSection = DataSection()
    augment: AugmentSection = AugmentSection()
    train: TrainSection = TrainSection()
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=100, strict=False)]
    checkpoint: CheckpointSection = CheckpointSection()
    expect: Expectation | None = None

    @classmethod
    def load(cls, reference: "str | Path | Recipe", overrides: Sequence[str] | Mapping[str, object] = ()) -> "Recipe":
        """Loads a recipe by path or name; see `zoo.recipe.loading.load_recipe`."""
        return validated(cls, *resolve(reference, overrides))

    def phase_named(self, name: str | None) -> Phase:
        """Returns the phase of a name; None takes the first.

        Raises:
            NotFoundError: There is no such phase.
        """
        names = [phase.name for phase in self.phases]
        if name is not None and name not in names:
            raise NotFoundError(
                f"recipe '{self.name}' has no phase '{name}'.{did_you_mean(name, names)} It has: {', '.join(names)}."
            )
        return self.phases[names.index(name) if name else 0]

    def to_dict(self) -> dict[str, Any]:
        """Returns the resolved recipe as TOML and JSON know it, in the order of the sections."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def to_toml(self) -> str:
        """Returns the resolved recipe with every key, so that later defaults cannot change its meaning."""
        values = self.to_dict()
        for section in ("model", "data", "augment", "train"):
            values[section] = _with_inline_tables(values[section])
        values["phases"] = [_with_inline_tables(phase) for phase in values["phases"]]
        return tomlkit.dumps(values)


def _with_inline_tables(section: Mapping[str, Any]) -> dict[str, Any]:
    """Writes tables within a section on their key's line, as in `options = {alpha = 0.25}`."""
    written = dict(section)
    for key, value in section.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            written[key] = inline
    return written


def recipe_file_schema() -> dict[str, Any]:
    """Returns the JSON schema of a recipe file, which may leave out what it inherits by `extends`."""
    schema = Recipe.model_json_schema(by_alias=True)
    name = {"type": "string", "minLength": 1}
    schema["properties"]["extends"] = {
        "description": "The recipe that this one builds on, by name, as a file beside it or on a shelf; or a list of "
        "them, later ones over earlier ones.",
        "anyOf": [name, {"type": "array", "items": name}],
    }
    schema["properties"]["set"] = {
        "description": 'Tweaks to inherited values, such as "phases.head.epochs" = 3.',
        "type": "object",
    }
    whole = {
        "required": schema.pop("required"),
        "properties": {"model": {"required": schema["$defs"]["ModelSection"].pop("required")}},
    }
    return {**schema, "anyOf": [{"required": ["extends"]}, whole]}
