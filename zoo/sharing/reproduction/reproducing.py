"""`zoo.reproduce`: a recipe or a run is run under its lock, and the result compared; a difference is explained."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zoo.backend.quiet_start import import_keras
from zoo.errors import RunError, ZooError, in_one_line
from zoo.recipe.by_key import values_by_key, values_of_text
from zoo.report.progress import ProgressDisplay, Verbose, make_display
from zoo.runs.folder import RunFolder, reserve_default_path
from zoo.runs.record import ResultRecord
from zoo.sharing.locks.making import LockedJob, lock_job
from zoo.sharing.reproduction.attempts import Attempt, reverted
from zoo.sharing.reproduction.causes import Cause, causes_between, is_number_of_threads
from zoo.sharing.reproduction.image_changes import image_changes, with_files_known_here
from zoo.sharing.reproduction.original import Original, find_original, given_reference
from zoo.sharing.reproduction.searching import Explanation, Trials, ended_in_order, explain
from zoo.sharing.reproduction.trying import Outcome, try_it, whole_run
from zoo.sharing.reproduction.verdicts import (
    ComparedLosses,
    ComparedMetric,
    Verdict,
    compared_losses,
    compared_metrics,
    verdict_of_losses,
    verdict_of_run,
)
from zoo.sharing.reproduction.workplaces import remove_dead_workplaces, workplace
from zoo.system.paths import given_path


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of running a recipe under its lock.

    Attributes:
        reference: What was reproduced, as it was typed.
        verdict: `bitwise equal`, `within tolerance` or `does not hold`.
        quick: Whether the first batches only were trained.
        run: The new run's folder; None of first batches.
        metrics: The figures of then and of now; empty of first batches.
        losses: How the losses of the first batches compare; None where the lock has none.
        images: How many images the first batches saw, and how many train.
        differences: All that is not as the lock says.
        explanation: Which of them explain another result, and which are without effect.
        is_confirmed: Whether a run with the causes put back came to the locked result; None where none was made.
        fault: Why training failed; "" where it came to an end.
    """

    reference: str
    verdict: Verdict
    quick: bool
    run: Path | None = None
    metrics: tuple[ComparedMetric, ...] = ()
    losses: ComparedLosses | None = None
    images: tuple[int, int] = (0, 0)
    differences: tuple[Cause, ...] = ()
    explanation: Explanation = field(default_factory=Explanation)
    is_confirmed: bool | None = None
    fault: str = ""

    @property
    def holds(self) -> bool:
        """Whether the result is the locked one, or within tolerance of it."""
        return self.verdict != "does not hold"

    def to_json(self) -> dict[str, Any]:
        """Returns it as `zoo reproduce --json` prints it."""
        found = self.explanation
        return {
            "reference": self.reference,
            "verdict": self.verdict,
            "quick": self.quick,
            "run": None if self.run is None else str(self.run),
            "metrics": [one.to_json() for one in self.metrics],
            "losses": self.losses and self.losses.to_json(),
            "images": {"seen": self.images[0], "train": self.images[1]},
            "differences": [one.to_json() for one in self.differences],
            "causes": [one.to_json() for one in found.causes],
            "left": [one.to_json() for one in found.left],
            "without_effect": [one.to_json() for one in found.without_effect],
            "explained": found.is_explained,
            "repeatable": found.is_repeatable,
            "confirmed": self.is_confirmed,
            "trials": found.trials,
            "fault": self.fault or None,
        }


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What trials are made of.

    Attributes:
        original: What is reproduced.
        now: What there is now.
        files: The names of the images' files below the data's folder.
        display: Shows trials.
    """

    original: Original
    now: LockedJob
    files: tuple[str, ...]
    display: ProgressDisplay

    def trials(self, *, whole: bool) -> Trials:
        """Makes what carries trials out: of first batches, or of whole runs."""

        def carry_out(causes: Sequence[Cause]) -> Outcome:
            attempt = Attempt.of_job(self.original.job)
            with workplace() as work, reverted(attempt, causes, self.files, work) as trial:
                return try_it(replace(trial, run=str(work / "run")) if whole else trial)

        def say(number: int, expected: int, causes: Sequence[Cause], seconds: float | None) -> None:
            left = "" if seconds is None else f"; about {seconds:.0f} s left"
            more = f" and {len(causes) - 2} more" if causes[2:] else ""
            what = f"as it was: {', '.join(one.name for one in causes[:2])}{more}" if causes else "as it is"
            self.display.line(f"trial {number} of about {expected}: {what}{left}")

        return Trials(carry_out=carry_out, say=say)


def reproduce(
    recipe_or_run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    quick: bool = False,
    run: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    verbose: Verbose = "auto",
) -> Reproduction:
    """Runs a recipe under its lock, compares the result, and finds what explains a difference.

    Args:
        recipe_or_run: A run's folder, or that around the runs of seeds; a recipe's file with its lock beside it; or a
            version on a shelf.
        data: The images; by default the recipe's own, or the run's.
        quick: Train the first 20 batches only, in a temporary folder, and compare their losses.
        run: The folder to make; by default `runs/<recipe>-<UTC time>`.
        weights: Where the run or the file of weights is that the model began with.
        verbose: As for `zoo.finetune`.

    Returns:
        The verdict, what differs, and what explains it.

    Raises:
        ZooError: There is no lock, or the recipe cannot be run at all.

    Example:

        found = zoo.reproduce("runs/pets", quick=True)
        print(found.verdict, [str(cause) for cause in found.explanation.named])
    """
    asked = Asked(
        reference=given_reference(recipe_or_run),
        data=None if data is None else given_path(data, "the path of the images"),
        quick=quick,
        run=None if run is None else given_path(run, "the path of the run"),
        weights=None if weights is None else given_path(weights, "the path of the weights"),
    )
    return run_under_lock(asked, verbose=verbose)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `zoo.reproduce` was called with; the fields are its arguments."""

    reference: str
    data: Path | None = None
    quick: bool = False
    run: Path | None = None
    weights: Path | None = None


def run_under_lock(
    asked: Asked, *, verbose: Verbose = "auto", load: Callable[[], object] = import_keras
) -> Reproduction:
    """Does what `reproduce` says.

    Args:
        asked: What it was called with.
        verbose: As for `zoo.finetune`.
        load: Imports Keras, which takes seconds; what can be refused before is refused before.

    Raises:
        ZooError: As `reproduce` does.
    """
    if asked.run is not None:
        RunFolder.refuse_taken(asked.run)
    remove_dead_workplaces()
    original = find_original(asked.reference, asked.data, asked.weights)
    if asked.quick and not original.expected.first_losses:
        raise RunError(
            f"{original.reference}: has no losses of first batches, as an earlier zoo made it; leave out --quick"
        )
    load()
    from zoo.backend.callers_state import alone

    with ExitStack() as shown:
        display = shown.enter_context(make_display(verbose, logger="zoo.reproduce"))
        shown.enter_context(alone(display.line))
        _take_over_threads(original)
        now = lock_job(original.job, display)
        setting = _Setting(original=original, now=now, files=_files(now), display=display)
        if asked.quick:
            return _quick(setting)
    return _whole(setting, asked.run, verbose)


def _take_over_threads(original: Original) -> None:
    """Lets as many threads compute as did then, where the same bits are asked for and no variable says otherwise."""
    from zoo.backend import determinism, devices

    environment, recipe = original.lock.environment, original.job.recipe
    is_asked = any(name in os.environ for name in ("TF_NUM_INTRAOP_THREADS", "NPROC"))
    number = environment.threads
    if not recipe.train.deterministic or environment.backend != devices.name() or is_asked:
        return
    if number is not None and is_number_of_threads(number):
        determinism.fix_threads(number)


def _files(now: LockedJob) -> tuple[str, ...]:
    from zoo.data.membership import file_names

    splits = now.dataset.splits().values()
    return tuple(name for split in splits for name in file_names(split, now.dataset.root) or ())


def _differences(setting: _Setting, now: Outcome) -> tuple[Cause, ...]:
    lock, dataset = setting.original.lock, setting.now.dataset
    validation = values_by_key(values_of_text(lock.recipe.resolved)).get("data.validation")
    is_shared = dataset.validation is None and not isinstance(validation, str)
    images = image_changes(lock.data, dataset, is_shared=is_shared) if lock.data.has_keys else []
    images = with_files_known_here(images, dataset.root)
    data = setting.original.job.data
    is_folder = dataset.is_folder and isinstance(data, Path)
    return tuple(causes_between(lock, setting.now.lock, images, is_folder=is_folder, engine=now.engine))


def _quick(setting: _Setting) -> Reproduction:
    expected = setting.original.expected
    then = Outcome(losses=expected.first_losses or ())
    setting.display.line("trains the first batches")
    now = try_it(Attempt.of_job(setting.original.job))
    verdict = verdict_of_losses(then.losses, now.losses)
    differences = _differences(setting, now)
    with ended_in_order(verdict, differences):
        explanation = _explanation(setting, then, now, differences, whole=False)
    return Reproduction(
        reference=setting.original.reference,
        verdict=verdict,
        quick=True,
        losses=compared_losses(then.losses, now.losses),
        images=_images_seen(setting, len(now.losses)),
        differences=differences,
        explanation=explanation,
        is_confirmed=True if explanation.causes and not explanation.left and explanation.is_explained else None,
        fault=now.fault,
    )


def _whole(setting: _Setting, path: Path | None, verbose: Verbose) -> Reproduction:
    original, expected = setting.original, setting.original.expected
    folder = path if path is not None else reserve_default_path(original.job.recipe.name)
    try:
        now = whole_run(original.job, folder, verbose=verbose)
    except ZooError as fault:  # what was refused before training was refused before
        if not RunFolder(folder).is_begun:
            raise
        now = Outcome(fault=in_one_line(fault, at_most=300))
    then = _outcome_then(setting)
    losses = compared_losses(then.losses, now.losses) if then.losses and now.losses else None
    verdict, differences = verdict_of_run(expected, now), _differences(setting, now)
    with make_display(verbose, logger="zoo.reproduce") as display, ended_in_order(verdict, differences, folder):
        shown = replace(setting, display=display)
        explanation, is_confirmed = _confirmed(shown, then, now, differences)
    return Reproduction(
        reference=original.reference,
        verdict=verdict,
        quick=False,
        run=folder,
        metrics=compared_metrics(expected, now),
        losses=losses,
        images=_images_seen(setting, len(now.losses)),
        differences=differences,
        explanation=explanation,
        is_confirmed=is_confirmed,
        fault=now.fault,
    )


def _outcome_then(setting: _Setting) -> Outcome:
    expected = setting.original.expected
    metrics = {name: one.value for name, one in expected.metrics.items()}
    return Outcome(
        losses=expected.first_losses or (),
        model_sha256=expected.model_sha256,
        result=ResultRecord(split=expected.split, metrics=metrics, per_class={}),
    )


def _confirmed(
    setting: _Setting, then: Outcome, now: Outcome, differences: tuple[Cause, ...]
) -> tuple[Explanation, bool | None]:
    """Explains a whole run's result: by first batches where these differ, confirmed by a run; else by whole runs."""
    if now.is_same(then) or not differences:
        return _explanation(setting, then, now, differences, whole=True), None
    in_short = then.losses and (now.fault or (now.losses and then.losses != now.losses))
    if not in_short:
        found = _explanation(setting, then, now, differences, whole=True)
        return found, (bool(found.causes) and not found.left and found.is_explained) or None
    found = _explanation(setting, then, now, differences, whole=False)
    if found.left or not found.causes or not found.is_explained:
        return found, None
    setting.display.line("confirms what was found by a run")
    if setting.trials(whole=True).carry_out(found.causes).is_same(then):
        return found, True
    # What is put back is enough for the first batches, and not for what comes later.
    later = _explanation(setting, then, now, differences, whole=True)
    trials = found.trials + later.trials + 1
    return replace(later, trials=trials), bool(later.causes) and not later.left and later.is_explained


def _explanation(
    setting: _Setting, then: Outcome, now: Outcome, differences: tuple[Cause, ...], *, whole: bool
) -> Explanation:
    if now.is_same(then):
        return Explanation(without_effect=differences)
    if not differences:
        return Explanation(is_explained=False)
    if not whole:
        then, now = (replace(one, model_sha256=None, result=None) for one in (then, now))
    claim = setting.original.expected.exactness
    is_bitwise = claim is not None and claim.claim == "bitwise"
    return explain(differences, then, now, setting.trials(whole=whole), is_bitwise=is_bitwise)


def _images_seen(setting: _Setting, batches: int) -> tuple[int, int]:
    train = sum(one.images for one in setting.now.lock.data.splits.get("train", {}).values())
    batch = setting.now.lock.batch
    return (min(train, batches * batch.batch_size) if batch else 0, train)
