"""How good a classifier is: accuracy with its interval, and class by class."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data import Dataset, Split
from zoo.data.dataset import quoted, unknown_classes
from zoo.errors import DataError
from zoo.paths import given_path
from zoo.prediction import load
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import Recipe
from zoo.runs.folder import RunFolder
from zoo.training.inputs import open_source, pack_split
from zoo.training.progress import Display

if TYPE_CHECKING:
    import numpy as np

# Two-sided 95 % of the normal distribution.
Z_95 = 1.959963984540054
# Sources that are one file: a folder given in its place is one of class folders.
LISTS = ("csv", "jsonl", "npz")
LIST_SUFFIXES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class's share in a result.

    Attributes:
        images: Images of this class.
        correct: Those that were recognised.
        accuracy: Their share (recall), in [0, 1]; None without images.
        precision: Share of the images called this class that are of it; None where none was called so.
    """

    images: int
    correct: int
    accuracy: float | None
    precision: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A classifier measured on labelled images.

    Attributes:
        images: How many.
        metrics: `accuracy`, `balanced_accuracy` (mean over the classes present) and `loss` (mean negative
            log-likelihood, in nats).
        intervals: 95 % interval of `accuracy` (Wilson 1927, the score interval).
        per_class: By class name.
    """

    images: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_class: dict[str, ClassResult]

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation as plain data."""
        return asdict(self)


def score(probabilities: "np.ndarray", labels: "np.ndarray", classes: Sequence[str]) -> Evaluation:
    """Compares probabilities with labels.

    Args:
        probabilities: float[images, classes].
        labels: int64[images].
        classes: Class names in the order of the probabilities.
    """
    import numpy as np

    called = probabilities.argmax(axis=1)
    hits = np.bincount(labels[called == labels], minlength=len(classes))
    totals = np.bincount(labels, minlength=len(classes))
    calls = np.bincount(called, minlength=len(classes))
    per_class = {
        name: ClassResult(
            images=int(totals[index]),
            correct=int(hits[index]),
            accuracy=float(hits[index] / totals[index]) if totals[index] else None,
            precision=float(hits[index] / calls[index]) if calls[index] else None,
        )
        for index, name in enumerate(classes)
    }
    accuracies = [result.accuracy for result in per_class.values() if result.accuracy is not None]
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Evaluation(
        images=len(labels),
        metrics={
            "accuracy": float(hits.sum() / len(labels)),
            "balanced_accuracy": float(np.mean(accuracies)),
            "loss": float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()),
        },
        intervals={"accuracy": wilson_interval(int(hits.sum()), len(labels))},
        per_class=per_class,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a share (Wilson 1927, JASA 22:209)."""
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(
    run: Path | str, data: Path | str | None = None, *, split: str | None = None, display: Display
) -> Evaluation:
    """Measures a finished run's classifier.

    Args:
        run: The run's folder.
        data: Other images than the run's own, of all its classes or some; any that cannot be read are left out.
        split: `train`, `validation` or `test`; by default test where there is one, else validation, else, for
            other images than the run's own, all.
        display: Shows progress.

    Raises:
        NotFoundError: There is no finished run.
        DataError: The images cannot be used, or have classes that the classifier does not know.
    """
    folder = RunFolder.open(given_path(run, "the path of the run"))
    classifier = load(folder.path)
    recipe = load_recipe(folder.recipe_path)
    inputs = folder.record()["inputs"]
    if data is None and "in_code" in inputs:
        raise DataError(
            f"{folder.path}: its images were given in code ({inputs['in_code']}), and a run does not keep them; "
            "give others with --data PATH"
        )
    own = inputs["data"]
    path = given_path(data, "the path of the images") if data is not None else Path(own) if own else None
    chosen = _choose(recipe, path, split, is_own=data is None)
    for warning in chosen.warnings:
        display.line(f"warning: {warning}")
    labels = _relabel(chosen.split, chosen.dataset.classes, classifier.classes)
    packed = pack_split(
        Split(images=chosen.split.images, labels=labels),
        recipe.data if data is None else recipe.data.model_copy(update={"on_bad": "leave_out"}),
        input_shape=classifier.input_shape,
        bar=display.bar,
        description=f"reading {chosen.name} images",
    )
    for skipped in packed.skipped:
        display.line(f"skipped: {skipped.path}: {skipped.reason}")
    from zoo.training.feeding import predict_in_batches

    return score(predict_in_batches(classifier.model, packed.images), packed.labels, classifier.classes)


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    dataset: Dataset
    name: str
    split: Split
    warnings: tuple[str, ...]


def _choose(recipe: Recipe, path: Path | None, name: str | None, *, is_own: bool) -> _Chosen:
    data = recipe.data
    if not is_own:
        # They are not divided again: a share of them would be chosen by chance. The sample takes no path.
        is_sample = data.source == "builtin:fashion_sample"
        is_other = data.source in LISTS and path is not None and path.is_dir()
        source_name = "folder" if is_sample or is_other else data.source
        is_list = path is not None and path.suffix.lower() in LIST_SUFFIXES
        columns = data.columns if is_list or source_name not in ("folder", "npz") else {}
        data = data.model_copy(update={"validation": 0.0, "group": "", "source": source_name, "columns": columns})
    source = open_source(data, path, seed=recipe.train.seed, measuring=not is_own)
    # Where other images are measured, there need be none of train.
    splits = {name: one for name, one in (source.dataset.splits() | {"train": source.train}).items() if len(one)}
    if source.validation is not None:
        splits["validation"] = source.validation
    if name is None:
        # A model's own training images say nothing about it; only who asks for them gets them.
        kinds = ("test", "validation") if is_own else ("test", "validation", "train")
        name = next((kind for kind in kinds if kind in splits), None)
    if name is None:
        raise DataError(
            "the run kept no images to measure on; give others with --data PATH, or measure on those that it was "
            "trained on with --split train"
        )
    if name not in splits:
        raise DataError(f"the data has no split '{name}'; it has {', '.join(splits)}; choose one with --split")
    warnings = () if is_own else source.warnings
    return _Chosen(dataset=source.dataset, name=name, split=splits[name], warnings=warnings)


def _relabel(split: Split, names: Sequence[str], classes: Sequence[str]) -> "np.ndarray":
    """Turns labels into indices of the classifier's own classes."""
    import numpy as np

    present = [names[int(label)] for label in np.unique(split.labels)]
    if unknown := unknown_classes(present, classes, of="the classifier"):
        listed = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise DataError(
            f"the data has classes that the classifier does not know: {listed}; expected some of {quoted(classes)}"
        )
    places = [classes.index(name) if name in classes else -1 for name in names]
    return np.array(places, dtype=np.int64)[split.labels]
