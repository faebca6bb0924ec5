"""`zoo.finetune`: a recipe, a model's name or an earlier run, and a folder of images, to a classifier."""

import contextlib
import errno
import re
import shlex
import statistics
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.backend.quiet_start import import_keras
from zoo.data import InCode
from zoo.errors import ContractError, RunError, ZooError
from zoo.inference.classifier import Classifier, load
from zoo.jobs.lengthening import begin_lengthened, lengthened
from zoo.jobs.resolving import Job, Overrides, make_job, resumed_job
from zoo.models.arrays import MODEL_FILE
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import Recipe
from zoo.report.curves import plot_history, save_history
from zoo.report.progress import Display
from zoo.runs.claim import claim
from zoo.runs.folder import (
    RunFolder,
    default_path,
    first_there,
    holds_runs,
    remove_empty,
    reserve_default_path,
    runs_within,
)
from zoo.runs.record import ResultRecord, RunRecord, WeightsRecord, read_document
from zoo.runs.recording import recording
from zoo.system.files import sha256
from zoo.system.interruption import noticed
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from zoo.evaluation.measuring import Evaluation
    from zoo.training.run import Trained

__all__ = ["Job", "Run", "Spread", "finetune", "finetune_seeds", "make_job", "spread"]


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
        """The kept model's figures on the validation images; empty where there were none."""
        return dict(self._result.metrics)

    @property
    def per_class(self) -> dict[str, dict[str, Any]]:
        """The kept model's figures class by class."""
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
        """The kept model with its class names; loaded once."""
        if not self._loaded:
            self._loaded.append(load(self.path))
        return self._loaded[0]

    @property
    def model(self) -> "keras.Model":
        """The kept model."""
        return self.classifier.model

    def plot(self) -> "Figure":
        """Draws accuracy and loss over the epochs; a notebook shows the figure."""
        record = RunFolder.open(self.path).record()
        return plot_history(self.history, title=record.summary, kept_step=record.kept.step if record.kept else None)

    def __repr__(self) -> str:
        try:
            accuracy = self.metrics.get("accuracy")
        except ZooError:  # a folder that was moved away is no fault of who looks at the name
            accuracy = None
        return f"Run({str(self.path)!r}{'' if accuracy is None else f', accuracy={accuracy:.4f}'})"


def finetune(
    recipe_or_model: str | Path | Recipe | None,
    data: Path | str | InCode | None = None,
    overrides: Overrides | None = None,
    run: Path | str | None = None,
    resume: bool = False,
    callbacks: Any = (),
    *,
    weights: Path | str | None = None,
    more_epochs: int = 0,
) -> Run:
    """Trains a classifier as a recipe says and leaves a run folder.

    Args:
        recipe_or_model: A recipe's file or name, an earlier run's folder (which repeats it), a model's name (which
            runs `finetune/default` with it), or a Recipe. With `resume` it may be None.
        data: The images; by default the recipe's own, or the earlier run's. A path; or an object with a length that
            gives (image, label) for an index, as the datasets of PyTorch do, or a dict of such objects by `train`,
            `validation` and `test`: see `zoo.data.sources.objects.in_code.LabelledImages`.
        overrides: Changes to the recipe, as `["train.batch_size=64"]` or `{"train.batch_size": 64}`.
        run: The folder to make; by default `runs/<recipe>-<UTC time>`.
        resume: Go on from the last checkpoint of `run`; a finished run is returned as it is.
        callbacks: One Keras callback or several. They see one training of the whole model, over all phases: see
            docs/ecosystem.md.
        weights: What the model begins with in place of the recipe's weights: a finished run, or a file of weights of
            the same architecture. Its classifier is new where its class names are others.
        more_epochs: Trains the last phase of a finished run by as many epochs more, in a new run folder: see
            `zoo.jobs.lengthening`.

    Returns:
        The finished run.

    Raises:
        ZooError: Any of its children, each with what to do next.

    Example:

        run = zoo.finetune("quickstart", overrides=["phases.head.epochs=1"])
        print(run.metrics["accuracy"], run.path)
    """
    asked = resolve_request(
        recipe_or_model, data, overrides, run=run, resume=resume, weights=weights, more_epochs=more_epochs
    )
    return asked if isinstance(asked, Run) else carry_out(asked, callbacks)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `finetune` is asked to do, after everything that can be refused without Keras was.

    Attributes:
        job: Recipe, data and first weights.
        path: The folder to make; None for `runs/<recipe>-<UTC time>`.
        earlier: The run that goes on, or None where a new one begins.
        is_longer: Whether it goes on in a new folder, with more epochs.
        is_one_of_several: Whether it is one seed's run: who trains all says how to go on.
    """

    job: Job
    path: Path | None = None
    earlier: RunFolder | None = None
    is_longer: bool = False
    is_one_of_several: bool = False


def resolve_request(
    recipe_or_model: str | Path | Recipe | None,
    data: Path | str | InCode | None = None,
    overrides: Overrides | None = None,
    *,
    run: Path | str | None = None,
    resume: bool = False,
    weights: Path | str | None = None,
    more_epochs: int = 0,
) -> Request | Run:
    """Resolves what `finetune` is asked to do, with its arguments; imports no Keras and makes no folder.

    Returns:
        The request, or the run where it is finished already, which is said.

    Raises:
        ZooError: As `finetune` does for an unknown name or path, a wrong recipe or override, or a taken folder.
    """
    path = None if run is None else given_path(run, "the path of the run")
    if more_epochs:
        given = {"--set": overrides, "--resume": resume, "--weights": weights}
        return _longer(recipe_or_model, more_epochs, data, path, unfit=[name for name, value in given.items() if value])
    if resume and path is None:
        path, recipe_or_model = _run_named(recipe_or_model), None
    earlier = _earlier(path) if resume and path else None
    if earlier is not None:
        is_done = earlier.record().status == "done"
        if not is_done or recipe_or_model is not None or data is not None or overrides or weights is not None:
            job = resumed_job(earlier, recipe_or_model, data, overrides, weights=weights)
            if not is_done:
                earlier.refuse_read_only()
                return Request(job=job, earlier=earlier)
            _check_trained_on(earlier, job)
        with Display() as display:
            display.line(f"{earlier.path} is finished already")
        return Run(earlier.path)
    if recipe_or_model is None:
        if path is not None and runs_within(path):
            raise RunError(_how_seeds_go_on(path))
        raise RunError(f"{path}: there is no run to go on with; name a recipe as well, and it begins afresh")
    if path is not None:
        RunFolder.refuse_taken(path)
    return Request(job=make_job(recipe_or_model, data, overrides, weights=weights), path=path)


def _longer(
    run: str | Path | Recipe | None,
    more_epochs: int,
    data: Path | str | InCode | None,
    path: Path | None,
    *,
    unfit: Sequence[str],
) -> Request:
    """Resolves the request to train a finished run on, in a folder of its own."""
    earlier = _earlier(Path(run)) if isinstance(run, str | Path) else None
    if earlier is None:
        raise RunError(f"'{run}' is not a run that can be trained on; expected the folder of a finished run")
    if unfit:
        raise RunError(f"{earlier.path}: trains on as it was trained until now; leave out {', '.join(unfit)}")
    if path is not None:
        RunFolder.refuse_taken(path)
    job = resumed_job(earlier, None, data, None)
    return Request(
        job=replace(job, recipe=lengthened(earlier, job.recipe, more_epochs)),
        path=path,
        earlier=earlier,
        is_longer=True,
    )


@noticed()
def carry_out(asked: Request, callbacks: Any = ()) -> Run:
    """Trains, measures and closes a run."""
    import_keras()
    # These import Keras, which a refusal does not need.
    from zoo.backend.callers_state import alone
    from zoo.training.preparation.kept_images import check_same_data
    from zoo.training.preparation.preparing import prepare
    from zoo.training.run import train
    from zoo.training.user_callbacks.one_run import check_callbacks

    listeners = check_callbacks(callbacks)
    job = asked.job
    # Before there is a folder: it may lie among the images.
    prepared = prepare(job.recipe, job.data, weights=job.weights)
    if asked.is_longer and asked.earlier is not None:
        check_same_data(asked.earlier, prepared.source.dataset.fingerprint())
    there = first_there(asked.path or default_path(job.recipe.name))
    folder = _folder(asked)
    try:
        with (
            claim(folder.path),
            Display() as display,
            alone(display.line),
            _going_on_said(folder, asked.is_one_of_several),
        ):
            if asked.is_longer and asked.earlier is not None:
                begin_lengthened(folder, asked.earlier, job.recipe, say=display.line)
            trained = train(prepared, folder=folder, repeats=job.repeats, callbacks=listeners, display=display)
            with recording(folder, trained.record):
                evaluation = _finish(folder, trained)
            _compare_result(folder, job, display)
        _check_expectation(job.recipe, evaluation)
    finally:
        remove_empty(folder.path.absolute(), up_to=there)
    return Run(folder.path)


def _folder(asked: Request) -> RunFolder:
    if asked.earlier is not None and not asked.is_longer:
        return asked.earlier
    if asked.path is not None:
        return RunFolder.create(asked.path)
    return RunFolder(reserve_default_path(asked.job.recipe.name))


@contextlib.contextmanager
def _going_on_said(folder: RunFolder, is_one_of_several: bool) -> Generator[None]:
    """Notes on what ended the run how to go on with it; a traceback and the command line show it last.

    Only on an interruption or a fault of the machine: what a ZooError says is to be changed first.
    """
    try:
        yield
    except (KeyboardInterrupt, OSError, MemoryError) as fault:
        if folder.is_begun and not is_one_of_several:
            _advise(fault, how_to_resume(folder.path))
        raise


def how_to_resume(path: Path) -> str:
    """Says what to type for a run that is not finished."""
    return f"go on with it: zoo finetune --run {shlex.quote(str(path))} --resume"


def _how_seeds_go_on(path: Path) -> str:
    """Says what to type for a folder that holds the runs of seeds, or other runs."""
    names = runs_within(path)
    seeds = [name.removeprefix("seed-") for name in names if re.fullmatch(r"seed--?\d+", name)]
    if not seeds:
        return holds_runs(path)
    listed, all_seeds = ", ".join(f"seed-{seed}" for seed in seeds), ",".join(seeds)
    again = shlex.join(["zoo", "finetune", str(path / f"seed-{seeds[0]}"), "--run", str(path), "--seeds", all_seeds])
    return f"{path}: holds the runs of seeds, {listed}, and is not a run; go on with the seeds that you want: {again}"


def _advise(fault: BaseException, advice: str) -> None:
    is_full = isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT)
    fault.add_note(f"free some space and {advice}" if is_full else advice)


def _run_named(reference: str | Path | Recipe | None) -> Path:
    """Returns the run that is to go on, where it is named in the recipe's place."""
    if isinstance(reference, str | Path) and _earlier(Path(reference)) is not None:
        return Path(reference)
    raise RunError("--resume goes on with a run; say which with --run DIR")


def _check_trained_on(folder: RunFolder, job: Job) -> None:
    """Refuses other images than those that a finished run was trained on."""
    from zoo.data.inputs import open_source

    now = open_source(job.recipe.data, job.data, seed=job.recipe.train.seed).dataset.fingerprint()
    then = folder.record().data.fingerprint
    if now != then:
        given = job.data if isinstance(job.data, Path) else "these images"
        raise RunError(
            f"{folder.path}: is finished; it was not trained on {given} (fingerprint {then[:12]}..., here "
            f"{now[:12]}...); leave out --data to see its result, or choose another --run"
        )


def _compare_result(folder: RunFolder, job: Job, display: Display) -> None:
    """Says whether a repeated run came to the same numbers, bit for bit, and writes it down."""
    record, repeated = folder.record(), job.repeats
    if repeated is None or record.repeats is None or not (repeated.model / MODEL_FILE).is_file():
        return
    before = repeated.record()
    differing = [
        name
        for name, same in (
            ("other data", record.repeats.same_data),
            ("another recipe", load_recipe(repeated.recipe_path) == job.recipe),
            ("other initial weights", _hash_of(before.weights) == _hash_of(record.weights)),
        )
        if not same
    ]
    same_result = sha256(folder.model / MODEL_FILE) == sha256(repeated.model / MODEL_FILE)
    if same_result:
        display.line(f"same result as {repeated.path}, bit for bit")
    elif differing:
        display.line(f"differs from {repeated.path}: {' and '.join(differing)}")
    else:
        display.line(
            f"not the same result as {repeated.path}, from the same recipe and data: "
            f"{', '.join(_changed_environment(before, record)) or 'no cause is recorded'}"
        )
    folder.write_record(replace(record, repeats=replace(record.repeats, same_result=same_result)))
    folder.write_manifest()


def _hash_of(weights: WeightsRecord | None) -> str | None:
    return weights.sha256 if weights else None


def _changed_environment(before: RunRecord, now: RunRecord) -> list[str]:
    return [
        f"{name} {then.get(name)}, now {value}"
        for then, current in (
            (before.environment.to_json(), now.environment.to_json()),
            (before.versions, now.versions),
        )
        for name, value in current.items()
        if then.get(name) != value
    ]


@dataclass(frozen=True)
class Spread:
    """A figure of several runs that differ by their seed.

    Attributes:
        values: One for each run, in the order of the seeds.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Their sample standard deviation; 0 for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


def finetune_seeds(
    recipe_or_model: str | Path | Recipe,
    seeds: Sequence[int],
    *,
    data: Path | str | InCode | None = None,
    overrides: Overrides | None = None,
    run: Path | str | None = None,
    weights: Path | str | None = None,
) -> dict[int, Run]:
    """Trains one run for each seed, in folders `seed-N` below `run`; what is there already goes on or stays.

    Args:
        recipe_or_model: As for `finetune`.
        seeds: Each takes the place of the recipe's `train.seed`.
        data: As for `finetune`.
        overrides: As for `finetune`.
        run: The folder around them; by default `runs/<recipe>-<UTC time>`.
        weights: As for `finetune`.

    Returns:
        The finished runs by seed.

    Raises:
        ZooError: Any of its children.
    """
    if len(set(seeds)) != len(seeds) or not seeds:
        raise RunError(f"seeds are {', '.join(map(str, seeds)) or 'none'}; expected one or more different numbers")
    job = make_job(recipe_or_model, data, overrides, weights=weights)
    there = first_there(default_path(job.recipe.name))
    around = reserve_default_path(job.recipe.name) if run is None else given_path(run, "the path of the run")
    runs: dict[int, Run] = {}
    try:
        for seed in seeds:
            seeded: Overrides = (
                {**overrides, "train.seed": seed}
                if isinstance(overrides, Mapping)
                else [*(overrides or ()), f"train.seed={seed}"]
            )
            asked = resolve_request(
                recipe_or_model, data, seeded, run=around / f"seed-{seed}", resume=True, weights=weights
            )
            runs[seed] = asked if isinstance(asked, Run) else carry_out(replace(asked, is_one_of_several=True))
    except (KeyboardInterrupt, OSError, MemoryError) as fault:
        if runs_within(around):
            again = _typed_again(recipe_or_model, seeds, data, overrides, run=around, weights=weights)
            _advise(fault, f"go on with all seeds: {again}")
        raise
    finally:
        if run is None:
            remove_empty(around.absolute(), up_to=there)
    return runs


def _typed_again(
    recipe_or_model: str | Path | Recipe,
    seeds: Sequence[int],
    data: Path | str | InCode | None,
    overrides: Overrides | None,
    *,
    run: Path,
    weights: Path | str | None,
) -> str:
    """Writes the command that trains the same seeds in the same folder, quoted; or what to call again."""
    if not isinstance(recipe_or_model, str | Path) or not isinstance(data, str | Path | None):
        return f"make the same call with run={str(run)!r}"
    words = ["zoo", "finetune", str(recipe_or_model)]
    words += [] if data is None else ["--data", str(data)]
    if isinstance(overrides, Mapping):
        overrides = [f"{key}={value}" for key, value in overrides.items()]
    for one in [overrides] if isinstance(overrides, str) else overrides or ():
        words += ["--set", one]
    words += [] if weights is None else ["--weights", str(weights)]
    return shlex.join([*words, "--seeds", ",".join(map(str, seeds)), "--run", str(run)])


def spread(runs: Iterable[Run]) -> dict[str, Spread]:
    """Returns each figure of the kept models over several runs."""
    measured = [run.metrics for run in runs]
    names = [name for name in measured[0] if all(name in metrics for metrics in measured)]
    return {name: Spread(tuple(metrics[name] for metrics in measured)) for name in names}


def _earlier(path: Path) -> RunFolder | None:
    return RunFolder(path) if RunFolder(path).is_begun else None


def _finish(folder: RunFolder, trained: "Trained") -> "Evaluation | None":
    """Measures the kept model, draws the curves, and closes the run."""
    from zoo.evaluation.measuring import score

    validation = trained.inputs.validation
    evaluation: Evaluation | None = None
    result = ResultRecord(split=None, metrics={}, per_class={})
    if validation is not None:
        evaluation = score(trained.predict(validation.images), validation.labels, trained.model.blueprint.classes)
        result = ResultRecord(
            split="validation",
            metrics=evaluation.metrics,
            intervals=evaluation.intervals,
            per_class={name: asdict(one) for name, one in evaluation.per_class.items()},
        )
    record = trained.record
    kept_step = record.kept.step if record.kept else None
    save_history(folder.metrics(), folder.path / "history.png", title=record.summary, kept_step=kept_step)
    folder.write_record(replace(record, status="done", result=result))
    folder.write_manifest()
    return evaluation


def _check_expectation(recipe: Recipe, evaluation: "Evaluation | None") -> None:
    expect = recipe.expect
    if expect is None:
        return
    measured = evaluation.metrics["accuracy"] if evaluation else None
    if measured is None or measured < expect.value - expect.tolerance:
        found = "not measured (no validation images)" if measured is None else f"{measured:.4f}"
        raise ContractError(
            f"recipe '{recipe.name}' expects {expect.metric} {expect.value} (tolerance {expect.tolerance}); "
            f"found {found}"
        )
