"""What a call of `zoo.finetune` comes to: a new run, one that goes on, one that is trained on, or one that is done.

Nothing here imports Keras, or makes a folder.
"""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RunError
from zoo.jobs.lengthening import lengthened
from zoo.jobs.resolving import Job, make_job, resumed_job
from zoo.jobs.run_verification import refuse_damage
from zoo.recipe.overrides import GivenOverrides
from zoo.recipe.schema import Recipe
from zoo.runs.claim import refuse_claimed
from zoo.runs.exactness import data_difference, refusal, version_differences
from zoo.runs.folder import RunFolder, holds_runs, resume_command, runs_within
from zoo.runs.packages import installed_versions
from zoo.system.integrity.checked_reading import refuse_foreign_entries
from zoo.system.paths import given_path

if TYPE_CHECKING:
    from zoo.data import InCode


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `zoo.finetune` was called with; the fields are its arguments.

    Attributes:
        is_said: Whether what a recipe from a shelf or a bundle needs was said already.
    """

    recipe: str | Path | Recipe | None
    data: "Path | str | InCode | None" = None
    overrides: GivenOverrides = None
    run: Path | str | None = None
    resume: bool = False
    weights: Path | str | None = None
    more_epochs: int = 0
    force: bool = False
    is_said: bool = False


@dataclass(frozen=True, kw_only=True)
class New:
    """A run is to begin.

    Attributes:
        job: Recipe, data and first weights.
        path: The folder to make; None for `runs/<recipe>-<UTC time>`.
        force: Whether it repeats a run with another number of threads where it cannot have the same.
    """

    job: Job
    path: Path | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Resume:
    """A run is to go on from its last checkpoint.

    Attributes:
        job: Its recipe, data and first weights.
        folder: Its folder.
        force: Whether it goes on with other versions, or on another device, than it began with.
    """

    job: Job
    folder: RunFolder
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Lengthen:
    """A finished run is to be trained on, in a folder of its own.

    Attributes:
        job: Its recipe, with more epochs, and its data.
        finished: The run.
        path: The folder to make; None for `runs/<recipe>-<UTC time>`.
        force: Whether it goes on with another number of threads where it cannot have the same.
    """

    job: Job
    finished: RunFolder
    path: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class AlreadyDone:
    """The run is finished, with the recipe and on the images that were asked for."""

    folder: RunFolder


def decide(asked: Request) -> New | Resume | Lengthen | AlreadyDone:
    """Decides what a call comes to.

    Raises:
        ZooError: As `zoo.finetune` does for an unknown name or path, a wrong recipe or override, or a taken folder.
    """
    path = None if asked.run is None else given_path(asked.run, "the path of the run")
    if path is not None:
        refuse_claimed(path)
    if asked.more_epochs:
        return _lengthen(asked, path)
    if asked.resume and path is None:
        path, asked = _run_named(asked.recipe), replace(asked, recipe=None)
        refuse_claimed(path)
    begun = begun_run(path) if asked.resume and path else None
    if begun is not None:
        return _resume(asked, begun)
    if asked.recipe is None:
        if path is not None and runs_within(path):
            raise RunError(_how_seeds_go_on(path))
        raise RunError(f"{path}: there is no run to go on with; name a recipe as well, and it begins afresh")
    if path is not None:
        RunFolder.refuse_taken(path)
    job = make_job(asked.recipe, asked.data, asked.overrides, weights=asked.weights, is_said=asked.is_said)
    if asked.force and job.repeats is None and not asked.resume:
        raise RunError("--force goes on with, or repeats, what began with other versions; a new run has no need of it")
    return New(job=job, path=path, force=asked.force)


def _resume(asked: Request, folder: RunFolder) -> Resume | AlreadyDone:
    refuse_foreign_entries(folder.path)
    if folder.has_manifest:
        refuse_damage(folder)
    is_done = folder.record().status == "done"
    given = (asked.recipe, asked.data, asked.overrides or None, asked.weights)
    if is_done and not folder.has_manifest:
        refuse_damage(folder)
    if is_done and given == (None, None, None, None):
        return AlreadyDone(folder)
    job = resumed_job(folder, asked.recipe, asked.data, asked.overrides, weights=asked.weights, is_said=asked.is_said)
    if is_done:
        _check_trained_on(folder, job)
        return AlreadyDone(folder)
    folder.refuse_read_only()
    differing = list(version_differences(folder.record(), installed_versions(job.recipe)))
    if differing and not asked.force:
        raise refusal(folder, differing)
    return Resume(job=job, folder=folder, force=asked.force)


def _lengthen(asked: Request, path: Path | None) -> Lengthen:
    finished = begun_run(Path(asked.recipe)) if isinstance(asked.recipe, str | Path) else None
    if finished is None:
        raise RunError(f"'{asked.recipe}' is not a run that can be trained on; expected the folder of a finished run")
    given = {"--set": asked.overrides, "--resume": asked.resume, "--weights": asked.weights}
    if unfit := [name for name, value in given.items() if value]:
        raise RunError(f"{finished.path}: trains on as it was trained until now; leave out {', '.join(unfit)}")
    if path is not None:
        RunFolder.refuse_taken(path)
    refuse_foreign_entries(finished.path)
    job = resumed_job(finished, None, asked.data, None)
    job = replace(job, recipe=lengthened(finished, job.recipe, asked.more_epochs))
    return Lengthen(job=job, finished=finished, path=path, force=asked.force)


def begun_run(path: Path) -> RunFolder | None:
    """Returns the run that was begun in a folder, or None."""
    return RunFolder(path) if RunFolder(path).is_begun else None


def how_to_resume(path: Path) -> str:
    """Says what to type for a run that is not finished."""
    return f"go on with it: {resume_command(path)}"


def _how_seeds_go_on(path: Path) -> str:
    """Says what to type for a folder that holds the runs of seeds, or other runs."""
    names = runs_within(path)
    seeds = [name.removeprefix("seed-") for name in names if re.fullmatch(r"seed--?\d+", name)]
    if not seeds:
        return holds_runs(path)
    listed, all_seeds = ", ".join(f"seed-{seed}" for seed in seeds), ",".join(seeds)
    again = shlex.join(["zoo", "finetune", str(path / f"seed-{seeds[0]}"), "--run", str(path), "--seeds", all_seeds])
    return f"{path}: holds the runs of seeds, {listed}, and is not a run; go on with the seeds that you want: {again}"


def _run_named(reference: str | Path | Recipe | None) -> Path:
    """Returns the run that is to go on, where it is named in the recipe's place."""
    if isinstance(reference, str | Path) and begun_run(Path(reference)) is not None:
        return Path(reference)
    raise RunError("--resume goes on with a run; say which with --run DIR")


def _check_trained_on(folder: RunFolder, job: Job) -> None:
    """Refuses other images than those that a finished run was trained on."""
    from zoo.data.inputs import open_source

    now = open_source(job.recipe.data, job.data, seed=job.recipe.train.seed).dataset.fingerprint()
    if difference := data_difference(folder, now):
        raise RunError(
            f"{difference}, and the run is finished; leave out --data to see its result, or choose another --run"
        )
