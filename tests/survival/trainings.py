"""The trainings that are killed: small enough for seconds, and together with all that a run keeps state of.

None can hold everything, since what mixes images draws them anew in each epoch, and a prefix is cached only where each
image is the same again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tiny import CLASSES, pixels
from zoo.recipe.schema import Recipe

_PHASES = (
    {"name": "head", "train": "head", "epochs": 4, "learning_rate": 3e-3, "batchnorm": "frozen"},
    {"name": "all", "train": "all", "epochs": 8, "learning_rate": 2e-3, "weight_decay": 1e-3, "warmup": 0.2},
)
_CHANGES = {"flip": "horizontal", "erasing": 0.3, "color": 0.2}
BATCHES_OF_A_STEP = 2
# Of 400 images, a quarter of which validates, by 8.
BATCHES_OF_AN_EPOCH = 38
_TRAIN = {"batch_size": 8, "ema": 0.9, "accumulate": BATCHES_OF_A_STEP, "clip_norm": 1.0}


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recipe, beside what all have: two phases, dropout, shuffling, a moving average, accumulated gradients.

    Attributes:
        name: The recipe's.
        sections: What it says.
        why: What it holds that others do not.
    """

    name: str
    sections: Mapping[str, Mapping[str, Any]]
    why: str

    def write(self, folder: Path) -> Path:
        """Writes the recipe's file."""
        recipe = Recipe.model_validate(
            {
                "name": self.name,
                "model": {"name": "mnist_striding_batchnorm", "weights": "none", "dropout": 0.2},
                "phases": [dict(phase) for phase in _PHASES],
                **self.sections,
                "data": {"validation": 0.25},
                "train": {**_TRAIN, **self.sections.get("train", {})},
            }
        )
        path = folder / f"{self.name}.toml"
        path.write_text(recipe.to_toml(), encoding="utf-8")
        return path


TRAININGS = {
    training.name: training
    for training in (
        Training(name="mixed", sections={"augment": {**_CHANGES, "mixup": 0.2}}, why="mixes and changes images"),
        Training(
            name="cached",
            sections={"augment": {**_CHANGES, "views": 2}},
            why="runs the frozen prefix of its first phase once, on two views of each image",
        ),
        Training(
            name="half",
            sections={
                "augment": {"flip": "horizontal", "cutmix": 1.0},
                "train": {"precision": "mixed_float16", "early_stopping": 1},
                "checkpoint": {"monitor": "val_loss"},
            },
            why="scales its loss, and ends phases early",
        ),
    )
}


def write_images(folder: Path, *, count: int = 400, side: int = 96) -> Path:
    """Writes a folder of PNG files per class, larger than what is trained on: packing them takes a while."""
    small, labels = pixels(count, classes=len(CLASSES))
    noise = np.random.default_rng(1)
    for number, (image, label) in enumerate(zip(small, labels, strict=True)):
        path = folder / CLASSES[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        large = np.asarray(Image.fromarray(image).resize((side, side)), np.int64)
        Image.fromarray(np.clip(large + noise.integers(-20, 20, large.shape), 0, 255).astype(np.uint8)).save(path)
    return folder
