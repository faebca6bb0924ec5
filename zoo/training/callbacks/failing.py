"""Keeps what a step saw in which training failed, so that it can be taken again: see `zoo.runs.failed_batch`."""

import contextlib
from pathlib import Path

import numpy as np

from zoo.data import Batches
from zoo.runs import failed_batch
from zoo.runs.failed_batch import FailedBatch, FailedImage
from zoo.runs.folder import resume_command
from zoo.training.callbacks.checkpoint_saver import CheckpointSaver
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.of_all_phases import Training


def keep_failed_batch(
    fault: Exception, training: Training, batches: Batches, saver: CheckpointSaver, counts: PhaseCounts
) -> None:
    """Writes the batch at work when training failed, and notes on the fault how to take it again.

    A fault of the disk is none of the batch; and while an epoch is validated no batch is at work.
    """
    at_work = saver.next_batch
    if at_work is None or isinstance(fault, OSError):
        return
    with contextlib.suppress(OSError):
        training.writer.wait()
        epoch, batch = at_work
        some = slice(batch * batches.batch_size, (batch + 1) * batches.batch_size)
        rows = batches.epoch_order(counts.first_epoch + epoch).rows[some] % len(training.train.labels)
        failed = FailedBatch(
            phase=training.recipe.phases[counts.start.phase].name,
            epoch=counts.first_epoch + epoch + 1,
            batch=batch + 1,
            step=counts.step_of(epoch, batch),
            seed=training.recipe.train.seed,
            fault=str(fault) or type(fault).__name__,
            images=tuple(_image(training, int(row)) for row in rows),
        )
        failed_batch.keep(training.folder, failed)
        fault.add_note(f"see what the step saw: {resume_command(training.folder.path).replace('--resume', '--replay')}")


def _image(training: Training, row: int) -> FailedImage:
    number = int(training.train.rows[row])
    image = None if isinstance(training.split.images, np.ndarray) else training.split.images[number]
    return FailedImage(
        image=str(image) if isinstance(image, Path) else str(number),
        row=row,
        label=training.model.blueprint.classes[int(training.train.labels[row])],
    )
