"""Which images a run trains, validates and tests on, listed so that they are found again: see `zoo.runs.images`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.data import Dataset, Split
from zoo.data.inputs import Inputs
from zoo.data.membership import file_names, image_keys, name_key
from zoo.errors import RunError
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
    files = {name: file_names(split, dataset.root) for name, split in dataset.splits().items()}
    has_names = all(one is not None for one in files.values())
    names: dict[str, dict[str, tuple[str, ...]]] = {}

    def by_class(split: str, origin: str, rows: "np.ndarray", labels: "np.ndarray") -> dict[str, tuple[str, ...]]:
        found: dict[str, list[int]] = {name: [] for name in dataset.classes}
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
            if keys[origin][row]:
                found[dataset.classes[label]].append(row)
        if (listed := files[origin]) is not None:
            names[split] = {name: tuple(name_key(listed[row]) for row in of) for name, of in found.items()}
        return {name: tuple(keys[origin][row] for row in of) for name, of in found.items()}

    splits = {"train": by_class("train", "train", inputs.train.rows, inputs.train.labels)}
    if inputs.validation is not None:
        own = validation if isinstance(validation, str) else "validation"
        origin = own if own in keys else "train"
        splits["validation"] = by_class("validation", origin, inputs.validation.rows, inputs.validation.labels)
    if dataset.test is not None:
        splits["test"] = by_class("test", "test", np.arange(len(dataset.test)), dataset.test.labels)
    return RunImages(splits, names if has_names else None)


def check_same_images(folder: RunFolder, images: RunImages) -> None:
    """Checks that a run goes on with the images that it began with in each split.

    Raises:
        RunError: They are others.
    """
    before = read_images(folder.path)
    if before is None or before.known == images.known:
        return
    split = next(name for name in ("train", "validation", "test") if before.known.get(name) != images.known.get(name))
    then, now = before.known.get(split, Counter()), images.known.get(split, Counter())
    raise RunError(
        f"{folder.path}: began with {then.total():,} images in {split}; the recipe gives {now.total():,} now, without "
        f"{(then - now).total():,} of those; go on with the zoo that began it, or begin a new run"
    )


def count_trained_on(run: Path, files: Sequence[Path]) -> int:
    """Counts the files that a run was trained on, by their contents; 0 where it does not say."""
    kept = read_images(run)
    if kept is None or not files:
        return 0
    keys = image_keys(Split(images=files, labels=np.zeros(len(files), np.int64)))
    return sum(key in kept.known["train"] for key in keys)
