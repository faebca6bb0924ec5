"""A worker that trains by `zoo.finetune`: an epoch a round."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from driver import Driver


def main(spec: dict[str, Any]) -> None:
    """Trains as many epochs as rounds after a first one, and tells the seconds that metrics.jsonl has of them."""
    driver = Driver()
    import keras
    import numpy as np

    import zoo
    from zoo.models.counting import count_madds
    from zoo.recipe.schema import Recipe

    class EpochGate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            # The epoch's seconds are counted already.
            driver.answer(epoch=epoch)
            if epoch < spec["rounds"]:
                driver.wait()

    recipe = Recipe.model_validate(
        {
            "name": "full-training",
            "model": {"name": spec["net"], "weights": "none"},
            "data": {"image_size": spec["size"], "validation": 0},
            "train": {"batch_size": spec["batch"], "precision": "float32"},
            "checkpoint": {"every": "1000000 steps"},
            "phases": [
                {
                    "name": "all",
                    "train": "all",
                    "epochs": spec["rounds"] + 1,
                    "optimizer": spec["optimizer"],
                    "learning_rate": spec["rate"],
                    "schedule": "constant",
                    "batchnorm": "train",
                }
            ],
        }
    )
    with np.load(spec["images"]) as arrays:
        data: Any = (arrays["x"], arrays["y"])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        run = zoo.finetune(recipe, data, run=Path(folder) / "run", callbacks=[EpochGate()], verbose=0)
        driver.answer(
            seconds=[row["seconds"] for row in run.history[1:]],
            parameters=sum(int(np.prod(one.shape)) for one in run.model.trainable_variables),
            multiply_adds=count_madds(run.model),
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
