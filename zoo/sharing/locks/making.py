"""Making a lock: of a recipe and its images, without training, or of finished runs, with what they came to."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry
from zoo.backend.quiet_start import import_keras
from zoo.errors import RunError, WeightsError
from zoo.foreign.saved_models import BY_HASH
from zoo.jobs.resolving import Job, make_job
from zoo.models.downloads import pinned_sha256
from zoo.recipe.schema import Recipe
from zoo.registry import Card, Download
from zoo.registry.fitting import ImageFit
from zoo.report.progress import ProgressDisplay, Verbose, make_display
from zoo.runs.exactness import listed, recipe_differences
from zoo.runs.folder import runs_within
from zoo.runs.images import RunImages
from zoo.runs.packages import deciding, naming_missing_plug_ins
from zoo.runs.record import BatchRecord, RecipeFileRecord, RunRecord, WeightsRecord
from zoo.sharing.finished_run import NUMBERS, FinishedRun, open_finished
from zoo.sharing.locks.data import DataLock
from zoo.sharing.locks.lock import (
    ExpectedLock,
    ExpectedMetric,
    Lock,
    ParentLock,
    PreprocessingLock,
    RecipeLock,
    WeightsLock,
)
from zoo.system.files import sha256_of

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset

# What a model begins with that is neither a set nor a SavedModel's own.
RANDOM, GIVEN = "none", "given"


def is_run_or_runs(reference: str | Path) -> bool:
    """Returns whether a reference leads to a run, or to a folder of runs such as those of several seeds."""
    path = Path(reference)
    return bool(str(reference).strip()) and ((path / "run.json").is_file() or bool(runs_within(path)))


def lock_runs(path: Path) -> Lock:
    """Locks what a finished run, or the runs of several seeds, came from and to.

    Args:
        path: A run's folder, or the folder around the runs of seeds.

    Raises:
        RunError: A run is not finished, or the runs differ by more than their seed.
        ContractError: A file of a run is not what was written.
    """
    names = runs_within(path)
    return _lock_of_runs([open_finished(path / name) for name in names] or [open_finished(path)])


def _lock_of_runs(runs: Sequence[FinishedRun]) -> Lock:
    first = runs[0]
    images = [run.images() for run in runs]
    for other in runs[1:]:
        _refuse_more_than_seeds(first, other)
    with naming_missing_plug_ins(first.folder):
        card = first.card.blueprint.card
        recipe = first.folder.recipe()
    height, width, channels = first.card.blueprint.input_shape
    return _lock(
        _recipe_lock(first.record.recipe, first.recipe, first.record.recipe_files),
        weights=weights_of(recipe, first.record.weights),
        record=first.record,
        images=images[0],
        preprocessing=_preprocessing((height, width, channels), first.card.blueprint.fit, card),
        seeds=tuple(run.record.seed for run in runs),
        expected=_expected(runs),
    )


def _refuse_more_than_seeds(first: FinishedRun, other: FinishedRun) -> None:
    """Refuses runs whose figures are not repetitions of one another."""
    with naming_missing_plug_ins(other.folder):
        found = list(recipe_differences(first.folder.recipe(), other.folder.recipe()))
    found = [one for one in found if one.name != "train.seed"]
    if found or first.record.data.fingerprint != other.record.data.fingerprint:
        what = listed(found) if found else "the images"
        raise RunError(f"{other.path}: differs from {first.path.name} by more than its seed ({what}); lock one run")


def lock_recipe(
    reference: str | Path,
    data: Path | None = None,
    *,
    load: Callable[[], object] = import_keras,
    verbose: Verbose = "auto",
) -> Lock:
    """Locks what is known of a recipe on its images without training.

    The images are read as a run reads them, and a run finds them decoded in the cache.

    Args:
        reference: A recipe's file or name.
        data: The images; None where the recipe says it.
        load: Imports Keras.
        verbose: As for `zoo.finetune`.

    Raises:
        ZooError: The recipe does not hold, or its images cannot be read.
    """
    job = make_job(reference, data)
    load()
    from zoo.backend.callers_state import alone

    with make_display(verbose, logger="zoo.recipe") as display, alone(display.line):
        return lock_job(job, display).lock


@dataclass(frozen=True, kw_only=True)
class LockedJob:
    """What decides what a job comes to.

    Attributes:
        lock: All of it; nothing is trained.
        dataset: Its images.
    """

    lock: Lock
    dataset: "Dataset"


def lock_job(job: Job, display: ProgressDisplay) -> LockedJob:
    """Locks what is known of a job before it is trained; Keras is imported.

    Args:
        job: The recipe and its images.
        display: Shows how images are read.

    Raises:
        ZooError: Its images cannot be read.
    """
    from zoo.training.preparation.first_record import first_record
    from zoo.training.preparation.kept_images import images_of
    from zoo.training.preparation.preparing import prepare, read_inputs

    prepared = prepare(job.recipe, job.data, weights=job.weights)
    inputs = read_inputs(prepared, display)
    record = first_record(prepared, inputs)
    height, width, channels = prepared.input_shape
    card = registry.info(job.recipe.model.name)
    lock = _lock(
        _recipe_lock(record.recipe, prepared.asked.to_toml(), job.recipe_files),
        weights=weights_of(job.recipe, record.weights),
        record=record if prepared.has_auto_batch else _with_batch(record, prepared.recipe),
        images=images_of(prepared.source.dataset, inputs, validation=prepared.recipe.data.validation),
        preprocessing=_preprocessing((height, width, channels), prepared.settings.fit, card),
        seeds=(record.seed,),
        expected=None,
    )
    return LockedJob(lock=lock, dataset=prepared.source.dataset)


def _recipe_lock(name: str, resolved: str, files: Sequence[RecipeFileRecord] | None) -> RecipeLock:
    """Returns what is locked of a recipe, and the hashes of the files that it extends."""
    parents = tuple(ParentLock(name=one.name, sha256=one.sha256) for one in (files or ())[1:])
    return RecipeLock(name=name, sha256=sha256_of(resolved), resolved=resolved, parents=parents)


def _with_batch(record: RunRecord, recipe: Recipe) -> RunRecord:
    from zoo.training.batch_size import batch_size_of

    batch = BatchRecord(batch_size=batch_size_of(recipe), accumulate=recipe.train.accumulate)
    return replace(record, batch=batch)


def _lock(
    recipe: RecipeLock,
    *,
    weights: WeightsLock,
    record: RunRecord,
    images: RunImages,
    preprocessing: PreprocessingLock,
    seeds: tuple[int, ...],
    expected: ExpectedLock | None,
) -> Lock:
    return Lock(
        recipe=recipe,
        weights=weights,
        data=DataLock.of_images(images, record.data.fingerprint),
        classes=record.classes,
        preprocessing=preprocessing,
        seeds=seeds,
        precision=record.precision,
        batch=record.batch,
        versions=deciding(record.versions, record.environment.backend),
        code=record.code,
        environment=record.environment,
        expected=expected,
    )


def weights_of(recipe: Recipe, given: WeightsRecord | None = None) -> WeightsLock:
    """Says what a model begins with: what was given, a SavedModel's own, a set of the card's, or random numbers.

    Args:
        recipe: The recipe.
        given: What a run began with in place of the recipe's weights.
    """
    card = registry.info(recipe.model.name)
    model = card.name
    if given is not None:
        return WeightsLock(model=model, set=GIVEN, sha256=given.sha256, licence=given.licence)
    if recipe.model.handle:
        known = recipe.model.handle.removeprefix(BY_HASH) if recipe.model.handle.startswith(BY_HASH) else None
        return WeightsLock(model=model, set=card.own_weights, sha256=known)
    chosen = recipe.model.weights
    weight_set = None if chosen == RANDOM else card.weight_set(chosen, recipe.model.builder_options)
    if weight_set is None:
        return WeightsLock(model=model, set=RANDOM)
    sha256 = weight_set.sha256
    if not sha256 and isinstance(weight_set.source, Download):
        with suppress(WeightsError):  # it was never fetched here
            sha256 = pinned_sha256(weight_set.source)
    return WeightsLock(model=model, set=weight_set.name, sha256=sha256 or None, licence=weight_set.licence)


def _preprocessing(shape: tuple[int, int, int], fit: ImageFit, card: Card) -> PreprocessingLock:
    height, width, channels = shape
    return PreprocessingLock(
        height=height,
        width=width,
        channels=channels,
        resize=fit.resize,
        crop_share=fit.crop_share,
        interpolation=fit.interpolation,
        white=fit.white,
        pixels=card.preprocessing,
    )


def _expected(runs: Sequence[FinishedRun]) -> ExpectedLock:
    first, results = runs[0], [run.result for run in runs]
    metrics: dict[str, ExpectedMetric] = {}
    for name, value in first.result.metrics.items():
        values = [result.metrics[name] for result in results if name in result.metrics]
        has_spread = len(runs) > 1 and len(values) == len(runs)
        metrics[name] = ExpectedMetric(
            value=value,
            interval=first.result.intervals.get(name),
            mean=statistics.fmean(values) if has_spread else None,
            deviation=statistics.stdev(values) if has_spread else None,
        )
    return ExpectedLock(
        split=first.result.split,
        runs=len(runs),
        metrics=metrics,
        model_sha256=first.sha256[NUMBERS],
        first_losses=first.record.first_losses,
        exactness=first.record.exactness,
        engine=first.record.engine,
    )
