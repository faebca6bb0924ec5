"""A net of the zoo by plain Keras, from random weights: `compile("adam")`, and `fit` in batches of 128."""

import keras
import numpy as np
from stopwatch import Stopwatch, answer, task

import zoo


def main() -> None:
    """Trains until the target is reached."""
    asked = task()
    watch = Stopwatch(asked["target"])
    keras.utils.set_random_seed(asked["seed"])
    with np.load(asked["data"]) as arrays:
        train = arrays["x_train"][..., None], arrays["y_train"]
        test = arrays["x_test"][..., None], arrays["y_test"]
    model = zoo.build(asked["net"], weights=None)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(asked["epochs"]):
        watch.start()
        model.fit(*train, batch_size=128, verbose=0)
        watch.stop()
        if watch.reached(model.evaluate(*test, batch_size=1000, verbose=0)[1]):
            break
    answer(asked, watch)


if __name__ == "__main__":
    main()
