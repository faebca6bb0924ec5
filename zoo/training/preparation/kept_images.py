"""Which images a run trains, validates and tests on, listed so that they are found again: see `zoo.runs.images`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.data import Dataset, Split
from zoo.data.inputs import Inputs
from zoo.data.membership import image_keys
from zoo.errors import RunError
from zoo.report.progress import ProgressDisplay
from zoo.runs.folder import RunFolder
from zoo.runs.images import RunImages, read_images


def images_of(dataset: Dataset, inputs: Inputs, *, validation: float | str) -> RunImages:
    """Lists which images a run trains, validates and tests on.

    Args:
        dataset: Its data.
        inputs: What was read of it.
        validation: The recipe's `data.validation`.
    """
    keys = {name: image_keys(split) for name, split in dataset.splits().items()}

    def by_class(origin: str, rows: "np.ndarray", labels: "np.ndarray") -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {name: [] for name in dataset.classes}
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
            if keys[origin][row]:
                found[dataset.classes[label]].append(keys[origin][row])
        return {name: tuple(listed) for name, listed in found.items()}

    splits = {"train": by_class("train", inputs.train.rows, inputs.train.labels)}
    if inputs.validation is not None:
        own = validation if isinstance(validation, str) else "validation"
        origin = own if own in keys else "train"
        splits["validation"] = by_class(origin, inputs.validation.rows, inputs.validation.labels)
    if dataset.test is not None:
        splits["test"] = by_class("test", np.arange(len(dataset.test)), dataset.test.labels)
    return RunImages(splits)


def check_same_data(run: RunFolder, now: str) -> None:
    """Checks that a run goes on with the data that it began with, by fingerprint.

    Raises:
        RunError: It is other data.
    """
    then = run.record().data.fingerprint
    if then != now:
        raise RunError(
            f"{run.path}: the data is no longer what this run began with (fingerprint {then[:12]}..., now "
            f"{now[:12]}...); put it back, or begin a new run"
        )


def check_same_images(folder: RunFolder, images: RunImages) -> None:
    """Checks that a run goes on with the images that it began with in each split.

    Raises:
        RunError: They are others.
    """
    before = read_images(folder.path)
    if before is not None and before.known != images.known:
        raise RunError(
            f"{folder.path}: began with other images in train and validation than the recipe gives now; go on with "
            "the zoo that began it, or begin a new run"
        )


def say_where_data_differs(run: RunFolder, dataset: Dataset, display: ProgressDisplay) -> None:
    """Warns where images are not those that a run was trained on."""
    then, now = run.record().data.fingerprint, dataset.fingerprint()
    if then != now:
        display.line(f"warning: {difference(run, then, now)}")


def difference(run: RunFolder, then: str, now: str) -> str:
    """Says that data is other than a run's, by the beginnings of both fingerprints."""
    return f"the data is not what {run.path} was trained on (fingerprint {then[:12]}..., now {now[:12]}...)"


def count_trained_on(run: Path, files: Sequence[Path]) -> int:
    """Counts the files that a run was trained on, by their contents; 0 where it does not say."""
    kept = read_images(run)
    if kept is None or not files:
        return 0
    keys = image_keys(Split(images=files, labels=np.zeros(len(files), np.int64)))
    return sum(key in kept.known["train"] for key in keys)
