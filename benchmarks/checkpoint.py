"""What saving costs while a model trains.

    pip install '.[bench]'
    python benchmarks/checkpoint.py --rounds 5

All of a network trains with AdamW on random pixels, in batches of 32. Blocks of batches alternate in one process, on
one compiled model, each with one save, after its second batch, so that what goes on in the background falls into it:

    none              no save
    zoo               zoo's own saver: numbers are copied between two batches, a thread hashes and writes them
    ModelCheckpoint   Keras' own: weights and optimizer as one .keras file
    BackupAndRestore  Keras' own: weights and optimizer as HDF5, and where training was
    OrbaxCheckpoint   Keras' own, which writes in the background by Orbax; only where orbax-checkpoint is installed

zoo's files are synced to the disk, and have a SHA-256; Keras' own are left to the system's cache. On a machine that
does other things too the processor's seconds tell more than those on the clock: a thread's own for what blocks
training, the process's for a whole block less those of a block without a save.

The shares are of the time with a save as often as the recipe's default makes zoo save here.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from reporting import report

NETS = ("efficientnet_lite0", "resnet50")
BATCH_SIZE, CLASSES = 32, 10


@dataclass
class Block:
    """What a block of batches took.

    Attributes:
        wall: Seconds.
        processor: Seconds of all threads.
        blocked: Seconds for which training waited for the callback.
        blocked_processor: Those that its own thread computed then.
        bytes: Written.
    """

    wall: float
    processor: float
    blocked: float = 0.0
    blocked_processor: float = 0.0
    bytes: int = 0


@dataclass
class Bench:
    """A compiled model, and pixels for a block of batches."""

    model: Any
    pixels: Any
    labels: Any
    batches: int
    folder: Path
    kept: list[Any] = field(default_factory=list)

    def block(self, make: Callable[[Path], Any] | None) -> Block:
        """Trains a block with the callback of a side."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            timed = _timed(make(Path(name))) if make else None
            wall, processor = time.perf_counter(), time.process_time()
            self.model.fit(
                self.pixels,
                self.labels,
                batch_size=BATCH_SIZE,
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=[timed] if timed else [],
            )
            if timed:
                timed.end()
            found = Block(time.perf_counter() - wall, time.process_time() - processor)
            if timed:
                found.blocked, found.blocked_processor = timed.seconds, timed.processor
                found.bytes = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
        return found


def _timed(callback: Any) -> Any:
    """Wraps a callback so that the time in its hooks after batches is counted."""
    import keras

    class Timed(keras.callbacks.Callback):
        seconds = processor = 0.0

        def set_model(self, model: Any) -> None:
            super().set_model(model)
            callback.set_model(model)

        def set_params(self, params: Any) -> None:
            super().set_params(params)
            callback.set_params(params)

        def on_train_begin(self, logs: Any = None) -> None:
            callback.on_train_begin(logs)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            callback.on_epoch_begin(epoch, logs)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            callback.on_train_batch_begin(batch, logs)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            began, own = time.perf_counter(), time.thread_time()
            callback.on_train_batch_end(batch, logs)
            self.seconds += time.perf_counter() - began
            self.processor += time.thread_time() - own

        def end(self) -> None:
            """Waits for what is written in the background."""
            getattr(callback, "wait", lambda: None)()

    return Timed()


def _zoo(model: Any, batches: int, costs: list[float]) -> Callable[[Path], Any]:
    from zoo.recipe.schema import Recipe
    from zoo.runs.checkpoint_writer import CheckpointWriter, SaveErrors
    from zoo.runs.folder import RunFolder
    from zoo.runs.progress import Progress
    from zoo.training.callbacks.checkpoint_saver import CheckpointSaver
    from zoo.training.callbacks.counting import PhaseCounts
    from zoo.training.callbacks.early_stopping import EarlyStopping
    from zoo.training.callbacks.metrics_writer import FirstLosses, MetricsWriter
    from zoo.training.callbacks.validation_average import AverageForValidation
    from zoo.training.feeding.streams import StopWatch
    from zoo.training.of_all_phases import Training

    phase = {"name": "all", "train": "all"}
    recipe = Recipe.model_validate(
        {"name": "bench", "model": {"name": NETS[0]}, "phases": [phase], "checkpoint": {"every": "2 steps"}}
    )

    class Saver(CheckpointSaver):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                super().on_train_batch_end(batch, logs)

        def wait(self) -> None:
            self._training.writer.wait()
            costs.append(self._training.writer.cost)

    def make(folder: Path) -> Any:
        path = RunFolder.create(folder / "run")
        nothing: Any = None
        counts = PhaseCounts(start=Progress(), batches_per_epoch=batches, accumulate=1)
        metrics = MetricsWriter(phase_name="all", counts=counts, rate_at=lambda _: 0.0, data_wait=StopWatch())
        metrics.set_model(model)
        metrics.on_epoch_begin(0)
        errors = SaveErrors("stop", click.echo)
        training = Training(
            model=model,
            recipe=recipe,
            split=nothing,
            train=nothing,
            validation=None,
            folder=path,
            writer=CheckpointWriter(path, keep=2, history=(), errors=errors),
            save_errors=errors,
            first_losses=FirstLosses(Progress()),
            one_run=nothing,
            display=nothing,
        )
        return Saver(
            training,
            counts=counts,
            monitor=None,
            early_stopping=EarlyStopping(None, patience=0, counts=counts),
            average=AverageForValidation(model, {}),
            metrics=metrics,
            augmentation_layers=(),
        )

    return make


def _sides(model: Any, batches: int, costs: list[float]) -> dict[str, Callable[[Path], Any] | None]:
    import keras

    def orbax(folder: Path) -> Any:
        callback = keras.callbacks.OrbaxCheckpoint(str(folder / "orbax"), save_freq=2)
        save = callback.on_train_batch_end
        callback.on_train_batch_end = lambda batch, logs=None: save(batch, logs) if batch < 2 else None
        callback.wait = callback.wait_until_finished
        return callback

    def once(callback: Any) -> Any:
        save = callback.on_train_batch_end
        callback.on_train_batch_end = lambda batch, logs=None: save(batch, logs) if batch < 2 else None
        return callback

    return {
        "none": None,
        "zoo": _zoo(model, batches, costs),
        "ModelCheckpoint": lambda folder: once(
            keras.callbacks.ModelCheckpoint(str(folder / "model.keras"), save_freq=2)
        ),
        "BackupAndRestore": lambda folder: once(
            keras.callbacks.BackupAndRestore(str(folder / "backup"), save_freq=2, delete_checkpoint=False)
        ),
        **({"OrbaxCheckpoint": orbax} if importlib.util.find_spec("orbax") else {}),
    }


def _measure(net: str, size: int, batches: int, rounds: int) -> list[dict[str, Any]]:
    """Measures all sides in turns, in this process."""
    import keras
    import numpy as np

    import zoo
    from zoo.training.callbacks.save_interval import LONGEST, SHARE, SHORTEST

    model = zoo.build(net, classes=CLASSES, input_shape=(size, size, 3), weights=None)
    model.compile(keras.optimizers.AdamW(1e-4), "sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (BATCH_SIZE * batches, size, size, 3), np.uint8)
    labels = random.integers(0, CLASSES, BATCH_SIZE * batches)
    costs: list[float] = []
    sides = _sides(model, batches, costs)
    found: dict[str, list[Block]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(model, pixels, labels, batches, Path(folder))
        bench.block(None)  # compiles
        for turn in range(rounds):
            for side, make in sides.items():
                found[side].append(bench.block(make))
                click.echo(f"round {turn + 1}  {net}  {side}: {found[side][-1]}", err=True)
    interval = min(max(statistics.median(costs) / SHARE, SHORTEST), LONGEST)
    return [_row(net, side, blocks, found["none"], batches, interval) for side, blocks in found.items()]


def _row(
    net: str, side: str, blocks: Sequence[Block], none: Sequence[Block], batches: int, interval: float
) -> dict[str, Any]:
    """Sums up a side; a save's cost is the median of differences to the block without one of the same round."""

    def median(name: str) -> float:
        return statistics.median(getattr(one, name) for one in blocks)

    def more(name: str) -> float:
        return statistics.median(
            getattr(one, name) - getattr(other, name) for one, other in zip(blocks, none, strict=True)
        )

    return {
        "net": net,
        "side": side,
        "seconds a batch": round(median("wall") / batches, 3),
        "a save blocks, ms": round(1000 * median("blocked"), 1),
        "of them computing, ms": round(1000 * median("blocked_processor"), 1),
        "processor seconds a save": round(more("processor"), 2),
        "seconds a save": round(more("wall"), 2),
        "MB": round(median("bytes") / 1e6, 1),
        "a save every, s": round(interval, 1),
        "share blocked": f"{median('blocked') / interval:.2%}",
        "share computing": f"{more('processor') / interval:.2%}",
        "runs": [vars(one) for one in blocks],
    }


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--net", "nets", multiple=True, type=click.Choice(NETS), default=NETS)
@click.option("--size", default=128, show_default=True, help="Side of the images in pixels.")
@click.option("--batches", default=8, show_default=True, help="Of a block.")
@click.option("--child", is_flag=True, hidden=True, help="Measure in this process.")
def main(rounds: int, nets: tuple[str, ...], size: int, batches: int, child: bool) -> None:
    """Times each side in turns and prints the medians."""
    if child:
        click.echo(json.dumps(_measure(nets[0], size, batches, rounds)))
        return
    rows: list[dict[str, Any]] = []
    for net in nets:
        numbers = ["--rounds", str(rounds), "--size", str(size), "--batches", str(batches)]
        command = [sys.executable, __file__, "--child", "--net", net, *numbers]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows += json.loads(done.stdout.splitlines()[-1])
    report("checkpoint", rows)


if __name__ == "__main__":
    main()
