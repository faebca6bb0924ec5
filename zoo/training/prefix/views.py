"""Fixed views: augmented images that stay the same from epoch to epoch, so that a frozen prefix sees each only once."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.data import Pixels
from zoo.data.augmentation.building import augmentation_layers, restore_seeds, seed_augmentation, seeds_of
from zoo.recipe.schema import AugmentSection
from zoo.registry.augmentations import AUGMENTATIONS, NONE, AugmentationRow
from zoo.system.files import sha256

AT_ONCE = 128
MIRRORED_AXIS = {"horizontal": 2, "vertical": 1}


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some images of a view.

    Attributes:
        start: Which image is the first.
        pixels: [n, height, width, channels] in [0, 255].
        seeds: The state of each layer's generator before these were drawn.
    """

    start: int
    pixels: np.ndarray
    seeds: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to see all images.

    Attributes:
        augment: What is done to them.
        seed: Of the run.
        number: Which of the recipe's views; what is drawn depends on it.
        mirrored: Whether the images are as they are (False) or all mirrored (True); None where it is drawn for each.
    """

    augment: AugmentSection
    seed: int
    number: int
    mirrored: bool | None = None

    def described(self) -> dict[str, Any]:
        """Returns all that decides what the view shows."""
        return {
            # Without what came later and is not set: what was computed before it is known by its key still.
            "augment": self.augment.model_dump(exclude={"views"} if self.augment.layers else {"views", "layers"}),
            "seed": None if self.mirrored is not None else self.seed,
            "number": self.number,
            "mirrored": self.mirrored,
            # What is drawn for an image depends on which are drawn for with it.
            "at_once": AT_ONCE,
            **_plug_ins(self.augment),
        }

    def chunks(
        self, images: Pixels, *, first: int = 0, seeds: Sequence[Sequence[int]] | None = None
    ) -> Iterator[Chunk]:
        """Yields the view of images, some at a time.

        Args:
            images: uint8[n, height, width, channels] in [0, 255].
            first: The image that the first chunk begins with, a multiple of `AT_ONCE`; those before are not drawn.
            seeds: Of that chunk; None where it is the first one of all.
        """
        layers = augmentation_layers(self.augment, channels=images.shape[-1]) if self.mirrored is None else []
        apply: Any = keras.Sequential(layers) if layers else None
        seed_augmentation(layers, seed=self.seed, epoch=self.number)
        if seeds is not None:
            restore_seeds(layers, seeds)
        for start in range(first, len(images), AT_ONCE):
            chunk = images[start : start + AT_ONCE]
            before = seeds_of(layers)
            if self.mirrored:
                yield Chunk(start=start, pixels=np.flip(chunk, MIRRORED_AXIS[self.augment.flip]))
            elif apply is None:
                yield Chunk(start=start, pixels=chunk)
            else:
                drawn = np.asarray(apply(chunk.astype("float32"), training=True))
                yield Chunk(start=start, pixels=drawn, seeds=before)


def _plug_ins(augment: AugmentSection) -> dict[str, Any]:
    """Returns the code of each plug-in's row that an augmentation uses; nothing where all rows are our own."""
    names = [name for name in (augment.policy, *augment.layers) if name != NONE]
    rows = [row for row in map(AUGMENTATIONS.lookup, names) if not row.is_shipped]
    return {"plug_ins": {row.name: _code_of(row) for row in rows}} if rows else {}


def _code_of(row: AugmentationRow) -> list[str]:
    """Returns what changes with a row's code: the hashes of its package's files, or of its module outside a package.

    Of code that is in no file, as in a notebook, the process and the builder are named: another process computes anew.
    """
    file = getattr(sys.modules.get(row.module.partition(".")[0]), "__file__", None)
    if file is None:
        return [f"{os.getpid()}-{id(row.build)}"]
    path = Path(file)
    return [sha256(each) for each in (sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path])]


def fixed_views(augment: AugmentSection, *, seed: int) -> list[View]:
    """Lists the views that a recipe asks for; none where it draws its images anew in each epoch.

    Two views of images that are only flipped along one axis are the image and its mirror image: each epoch then draws
    from the very distribution that the flip has.
    """
    if not augment.changes_images:
        return []
    only_flipped = augment.flip in MIRRORED_AXIS and not augment.model_copy(update={"flip": "none"}).changes_images
    is_exact = only_flipped and augment.views == 2
    return [
        View(augment=augment, seed=seed, number=number, mirrored=bool(number) if is_exact else None)
        for number in range(augment.views)
    ]
