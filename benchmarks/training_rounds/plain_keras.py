"""A worker that trains the toolkit's model by plain Keras, `compile` and `fit`: an epoch a round."""

import json
import sys
import time
from typing import Any

from driver import Driver


def main(spec: dict[str, Any]) -> None:
    """Trains as many epochs as rounds after a first one, and tells the seconds between an epoch's begin and end."""
    driver = Driver()
    import keras
    import numpy as np

    import zoo
    from zoo.models.counting import count_madds

    class EpochGate(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)
            driver.answer(epoch=epoch)
            if epoch < spec["rounds"]:
                driver.wait()

    with np.load(spec["images"]) as arrays:
        images, labels = arrays["x"], arrays["y"]
    model = zoo.build(
        spec["net"], weights=None, classes=spec["classes"], input_shape=(spec["size"], spec["size"], spec["channels"])
    )
    optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    model.compile(optimizers[spec["optimizer"]](spec["rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    gate = EpochGate()
    model.fit(images, labels, batch_size=spec["batch"], epochs=spec["rounds"] + 1, verbose=0, callbacks=[gate])
    driver.answer(
        seconds=gate.seconds[1:],
        parameters=sum(int(np.prod(one.shape)) for one in model.trainable_variables),
        multiply_adds=count_madds(model),
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
