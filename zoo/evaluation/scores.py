"""What labels and probabilities say of a classifier: figures in all, class by class, and the images it got wrong."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Two-sided 95 % of the normal distribution.
Z_95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class's share in a result.

    Attributes:
        images: Images of this class.
        correct: Those that were recognised.
        accuracy: Their share (recall), in [0, 1]; None without images.
        precision: Share of the images called this class that are of it; None where none was called so.
        recall: As `accuracy`.
        f1: Harmonic mean of precision and recall; None where no image is of the class or called so.
    """

    images: int
    correct: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that was called another class than its own.

    Attributes:
        path: Its file; of an array or an item the split and the number in it, as `validation[3]`.
        truth: Its class.
        called: The class that it was called.
        probability: That class's probability.
    """

    path: str
    truth: str
    called: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A classifier measured on labelled images.

    Attributes:
        images: How many.
        metrics: `accuracy`, `balanced_accuracy` (mean over the classes present), `loss` (mean negative log-likelihood,
            in nats), and `macro_precision`, `macro_recall` and `macro_f1`: means over the classes that are present or
            were called, where one that has no figure counts 0, as scikit-learn's `average="macro"`.
        intervals: 95 % interval of `accuracy` (Wilson 1927, the score interval).
        per_class: By class name.
        classes: The class names, in the order of the confusion matrix.
        confusion: How many images of each class (row) were called each class (column).
        wrong: The images that were called another class, the most confident first.
        split: What was measured: `train`, `validation`, `test`, or `all` of images that are not divided.
        run: The run's folder, or None.
        data: Where the images lie, or None where they ship, are downloaded or were given in code.
        missing: How many images of the split the run had, and are no longer there.
        trained_on: How many of the images the run was trained on.
        newer: How many images are in the run's own data that it never had; they are not measured.
        warnings: What the user should know, one line each.
    """

    images: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_class: dict[str, ClassResult]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    wrong: tuple[Mistake, ...] = ()
    split: str | None = None
    run: str | None = None
    data: str | None = None
    missing: int = 0
    trained_on: int = 0
    newer: int = 0
    warnings: tuple[str, ...] = field(default=())

    def to_json(self, *, wrong: bool = False) -> dict[str, Any]:
        """Returns the evaluation as plain data; the images that it got wrong only where asked for."""
        left_out = () if wrong else ("wrong",)
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name not in left_out}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return asdict(value) if isinstance(value, ClassResult | Mistake) else value


def score(
    probabilities: "np.ndarray", labels: "np.ndarray", classes: Sequence[str], names: Sequence[str] = ()
) -> Evaluation:
    """Compares probabilities with labels.

    Args:
        probabilities: float[images, classes].
        labels: int64[images].
        classes: Class names in the order of the probabilities.
        names: What each image is called in the list of those that are wrong; by default there is no list.
    """
    import numpy as np

    called = probabilities.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, called), 1)
    hits, totals, calls = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    per_class = {
        name: _class_result(int(hits[index]), int(totals[index]), int(calls[index]))
        for index, name in enumerate(classes)
    }
    accuracies = [result.accuracy for result in per_class.values() if result.accuracy is not None]
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    wrong = np.flatnonzero(called != labels) if names else np.empty(0, np.int64)
    wrong = wrong[np.argsort(-probabilities[wrong, called[wrong]], kind="stable")]
    return Evaluation(
        images=len(labels),
        metrics={
            "accuracy": float(hits.sum() / len(labels)),
            "balanced_accuracy": float(np.mean(accuracies)),
            "loss": float(-np.log(np.maximum(of_truth, np.finfo(np.float32).tiny)).mean()),
            **_macro(per_class, (totals + calls) > 0),
        },
        intervals={"accuracy": wilson_interval(int(hits.sum()), len(labels))},
        per_class=per_class,
        classes=tuple(classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        wrong=tuple(
            Mistake(
                path=names[int(row)],
                truth=classes[int(labels[row])],
                called=classes[int(called[row])],
                probability=float(probabilities[row, called[row]]),
            )
            for row in wrong.tolist()
        ),
    )


def _class_result(hits: int, images: int, calls: int) -> ClassResult:
    recall = hits / images if images else None
    return ClassResult(
        images=images,
        correct=hits,
        accuracy=recall,
        precision=hits / calls if calls else None,
        recall=recall,
        f1=2 * hits / (images + calls) if images + calls else None,
    )


def _macro(per_class: dict[str, ClassResult], counted: "np.ndarray") -> dict[str, float]:
    results = [result for result, counts in zip(per_class.values(), counted.tolist(), strict=True) if counts]
    return {
        f"macro_{name}": sum(getattr(result, name) or 0.0 for result in results) / len(results)
        for name in ("precision", "recall", "f1")
    }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a share (Wilson 1927, JASA 22:209)."""
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
