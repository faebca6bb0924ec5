"""What all phases of a run share."""

from dataclasses import dataclass

import keras

from zoo.backend.distribution.stopping import AgreedStop
from zoo.data import Pack
from zoo.data.dataset import Split
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.report.step_times import StepTimes
from zoo.runs.checkpoint_writer import CheckpointWriter, SaveErrors
from zoo.runs.folder import RunFolder
from zoo.training.callbacks.metrics_writer import FirstLosses
from zoo.training.prefix.planning import FrozenPrefixes
from zoo.training.user_callbacks.one_run import OneRun


@dataclass(frozen=True, kw_only=True)
class Training:
    """A run as each of its phases sees it.

    Attributes:
        model: Holds the weights.
        recipe: The resolved recipe.
        split: The images to learn from as they came, by the rows of `train`.
        train: Pixels and labels to learn from.
        validation: Pixels and labels to validate on, or None.
        folder: Where checkpoints are read.
        writer: Writes them, and metrics.
        save_errors: Takes what goes wrong in saving.
        one_run: The user's own Keras callbacks.
        first_losses: Those of the first batches.
        prefixes: What the phases freeze, and what that gives for the images.
        display: Shows progress.
        times: Knows which step is at work.
        stop: Where several processes end training that one of them was asked to end.
    """

    model: keras.Model
    recipe: Recipe
    split: Split
    train: Pack
    validation: Pack | None
    folder: RunFolder
    writer: CheckpointWriter
    save_errors: SaveErrors
    one_run: OneRun
    first_losses: FirstLosses
    prefixes: FrozenPrefixes
    display: ProgressDisplay
    times: StepTimes
    stop: AgreedStop
