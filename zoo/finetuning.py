"""`zoo.finetune`: a recipe, a model's name or an earlier run, and a folder of images, to a classifier."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry, saved_models
from zoo.data import InCode
from zoo.errors import ContractError, DataError, NotFoundError, RunError, ZooError, did_you_mean
from zoo.models import MODULE_FOLDER
from zoo.paths import given_path
from zoo.prediction import Classifier, load
from zoo.quiet_start import import_keras
from zoo.recipe.finding import find_recipe, shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.recipe.overrides import read_overrides
from zoo.recipe.schema import Recipe
from zoo.report.curves import plot_history, save_history
from zoo.runs.claim import claim
from zoo.runs.folder import RunFolder, default_path
from zoo.training.progress import Display

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

    from zoo.evaluation import Evaluation
    from zoo.training.engine import Trained

# What a bare model name runs.
DEFAULT_RECIPE = "finetune/default"
HANDLE_KEY = "model.handle"
# Sources that need no path.
FROM_ELSEWHERE = ("builtin:", "hf:", "tfds:")

Overrides = Sequence[str] | Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `finetune` is about to do.

    Attributes:
        recipe: The resolved recipe.
        data: The images: a path, or what was given in code; None for a source that ships or downloads.
    """

    recipe: Recipe
    data: Path | InCode | None


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Its folder.
    """

    path: Path
    _loaded: list[Classifier] = field(default_factory=list[Classifier], repr=False, compare=False)

    @property
    def record(self) -> dict[str, Any]:
        """run.json."""
        return RunFolder.open(self.path).record()

    @property
    def history(self) -> list[dict[str, Any]]:
        """metrics.jsonl: one dictionary an epoch."""
        return RunFolder.open(self.path).metrics()

    @property
    def metrics(self) -> dict[str, float]:
        """The kept model's figures on the validation images; empty where there were none."""
        return self.record["metrics"]

    @property
    def per_class(self) -> dict[str, dict[str, Any]]:
        """The kept model's figures class by class."""
        return self.record["per_class"]

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
        return plot_history(self.history, self.record)

    def __repr__(self) -> str:
        try:
            accuracy = self.metrics.get("accuracy")
        except (ZooError, KeyError):  # a folder that was moved away is no fault of who looks at the name
            accuracy = None
        return f"Run({str(self.path)!r}{'' if accuracy is None else f', accuracy={accuracy:.4f}'})"


def finetune(
    recipe_or_model: str | Path | Recipe | None,
    data: Path | str | InCode | None = None,
    overrides: Overrides | None = None,
    run: Path | str | None = None,
    resume: bool = False,
    callbacks: Sequence[Any] = (),
) -> Run:
    """Trains a classifier as a recipe says and leaves a run folder.

    Args:
        recipe_or_model: A recipe's file or name, an earlier run's folder (which repeats it), a model's name (which
            runs `finetune/default` with it), or a Recipe. With `resume` it may be None.
        data: The images; by default the recipe's own, or the earlier run's. A path; or an object with a length that
            gives (image, label) for an index, as the datasets of PyTorch do, or a dict of such objects by `train`,
            `validation` and `test`: see `zoo.data.sources.in_code.LabelledImages`.
        overrides: Changes to the recipe, as `["train.batch_size=64"]` or `{"train.batch_size": 64}`.
        run: The folder to make; by default `runs/<recipe>-<UTC time>`.
        resume: Go on from the last checkpoint of `run`; a finished run is returned as it is.
        callbacks: Keras callbacks that `fit` is given besides ours.

    Returns:
        The finished run.

    Raises:
        ZooError: Any of its children, each with what to do next.

    Example:

        run = zoo.finetune("quickstart", overrides=["phases.head.epochs=1"])
        print(run.metrics["accuracy"], run.path)
    """
    asked = resolve_request(recipe_or_model, data, overrides, run=run, resume=resume)
    if isinstance(asked, Run):
        return asked
    job = asked.job
    import_keras()
    from zoo.training.engine import recording, train  # imports Keras, which a refusal does not need
    from zoo.training.inputs import open_source

    # Before there is a folder, which may lie among the images.
    source = open_source(job.recipe.data, job.data, seed=job.recipe.train.seed)
    new = [path for path in (asked.path, *asked.path.parents) if not path.exists()]
    folder = asked.earlier or RunFolder.create(asked.path)
    try:
        with claim(folder.path), Display() as display:
            trained = train(
                job.recipe, data=job.data, source=source, folder=folder, callbacks=callbacks, display=display
            )
            with recording(folder, trained.record):
                evaluation = _finish(folder, job.recipe, trained)
        _check_expectation(job.recipe, evaluation)
    finally:
        for path in (folder.path, *new):
            _remove_if_empty(path)
    return Run(folder.path)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `finetune` is asked to do, after everything that can be refused without Keras was.

    Attributes:
        job: Recipe and data.
        path: The run's folder.
        earlier: The run that goes on there, or None where a new one begins.
    """

    job: Job
    path: Path
    earlier: RunFolder | None


def resolve_request(
    recipe_or_model: str | Path | Recipe | None,
    data: Path | str | InCode | None = None,
    overrides: Overrides | None = None,
    *,
    run: Path | str | None = None,
    resume: bool = False,
) -> Request | Run:
    """Resolves what `finetune` is asked to do, with its arguments; imports no Keras and makes no folder.

    Returns:
        The request, or the run where it is finished already.

    Raises:
        ZooError: As `finetune` does for an unknown name or path, a wrong recipe or override, or a taken folder.
    """
    path = None if run is None else given_path(run, "the path of the run")
    if resume and path is None:
        raise RunError("--resume goes on with a run; say which with --run DIR")
    earlier = _earlier(path) if resume and path else None
    if path and earlier is not None:
        if recipe_or_model is None and not overrides and earlier.record()["status"] == "done":
            return Run(earlier.path)
        job = _resumed_job(earlier, recipe_or_model, data, overrides)
        if earlier.record()["status"] == "done":
            return Run(earlier.path)
        return Request(job=job, path=path, earlier=earlier)
    if recipe_or_model is None:
        raise RunError(f"{path}: there is no run to go on with; name a recipe as well, and it begins afresh")
    if path is not None:
        RunFolder.refuse_taken(path)
    job = make_job(recipe_or_model, data, overrides)
    return Request(job=job, path=path or default_path(job.recipe.name), earlier=None)


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
) -> dict[int, Run]:
    """Trains one run for each seed, in folders `seed-N` below `run`; what is there already goes on or stays.

    Args:
        recipe_or_model: As for `finetune`.
        seeds: Each takes the place of the recipe's `train.seed`.
        data: As for `finetune`.
        overrides: As for `finetune`.
        run: The folder around them; by default `runs/<recipe>-<UTC time>`.

    Returns:
        The finished runs by seed.

    Raises:
        ZooError: Any of its children.
    """
    if len(set(seeds)) != len(seeds) or not seeds:
        raise RunError(f"seeds are {', '.join(map(str, seeds)) or 'none'}; expected one or more different numbers")
    if run is None:
        run = default_path(make_job(recipe_or_model, data, overrides).recipe.name)
    runs: dict[int, Run] = {}
    for seed in seeds:
        seeded: Overrides = (
            {**overrides, "train.seed": seed}
            if isinstance(overrides, Mapping)
            else [*(overrides or ()), f"train.seed={seed}"]
        )
        folder = given_path(run, "the path of the run") / f"seed-{seed}"
        runs[seed] = finetune(recipe_or_model, data, overrides=seeded, run=folder, resume=True)
    return runs


def spread(runs: Iterable[Run]) -> dict[str, Spread]:
    """Returns each figure of the kept models over several runs."""
    measured = [run.metrics for run in runs]
    names = [name for name in measured[0] if all(name in metrics for metrics in measured)]
    return {name: Spread(tuple(metrics[name] for metrics in measured)) for name in names}


def make_job(
    reference: str | Path | Recipe, data: Path | str | InCode | None = None, overrides: Overrides | None = None
) -> Job:
    """Resolves what to run and on what, as `finetune` takes them; nothing is read but recipes.

    Raises:
        NotFoundError: The reference is no file, run, recipe or model.
        RecipeError: The recipe or an override does not hold.
        DataError: There is no data to run on.
    """
    overrides = _with_module(overrides or ())
    if not str(reference).strip():
        raise NotFoundError("the recipe's name is empty; expected a recipe, run folder or model; see 'zoo recipe ls'")
    if isinstance(reference, Recipe):
        recipe, own_data = load_recipe(reference, overrides, against_card=True), Path()
    elif (Path(reference) / "run.json").is_file():
        return _repeated_job(RunFolder.open(Path(reference)), data, overrides)
    elif _is_recipe(reference):
        recipe = load_recipe(reference, overrides, against_card=True)
        own_data = find_recipe(reference).parent
    elif str(reference) in registry.list_models():
        recipe = load_recipe(DEFAULT_RECIPE, _for_model(str(reference), overrides), against_card=True)
        own_data = Path()
    else:
        known = [*shipped_recipes(), *registry.list_models()]
        raise NotFoundError(
            f"'{reference}' is not a recipe file, run folder, recipe or model."
            f"{_beside(reference) or did_you_mean(str(reference), known)} See 'zoo recipe ls' and 'zoo list'."
        )
    if data is None and recipe.data.path:
        data = own_data / recipe.data.path
    recipe = _with_own_module(recipe, own_data)
    return Job(recipe=recipe, data=_images(recipe, data))


def _beside(reference: str | Path) -> str:
    """Hints at the recipe file whose ending was left out."""
    file = Path(f"{reference}.toml")
    return f" There is a file '{file}': type its ending too." if file.is_file() else ""


def _with_module(overrides: Overrides) -> Overrides:
    """Takes in the SavedModel that an override names, anywhere on this machine; the recipe says its hash."""
    asked = [override.value for override in read_overrides(overrides)[0] if override.key == HANDLE_KEY]
    if not asked or not asked[-1]:
        return overrides
    handle = saved_models.take_in(str(asked[-1])).handle
    if isinstance(overrides, Mapping):
        return {**overrides, HANDLE_KEY: handle}
    return [*overrides, f"{HANDLE_KEY}={handle}"]


def _with_own_module(recipe: Recipe, folder: Path) -> Recipe:
    """Takes in the SavedModel that a recipe names: by hash, by an address with its hash, or beside the recipe."""
    handle = recipe.model.handle
    if not handle or handle.startswith(saved_models.BY_HASH):
        return recipe
    found = saved_models.take_in(handle if "://" in handle else str((folder / handle).absolute()))
    return load_recipe(recipe, {HANDLE_KEY: found.handle})


def _is_recipe(reference: str | Path) -> bool:
    text = str(reference)
    return Path(reference).suffix == ".toml" or Path(reference).is_file() or text in shipped_recipes()


def _for_model(name: str, overrides: Overrides) -> Overrides:
    if isinstance(overrides, Mapping):
        return {"model.name": name, "name": name.replace("_", "-"), **overrides}
    return [f"model.name={name}", f"name={name.replace('_', '-')}", *overrides]


def _repeated_job(folder: RunFolder, data: Path | str | InCode | None, overrides: Overrides) -> Job:
    recipe = load_recipe(folder.recipe_path, overrides, against_card=bool(overrides))
    carried = folder.model / MODULE_FOLDER
    if recipe.model.handle and carried.is_dir():
        saved_models.take_in(str(carried))
    inputs = folder.record()["inputs"]
    if data is None and "in_code" in inputs:
        raise DataError(
            f"{folder.path}: its images were given in code ({inputs['in_code']}), and a run does not keep them; "
            "give them again: zoo.finetune(..., data=...)"
        )
    return Job(recipe=recipe, data=_images(recipe, inputs["data"] if data is None else data))


def _images(recipe: Recipe, data: Path | str | InCode | None) -> Path | InCode | None:
    if data is None:
        if not recipe.data.source.startswith(FROM_ELSEWHERE):
            raise DataError(
                f"recipe '{recipe.name}' names no images; say where they are: --data PATH "
                "(a folder with a subfolder per class)"
            )
        return None
    if not isinstance(data, str | Path):
        return data
    path = given_path(data, "the path of the images")
    if not path.exists():
        raise NotFoundError(f"{path}: there is no such file or folder; expected images; check --data")
    return path


def _earlier(path: Path) -> RunFolder | None:
    return RunFolder(path) if RunFolder(path).is_begun else None


def _resumed_job(
    folder: RunFolder,
    reference: str | Path | Recipe | None,
    data: Path | str | InCode | None,
    overrides: Overrides | None,
) -> Job:
    job = _repeated_job(folder, data, ())
    if reference is not None or overrides:
        asked = make_job(reference if reference is not None else folder.path, job.data, overrides)
        if asked.recipe != job.recipe:
            raise RunError(
                f"{folder.path}: was begun with another recipe than the one given; "
                "leave out the recipe and --set to go on with it, or choose another --run"
            )
    return job


def _finish(folder: RunFolder, recipe: Recipe, trained: "Trained") -> "Evaluation | None":
    """Measures the kept model, draws the curves, and closes the run."""
    from zoo.evaluation import score

    validation = trained.inputs.validation
    evaluation: Evaluation | None = None
    if validation is not None:
        evaluation = score(trained.predict(validation.images), validation.labels, trained.model.blueprint.classes)
    measured = evaluation.to_json() if evaluation else {}
    record = {
        **trained.record,
        "status": "done",
        "metrics": measured.get("metrics", {}),
        "intervals": measured.get("intervals", {}),
        "per_class": measured.get("per_class", {}),
    }
    save_history(folder.metrics(), record, folder.path / "history.png")
    folder.write_record(record)
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


def _remove_if_empty(path: Path) -> None:
    """Removes a folder in which nothing was begun, so that the same command can be typed again."""
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
