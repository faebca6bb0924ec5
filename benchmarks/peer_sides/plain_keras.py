"""Plain Keras, as its guide to transfer learning has it (keras.io/guides/transfer_learning).

The backbone is the toolkit's, saved as a model of Keras'; it stays in inference mode, as the guide says. Photos are
flipped and rotated at random, as in the guide. All layers: the same from the first epoch, at the rate of finetune/full.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import keras
from command import BATCH, RATE_OF_ALL, SIZE, Task, carry_out

LOSS = "sparse_categorical_crossentropy"


def train(task: Task) -> None:
    """Trains a head on the frozen backbone, then, for other ways than a probe, all."""
    keras.utils.set_random_seed(task.seed)
    training, validation = (
        keras.utils.image_dataset_from_directory(
            task.photos / split,
            image_size=(SIZE, SIZE),
            batch_size=BATCH,
            shuffle=split == "train",
            seed=task.seed,
            crop_to_aspect_ratio=True,
        )
        for split in ("train", "validation")
    )
    augmentation = keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)])
    training = training.map(lambda photos, labels: (augmentation(photos, training=True), labels)).prefetch(2)
    base = keras.models.load_model(task.weights / "keras" / "backbone.keras")
    base.trainable = task.way == "all"
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Dropout(0.2)(base(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(len(task.classes), activation="softmax")(x))
    model.compile(keras.optimizers.Adam(RATE_OF_ALL if task.way == "all" else 1e-3), LOSS, metrics=["accuracy"])
    model.fit(training, epochs=task.epochs[0], validation_data=validation, verbose=2)
    if len(task.epochs) > 1:
        base.trainable = True
        model.compile(keras.optimizers.Adam(1e-5), LOSS, metrics=["accuracy"])
        model.fit(training, epochs=task.epochs[1], validation_data=validation, verbose=2)
    model.save(task.out / "model.keras")
    (task.out / "classes.json").write_text(json.dumps(task.classes), encoding="utf-8")


def predict(out: Path, files: list[Path]) -> Iterable[str]:
    """Returns the label of each photo."""
    model = keras.models.load_model(out / "model.keras")
    classes = json.loads((out / "classes.json").read_text(encoding="utf-8"))
    photos = keras.utils.image_dataset_from_directory(
        files[0].parents[1],
        labels=None,
        image_size=(SIZE, SIZE),
        batch_size=BATCH,
        shuffle=False,
        crop_to_aspect_ratio=True,
    )
    by_file = {
        Path(path): classes[called]
        for path, called in zip(photos.file_paths, model.predict(photos, verbose=0).argmax(axis=1), strict=True)
    }
    return [by_file[file] for file in files]


if __name__ == "__main__":
    carry_out(train, predict)
