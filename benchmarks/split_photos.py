"""Photos that train, validate and test, out of a folder of photos."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

MOST_TEST_PHOTOS = 1_000


def prepare(data: Path, folder: Path, count: int, *, most_test: int = MOST_TEST_PHOTOS) -> Path:
    """Copies photos into train/, validation/ and test/, once.

    Args:
        data: Has train/ and validation/ with a folder for each class. Where it has no test/, its validation and what
            is left of train test, and a tenth of what trains validates.
        folder: Where the photos go.
        count: How many train, each class in proportion.
        most_test: How many test at most, where the data has no test/.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    splits = {name: sorted((data / name).glob("*/*")) for name in ("train", "validation", "test")}
    for photos in splits.values():
        random.Random(0).shuffle(photos)
    chosen, left = spread(splits["train"], count)
    if splits["test"]:
        parts = {**splits, "train": chosen}
    else:
        validating, training = spread(chosen, max(1, count // 10))
        testing = (splits["validation"] + left)[:most_test]
        parts = {"train": training, "validation": validating, "test": testing}
    for name, photos in parts.items():
        for photo in photos:
            # Photos of two splits may have the same name, and meet here.
            copied = partial / name / photo.parent.name / f"{photo.parents[1].name}-{photo.name}"
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, copied)
    partial.rename(folder)
    return folder


def spread(photos: Sequence[Path], count: int) -> tuple[list[Path], list[Path]]:
    """Divides photos into `count` of them, spread evenly over the classes, and the others."""
    ordered = sorted(photos, key=lambda photo: photo.parent.name)  # within a class as they are
    chosen = {(2 * number + 1) * len(ordered) // (2 * count) for number in range(count)} if count < len(ordered) else {}
    kept = chosen or range(len(ordered))
    return [ordered[row] for row in sorted(kept)], [one for row, one in enumerate(ordered) if row not in kept]
