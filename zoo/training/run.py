"""The story of a run: prepare, decode, choose the batch, train the phases, keep the best, measure, write down."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import keras

from zoo.backend import devices
from zoo.backend.distribution import mirrored
from zoo.backend.distribution.stopping import AgreedStop
from zoo.backend.hardware import allocator
from zoo.backend.keras_globals import pinned, require_no_strategy
from zoo.data import Pack
from zoo.data.inputs import Inputs
from zoo.errors import ContractError
from zoo.evaluation.scores import score
from zoo.inference import engines
from zoo.models.saving import save_model
from zoo.recipe.schema import Phase, Recipe
from zoo.report.curves import save_history
from zoo.report.progress import ProgressDisplay
from zoo.report.speed import speed_line
from zoo.report.step_times import StepTimes
from zoo.runs import checkpoint, failed_batch
from zoo.runs.checkpoint import Checkpoint
from zoo.runs.checkpoint_writer import CheckpointWriter, SaveErrors
from zoo.runs.exactness import described
from zoo.runs.folder import RunFolder
from zoo.runs.images import FILE as IMAGES_FILE
from zoo.runs.images import RunImages
from zoo.runs.progress import Progress
from zoo.runs.record import BatchRecord, BestRecord, ResultRecord, RunRecord, SecondsRecord
from zoo.runs.recording import Recording, recording
from zoo.training.batch_size import MicroBatches, batch_size_of, find_micro_batches, in_micro_batches
from zoo.training.callbacks.metrics_writer import FirstLosses
from zoo.training.callbacks.monitor import shortfall
from zoo.training.compiling.optimizer_state import OptimizerState
from zoo.training.compiling.training_state import restore_weights
from zoo.training.feeding.batching import batches_of
from zoo.training.feeding.streams import StopWatch, training_data, validation_data
from zoo.training.of_all_phases import Training
from zoo.training.phase import PhaseRun
from zoo.training.prefix.engine import engine_of_run
from zoo.training.prefix.feeding import frozen_prefixes, predict
from zoo.training.prefix.planning import FrozenPrefixes
from zoo.training.preparation.checkpoints import best_checkpoint, figures_of, newest_good
from zoo.training.preparation.first_record import first_record
from zoo.training.preparation.going_on import going_on, history_of
from zoo.training.preparation.kept_images import check_same_images, images_of
from zoo.training.preparation.preparing import Prepared, build_model, largest_phase, model_warnings, read_inputs
from zoo.training.preparation.same_everywhere import (
    check_same_everywhere,
    check_same_images_everywhere,
    check_same_weights,
)
from zoo.training.repetition import compare_data, compare_result
from zoo.training.trainable import apply_freezing
from zoo.training.user_callbacks import trackers
from zoo.training.user_callbacks.one_run import OneRun, check_monitors

# Fewer validation images than this cannot tell one epoch from another: the standard error of a share is above 3 %.
FEW_TO_VALIDATE = 100


@pinned()
def train(
    prepared: Prepared,
    *,
    folder: RunFolder,
    repeats: RunFolder | None = None,
    callbacks: Sequence[Any] = (),
    display: ProgressDisplay,
    times: StepTimes | None = None,
) -> None:
    """Runs a recipe to its end, from its last checkpoint in the folder, or from the start where there is none.

    Args:
        prepared: The recipe and its images.
        folder: The run's folder, claimed by this process.
        repeats: The run whose recipe it is, or None.
        callbacks: The user's own Keras callbacks.
        display: Shows progress.
        times: Knows which step is at work; by default it begins to count here.

    Raises:
        ContractError: The run is done, and its result is not what the recipe expects; or see `zoo.freezing`.
        ZooError: Any of its children; the run's status is then `failed`, and `interrupted` after Ctrl-C.
    """
    require_no_strategy("finetune")
    times = times or StepTimes()
    keras.utils.set_random_seed(prepared.recipe.train.seed)
    resume_from = newest_good(folder, phases=len(prepared.recipe.phases), say=display.line)
    with times.step("build"):
        model, largest = _begin(prepared, folder, resume_from, display)
    inputs = read_inputs(prepared, display, times)
    with times.step("hashing"):
        images = images_of(prepared.source.dataset, inputs, validation=prepared.recipe.data.validation)
        check_same_images_everywhere(images.to_text())
        record = _first_record(prepared, inputs, repeats, display)
    before = None if resume_from is None else _record_before(folder, images)
    if before is not None and resume_from is not None:
        record = going_on(before, record, resume_from, deterministic=prepared.recipe.train.deterministic)
    batches = _choose_batches(prepared, before, largest, inputs, display)
    record = replace(record, batch=BatchRecord(**asdict(batches)))
    _say_what_trains(prepared, inputs, folder, display, is_resumed=before is not None)
    recipe = in_micro_batches(prepared.recipe, batches)
    history = history_of(folder, resume_from, accumulate=recipe.train.accumulate)
    allocator.keep_freed_memory()
    recorder = recording(folder, record, _texts(prepared, before, folder, images))
    with recorder as recorded, AgreedStop().watched() as stop:
        check_monitors(callbacks, validates=inputs.validation is not None)
        _leave_out_newer(folder, history, resume_from)
        errors = SaveErrors(recipe.train.on_save_error, display.line)
        with CheckpointWriter(folder, keep=recipe.checkpoint.keep, history=history, errors=errors) as writer:
            training = Training(
                model=model,
                recipe=recipe,
                split=prepared.source.dataset.train,
                train=inputs.train,
                validation=inputs.validation,
                folder=folder,
                writer=writer,
                save_errors=errors,
                one_run=OneRun(callbacks, model, epochs=sum(phase.epochs for phase in recipe.phases)),
                first_losses=FirstLosses(resume_from.progress if resume_from else Progress()),
                prefixes=frozen_prefixes(model, recipe, engine_of_run(recorded, repeats, errors)),
                stop=stop,
                display=display,
                times=times,
            )
            _train_phases(training, resume_from, recorded)
        result = _close(training, recorded)
        if before and record.exactness:
            display.line(described(record.exactness))
        if repeats is not None:
            recorded.update(repeats=compare_result(repeats, folder, prepared.asked, recorded.record, display))
        failed_batch.remove(folder)
        recorded.done(result, SecondsRecord(**times.seconds()))
    _check_expectation(prepared.recipe, result)


def _leave_out_newer(folder: RunFolder, history: Sequence[Mapping[str, Any]], resume_from: Checkpoint | None) -> None:
    """Puts the folder back to where a run goes on from."""
    folder.write_metrics(history)
    if resume_from is not None:
        checkpoint.remove_newer(folder.checkpoints, resume_from)


def _record_before(folder: RunFolder, images: RunImages) -> RunRecord:
    """Returns the record of a run that goes on, which is on the images that it began with."""
    before = folder.record()
    check_same_images(folder, images)
    return before


def _first_record(prepared: Prepared, inputs: Inputs, repeats: RunFolder | None, display: ProgressDisplay) -> RunRecord:
    """Returns what is known of a run before it trains; where it repeats another, whether on the same data."""
    record = first_record(prepared, inputs)
    return record if repeats is None else replace(record, repeats=compare_data(repeats, record, display))


def _texts(prepared: Prepared, before: RunRecord | None, folder: RunFolder, images: RunImages) -> dict[str, str]:
    """Returns the files that run.json has the hashes of, by name; a recipe stays byte for byte as it was begun with."""
    asked = prepared.asked.to_toml() if before is None else folder.recipe_content().decode()
    return {IMAGES_FILE: images.to_text(), folder.recipe_path.name: asked}


def _begin(
    prepared: Prepared, folder: RunFolder, resume_from: Checkpoint | None, display: ProgressDisplay
) -> tuple[keras.Model, Phase]:
    """Builds the model, and goes through what can be wrong before an image is decoded.

    Returns:
        The model, and the phase that trains most of it.
    """
    if prepared.weights is not None and resume_from is None:
        prepared.weights.verify(folder.path)
    engines.asked()
    check_same_everywhere(prepared, goes_on=resume_from and resume_from.path.name)
    model = build_model(prepared, is_resumed=resume_from is not None)
    check_same_weights(model)
    largest = largest_phase(model, prepared.recipe)
    for warning in (*prepared.warnings, *model_warnings(prepared, model, largest)):
        display.line(f"warning: {warning}")
    return model, largest


def _choose_batches(
    prepared: Prepared, before: RunRecord | None, phase: Phase, inputs: Inputs, display: ProgressDisplay
) -> MicroBatches:
    """Chooses the batches of a step: those of before, those of the recipe, or, where it says "auto", some that fit.

    Args:
        prepared: The recipe, and what it runs on.
        before: The record of a run that goes on, or None.
        phase: The one that needs most memory.
        inputs: Images to try on.
        display: Shows what was found.
    """
    recipe = prepared.recipe
    if before is not None and before.batch is not None:
        return MicroBatches(batch_size=before.batch.batch_size, accumulate=before.batch.accumulate)
    if before is not None or not prepared.has_auto_batch:
        return MicroBatches(batch_size=batch_size_of(recipe), accumulate=recipe.train.accumulate)
    with mirrored.training_on(None):  # what fits on one device fits on several
        trial = build_model(prepared)
        apply_freezing(trial, phase)
        found = find_micro_batches(recipe, trial, phase, inputs.train.images, prepared.device)
    display.line(f"batches of {found.batch_size}, {found.accumulate} to a step")
    return found


def _say_what_trains(
    prepared: Prepared, inputs: Inputs, folder: RunFolder, display: ProgressDisplay, *, is_resumed: bool
) -> None:
    recipe, classes = prepared.recipe, prepared.source.dataset.classes
    display.line(
        f"{recipe.name}: {recipe.model.name} on {len(inputs.train.labels):,} images of {len(classes)} classes, "
        f"{prepared.policy} on {prepared.device.name}, {folder.path}"
    )
    if prepared.weights is not None and not is_resumed:
        display.line(prepared.weights.summary(classes))
    validating = len(inputs.validation.labels) if inputs.validation else 0
    if 0 < validating < FEW_TO_VALIDATE:
        few = "1 image validates" if validating == 1 else f"{validating} images validate"
        display.line(f"note: {few}: below {FEW_TO_VALIDATE} the choice of the epoch is a guess")


def _train_phases(training: Training, resume_from: Checkpoint | None, recorded: Recording) -> None:
    """Trains all phases that are left, and shows them to callbacks and trackers as one training."""
    model, recipe, one_run = training.model, training.recipe, training.one_run
    tracker = trackers.replaced_by()
    if tracker and (devices.name() != "tensorflow" or mirrored.current() is not None):
        where = "several devices" if mirrored.current() is not None else f"the {devices.name()} backend"
        training.display.line(f"warning: {tracker} sees nothing of this run on {where}; give its callback")
        tracker = ""
    phases = _each_phase(training, resume_from, recorded, by_epoch=bool(tracker))
    if tracker and next(phases, phases) is not phases:
        batches = batches_of(recipe, training.train, len(model.blueprint.classes))
        validation = training.validation and batches_of(recipe, training.validation, batches.classes, shuffle=False)
        trackers.watched_fit(
            model,
            phases,
            training_data(batches, 0, StopWatch(), epochs=1),
            batches_per_epoch=batches.batches_per_epoch,
            one_run=one_run,
            initial_epoch=resume_from.progress.epoch if resume_from else 0,
            epochs=sum(phase.epochs for phase in recipe.phases),
            validation_data=validation and validation_data(validation),
        )
    for _ in phases:
        pass
    one_run.end()
    if one_run.stopped_by:
        recorded.update(stopped_by=one_run.stopped_by)


def _each_phase(
    training: Training, resume_from: Checkpoint | None, recorded: Recording, *, by_epoch: bool
) -> Generator[None]:
    """Trains phase after phase; yields when each is prepared and, if asked to, before each epoch."""
    display, phases = training.display, training.recipe.phases
    progress = resume_from.progress if resume_from else Progress()
    if resume_from is not None:
        restore_weights(training.model, resume_from)
        display.line(f"goes on {progress.where}, step {progress.step}")
    optimizer_state = OptimizerState()
    for index in range(progress.phase, len(phases)):
        if progress.phase < index:
            progress = progress.next_phase(index)
        inside = resume_from if resume_from and resume_from.progress.phase == index else None
        phase_run = PhaseRun(training, start=progress, resume_from=inside, optimizer_state=optimizer_state)
        with training.times.step("phases", phases[index].name):
            result = yield from phase_run.run(by_epoch=by_epoch)
        progress, optimizer_state = result.progress, result.optimizer_state
        recorded.note(
            phases=(*recorded.record.phases, result.record), first_losses=training.first_losses.losses or None
        )
        with training.save_errors.handled():
            recorded.update()
        if stopped_by := training.one_run.stopped_by:
            left = ", ".join(phase.name for phase in phases[index + 1 :])
            left_out = f"; left out: {left}" if left else ""
            display.line(f"{stopped_by} stopped the run after epoch {progress.epoch}{left_out}")
            return


def _close(training: Training, recorded: Recording) -> ResultRecord:
    """Keeps the best epoch's model, measures it, and draws the curves."""
    folder, times = training.folder, training.times
    with times.step("writing"):
        best = _restore_best(training)
    recorded.update(kept=best, first_losses=training.first_losses.losses or recorded.record.first_losses)
    with times.step("measuring"):
        result = _measure(training.model, training.validation, training.prefixes)
    with times.step("curves"):
        path, title = folder.path / "history.png", recorded.record.summary
        save_history(folder.metrics(), path, title=title, best_step=best.step)
    if fast := speed_line(folder.metrics(), devices.accelerator(), training.model.dtype_policy.name):
        training.display.line(fast)
    return result


def _restore_best(training: Training) -> BestRecord:
    """Puts the best epoch's weights into the model, the last epoch's where nothing was monitored, and writes it.

    Raises:
        RunError: Its checkpoint is damaged.
    """
    folder, model, recipe = training.folder, training.model, training.recipe
    saved = best_checkpoint(folder, unsaved=training.writer.unsaved_epochs, say=training.display.line)
    restore_weights(model, saved)
    save_model(model, folder.model, fit=recipe.data.fit)
    fell_short = shortfall(folder.metrics(), recipe.checkpoint.monitor)
    if fell_short:
        training.display.line(f"warning: {fell_short}")
    figures = figures_of(saved, folder.metrics(), monitor=recipe.checkpoint.monitor)
    return BestRecord(step=saved.progress.step, figures=figures, shortfall=fell_short)


def _measure(model: keras.Model, validation: Pack | None, prefixes: FrozenPrefixes) -> ResultRecord:
    """Measures the best model on the images that validated it; there may be none."""
    if validation is None:
        return ResultRecord(split=None, metrics={}, per_class={})
    evaluation = score(predict(model, validation.images, prefixes), validation.labels, model.blueprint.classes)
    return ResultRecord(
        split="validation",
        metrics=evaluation.metrics,
        intervals=evaluation.intervals,
        per_class={name: asdict(one) for name, one in evaluation.per_class.items()},
    )


def _check_expectation(recipe: Recipe, result: ResultRecord) -> None:
    """Compares a finished run's result with what its recipe expects.

    Raises:
        ContractError: It is worse, by more than the tolerance.
    """
    expect = recipe.expect
    if expect is None:
        return
    measured = result.metrics.get("accuracy")
    if measured is None or measured < expect.value - expect.tolerance:
        found = "not measured (no validation images)" if measured is None else f"{measured:.4f}"
        raise ContractError(
            f"recipe '{recipe.name}' expects {expect.metric} {expect.value} (tolerance {expect.tolerance}); "
            f"found {found}"
        )
