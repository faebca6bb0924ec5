"""Which backbone suits the images: a linear probe on features of a sample, and a rule that takes one.

Source: linear probes rank features as fine-tuning does, mostly (Kornblith, Shlens and Le 2019, arXiv:1805.08974). The
rule is that of one standard error (Breiman et al. 1984; Hastie, Tibshirani and Friedman, section 7.10): of those that
are not clearly worse than the best, the fastest.
"""

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zoo import registry
from zoo.data import Packing, Split, pack
from zoo.data.inputs import Source, settings_for_model
from zoo.evaluation.scores import wilson_interval
from zoo.jobs.proposing.draft import Chosen, Scope
from zoo.jobs.proposing.facts import DataFacts, ModelFacts, are_weights_here, model_facts, sampled, spread
from zoo.jobs.proposing.rule import image_size, resize
from zoo.recipe.schema import DataSection
from zoo.report.progress import ProgressDisplay

# Images that a probe learns from, and that it is measured on.
LEARNT, MEASURED = 1_000, 500
# Shares of the mean eigenvalue that are tried as the ridge, the one with the least error of leaving one out is taken.
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
# A model is left out that would cost so many times what the cheapest costs.
MOST_TIMES = 30


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How a backbone did.

    Attributes:
        model: Its name.
        size: Side that images went in with, in pixels.
        accuracy: Of the images that it was measured on.
        interval: 95 % interval of it.
        seconds: That an image's features took.
    """

    model: str
    size: int
    accuracy: float
    interval: tuple[float, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)


def candidates(data: DataFacts) -> list[ModelFacts]:
    """Returns the models whose weights are on this machine, the cheapest first, without those that cost too much.

    Args:
        data: Small nets for grey images are for grey images.
    """
    found = [
        model_facts(name)
        for name in registry.list_models(exclude="tfhub")
        if are_weights_here(registry.info(name)) and len(registry.info(name).input_shape) == 3
    ]
    fitting = [one for one in found if one.channels == 3 or (one.channels == 1 and data.grey)]
    fitting.sort(key=lambda one: (one.madds or math.inf, one.name))
    of_colours = [one for one in fitting if one.channels == 3 and one.madds]
    cheapest = of_colours[0].madds if of_colours and of_colours[0].madds else math.inf
    return [one for one in fitting if (one.madds or 0) <= MOST_TIMES * cheapest]


def probe(
    models: Sequence[ModelFacts], data: DataFacts, source: Source, *, precision: str, display: ProgressDisplay
) -> list[Probe]:
    """Probes each model on the same images.

    Args:
        models: From `candidates`.
        data: Decides the size that images go in with.
        source: The images.
        precision: The dtype policy that models are built under.
        display: Shows progress.
    """
    train = sampled(source.train, spread(len(source.train), LEARNT))
    validation = source.validation if source.validation is not None else source.train
    held_out = sampled(validation, spread(len(validation), MEASURED))
    classes = len(source.dataset.classes)
    return [_probe(model, data, train, held_out, classes, precision, display) for model in models]


# Many arguments because each is one image set or one setting, and all are named above.
def _probe(
    model: ModelFacts,
    data: DataFacts,
    train: Split,
    held_out: Split,
    classes: int,
    precision: str,
    display: ProgressDisplay,
) -> Probe:
    from zoo.inference.batches import predict_each_batch
    from zoo.inference.features import feature_model
    from zoo.models.building import build
    from zoo.models.taking_over import NewClassifierWarning

    size = image_size(data, model, Scope()).value
    settings = settings_for_model(DataSection(image_size=size, resize=resize(data).value), (size, size, model.channels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewClassifierWarning)  # features end before the classifier
        built = build(
            model.name, classes=classes, input_shape=settings.shape, weights=model.weights, precision=precision
        )
    features = feature_model(built)
    vectors: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    moments: list[float] = []
    with display.bar(f"probes {model.name}", len(train) + len(held_out)) as move:
        for name, split in (("train", train), ("held out", held_out)):
            read = pack(split, settings, Packing(on_bad="leave_out"))
            rows: list[np.ndarray] = []

            def take(found: np.ndarray, rows: list[np.ndarray] = rows) -> None:
                rows.append(found)
                moments.append(time.perf_counter())
                move(32 * len(moments), "")

            predict_each_batch(features, read.images, take)
            vectors[name], labels[name] = np.concatenate(rows), read.labels
    right = linear_probe(vectors["train"], labels["train"], vectors["held out"], classes) == labels["held out"]
    gaps = np.diff(moments)
    return Probe(
        model=model.name,
        size=size,
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right)),
        seconds=float(np.median(gaps)) / 32 if len(gaps) else 0.0,
    )


def linear_probe(features: np.ndarray, labels: np.ndarray, others: np.ndarray, classes: int) -> np.ndarray:
    """Fits a linear classifier by ridge regression on one-hot labels, and classifies other features.

    The ridge is chosen by the error of leaving one out, which has a closed form (Allen 1974, PRESS).

    Args:
        features: float[n, channels].
        labels: int64[n].
        others: float[m, channels].
        classes: How many.

    Returns:
        int64[m], the class of each.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = ((features - mean) / scale).astype(np.float64)
    targets = np.eye(classes)[labels]
    middle = targets.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T)
    values = np.maximum(values, 0.0)
    turned = vectors.T @ (targets - middle)
    best: tuple[float, np.ndarray] | None = None
    for share in RIDGES:
        ridge = max(share * float(values.mean()), 1e-9)
        weight = 1 / (values + ridge)
        dual = vectors @ (weight[:, None] * turned)
        left_out = dual / ((vectors**2) @ weight)[:, None]
        error = float((left_out**2).mean())
        if best is None or error < best[0]:
            best = error, x.T @ dual
    assert best is not None  # there are ridges
    return (((others - mean) / scale) @ best[1] + middle).argmax(axis=1)


def chosen(probes: Sequence[Probe], measured_on: int) -> tuple[Probe, Chosen]:
    """Takes the fastest of those within one standard error of the best.

    Args:
        probes: One or more.
        measured_on: How many images they were measured on.

    Returns:
        It, and its name with the reason.
    """
    best = max(probes, key=lambda one: (one.accuracy, -one.seconds))
    error = math.sqrt(best.accuracy * (1 - best.accuracy) / max(1, measured_on))
    near = [one for one in probes if one.accuracy >= best.accuracy - error]
    taken = min(near, key=lambda one: one.seconds)
    if taken is best:
        why = f"best of {len(probes)} linear probes: {taken.accuracy:.3f}"
    else:
        why = f"the fastest within a standard error of the best probe: {taken.accuracy:.3f}, {best.accuracy:.3f}"
    return taken, Chosen(taken.model, why)
