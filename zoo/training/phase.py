"""One phase of a run: choose what trains, feed, compile, restore, fit, and prove that nothing else moved."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zoo.backend import determinism, devices
from zoo.backend.distribution import mirrored
from zoo.backend.distribution.faults import is_of_peers, peer_gone
from zoo.backend.keras_internals.native_operations import native_operations
from zoo.backend.keras_internals.optimizers import inner_optimizer
from zoo.data import Batches
from zoo.freezing.contract import Contract
from zoo.freezing.plans import Plan, layers_of
from zoo.runs.checkpoint import OF_AN_EPOCH, Checkpoint
from zoo.runs.progress import Progress
from zoo.runs.record import ContractRecord, PhaseRecord, PlanRowRecord, PrefixCacheRecord
from zoo.training.batch_size import out_of_memory
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.failing import keep_failed_batch
from zoo.training.callbacks.middle_of_an_epoch import counted_from, validate_epoch
from zoo.training.callbacks.watching import Watch, watch_fit
from zoo.training.compiling.mirrored_model import make_ready
from zoo.training.compiling.optimizer_state import (
    OptimizerState,
    load_averages,
    load_state,
    moving_averages,
    state_of,
)
from zoo.training.compiling.schedules import LearningRateSchedule
from zoo.training.compiling.training_model import TrainingModel, make_training_model
from zoo.training.compiling.training_state import restore_training_state
from zoo.training.feeding.batching import batches_of
from zoo.training.feeding.streams import StopWatch, feeding, training_data, validation_data
from zoo.training.feeding.throughput import throughput_of
from zoo.training.of_all_phases import Training
from zoo.training.prefix.feeding import CachedActivations, cache_prefix
from zoo.training.prefix.splitting import Prefix
from zoo.training.trainable import apply_freezing, batchnorm_mode
from zoo.training.user_callbacks.trackers import unwatched_fit


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """What a finished phase leaves.

    Attributes:
        progress: How far the run has come.
        record: What the run keeps of it: its name, freeze table and contract.
        optimizer_state: What the next phase's optimizer goes on with.
    """

    progress: Progress
    record: PhaseRecord
    optimizer_state: OptimizerState


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a phase is fed with.

    Attributes:
        training: Batches to learn from: of pixels, or of what the frozen prefix gives for them.
        validation: The same to validate on, or None.
        prefix: The model's frozen prefix, or None.
        cached: What the prefix gives, where it has been run already.
    """

    training: Batches
    validation: Batches | None
    prefix: Prefix | None
    cached: CachedActivations | None

    @property
    def validation_steps(self) -> int | None:
        """Batches that validate, where the data itself does not know: in parts for several devices."""
        return None if mirrored.current() is None or self.validation is None else self.validation.batches_per_epoch


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """Epochs of a phase that one `fit` trains.

    Attributes:
        first: The first one, counted from 0.
        until: The one after the last.
        first_batch: Batches of the first one that are finished already.
    """

    first: int
    until: int
    first_batch: int = 0


class PhaseRun:
    """One phase, from its first step or its last checkpoint to its end."""

    def __init__(
        self,
        training: Training,
        *,
        start: Progress,
        resume_from: Checkpoint | None,
        optimizer_state: OptimizerState,
    ) -> None:
        """Prepares.

        Args:
            training: What all phases of the run share; its model holds the weights that the phase begins with.
            start: How far the run has come, and in which phase it is.
            resume_from: A checkpoint inside this phase, whose optimizer state is put back.
            optimizer_state: What the optimizer of the phase before knew; it goes on for what is trained in both.
        """
        self._training = training
        self._model = training.model
        self._recipe = training.recipe
        self._phase = training.recipe.phases[start.phase]
        self._start = start
        self._resume_from = resume_from
        self._optimizer_state = optimizer_state
        self._data_wait = StopWatch()

    def run(self, *, by_epoch: bool = False) -> Generator[None, None, PhaseResult]:
        """Trains the phase to its end; yields when all is prepared and, if asked to, before each epoch.

        Args:
            by_epoch: Whether to yield before each epoch, and not before the first one only.

        Raises:
            ContractError: The freezing contract was broken.
            ZooError: The loss is not finite, or the device's memory is used up.
        """
        plan = self._choose()
        feed = self._feed()
        rate = self._rate(feed)
        training_model = self._compile(feed, rate)
        optimizer: Any = training_model.model.optimizer
        counts = PhaseCounts(
            start=self._start,
            batches_per_epoch=feed.training.batches_per_epoch,
            accumulate=self._recipe.train.accumulate,
        )
        epoch_state = self._restore(optimizer, counts)
        contract = Contract(self._model, optimizer, phase=self._phase.name)
        self._say(f"trains {plan.trainable_params:,} of {self._model.count_params():,} parameters")
        bar = self._training.display.bar(self._phase.name, rate.batches)
        with native_operations(layers_of(self._model)), bar as move:
            watch = watch_fit(
                self._training,
                training_model,
                contract=contract,
                counts=counts,
                rate=rate,
                data_wait=self._data_wait,
                throughput=throughput_of(
                    feed.cached.prefix.suffix if feed.cached else self._model, feed.training.images_per_epoch
                ),
                epoch_state=epoch_state,
                move=move,
            )
            yield from self._fit(training_model, feed, watch, by_epoch=by_epoch)
            self._training.writer.wait()
        contract.check()
        unchanged = contract.unchanged()
        if watch.early_stopping.is_over:
            is_back = watch.early_stopping.restore_best(self._model, optimizer, self._training.folder)
            what = "the best one's weights are back" if is_back else "the best one is not saved: the last one's stay"
            self._say(f"{watch.early_stopping.patience} epochs without a better one; {what}")
        record = self._describe(plan, feed, contract, unchanged)
        return PhaseResult(progress=watch.saver.progress, record=record, optimizer_state=state_of(optimizer))

    def _say(self, text: str) -> None:
        self._training.display.line(f"{self._phase.name}: {text}")

    def _choose(self) -> Plan:
        """Makes trainable what the phase trains; what it does not train any more takes its moving average."""
        plan = apply_freezing(self._model, self._phase)
        if self._resume_from is None:
            load_averages(self._model, self._optimizer_state)
        return plan

    def _feed(self) -> Feed:
        """Makes batches: of what a frozen prefix gives for the images, where it is run only once, else of pixels."""
        train, validation = self._training.train, self._training.validation
        prefixes, number = self._training.prefixes, self._start.phase
        prefix = prefixes.phases[number].prefix
        if prefix is not None and prefix.silenced:
            self._say(f"dropout is off up to {prefix.cut}, which is frozen: {', '.join(prefix.silenced)}")
        with self._training.times.step("first_pass"):
            cached = cache_prefix(prefixes, number, self._recipe, train, validation, self._training.display)
        if cached is not None:
            train, validation = cached.train, cached.validation
        classes = len(self._model.blueprint.classes)
        return Feed(
            training=batches_of(self._recipe, train, classes, views=cached.views if cached else 1),
            validation=batches_of(self._recipe, validation, classes, shuffle=False) if validation else None,
            prefix=prefix,
            cached=cached,
        )

    def _rate(self, feed: Feed) -> LearningRateSchedule:
        return LearningRateSchedule.of_phase(self._phase, self._phase.epochs * feed.training.batches_per_epoch)

    def _compile(self, feed: Feed, rate: LearningRateSchedule) -> TrainingModel:
        """Compiles what `fit` trains."""
        training_model = make_training_model(
            self._model,
            self._recipe,
            self._phase,
            rate,
            batches=feed.training,
            prefix=feed.prefix,
            suffix=feed.cached.prefix.suffix if feed.cached else None,
        )
        make_ready(training_model.model, self._model)
        return training_model

    def _restore(self, optimizer: Any, counts: PhaseCounts) -> dict[str, np.ndarray]:
        """Lets the optimizer go on where the checkpoint, or the phase before, left it.

        Returns:
            What is to be put back into the epoch that has begun, once `fit` has begun it anew; empty where none has.
        """
        inner_optimizer(optimizer).first_step = counts.first_step
        if self._resume_from is None:
            load_state(optimizer, self._optimizer_state)
            return {}
        state = self._resume_from.state_arrays()
        restore_training_state(self._model, optimizer, moving_averages(optimizer), state)
        return {name: array for name, array in state.items() if name.startswith(OF_AN_EPOCH)}

    def _fit(
        self, training_model: TrainingModel, feed: Feed, watch: Watch, *, by_epoch: bool
    ) -> Generator[None, None, None]:
        """Trains until the phase's epochs are done, early stopping ends it or a user's callback stops the run."""
        phase, one_run = self._phase, self._training.one_run
        one_run.begin_phase(
            training_model.model,
            self._recipe.train,
            phase_name=phase.name,
            batches_per_epoch=feed.training.batches_per_epoch,
        )
        callbacks = [*watch.callbacks, one_run.relay(first_epoch=self._first_epoch), watch.interruption]
        done = phase.epochs if watch.early_stopping.is_over else self._start.epoch_in_phase
        first_batch = self._start.batches_of_epoch
        while done < phase.epochs and not one_run.stopped_by:
            yield
            if one_run.stopped_by:  # by a tracker, which acts between two epochs
                break
            until = done + 1 if by_epoch or first_batch else phase.epochs
            epochs = Epochs(first=done, until=until, first_batch=first_batch)
            try:
                with watch.interruption:
                    self._fit_epochs(training_model, feed, callbacks, epochs)
            except Exception as fault:
                if is_of_peers(fault):
                    raise peer_gone(fault) from fault
                keep_failed_batch(fault, self._training, feed.training, watch.saver, watch.counts)
                if devices.is_out_of_memory(fault):
                    raise out_of_memory(self._recipe, phase, training_model, feed.training) from fault
                if determinism.is_refused(fault):
                    raise determinism.refused(f"phase '{phase.name}'", fault) from fault
                raise
            done, first_batch = until, 0
            if training_model.model.stop_training:
                break

    @property
    def _first_epoch(self) -> int:
        """Epochs of the run before the phase."""
        return self._start.epoch - self._start.epoch_in_phase

    def _fit_epochs(
        self,
        training_model: TrainingModel,
        feed: Feed,
        callbacks: Sequence[keras.callbacks.Callback],
        epochs: Epochs,
    ) -> None:
        """Calls Keras' `fit` for some epochs; the first may have begun before."""
        with_labels = training_model.takes_labels
        validation = validation_data(feed.validation, with_labels=with_labels) if feed.validation is not None else None
        partial_epoch = self._start.partial_epoch
        if partial_epoch is not None and epochs.first_batch == feed.training.batches_per_epoch:
            with feeding(validation):
                validate_epoch(
                    training_model.model,
                    validation,
                    callbacks,
                    epoch=epochs.first,
                    metrics=partial_epoch.metrics,
                    steps=feed.validation_steps,
                )
            return
        data = training_data(
            feed.training,
            self._first_epoch + epochs.first,
            self._data_wait,
            epochs=epochs.until - epochs.first,
            first_batch=epochs.first_batch,
            with_labels=with_labels,
        )
        batches_per_epoch = feed.training.batches_per_epoch
        with feeding(data, validation):
            unwatched_fit(
                training_model.model,
                data,
                initial_epoch=epochs.first,
                epochs=epochs.until,
                callbacks=counted_from(
                    epochs.first_batch, callbacks, training_model.model, epochs=epochs.until, steps=batches_per_epoch
                ),
                steps_per_epoch=batches_per_epoch - epochs.first_batch,
                validation_data=validation,
                validation_steps=feed.validation_steps,
                shuffle=False,
                verbose=0,
            )

    def _describe(self, plan: Plan, feed: Feed, contract: Contract, unchanged: Sequence[str]) -> PhaseRecord:
        """Returns what the run keeps of the phase."""
        cached = feed.cached
        return PhaseRecord(
            name=self._phase.name,
            train=self._phase.train,
            batchnorm=batchnorm_mode(self._phase, self._model.blueprint.weights),
            trainable_params=plan.trainable_params,
            plan=tuple(PlanRowRecord(**row) for row in plan.to_json()),
            contract=ContractRecord(
                frozen_tensors=len(contract.frozen),
                trained_tensors=len(contract.trained),
                unchanged=tuple(unchanged),
            ),
            prefix_cache=PrefixCacheRecord(
                cut=cached.prefix.cut, views=cached.views, computed=cached.computed, engine=cached.engine or None
            )
            if cached
            else None,
        )
