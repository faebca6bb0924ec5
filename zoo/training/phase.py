"""One phase: choose what trains, compile, fit, and prove that nothing else moved."""

import functools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import keras

from zoo.backend import devices
from zoo.data import Batches, Pack
from zoo.errors import RecipeError
from zoo.freezing.plans import BatchNormMode, Contract, Plan, train_only
from zoo.recipe.schema import Phase, Recipe
from zoo.report.progress import Display
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Checkpoint, Progress
from zoo.runs.folder import RunFolder
from zoo.runs.record import ContractRecord, PhaseRecord, PlanRowRecord, PrefixCacheRecord
from zoo.training.batch_size import out_of_memory, wanted
from zoo.training.callbacks import (
    AugmentationSeeds,
    AverageForValidation,
    BatchBar,
    ContractGuard,
    EpochRecorder,
    InterruptionGuard,
    StopAtNoNumber,
)
from zoo.training.compiling.losses import class_weights
from zoo.training.compiling.optimizers import (
    Memory,
    carry_over,
    inner_optimizer,
    moving_averages,
    remember,
    take_averages,
)
from zoo.training.compiling.schedules import RateByStep
from zoo.training.compiling.training_model import make_trainee, rate_factors
from zoo.training.feeding.streams import StopWatch, training_data, validation_data
from zoo.training.prefix.feeding import run_once
from zoo.training.prefix.splitting import frozen_prefix
from zoo.training.user_callbacks.one_run import OneRun
from zoo.training.user_callbacks.trackers import unwatched_fit


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """What a finished phase leaves.

    Attributes:
        progress: How far the run has come.
        record: What the run keeps of it: its name, freeze table and contract.
        memory: What the next phase's optimizer goes on with.
    """

    progress: Progress
    record: PhaseRecord
    memory: Memory


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


def batches_of(recipe: Recipe, pack: Pack, classes: int, *, views: int = 1, shuffle: bool = True) -> Batches:
    """Returns the batches of images that train; without `shuffle` of those that validate, which all count the same."""
    return Batches(
        images=pack.images,
        labels=pack.labels,
        weights=pack.weights if shuffle else None,
        classes=classes,
        batch_size=wanted(recipe),
        seed=recipe.train.seed,
        views=views,
        shuffle=shuffle,
        balanced=shuffle and recipe.data.balance == "sampler",
    )


def run_phase(
    model: keras.Model,
    recipe: Recipe,
    index: int,
    *,
    train: Pack,
    validation: Pack | None,
    folder: RunFolder,
    start: Progress,
    resume_from: Checkpoint | None,
    memory: Memory,
    one_run: OneRun,
    display: Display,
    by_epoch: bool = False,
) -> Generator[None, None, PhaseResult]:
    """Trains one phase to its end; yields when all is prepared and, if asked to, before each epoch.

    Args:
        model: Holds the weights that the phase begins with.
        recipe: The resolved recipe.
        index: Which of its phases.
        train: Pixels and labels to learn from.
        validation: Pixels and labels to validate on, or None.
        folder: Where metrics and checkpoints go.
        start: How far the run has come.
        resume_from: A checkpoint inside this phase, whose optimizer state is put back.
        memory: What the optimizer of the phase before knew; it goes on for what is trained in both.
        one_run: The user's own Keras callbacks.
        display: Shows progress.
        by_epoch: Whether to yield before each epoch, and not before the first one only.

    Raises:
        ContractError: The freezing contract was broken.
        ZooError: The loss is not finite, or the device's memory is used up.
    """
    phase = recipe.phases[index]
    # Without validation nothing says which epoch is better.
    patience = recipe.train.early_stopping if validation is not None else 0
    plan = apply_freezing(model, phase)
    if resume_from is None:
        take_averages(model, memory)
    split = frozen_prefix(model)
    if split is not None and split.silenced:
        display.line(f"{phase.name}: dropout is off up to {split.cut}, which is frozen: {', '.join(split.silenced)}")
    cached = run_once(split, recipe, phase, train, validation, display)
    if cached is not None:
        train, validation = cached.train, cached.validation
    classes = len(model.blueprint.classes)
    training = batches_of(recipe, train, classes, views=cached.views if cached else 1)
    steps = phase.epochs * training.steps
    rate = RateByStep(peak=phase.learning_rate, schedule=phase.schedule, steps=steps, warmup=phase.warmup)
    trainee = make_trainee(
        model,
        recipe,
        phase,
        rate,
        split=split,
        suffix=cached.split.suffix if cached else None,
        class_weights=class_weights(recipe.data, train.labels, classes),
        weighted=train.weights is not None,
    )
    optimizer = trainee.model.optimizer
    optimizer.build(model.trainable_variables)
    first_epoch = start.epoch - start.epoch_in_phase
    inner_optimizer(optimizer).first_step = (start.step - start.epoch_in_phase * training.steps) // (
        recipe.train.accumulate
    )
    if resume_from is None:
        carry_over(optimizer, memory)
    else:
        checkpoint.restore_training_state(model, optimizer, moving_averages(optimizer), resume_from.state_arrays())
    contract = Contract(model, optimizer, phase=phase.name)
    data_wait = StopWatch()
    options: dict[str, Any] = {"verbose": 0, "shuffle": False}
    if validation is not None:
        options["validation_data"] = validation_data(
            batches_of(recipe, validation, classes, shuffle=False), with_labels=trainee.takes_labels
        )
    display.line(f"{phase.name}: trains {plan.trainable_params:,} of {model.count_params():,} parameters")
    one_run.begin_phase(trainee.model, recipe.train, phase_name=phase.name, steps=training.steps)
    with display.bar(phase.name, steps) as move:
        recorder = EpochRecorder(
            folder,
            model,
            phase_name=phase.name,
            start=start,
            steps_per_epoch=training.steps,
            rate_at=lambda step: float(rate.at(step)),
            monitor=None if validation is None else recipe.checkpoint.monitor,
            keep=recipe.checkpoint.keep,
            patience=patience,
            data_wait=data_wait,
            on_epoch=functools.partial(display.epoch, phase_epochs=phase.epochs),
        )
        own = [
            InterruptionGuard(),
            AugmentationSeeds(trainee.drawing, seed=recipe.train.seed, first_epoch=first_epoch),
            AverageForValidation(model, moving_averages(optimizer)),
            ContractGuard(contract),
            StopAtNoNumber(phase_name=phase.name, first_step=start.step, steps_per_epoch=training.steps),
            BatchBar(move, steps_per_epoch=training.steps, first_epoch=start.epoch_in_phase),
            recorder,
        ]
        done = phase.epochs if patience and start.stale_epochs >= patience else start.epoch_in_phase
        while done < phase.epochs and not one_run.stopped_by:
            yield
            if one_run.stopped_by:  # by a tracker, which acts between two epochs
                break
            until = done + 1 if by_epoch else phase.epochs
            data = training_data(
                training, first_epoch + done, data_wait, epochs=until - done, with_labels=trainee.takes_labels
            )
            try:
                unwatched_fit(
                    trainee.model,
                    data,
                    steps_per_epoch=training.steps,
                    initial_epoch=done,
                    epochs=until,
                    callbacks=[*own, one_run.relay(first_epoch=first_epoch)],
                    **options,
                )
            except Exception as fault:
                if devices.is_out_of_memory(fault):
                    raise out_of_memory(recipe, phase, trainee, training) from fault
                raise
            done = phase.epochs if trainee.model.stop_training else until
    unchanged = contract.check()
    if patience and recorder.progress.stale_epochs >= patience:
        _restore_best(model, optimizer, folder, recorder.progress)
        display.line(f"{phase.name}: {patience} epochs without a better one; the best one's weights are back")
    record = PhaseRecord(
        name=phase.name,
        train=phase.train,
        batchnorm=batchnorm_mode(phase, model.blueprint.weights),
        trainable_params=plan.trainable_params,
        plan=tuple(PlanRowRecord(**row) for row in plan.to_json()),
        contract=ContractRecord(
            frozen_tensors=len(contract.frozen), trained_tensors=len(contract.trained), unchanged=tuple(unchanged)
        ),
        prefix_cache=PrefixCacheRecord(cut=cached.split.cut, views=cached.views, computed=cached.computed)
        if cached
        else None,
    )
    return PhaseResult(progress=recorder.progress, record=record, memory=remember(optimizer))


def _restore_best(model: keras.Model, optimizer: Any, folder: RunFolder, progress: Progress) -> None:
    best = checkpoint.at_step(folder.checkpoints, progress.phase_best_step or 0)
    if best is not None:
        arrays = best.model_arrays()
        for weight in model.weights:
            weight.assign(arrays[weight.path])
        checkpoint.restore_training_state(model, optimizer, moving_averages(optimizer), best.state_arrays())
