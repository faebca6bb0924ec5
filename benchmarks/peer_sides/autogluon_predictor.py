"""AutoGluon: `MultiModalPredictor` on a table of photos, its image model timm's net from a local folder.

auto.gluon.ai/stable/tutorials/multimodal/image_prediction. It trains all layers, lower ones at lower rates, by default;
its documentation has no linear probe.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas
from autogluon.multimodal import MultiModalPredictor
from command import BATCH, Task, carry_out, photos_in


def train(task: Task) -> None:
    """Trains as AutoGluon does, for so many epochs."""
    training, validation = (
        pandas.DataFrame({"image": [str(file) for file in files], "label": [file.parent.name for file in files]})
        for files in (photos_in(task.photos / split) for split in ("train", "validation"))
    )
    MultiModalPredictor(label="label", path=str(task.out / "predictor")).fit(
        training,
        tuning_data=validation,
        seed=task.seed,
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": str(task.weights / "timm"),
            "optim.max_epochs": sum(task.epochs),
            "env.batch_size": BATCH,
            "env.per_gpu_batch_size": BATCH,
            "env.precision": 32,
        },
    )


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo."""
    predictor = MultiModalPredictor.load(str(out / "predictor"))
    return predictor.predict(pandas.DataFrame({"image": [str(file) for file in files]}), as_pandas=False)


if __name__ == "__main__":
    carry_out(train, predict)
