"""Whether training waits for its input.

    python benchmarks/feeding.py throughput --data mnist.npz
    python benchmarks/feeding.py waiting --data photos/ --runs runs/feeding
    python benchmarks/feeding.py alone --peers /somewhere/bin/python

`throughput`: images a second of the same small convnet under the same compile, fed by the toolkit, by NumPy arrays
given to `fit`, and by a shuffled, batched and prefetched `tf.data.Dataset`; in turns, each in a process of its own, the
first epoch left out.

`waiting`: the share of its seconds for which training waits for a batch, for a folder of photos, with a frozen backbone
that runs in every epoch, as metrics.jsonl has it.

`alone`: images a second of each feed while nothing trains: batches of 128 from a mapped file, in turns, each feed in a
process of its own, which lives as long as the measurement. The Python of `--peers` has grain, torch and jax; a feed
that it cannot import is left out with a line.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import click
from reporting import report

NET, BATCH_SIZE = "mnist_striding", 128


def _toolkit(images: Any, labels: Any) -> dict[str, Any]:
    from zoo.data import Batches
    from zoo.training.feeding.streams import StopWatch, training_data

    batches = Batches(images=images, labels=labels, classes=10, batch_size=BATCH_SIZE, seed=0, shuffle=True)
    return {
        "x": training_data(batches, 0, StopWatch(), epochs=1000),
        "steps_per_epoch": batches.batches_per_epoch,
        "shuffle": False,
    }


def _numpy(images: Any, labels: Any) -> dict[str, Any]:
    import keras

    return {"x": images, "y": keras.utils.to_categorical(labels, 10), "batch_size": BATCH_SIZE}


def _tf_data(images: Any, labels: Any) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((images, keras.utils.to_categorical(labels, 10)))
    return {"x": dataset.shuffle(len(images)).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)}


SIDES: dict[str, Callable[[Any, Any], dict[str, Any]]] = {"zoo": _toolkit, "numpy": _numpy, "tf.data": _tf_data}


def _measure(side: str, data: Path, epochs: int) -> list[float]:
    """Returns images a second of each epoch after the first."""
    import keras
    import numpy as np

    import zoo

    class Clock(keras.callbacks.Callback):
        seconds: list[float]

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    with np.load(data) as arrays:
        images, labels = arrays["x_train"][..., None], arrays["y_train"].astype("int64")
    keras.utils.set_random_seed(0)
    model = zoo.build(NET, weights=None)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    clock.seconds = []
    model.fit(**SIDES[side](images, labels), epochs=1 + epochs, verbose=0, callbacks=[clock])
    return [len(images) / seconds for seconds in clock.seconds[1:]]


@click.group()
def main() -> None:
    """Measures what feeding costs."""


EXISTING = click.Path(exists=True, path_type=Path)


@main.command()
@click.option("--data", type=EXISTING, required=True, help="mnist.npz.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--epochs", default=2, show_default=True, help="Of each round, besides the first.")
@click.option("--side", type=click.Choice(list(SIDES)), help="Only this one, in this process.")
def throughput(data: Path, rounds: int, epochs: int, side: str | None) -> None:
    """Images a second, beside NumPy and tf.data."""
    if side is not None:
        click.echo(json.dumps(_measure(side, data, epochs)))
        return
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    for turn in range(rounds):
        for name, speeds in found.items():
            command = [sys.executable, __file__, "throughput", "--data", str(data), "--epochs", str(epochs)]
            done = subprocess.run([*command, "--side", name], check=True, stdout=subprocess.PIPE, text=True)
            speeds += json.loads(done.stdout.splitlines()[-1])
            click.echo(f"round {turn + 1}  {name}: {speeds[-1]:,.0f} images a second", err=True)
    ours = statistics.median(found["zoo"])
    rows = [
        {
            "fed by": name,
            "images a second, median": round(statistics.median(speeds)),
            "share of the toolkit's": round(statistics.median(speeds) / ours, 3),
            "runs": [round(speed) for speed in speeds],
        }
        for name, speeds in found.items()
    ]
    report("feeding_throughput", rows)


@main.command()
@click.option("--data", type=EXISTING, required=True, help="A folder of photos.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where the run goes.")
@click.option("--size", default=128, show_default=True, help="Side of the images, in pixels.")
def waiting(data: Path, runs: Path, size: int) -> None:
    """The share of training that waits for its next batch."""
    settings = ("train.prefix_cache=off", "phases.head.epochs=3", f"data.image_size={size}")
    command = ["finetune", "finetune/linear-probe", "--data", str(data), "--run", str(runs / f"waiting-{size}")]
    for setting in settings:
        command += ["--set", setting]
    program = [sys.executable, "-c", "from zoo.cli import main; main()"]
    subprocess.run([*program, *command, "--resume"], check=True, stdout=subprocess.DEVNULL)
    metrics = (runs / f"waiting-{size}" / "metrics.jsonl").read_text(encoding="utf-8")
    epochs = [json.loads(line) for line in metrics.splitlines()][1:]
    spent, waited = (sum(epoch[key] for epoch in epochs) for key in ("seconds", "data_wait_seconds"))
    rows = [
        {
            "photos": data.name,
            "side": size,
            "seconds an epoch": round(spent / len(epochs), 1),
            "of them waiting for batches": round(waited / len(epochs), 3),
            "share": f"{waited / spent:.2%}",
        }
    ]
    report("feeding_waiting", rows)


# Each with the backend of Keras that it needs; those without one know no Keras.
FEEDS = {"zoo-jax": "jax", "zoo-tensorflow": "tensorflow", "pydataset-jax": "jax", "grain": "", "torch": ""}


@contextlib.contextmanager
def _child(name: str, folder: Path, peers: Path) -> Generator[Callable[[int], float] | None]:
    """Starts a feed in a process of its own; gives what measures it for a side of images, None where it is left out."""
    backend = FEEDS[name]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **({"KERAS_BACKEND": backend} if backend else {})}
    command = [sys.executable if backend else str(peers), str(Path(__file__).parent / "feeding_sides" / "side.py")]
    child = subprocess.Popen(
        [*command, name, str(folder)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(side: int) -> float:
        print(side, file=child.stdin, flush=True)
        return float(child.stdout.readline())

    with child:
        said = child.stdout.readline().strip()
        if said != "ready":
            click.echo(f"{name}: {said}", err=True)
        yield ask if said == "ready" else None


@main.command()
@click.option("--rounds", default=9, show_default=True)
@click.option("--megabytes", default=300, show_default=True, help="Of each file of images.")
@click.option("--peers", type=EXISTING, default=Path(sys.executable), help="A Python that has grain, torch and jax.")
def alone(rounds: int, megabytes: int, peers: Path) -> None:
    """Images a second of each feed while nothing trains."""
    import numpy as np

    sides = (64, 224)
    found: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        for side in sides:
            shape = (megabytes * 1_000_000 // (side * side * 3), side, side, 3)
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            np.save(Path(temporary) / f"{side}.npy", images)
        children = {name: stack.enter_context(_child(name, Path(temporary), peers)) for name in FEEDS}
        for _ in range(rounds):
            for side in sides:
                for name, ask in children.items():
                    if ask is not None:
                        found.setdefault((side, name), []).append(ask(side))
    medians = {key: statistics.median(speeds) for key, speeds in found.items()}
    rows = [
        {
            "side": side,
            "fed by": name,
            "images a second, median": round(medians[side, name]),
            "lowest": round(min(found[side, name])),
            "highest": round(max(found[side, name])),
            "MB a second": round(medians[side, name] * side * side * 3 / 1_000_000),
            "of TensorFlow's": round(medians[side, name] / medians[side, "zoo-tensorflow"], 3),
            "runs": [round(speed) for speed in found[side, name]],
        }
        for side, name in sorted(found, key=lambda key: (key[0], -medians[key]))
    ]
    report("feeding_alone", rows)


if __name__ == "__main__":
    main()
