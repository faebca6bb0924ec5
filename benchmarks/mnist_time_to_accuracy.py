"""How long two CPU cores train until 99 % of MNIST's test images are right.

    pip install '.[bench]'
    python benchmarks/mnist_time_to_accuracy.py --data mnist.npz --rounds 3

Side by side, in turns, each in a process of its own:

    recipe        `pretrain/mnist_conv` as it is, whose schedule is made for its last epoch
    short recipe  the same with `phases.all.epochs=2`
    keras         the same net, weights at random, `compile("adam")` and `fit` at Keras' defaults with batches of 128
    pytorch       the net and the training of PyTorch's MNIST example (github.com/pytorch/examples, mnist/main.py): two
                  convolutions, dropout, 1.2 million parameters, Adadelta at 1.0 times 0.7 an epoch, batches of 64;
                  its images lie in memory as tensors, which is faster than the example's loader

The clock runs while a contestant trains, compilation included, and stands while it is measured on the test images,
which is after each epoch. Who has not reached the target after its epochs has no time.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from reporting import report

MOST_EPOCHS = 14  # as many as PyTorch's example trains


class Stopwatch:
    """Adds up the time between `start` and `stop`, and notes each measurement."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.seconds = 0.0
        self.measured: list[dict[str, float]] = []
        self._began = 0.0

    def start(self) -> None:
        """Training begins."""
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Training pauses."""
        self.seconds += time.perf_counter() - self._began

    def reached(self, accuracy: float) -> bool:
        """Notes an epoch's accuracy and says whether it is enough."""
        self.measured.append({"seconds": round(self.seconds, 2), "accuracy": accuracy})
        return accuracy >= self.target


class TargetReachedError(Exception):
    """The target is reached: there is nothing more to train for."""


def _recipe(data: Path, watch: Stopwatch, seed: int, *settings: str) -> None:
    import keras

    import zoo

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            watch.start()

        def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
            watch.stop()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if watch.reached((logs or {})["val_accuracy"]):
                raise TargetReachedError

    with tempfile.TemporaryDirectory() as folder:
        overrides = ["data.validation=test", f"train.seed={seed}", *settings]
        try:
            zoo.finetune(
                "pretrain/mnist_conv",
                data=data,
                overrides=overrides,
                run=Path(folder) / "run",
                callbacks=[Clock()],
            )
        except TargetReachedError:
            return


def _short_recipe(data: Path, watch: Stopwatch, seed: int) -> None:
    _recipe(data, watch, seed, "phases.all.epochs=2")


def _keras(data: Path, watch: Stopwatch, seed: int) -> None:
    import keras
    import numpy as np

    import zoo

    keras.utils.set_random_seed(seed)
    with np.load(data) as arrays:
        train = arrays["x_train"][..., None], arrays["y_train"]
        test = arrays["x_test"][..., None], arrays["y_test"]
    model = zoo.build("mnist_conv", weights=None)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(MOST_EPOCHS):
        watch.start()
        model.fit(*train, batch_size=128, verbose=0)
        watch.stop()
        if watch.reached(model.evaluate(*test, batch_size=1000, verbose=0)[1]):
            return


def _pytorch(data: Path, watch: Stopwatch, seed: int) -> None:
    import numpy as np
    import torch
    from torch import nn

    torch.manual_seed(seed)
    with np.load(data) as arrays:
        images, labels, test_images, test_labels = (
            torch.from_numpy(arrays[name]) for name in ("x_train", "y_train", "x_test", "y_test")
        )

    def normalised(pixels: torch.Tensor) -> torch.Tensor:
        return ((pixels.float() / 255 - 0.1307) / 0.3081)[:, None]

    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10), nn.LogSoftmax(dim=1)),
    )
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(MOST_EPOCHS):
        watch.start()
        model.train()
        for chosen in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(normalised(images[chosen])), labels[chosen].long()).backward()
            optimizer.step()
        schedule.step()
        watch.stop()
        model.eval()
        with torch.no_grad():
            called = torch.cat([model(normalised(some)).argmax(dim=1) for some in test_images.split(1000)])
        if watch.reached(float((called == test_labels).float().mean())):
            return


CONTESTANTS: dict[str, Callable[[Path, Stopwatch, int], None]] = {
    "recipe": _recipe,
    "short recipe": _short_recipe,
    "keras": _keras,
    "pytorch": _pytorch,
}


def _run_in_child(contestant: str, data: Path, target: float, seed: int) -> list[dict[str, float]]:
    command = [sys.executable, __file__, "--data", str(data), "--target", str(target)]
    done = subprocess.run(
        [*command, "--contestant", contestant, "--seed", str(seed)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="mnist.npz.")
@click.option("--target", default=0.99, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--contestant", type=click.Choice(list(CONTESTANTS)), help="Only this one, in this process.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, target: float, rounds: int, contestant: str | None, seed: int) -> None:
    """Times each contestant in turns and prints the medians."""
    if contestant is not None:
        watch = Stopwatch(target)
        CONTESTANTS[contestant](data, watch, seed)
        click.echo(json.dumps(watch.measured))
        return
    runs: dict[str, list[list[dict[str, float]]]] = {name: [] for name in CONTESTANTS}
    for turn in range(rounds):
        for name, found in runs.items():
            found.append(_run_in_child(name, data, target, turn))
            click.echo(f"round {turn + 1}  {name}: {found[-1]}", err=True)
    report("mnist_time_to_accuracy", rows_of(runs, target))


def rows_of(runs: dict[str, list[list[dict[str, float]]]], target: float) -> list[dict[str, Any]]:
    """Sums up each contestant's runs, beside the first contestant's."""
    rows = [_row(name, found, target) for name, found in runs.items()]
    ours = rows[0]["median seconds"]
    for row in rows:
        seconds = row["median seconds"]
        row["times the recipe"] = round(seconds / ours, 2) if seconds and ours else None
    return rows


def _row(name: str, runs: list[list[dict[str, float]]], target: float) -> dict[str, Any]:
    reached = [run for run in runs if run[-1]["accuracy"] >= target]
    return {
        "contestant": name,
        "median seconds": round(statistics.median(run[-1]["seconds"] for run in reached), 1) if reached else None,
        "median epochs": statistics.median(len(run) for run in reached) if reached else None,
        "reached": f"{len(reached)} of {len(runs)}",
        "runs": runs,
    }


if __name__ == "__main__":
    main()
