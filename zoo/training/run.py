"""The story of a run: read the data, build the model, train phase after phase, keep the best, write it down."""

import os
import platform
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.backend import allocator, devices
from zoo.backend.keras_globals import pinned, require_no_strategy
from zoo.data import InCode, Pixels
from zoo.data.inputs import Inputs
from zoo.errors import RunError
from zoo.models.saving import save_model
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Checkpoint
from zoo.runs.counted_in_batches import lines_anew
from zoo.runs.folder import RunFolder
from zoo.runs.progress import Progress
from zoo.runs.record import (
    BatchRecord,
    DataRecord,
    EnvironmentRecord,
    InputsRecord,
    KeptRecord,
    RepeatsRecord,
    RunRecord,
    SkippedRecord,
    WeightsRecord,
)
from zoo.runs.recording import Recording, recording
from zoo.system.files import write_atomic
from zoo.training.batch_size import Pieces, wanted, with_batch_size, with_pieces
from zoo.training.compiling.optimizer_state import OptimizerState
from zoo.training.feeding.streams import StopWatch, training_data, validation_data
from zoo.training.phase import PhaseRun, Training, batches_of
from zoo.training.prefix.feeding import predict
from zoo.training.preparation.kept_images import check_same_data, check_same_images, difference, images_of
from zoo.training.preparation.preparing import (
    Prepared,
    build_model,
    largest_phase,
    model_warnings,
    read_inputs,
)
from zoo.training.trainable import apply_freezing
from zoo.training.user_callbacks import trackers
from zoo.training.user_callbacks.one_run import OneRun, check_monitors

if TYPE_CHECKING:
    import keras
    import numpy as np

# Fewer validation images than this cannot tell one epoch from another: the standard error of a share is above 3 %.
FEW_TO_VALIDATE = 100
RECORDED_PACKAGES = ("zoo", "keras", "tensorflow", "jax", "numpy", "pillow")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training gives.

    Attributes:
        model: The kept model: the best epoch's of all phases, or the last where nothing was monitored.
        inputs: What it learnt from.
        record: What is known of the run so far.
    """

    model: "keras.Model"
    inputs: Inputs
    record: RunRecord

    @pinned()
    def predict(self, images: "Pixels") -> "np.ndarray":
        """Computes the kept model's probabilities, float32[n, classes], for pixels that it trained or validated on."""
        return predict(self.model, images)


@pinned()
def train(
    prepared: Prepared,
    *,
    folder: RunFolder,
    repeats: RunFolder | None = None,
    callbacks: Sequence[Any] = (),
    display: ProgressDisplay,
) -> Trained:
    """Runs a recipe from its last checkpoint in the folder, or from the start where there is none.

    Args:
        prepared: The recipe and its images.
        folder: The run's folder, claimed by this process.
        repeats: The run whose recipe it is, or None.
        callbacks: The user's own Keras callbacks.
        display: Shows progress.

    Raises:
        ZooError: Any of its children; the run's status is then `failed`, and `interrupted` after Ctrl-C.
    """
    import keras

    require_no_strategy("finetune")
    recipe, source, device = prepared.recipe, prepared.source, prepared.device
    keras.utils.set_random_seed(recipe.train.seed)
    resume_from = checkpoint.latest(folder.checkpoints)
    if prepared.weights is not None and resume_from is None:
        prepared.weights.verify(folder.path)
    model = build_model(prepared, is_resumed=resume_from is not None)
    # A wrong selector or a frozen-only phase, and folders that are read in another way than they are meant, should be
    # known before an image is decoded.
    largest = largest_phase(model, recipe)
    for warning in (*prepared.warnings, *model_warnings(prepared, model, largest)):
        display.line(f"warning: {warning}")
    inputs = read_inputs(prepared, display)
    record = _record(prepared, inputs)
    images = images_of(source.dataset, inputs, validation=recipe.data.validation)
    if repeats is not None:
        record = replace(record, repeats=_compare_data(repeats, record, display))
    if resume_from is not None:
        before = folder.record()
        check_same_data(folder, record.data.fingerprint)
        check_same_images(folder, images)
        record = before.going_on(record, phases=resume_from.progress.phase)
        if before.batch is not None:
            recipe = with_pieces(recipe, Pieces(batch_size=before.batch.batch_size, accumulate=before.batch.accumulate))
    elif prepared.has_auto_batch:
        trial = build_model(prepared)
        apply_freezing(trial, largest)
        recipe = with_batch_size(recipe, trial, largest, inputs.train.images, device)
        display.line(f"batches of {recipe.train.batch_size}, {recipe.train.accumulate} to a step")
    record = replace(record, batch=BatchRecord(batch_size=wanted(recipe), accumulate=recipe.train.accumulate))
    display.line(
        f"{recipe.name}: {recipe.model.name} on {len(inputs.train.labels):,} images of "
        f"{len(source.dataset.classes)} classes, {prepared.policy} on {device.name}, {folder.path}"
    )
    if prepared.weights is not None and resume_from is None:
        display.line(prepared.weights.summary(source.dataset.classes))
    validating = record.data.validation
    if 0 < validating < FEW_TO_VALIDATE:
        few = "1 image validates" if validating == 1 else f"{validating} images validate"
        display.line(f"note: {few}: below {FEW_TO_VALIDATE} the choice of the epoch is a guess")
    allocator.keep_freed_memory()
    with recording(folder, record) as recorded:
        images.write(folder.path)
        write_atomic(folder.recipe_path, prepared.asked.to_toml())
        _train_phases(model, recipe, inputs, folder, resume_from, callbacks, display, recorded)
        kept = checkpoint.best(folder.checkpoints)
        if kept is None:
            raise RunError(f"{folder.checkpoints}: no checkpoint is there after training")
        checkpoint.restore_weights(model, kept)
        save_model(model, folder.model, fit=recipe.data.fit)
        best = kept.progress.best
        figures = {recipe.checkpoint.monitor: best and best.value}
        if best and best.loss is not None:
            figures["val_loss"] = best.loss
        fell_short = shortfall(folder.metrics(), recipe.checkpoint.monitor)
        if fell_short:
            display.line(f"warning: {fell_short}")
        recorded.update(kept=KeptRecord(step=kept.progress.step, figures=figures, shortfall=fell_short))
    return Trained(model=model, inputs=inputs, record=recorded.record)


def _train_phases(
    model: "keras.Model",
    recipe: Recipe,
    inputs: Inputs,
    folder: RunFolder,
    resume_from: Checkpoint | None,
    callbacks: Sequence[Any],
    display: ProgressDisplay,
    recorded: Recording,
) -> None:
    """Trains all phases that are left, and shows them to callbacks and trackers as one training."""
    check_monitors(callbacks, validates=inputs.validation is not None)
    total = sum(phase.epochs for phase in recipe.phases)
    one_run = OneRun(callbacks, model, epochs=total)
    tracker = trackers.replaced_by()
    if tracker and devices.name() != "tensorflow":
        display.line(f"warning: {tracker} sees nothing of this run on the {devices.name()} backend; give its callback")
        tracker = ""
    phases = _each_phase(model, recipe, inputs, folder, resume_from, one_run, display, recorded, by_epoch=bool(tracker))
    if tracker and next(phases, phases) is not phases:
        batches = batches_of(recipe, inputs.train, len(model.blueprint.classes))
        validation = inputs.validation and batches_of(recipe, inputs.validation, batches.classes, shuffle=False)
        trackers.watched_fit(
            model,
            phases,
            training_data(batches, 0, StopWatch(), epochs=1),
            batches_per_epoch=batches.batches_per_epoch,
            one_run=one_run,
            initial_epoch=resume_from.progress.epoch if resume_from else 0,
            epochs=total,
            validation_data=validation and validation_data(validation),
        )
    for _ in phases:
        pass
    one_run.end()
    if one_run.stopped_by:
        recorded.update(stopped_by=one_run.stopped_by)


def _each_phase(
    model: "keras.Model",
    recipe: Recipe,
    inputs: Inputs,
    folder: RunFolder,
    resume_from: Checkpoint | None,
    one_run: OneRun,
    display: ProgressDisplay,
    recorded: Recording,
    *,
    by_epoch: bool,
) -> Generator[None]:
    progress = resume_from.progress if resume_from else Progress()
    lines = folder.metrics()[: progress.epoch]
    folder.write_metrics(lines_anew(lines, progress, accumulate=recipe.train.accumulate))
    if resume_from is not None:
        checkpoint.restore_weights(model, resume_from)
        display.line(f"goes on after epoch {progress.epoch}, step {progress.step}")
    optimizer_state = OptimizerState()
    training = Training(
        model=model,
        recipe=recipe,
        train=inputs.train,
        validation=inputs.validation,
        folder=folder,
        one_run=one_run,
        display=display,
    )
    for index in range(progress.phase, len(recipe.phases)):
        if progress.phase < index:
            progress = progress.next_phase(index)
        inside = resume_from if resume_from and resume_from.progress.phase == index else None
        phase_run = PhaseRun(training, start=progress, resume_from=inside, optimizer_state=optimizer_state)
        result = yield from phase_run.run(by_epoch=by_epoch)
        progress, optimizer_state = result.progress, result.optimizer_state
        recorded.update(phases=(*recorded.record.phases, result.record))
        if one_run.stopped_by:
            left = ", ".join(phase.name for phase in recipe.phases[index + 1 :])
            display.line(
                f"{one_run.stopped_by} stopped the run after epoch {progress.epoch}"
                + (f"; left out: {left}" if left else "")
            )
            return


def shortfall(history: Sequence[Mapping[str, Any]], monitor: str) -> str | None:
    """Says when phases stayed below what they began from, as fine-tuning may that began from a linear probe.

    Args:
        history: The lines of metrics.jsonl.
        monitor: The metric that decides which epoch is kept; `val_loss` is best when lowest.

    Returns:
        A sentence, or None where the last phase is as good as any or nothing was monitored.
    """
    sign = -1 if monitor == "val_loss" else 1

    def merit(row: Mapping[str, Any]) -> tuple[float, float]:
        return sign * row[monitor], -row.get("val_loss", 0.0)

    best: dict[str, Mapping[str, Any]] = {}
    for row in history:
        before = best.get(row["phase"])
        if row.get(monitor) is not None and (before is None or merit(row) > merit(before)):
            best[row["phase"]] = row
    if not best:
        return None
    kept = max(best.values(), key=merit)
    later = list(best)[list(best).index(kept["phase"]) + 1 :]
    worse = [name for name in later if best[name][monitor] != kept[monitor]]
    if not worse or worse != later:
        return None
    came_to = ", ".join(f"'{name}' came to {best[name][monitor]:.4f}" for name in later)
    return (
        f"epoch {kept['epoch_in_phase']} of phase '{kept['phase']}' is kept, with {monitor} {kept[monitor]:.4f}; "
        f"{came_to}: below what it began from"
    )


def _record(prepared: Prepared, inputs: Inputs) -> RunRecord:
    import keras

    recipe, source, weights = prepared.recipe, prepared.source, prepared.weights
    return RunRecord(
        status="running",
        recipe=recipe.name,
        model=recipe.model.name,
        inputs=_inputs(prepared.data),
        environment=EnvironmentRecord(
            python=platform.python_version(),
            platform=platform.platform(),
            backend=keras.backend.backend(),
            device=prepared.device.name,
            cpus=os.cpu_count(),
        ),
        versions={name: _version(name) for name in RECORDED_PACKAGES},
        seed=recipe.train.seed,
        precision=prepared.policy,
        data=DataRecord(
            fingerprint=source.dataset.fingerprint(),
            train=len(inputs.train.labels),
            validation=len(inputs.validation.labels) if inputs.validation else 0,
            test=len(source.dataset.test) if source.dataset.test else 0,
            skipped=tuple(SkippedRecord(path=str(bad.path), reason=bad.reason) for bad in inputs.skipped),
        ),
        classes=tuple(source.dataset.classes),
        weights=WeightsRecord(path=weights.path, sha256=weights.sha256) if weights else None,
    )


def _inputs(data: Path | InCode | None) -> InputsRecord:
    if data is None or isinstance(data, Path):
        return InputsRecord(data=None if data is None else str(data.resolve()))
    return InputsRecord(data=None, in_code=f"{type(data).__module__}.{type(data).__qualname__}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _compare_data(repeated: RunFolder, record: RunRecord, display: ProgressDisplay) -> RepeatsRecord:
    """Says where the run that is repeated had other data, and returns what run.json keeps of it."""
    then, now = repeated.record().data.fingerprint, record.data.fingerprint
    if then != now:
        display.line(f"warning: {difference(repeated, then, now)}")
    return RepeatsRecord(run=str(repeated.path.resolve()), same_data=then == now)
