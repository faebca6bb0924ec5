"""Runs on two virtual CPUs and on one, in a process of its own: TensorFlow makes devices before it computes.

`ZOO_VIRTUAL_CPUS=2 python -m tests.distribution.two_cpus FOLDER` leaves what it came to in FOLDER/found.json.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from tests.tiny import CLASSES, phase, pixels, recipe, untimed, write_npz
from tests.training.test_resume_inside_an_epoch import AtOnce, LeaveAt
from zoo.backend.distribution import mirrored
from zoo.backend.distribution.copies import copies
from zoo.data import Batches
from zoo.jobs.finetuning import carry_out
from zoo.jobs.resuming import Request, decide
from zoo.runs import checkpoint_writer
from zoo.training.callbacks import save_interval
from zoo.training.feeding.streams import StopWatch, training_data

# 43 images in batches of 7: parts of 4 and 3, and a last batch of one image.
IMAGES, BATCH = 43, 7
STILL = {"model.dropout": 0}


def still(*phases: Any, **train: Any) -> Any:
    """A recipe in which nothing is drawn."""
    return recipe(*phases, model="mnist_conv", train={"batch_size": BATCH, "deterministic": True, **train})


PLAIN = still(phase("all", "all", epochs=8, optimizer="sgd", learning_rate=0.05, batchnorm="frozen"))
RICH = still(
    phase("head", "head", optimizer="adamw", learning_rate=0.003, batchnorm="frozen", weight_decay=0.01),
    # Not by Adam, which makes steps of gradients that are rounding alone: it parts any two roundings within 50 steps.
    phase("all", "all", epochs=6, optimizer="sgd", learning_rate=0.02, batchnorm="frozen", layer_decay=0.7),
    accumulate=2,
    clip_norm=0.2,
    ema=0.8,
    label_smoothing=0.1,
)
# All that draws, and BatchNorm that trains; steps reach over the ends of epochs.
DRAWN = recipe(
    phase("head", "head"),
    phase("all", "all", optimizer="sgd", learning_rate=0.05),
    model="mnist_conv",
    train={"batch_size": BATCH, "ema": 0.9, "accumulate": 3, "clip_norm": 1.0, "deterministic": True},
    augment={"rotation": 10.0, "zoom": 0.1, "mixup": 0.2, "erasing": 0.3},
)


class Losses(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def trained(devices: int, what: Any, data: Path, run: Path, **options: Any) -> dict[str, Any]:
    losses = Losses()
    others = options.pop("others", ())
    decided = decide(Request(recipe=what, data=data, run=run, **options))
    done = carry_out(decided, [losses, *others], devices=devices, verbose=0)
    return {
        "run": str(done.path),
        "losses": losses.losses,
        "history": untimed(done.history),
        "metrics": dict(done.metrics),
        "placement": done.record.get("placement"),
        "claim": done.record["exactness"]["claim"],
    }


def left(devices: int, what: Any, data: Path, run: Path, moment: str, count: int, **options: Any) -> None:
    try:
        trained(devices, what, data, run, others=[LeaveAt(moment, count)], **options)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not left")


def trainings(folder: Path) -> dict[str, Any]:
    data = write_npz(folder / "images.npz", count=IMAGES, val=13)
    found: dict[str, Any] = {}
    for name, what, changes in (("plain", PLAIN, STILL), ("rich", RICH, STILL), ("drawn", DRAWN, None)):
        for devices in (1, 2) if changes else (2,):
            found[f"{name} {devices}"] = trained(devices, what, data, folder / f"{name}-{devices}", overrides=changes)
    for first, second in ((2, 1), (1, 2)):
        name = f"{first} to {second}"
        left(first, PLAIN, data, folder / name, "on_epoch_end", 3, overrides=STILL)
        found[name] = trained(second, None, data, folder / name, resume=True)
    # Saves after each batch.
    save_interval.SHORTEST = save_interval.LONGEST = 0.0
    checkpoint_writer.ThreadPoolExecutor = AtOnce
    for what, moment in ((DRAWN, "on_train_batch_end"), (None, "on_test_batch_end")):
        left(2, what, data, folder / "left", moment, 3, resume=True)
    found["left"] = trained(2, None, data, folder / "left", resume=True)
    return found


def shown(both: mirrored.Mirrored) -> list[list[int]]:
    """Which images, by number, each of two epochs showed on both devices together, in order."""
    images = np.arange(IMAGES, dtype=np.uint8).reshape(-1, 1, 1, 1)
    labels = pixels(IMAGES)[1]
    batches = Batches(images=images, labels=labels, classes=len(CLASSES), batch_size=BATCH, seed=0, shuffle=True)
    numbers: list[int] = []
    with mirrored.training_on(both):
        for images, _, shares in training_data(batches, 0, StopWatch(), epochs=2):
            for part, share in zip(images.values, shares.values, strict=True):
                numbers += [int(number) for number in part.numpy().ravel()[share.numpy() > 0]]
    return [numbers[:IMAGES], numbers[IMAGES:]]


def draws(both: mirrored.Mirrored) -> list[list[list[int]]]:
    """The state of a seed generator on both devices: as it was made, drawn apart, and drawn apart once more."""
    with both.scope():
        generator = keras.random.SeedGenerator(7)
    found: list[list[list[int]]] = []
    for step in range(3):
        if step:
            mirrored.draw_apart([generator.state])
        found.append([[int(word) for word in copy.numpy()] for copy in copies(generator.state)])
    return found


def called(data: Path, run: Path) -> Any:
    """What run.json says of where a call of `zoo.finetune` computed."""
    one = {"phases.all.epochs": 1, **STILL}
    return zoo.finetune(PLAIN, data, one, run=run, devices=2, verbose=0).record.get("placement")


def refused(begin: Callable[[], object]) -> str:
    try:
        begin()
    except zoo.ZooError as fault:
        return str(fault)
    return ""


def main(folder: Path) -> None:
    both = mirrored.Mirrored(mirrored.chosen_devices(2))
    found: dict[str, Any] = {"draws": draws(both), "shown": shown(both)}
    found["three"] = refused(lambda: mirrored.chosen_devices(3))
    for name, change in (
        ("xla", {"train.xla": "on", "train.deterministic": False}),
        ("small", {"train.batch_size": 1}),
    ):
        data = write_npz(folder / f"{name}.npz", count=8)
        found[name] = refused(partial(trained, 2, PLAIN, data, folder / name, overrides=change))
    found |= trainings(folder)
    found["called"] = called(folder / "images.npz", folder / "called")
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
