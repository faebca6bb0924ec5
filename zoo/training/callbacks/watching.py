"""All that happens around `fit` in a phase, in its order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from zoo.freezing.contract import Contract
from zoo.training.callbacks.augmentation_seeds import AugmentationSeeds, DrawApart
from zoo.training.callbacks.checkpoint_saver import CheckpointSaver
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.early_stopping import EarlyStopping
from zoo.training.callbacks.guards import ContractGuard, CopiesGuard, InterruptionGuard, TerminateOnNaN
from zoo.training.callbacks.metrics_writer import MetricsWriter
from zoo.training.callbacks.middle_of_an_epoch import EpochStateRestorer
from zoo.training.callbacks.monitor import Monitor
from zoo.training.callbacks.progress_bar import EpochLine, ProgressBar
from zoo.training.callbacks.validation_average import AverageForValidation
from zoo.training.compiling.optimizer_state import moving_averages
from zoo.training.compiling.schedules import LearningRateSchedule
from zoo.training.compiling.training_model import TrainingModel
from zoo.training.feeding.streams import StopWatch
from zoo.training.feeding.throughput import Throughput
from zoo.training.of_all_phases import Training


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What happens around `fit`, beside the user's own callbacks.

    Attributes:
        callbacks: All else, in order.
        counts: Where the phase began or was left.
        early_stopping: Says when the phase is over.
        interruption: Is entered around `fit`, and called after all others.
        saver: Says how far the run has come.
    """

    callbacks: Sequence[keras.callbacks.Callback]
    counts: PhaseCounts
    early_stopping: EarlyStopping
    interruption: InterruptionGuard
    saver: CheckpointSaver


# Many arguments because each is another's, and all meet here.
def watch_fit(
    training: Training,
    training_model: TrainingModel,
    *,
    contract: Contract,
    counts: PhaseCounts,
    rate: LearningRateSchedule,
    data_wait: StopWatch,
    throughput: Throughput,
    epoch_state: Mapping[str, np.ndarray],
    move: Callable[[int, str], None],
) -> Watch:
    """Chooses what happens around `fit`; the order counts, as each saves what those before it have seen.

    Args:
        training: The run.
        training_model: What `fit` trains.
        contract: Of the phase.
        counts: Where the phase begins or was left.
        rate: Its learning rate by batch.
        data_wait: Counts the seconds in which training waits for batches.
        throughput: What the phase's speed is reckoned by.
        epoch_state: Of the epoch that has begun before, from its checkpoint; empty where none has.
        move: Moves the phase's bar.
    """
    recipe = training.recipe
    phase = recipe.phases[counts.start.phase]
    # Without validation nothing says which epoch is better.
    monitor = Monitor(recipe.checkpoint.monitor) if training.validation is not None else None
    early_stopping = EarlyStopping(monitor, patience=recipe.train.early_stopping, counts=counts)
    layers = training_model.augmentation_layers
    average = AverageForValidation(training.model, moving_averages(training_model.model.optimizer))
    metrics = MetricsWriter(
        phase_name=phase.name,
        counts=counts,
        rate_at=lambda batch: float(rate.at(batch)),
        data_wait=data_wait,
        throughput=throughput,
    )
    saver = CheckpointSaver(
        training,
        training_model,
        counts=counts,
        monitor=monitor,
        early_stopping=early_stopping,
        average=average,
        metrics=metrics,
    )
    interruption = InterruptionGuard(
        saver, training.stop, batches_per_epoch=counts.batches_per_epoch, say=training.display.line
    )
    callbacks = [
        AugmentationSeeds(layers, seed=recipe.train.seed, first_epoch=counts.first_epoch),
        EpochStateRestorer(layers, epoch_state, classes=len(training.model.blueprint.classes)),
        DrawApart(training.model, layers),
        average,
        ContractGuard(contract, accumulate=counts.accumulate),
        CopiesGuard(accumulate=counts.accumulate),
        TerminateOnNaN(phase=phase, train=recipe.train, counts=counts),
        training.first_losses,
        ProgressBar(move, batches_per_epoch=counts.batches_per_epoch),
        metrics,
        early_stopping,
        saver,
        EpochLine(partial(training.display.epoch, phase_epochs=phase.epochs), metrics, say=training.display.line),
    ]
    return Watch(
        callbacks=callbacks, counts=counts, early_stopping=early_stopping, interruption=interruption, saver=saver
    )
