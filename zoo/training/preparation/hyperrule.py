"""BiT-HyperRule: fine-tuning settings that follow from the data alone.

Source: Kolesnikov et al. 2020 (arXiv:1912.11370), section 3.3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data import Split
from zoo.data.dataset import Items
from zoo.data.images.decoding import open_image
from zoo.recipe.schema import Recipe
from zoo.training.batch_size import batch_size_of

# As many images say how large all are.
SAMPLE = 100


@dataclass(frozen=True, kw_only=True)
class BySize:
    """A row of the rule, by how many images train.

    Attributes:
        fewer_than: The row is for fewer images than this.
        steps: Optimizer steps of a phase.
        mixup: Beta parameter.
    """

    fewer_than: float
    steps: int
    mixup: float


@dataclass(frozen=True, kw_only=True)
class ByArea:
    """A row of the rule, by how large the images are.

    Attributes:
        below: The row is for images of fewer pixels than this.
        image_size: Side that goes in, in pixels.
        crop: Share of the side that a window may leave out.
    """

    below: float
    image_size: int
    crop: float


BY_SIZE = (
    BySize(fewer_than=20_000, steps=500, mixup=0.0),
    BySize(fewer_than=500_000, steps=10_000, mixup=0.1),
    BySize(fewer_than=math.inf, steps=20_000, mixup=0.1),
)
# In the paper images are resized to 160 or 448 pixels, and a window of 128 or 384 is cut out.
BY_AREA = (
    ByArea(below=96 * 96, image_size=128, crop=1 - 128 / 160),
    ByArea(below=math.inf, image_size=384, crop=1 - 384 / 448),
)


def with_hyperrule(recipe: Recipe, train: Split) -> Recipe:
    """Fills in what `train.hyperrule` decides; a recipe without it is returned as it is.

    With `bit` these come from the number and size of the training images, whatever the recipe says of them:
    `data.image_size`, `augment.crop`, `augment.mixup`, and the epochs of each phase.

    Args:
        recipe: The resolved recipe.
        train: The images that train.
    """
    if recipe.train.hyperrule == "none":
        return recipe
    area = typical_area(train.images)
    by_size = next(row for row in BY_SIZE if len(train) < row.fewer_than)
    by_area = next(row for row in BY_AREA if area < row.below)
    batches_per_epoch = math.ceil(len(train) / batch_size_of(recipe))
    epochs = max(1, round(by_size.steps * recipe.train.accumulate / batches_per_epoch))
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"image_size": by_area.image_size}),
            "augment": recipe.augment.model_copy(update={"crop": by_area.crop, "mixup": by_size.mixup}),
            "phases": tuple(phase.model_copy(update={"epochs": epochs}) for phase in recipe.phases),
        }
    )


def typical_area(images: "np.ndarray | Sequence[Path] | Items") -> float:
    """Returns the median number of pixels of images; of files only headers are looked at, and faulty ones left out.

    Args:
        images: [n, height, width, channels], files, or items that are read one at a time.
    """
    if isinstance(images, np.ndarray):
        return float(images.shape[1] * images.shape[2])
    areas: list[int] = []
    for index in range(0, len(images), max(1, len(images) // SAMPLE)):
        try:
            areas.append(_area(images[index]))
        except Exception:  # whatever is wrong with one; packing reports it
            continue
    return float(np.median(areas)) if areas else math.inf


def _area(image: "Path | Image.Image | np.ndarray") -> int:
    if isinstance(image, Path):
        with open_image(image) as opened:
            return opened.width * opened.height
    if isinstance(image, Image.Image):
        return image.width * image.height
    return int(image.shape[0] * image.shape[1])
