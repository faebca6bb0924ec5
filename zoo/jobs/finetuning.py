"""`zoo.finetune`: a recipe, a model's name or an earlier run, and a folder of images, to a classifier."""

import contextlib
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.backend.distribution import supervising
from zoo.backend.distribution.agreement import told
from zoo.backend.distribution.engines import placed
from zoo.backend.distribution.placement import Devices, checked_devices, current
from zoo.backend.keras_globals import named_backend
from zoo.backend.quiet_start import import_keras
from zoo.data import InCode
from zoo.errors import INTERRUPTIONS, RunError, ZooError
from zoo.inference.classifier import Classifier, load
from zoo.jobs.lengthening import begin_lengthened
from zoo.jobs.resuming import AlreadyDone, Lengthen, New, Request, Resume, decide, how_to_resume
from zoo.recipe.overrides import GivenOverrides
from zoo.recipe.schema import Recipe
from zoo.report.curves import plot_history
from zoo.report.progress import Verbose, make_display
from zoo.report.step_times import StepTimes
from zoo.runs.claim import claim
from zoo.runs.exactness import listed
from zoo.runs.folder import RunFolder, default_path, first_there, remove_empty, reserve_default_path
from zoo.runs.litter import remove_litter
from zoo.runs.record import ResultRecord, read_document
from zoo.system import cache
from zoo.system.files import advise
from zoo.system.interruption import ends_silently, noticed
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from zoo.training.preparation.preparing import Prepared


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Its folder.
    """

    path: Path
    _loaded: list[Classifier] = field(default_factory=list[Classifier], repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", given_path(self.path, "the path of the run"))

    @property
    def record(self) -> dict[str, Any]:
        """run.json."""
        return read_document(RunFolder.open(self.path).record_path)

    @property
    def history(self) -> list[dict[str, Any]]:
        """metrics.jsonl: one dictionary an epoch."""
        return RunFolder.open(self.path).metrics()

    @property
    def metrics(self) -> dict[str, float]:
        """The best model's figures on the validation images; empty where there were none."""
        return dict(self._result.metrics)

    @property
    def per_class(self) -> dict[str, dict[str, Any]]:
        """The best model's figures class by class."""
        return {name: dict(figures) for name, figures in self._result.per_class.items()}

    @property
    def _result(self) -> ResultRecord:
        folder = RunFolder.open(self.path)
        record = folder.record()
        if record.result is None:
            raise RunError(f"{folder.path}: is not finished (status {record.status}); {how_to_resume(folder.path)}")
        return record.result

    @property
    def classifier(self) -> Classifier:
        """The best model with its class names; loaded once."""
        if not self._loaded:
            self._loaded.append(load(self.path))
        return self._loaded[0]

    @property
    def model(self) -> "keras.Model":
        """The best model."""
        return self.classifier.model

    def plot(self) -> "Figure":
        """Draws accuracy and loss over the epochs; a notebook shows the figure."""
        record = RunFolder.open(self.path).record()
        return plot_history(self.history, title=record.summary, best_step=record.kept.step if record.kept else None)

    def __fspath__(self) -> str:
        """Returns its folder, so that a run is taken wherever the path of one is."""
        return str(self.path)

    def __repr__(self) -> str:
        try:
            accuracy = self.metrics.get("accuracy")
        except ZooError:  # the folder may have been moved away, and a repr does not raise
            accuracy = None
        return f"Run({str(self.path)!r}{'' if accuracy is None else f', accuracy={accuracy:.4f}'})"


# Many arguments because their names and order are a contract: scripts pass the first six by position.
def finetune(
    recipe_or_model: str | os.PathLike[str] | Recipe | None,
    data: Path | str | InCode | None = None,
    overrides: GivenOverrides = None,
    run: Path | str | None = None,
    resume: bool = False,
    callbacks: Any = (),
    *,
    weights: Path | str | None = None,
    more_epochs: int = 0,
    verbose: Verbose = "auto",
    force: bool = False,
    devices: Devices = "auto",
) -> Run:
    """Trains a classifier as a recipe says and leaves a run folder.

    Args:
        recipe_or_model: A recipe's file or name, a bundle, an earlier run's folder (which repeats it), a model's name
            (which runs `finetune/default` with it), or a Recipe. With `resume` it may be None.
        data: The images; by default the recipe's own, or the earlier run's. A path; or an object with a length that
            gives (image, label) for an index, as the datasets of PyTorch do, or a dict of such objects by `train`,
            `validation` and `test`: see `zoo.data.sources.objects.in_code.LabelledImages`.
        overrides: Changes to the recipe, as `"train.batch_size=64"`, a list of such texts, or
            `{"train.batch_size": 64}`.
        run: The folder to make; by default `runs/<recipe>-<UTC time>`.
        resume: Go on from the last checkpoint of `run`; a finished run is returned as it is.
        callbacks: One Keras callback or several; they see one training over all phases: see docs/ecosystem.md.
        weights: What the model begins with in place of the recipe's weights: a finished run, or a file of weights of
            the same architecture. Its classifier is new where its class names are others.
        more_epochs: Trains the last phase of a finished run by as many epochs more, in a new run folder: see
            `zoo.jobs.lengthening`.
        verbose: What is shown on stderr: 0 nothing, 1 bars, 2 a line an epoch; `auto` bars on a terminal, and lines
            elsewhere. All that is said in words goes to the logger `zoo.finetune` too.
        force: Go on with a run although packages have other versions than it began with, or another device or number
            of threads computes; run.json then claims no exactness. Data, classes and recipe are never accepted.
        devices: How many train together, or `all`; `auto`: all GPUs with JAX, else one. See docs/several-hosts.md.

    Returns:
        The finished run.

    Raises:
        ZooError: Any of its children, each with what to do next.

    Example:

        run = zoo.finetune("quickstart", overrides=["phases.head.epochs=1"])
        print(run.metrics["accuracy"], run.path)
    """
    devices = checked_devices(devices)
    asked = Request(
        recipe=Path(recipe_or_model) if isinstance(recipe_or_model, os.PathLike) else recipe_or_model,
        data=data,
        overrides=overrides,
        run=run,
        resume=resume,
        weights=weights,
        more_epochs=more_epochs,
        force=force,
    )
    return carry_out(decide(asked), callbacks, verbose=verbose, devices=devices)


@noticed()
def carry_out(
    decided: New | Resume | Lengthen | AlreadyDone,
    callbacks: Any = (),
    *,
    verbose: Verbose = "auto",
    is_one_of_several: bool = False,
    load: Callable[[], object] = import_keras,
    times: StepTimes | None = None,
    devices: Devices = "auto",
) -> Run:
    """Trains, measures and closes a run.

    Args:
        decided: From `decide`; a run that is done already is left as it is, which is said.
        callbacks: As for `finetune`.
        verbose: As for `finetune`.
        is_one_of_several: Whether it is one seed's run: who trains all says how to go on.
        load: Loads Keras and its backend, which takes seconds; a folder that was named is claimed before.
        times: Knows which step is at work; by default it begins to count here.
        devices: How many devices of this process compute, `auto` or `all`: see `zoo.backend.distribution`.
    """
    times = times or StepTimes()
    shown = make_display(verbose if current().leads else 0, logger="zoo.finetune")
    with contextlib.ExitStack() as at_end:
        folder, notes = None, ()
        if not isinstance(decided, AlreadyDone) and _path_of(decided) is not None:
            folder, notes = at_end.enter_context(_claimed_folder(decided))
        if isinstance(decided, AlreadyDone) or (
            isinstance(decided, Resume) and decided.folder.record().status == "done"
        ):
            with shown as display:
                _complete(decided.folder)
            display.line(f"{decided.folder.path} is finished already")
            return Run(decided.folder.path)
        with times.step("imports"):
            load()
            # These import Keras, which an error does not need.
            from zoo.backend.callers_state import alone
            from zoo.backend.determinism import deterministic_operations
            from zoo.training.run import train
            from zoo.training.user_callbacks.one_run import check_callbacks
        cache.remove_litter()
        listeners = check_callbacks(callbacks)
        job = decided.job
        with times.step("opening"):
            prepared, warnings = _prepared(decided)
        if folder is None:
            folder, notes = at_end.enter_context(_claimed_folder(decided))
        with (
            shown as display,
            alone(display.line),
            deterministic_operations(job.recipe.train.deterministic),
            _going_on_said(folder, is_one_of_several, display.line),
            placed(devices, backend=named_backend()),
        ):
            # The folder of process 0 is the run's: the others work in one that goes with them.
            supervising.leave_advice(how_to_resume(Path(told("the run's folder", str(folder.path)))))
            for note in (*notes, *warnings):
                display.line(note)
            if isinstance(decided, Lengthen):
                begin_lengthened(folder, decided.finished, job.recipe, say=display.line)
            train(prepared, folder=folder, repeats=job.repeats, callbacks=listeners, display=display, times=times)
        return Run(folder.path)


@contextlib.contextmanager
def _claimed_folder(decided: New | Resume | Lengthen) -> Generator[tuple[RunFolder, tuple[str, ...]]]:
    """Makes the run's folder, where it is new, and claims it; where nothing is begun in it, it goes again.

    It may lie among the images: until it holds a run, it is not seen there (`zoo.data.sources.trees.lying_beside`).

    Yields:
        The folder, and what the user should know of its claim.

    Raises:
        RunError: Another process works on it, or it cannot be written or is taken.
    """
    path = _path_of(decided)
    there = first_there(path or default_path(decided.job.recipe.name))
    folder = _folder(decided)
    try:
        with claim(folder.path) as notes:
            if path is not None and not isinstance(decided, Resume):
                RunFolder.refuse_taken(path)  # another process may have been faster, and be done
            remove_litter(folder)
            yield folder, notes
    finally:
        remove_empty(folder.path.absolute(), up_to=there)


def _prepared(decided: New | Resume | Lengthen) -> "tuple[Prepared, list[str]]":
    """Opens the images, and makes sure that a run goes on with what it began with.

    Returns:
        What the recipe begins with, and what differs and is accepted, as a warning.

    Raises:
        RunError: Something differs that is not accepted.
    """
    from zoo.backend.determinism import deterministic_operations
    from zoo.training.preparation.preparing import prepare
    from zoo.training.preparation.same_run import check_goes_on, check_same_data, take_over_threads

    job, earlier = decided.job, _earlier(decided)
    if earlier is not None:  # before anything is computed
        take_over_threads(earlier, job.recipe, force=decided.force)
    with deterministic_operations(job.recipe.train.deterministic):  # what plug-ins give is tried as it will run
        prepared = prepare(job.recipe, job.data, weights=job.weights)
    prepared = replace(prepared, origin=job.origin, recipe_files=job.recipe_files)
    if isinstance(decided, Lengthen):
        check_same_data(decided.finished, prepared.source.dataset)
    forced = check_goes_on(decided.folder, prepared, force=decided.force) if isinstance(decided, Resume) else []
    said = f"warning: began with {listed(forced)}: its numbers are no longer the same to the bit"
    return prepared, [said] if forced else []


def _earlier(decided: New | Resume | Lengthen) -> RunFolder | None:
    """Returns the run that goes on, is trained on or is repeated, or None."""
    if isinstance(decided, New):
        return decided.job.repeats
    return decided.folder if isinstance(decided, Resume) else decided.finished


def _complete(folder: RunFolder) -> None:
    """Writes the manifest of a finished and verified run that was killed before it, where this user may write."""
    if folder.has_manifest or not os.access(folder.path, os.W_OK | os.X_OK):
        return
    with claim(folder.path):
        if not folder.has_manifest:
            folder.write_manifest()


def _path_of(decided: New | Resume | Lengthen) -> Path | None:
    """Returns the run's folder, where one was named."""
    return decided.folder.path if isinstance(decided, Resume) else decided.path


def _folder(decided: New | Resume | Lengthen) -> RunFolder:
    if isinstance(decided, Resume):
        return decided.folder
    if decided.path is not None:
        return RunFolder.create(decided.path)
    return RunFolder(reserve_default_path(decided.job.recipe.name))


@contextlib.contextmanager
def _going_on_said(folder: RunFolder, is_one_of_several: bool, say: Callable[[str], None]) -> Generator[None]:
    """Notes on what ended the run how to go on with it; a traceback and the command line show it last.

    Only on an interruption or a fault of the machine: what a ZooError says is to be changed first.

    Raises:
        RunError: The folder is not there any more.
    """
    try:
        yield
    except (*INTERRUPTIONS, OSError, MemoryError) as fault:
        if isinstance(fault, OSError) and not folder.path.is_dir():
            raise RunError(
                f"{folder.path}: the run's folder was removed or moved while it was trained; nothing of the run is "
                "left there; begin it again"
            ) from fault
        if folder.is_begun and not is_one_of_several:
            how = supervising.advice() or how_to_resume(folder.path)
            advise(fault, how)
            if ends_silently(fault):
                say(f"interrupted; {how}")
        raise
