"""Ultralytics: its trainer of classifiers, with timm's backbone in the place of its own and its own head above.

docs.ultralytics.com/tasks/classify, and guides/custom-trainer for a model of one's own: its YOLO weights come from a
hub. It trains all layers by default; a probe is its `freeze`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
from command import BACKBONE, BATCH, SIZE, Task, carry_out
from ultralytics import YOLO
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.nn.tasks import ClassificationModel
from ultralytics_block import TimmFeatures

CHANNELS = 1280
LAYOUT = {
    # Any net of torchvision's: another takes its place.
    "backbone": [[-1, 1, "TorchVision", [CHANNELS, "mobilenet_v2", None, True, 2, False]]],
    "head": [[-1, 1, "Classify", ["nc"]]],
}


def train(task: Task) -> None:
    """Trains as Ultralytics does, for so many epochs."""

    class Trainer(ClassificationTrainer):
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> ClassificationModel:
            model = ClassificationModel({**LAYOUT, "nc": self.data["nc"]}, ch=3, nc=self.data["nc"], verbose=verbose)
            file = {"file": str(task.weights / "timm" / "model.pth")}
            net = timm.create_model(BACKBONE, pretrained=True, pretrained_cfg_overlay=file, num_classes=0)
            model.model[0].m = TimmFeatures(net)
            return model

    photos = task.out / "photos"
    photos.mkdir()
    for theirs, ours in {"train": "train", "val": "validation", "test": "test"}.items():
        (photos / theirs).symlink_to((task.photos / ours).absolute())
    settings: dict[str, Any] = {
        "model": "yolo26n-cls.yaml",
        "data": str(photos),
        "epochs": sum(task.epochs),
        "imgsz": SIZE,
        "batch": BATCH,
        "seed": task.seed,
        "device": "cpu",
        "project": str(task.out.absolute()),
        "name": "run",
        "plots": False,
        **({"freeze": 1} if task.way == "probe" else {}),
    }
    Trainer(overrides=settings).train()


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo."""
    model = YOLO(out / "run" / "weights" / "best.pt")
    found = (model.predict(str(file), imgsz=SIZE, verbose=False)[0] for file in files)
    return [result.names[result.probs.top1] for result in found]


if __name__ == "__main__":
    carry_out(train, predict)
