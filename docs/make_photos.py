"""Writes folders of small pictures to try the tour of the README on: `photos/` and `other-photos/`, in four classes.

They are pictures of clothes that ship with zoo (zoo/assets/NOTICE says whose they are).

    python docs/make_photos.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data import Split, open_dataset

CLASSES = {"trouser": 1, "pullover": 2, "bag": 8, "boot": 9}
PHOTOS, OTHERS = 40, 10


def write(folder: Path, split: Split, count: int) -> None:
    """Writes the first pictures of each class below a folder."""
    for name, label in CLASSES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(np.flatnonzero(split.labels == label)[:count]):
            Image.fromarray(np.asarray(split.images[row])).save(folder / name / f"{number:02d}.png")


def main() -> None:
    """Writes both folders below the one that is named, by default here."""
    here = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    data = open_dataset("builtin:fashion_sample", None)
    assert data.validation is not None
    try:
        write(here / "photos", data.train, PHOTOS)
        write(here / "other-photos", data.validation, OTHERS)
    except OSError as fault:
        sys.exit(
            f"{fault.filename or here}: cannot be written ({fault.strerror}); name another: python {sys.argv[0]} FOLDER"
        )
    print(f"{here / 'photos'} and {here / 'other-photos'}: {len(CLASSES)} classes")


if __name__ == "__main__":
    main()
