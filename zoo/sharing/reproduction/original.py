"""What is to be reproduced: the lock of then, and the job of now."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import NotFoundError, RecipeError, RunError, shown
from zoo.jobs.resolving import Job, make_job
from zoo.recipe.finding import find_recipe
from zoo.registry import list_models
from zoo.runs.folder import RunFolder, runs_within
from zoo.sharing.difference.against_lock import lock_beside
from zoo.sharing.locks.lock import ExpectedLock, Lock, read_lock
from zoo.sharing.locks.making import is_run_or_runs, lock_runs

# What has a lock that says what came of it, where the recipe itself does not.
_OF_A_RUN = "expected a RUN, or what was pushed or bundled of one"


@dataclass(frozen=True, kw_only=True)
class Original:
    """What is to be reproduced.

    Attributes:
        reference: As it was typed.
        lock: What decided the result, and the result.
        expected: The result.
        job: The recipe and the images of now.
    """

    reference: str
    lock: Lock
    expected: ExpectedLock
    job: Job


def given_reference(given: object) -> str:
    """Reads what a caller names.

    Raises:
        RecipeError: It is neither a text nor a path.
    """
    if isinstance(given, bytes) or not isinstance(given, str | os.PathLike):
        raise RecipeError(
            f"reproduce: the recipe is {shown(given)}; expected a run's folder, or a recipe that has a lock; "
            "see 'zoo reproduce --help'"
        )
    return os.fsdecode(given)


def find_original(reference: str | Path, data: Path | None = None, weights: Path | None = None) -> Original:
    """Finds the lock and the job of a run, a recipe with its lock beside it, or a version on a shelf.

    Args:
        reference: A run's folder, or that around the runs of seeds; else a recipe's file or name.
        data: The images; None where the recipe or the run says it.
        weights: What the model begins with, where it began with a run or a file; None for where that was.

    Raises:
        NotFoundError: It leads nowhere, or there is no lock beside the recipe.
        ContractError: The lock, or a file of the run, is damaged.
        RunError: The recipe was never run under the lock.
        ZooError: The recipe does not hold, or there are no images.
    """
    if is_run_or_runs(reference):
        path = Path(reference)
        lock, job = lock_runs(path), _job_of_run(path / next(iter(runs_within(path)), ""), data, weights)
        return Original(reference=str(reference), lock=lock, expected=_expected(lock, str(path), "train it"), job=job)
    if str(reference) in list_models():
        raise NotFoundError(f"'{reference}' is a model, which has no lock; expected a RUN, or a RECIPE with its lock")
    file = find_recipe(reference)
    path = lock_beside(file)
    is_here = file == Path(reference)  # else it is in the cache, or ships: nobody writes a lock there
    if not path.is_file() and not is_here:
        raise NotFoundError(f"{reference}: has no lock; {_OF_A_RUN}")
    if not path.is_file():
        again = f"zoo recipe lock RUN --out {shlex.quote(str(path))}"
        raise NotFoundError(f"{path}: there is no lock of '{reference}'; lock what it came to: {again}")
    lock = read_lock(path)
    again = f"train it, and lock the run: zoo recipe lock RUN --out {shlex.quote(str(path))}" if is_here else _OF_A_RUN
    expected = _expected(lock, str(path if is_here else reference), again)
    job = make_job(file, data, weights=weights)
    return Original(reference=str(reference), lock=lock, expected=expected, job=job)


def _job_of_run(path: Path, data: Path | None, weights: Path | None) -> Job:
    begun = RunFolder.open(path).record().weights
    if weights is None and begun is not None and Path(begun.path).exists():
        weights = Path(begun.path)  # what is there now; whether it is the same is for the comparison
    return make_job(path, data, weights=weights)


def _expected(lock: Lock, place: str, next_step: str) -> ExpectedLock:
    if lock.expected is None:
        raise RunError(f"{place}: does not say what the recipe came to, as it was locked before training; {next_step}")
    return lock.expected
