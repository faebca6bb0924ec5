"""LightlyTrain: `train_image_classification` of timm's net, as its documentation has it, but in float32.

docs.lightly.ai/train/stable/image_classification.html. It counts steps for epochs. It trains all layers by default; a
probe is its `backbone_freeze`.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import lightly_train
from command import BACKBONE, BATCH, Task, carry_out, photos_in


def train(task: Task) -> None:
    """Trains as LightlyTrain does, for so many epochs."""
    steps = sum(task.epochs) * math.ceil(len(photos_in(task.photos / "train")) / BATCH)
    lightly_train.train_image_classification(
        out=task.out / "lightly",
        model=f"timm/{BACKBONE}",
        data={
            "train": str(task.photos / "train"),
            "val": str(task.photos / "validation"),
            "classes": dict(enumerate(task.classes)),
        },
        steps=steps,
        batch_size=BATCH,
        seed=task.seed,
        precision="32-true",
        accelerator="cpu",
        model_args={
            "backbone_weights": str(task.weights / "timm" / "pytorch_model.bin"),
            "backbone_freeze": task.way == "probe",
        },
    )


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo."""
    model = lightly_train.load_model(out / "lightly" / "exported_models" / "exported_last.pt")
    return [model.classes[int(model.predict(str(file))["labels"][0])] for file in files]


if __name__ == "__main__":
    carry_out(train, predict)
