"""How fast photos become batches: the first pass over them, and the epochs after it.

    pip install '.[bench]' torchvision
    python benchmarks/input.py --data clothing/

Sides, in turns, each in a process of its own, on the same photos at the same size; the files lie in the system's page
cache. The first pass:

    zoo         `zoo.data.pack(..., keep=True)` from an empty cache, which hashes the files, decodes them, writes the
                pack to disk and compares it with its hashes
    pillow      Pillow alone on as many threads as there are cores: the same calls, the pixels thrown away

Later epochs, in batches of 32, shuffled, to a consumer that only touches each batch:

    zoo                 the pack, as `fit` gets it
    keras               `image_dataset_from_directory`, cropped alike, which decodes in each epoch and fetches ahead
    torchvision         `ImageFolder` with Resize, CenterCrop and ToTensor in a DataLoader of two workers that stay
    keras, cached       the first with `.cache()`, shuffled and fetched ahead as TensorFlow's tutorials have it
    torch, in memory    a `TensorDataset` of uint8 in a DataLoader without workers

Each side gives the type that it gives by default, which the table names. Sides whose library is not installed are left
out. An epoch that warms up, and fills what is cached, is not counted. Memory is the most that the side's process held,
mapped files that it touched included, workers of a DataLoader left out; only on Linux is it in the unit that is named.
Nothing else may run meanwhile: PyTorch's threads wait for one another, and on a busy machine for long.
"""

import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from reporting import report

BATCH_SIZE, WORKERS = 32, 2
FIRST, LATER = "first pass", "later epochs"
# Gives an epoch's batches of images each time it is called.
Epoch = Callable[[], Iterator[Any]]


def photos_of(data: Path) -> list[Path]:
    """Lists the photos that train, by class."""
    root = data / "train" if (data / "train").is_dir() else data
    return sorted(path for path in root.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg"))


def link(photos: list[Path], folder: Path, count: int) -> None:
    """Makes class folders of links to `count` of the photos, evenly out of all, and reads each once."""
    wanted = min(count or len(photos), len(photos))
    for number in range(wanted):
        photo = photos[number * len(photos) // wanted]
        photo.read_bytes()
        place = folder / photo.parent.name / photo.name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(photo.resolve())


def _split(photos: Path) -> Any:
    from zoo.data import open_dataset

    return open_dataset("folder", photos).train


def _pack(split: Any, size: int) -> Any:
    from zoo.data import Packing, Settings, pack

    return pack(split, Settings(height=size, width=size, channels=3), Packing(keep=True))


def _first_zoo(photos: Path, size: int) -> Callable[[], int]:
    split = _split(photos)
    return lambda: len(_pack(split, size).labels)


def _first_pillow(photos: Path, size: int) -> Callable[[], int]:
    from PIL import Image

    paths = photos_of(photos)

    def decode(path: Path) -> None:
        with Image.open(path) as image:
            image.draft(None, (2 * size, 2 * size))
            image.load()
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            box = (left, top, left + side, top + side)
            image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box)

    def run() -> int:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return sum(1 for _ in pool.map(decode, paths))

    return run


def _later_zoo(photos: Path, size: int) -> Epoch:
    from zoo.data import Batches
    from zoo.training.feeding.streams import StopWatch, training_data

    packed = _pack(_split(photos), size)
    classes = int(packed.labels.max()) + 1
    batches = Batches(
        images=packed.images, labels=packed.labels, classes=classes, batch_size=BATCH_SIZE, seed=0, shuffle=True
    )
    stream = iter(training_data(batches, 0, StopWatch(), epochs=1000))
    return lambda: (images for images, _ in itertools.islice(stream, batches.batches_per_epoch))


def _from_directory(photos: Path, size: int) -> Any:
    import keras

    return keras.utils.image_dataset_from_directory(
        photos,
        label_mode="categorical",
        image_size=(size, size),
        batch_size=BATCH_SIZE,
        crop_to_aspect_ratio=True,
        verbose=False,
    )


def _later_keras(photos: Path, size: int) -> Epoch:
    dataset = _from_directory(photos, size)
    return lambda: (images for images, _ in dataset)


def _later_keras_cached(photos: Path, size: int) -> Epoch:
    import tensorflow as tf

    dataset = _from_directory(photos, size).cache().shuffle(1000).prefetch(tf.data.AUTOTUNE)
    return lambda: (images for images, _ in dataset)


def _image_folder(photos: Path, size: int, to_tensor: Any) -> Any:
    from torchvision import datasets, transforms

    steps = [transforms.Resize(size), transforms.CenterCrop(size), to_tensor]
    return datasets.ImageFolder(str(photos), transforms.Compose(steps))


def _later_torchvision(photos: Path, size: int) -> Epoch:
    from torch.utils.data import DataLoader
    from torchvision import transforms

    folder = _image_folder(photos, size, transforms.ToTensor())
    loader = DataLoader(folder, BATCH_SIZE, shuffle=True, num_workers=WORKERS, persistent_workers=True)
    return lambda: (images for images, _ in loader)


def _later_torch_in_memory(photos: Path, size: int) -> Epoch:
    import torch
    from torch.utils.data import DataLoader, TensorDataset
    from torchvision import transforms

    folder = _image_folder(photos, size, transforms.PILToTensor())
    images = torch.empty((len(folder), 3, size, size), dtype=torch.uint8)
    for row, (image, _) in enumerate(folder):
        images[row] = image
    loader = DataLoader(TensorDataset(images, torch.tensor(folder.targets)), BATCH_SIZE, shuffle=True)
    return lambda: (images for images, _ in loader)


@dataclass(frozen=True, kw_only=True)
class Side:
    """Who takes part.

    Attributes:
        prepare: Gives what is timed: a pass that returns how many photos it had, or epochs.
        target: How many times as fast as this the toolkit is to be, or None for the toolkit itself.
        needs: The module without which it is left out.
    """

    prepare: Callable[[Path, int], Callable[[], Any]]
    target: float | None = None
    needs: str = "zoo"


SIDES = {
    (FIRST, "zoo"): Side(prepare=_first_zoo),
    (FIRST, "pillow"): Side(prepare=_first_pillow, target=0.9),
    (LATER, "zoo"): Side(prepare=_later_zoo),
    (LATER, "keras"): Side(prepare=_later_keras, target=4, needs="tensorflow"),
    (LATER, "torchvision"): Side(prepare=_later_torchvision, target=4, needs="torchvision"),
    (LATER, "keras, cached"): Side(prepare=_later_keras_cached, target=1, needs="tensorflow"),
    (LATER, "torch, in memory"): Side(prepare=_later_torch_in_memory, target=1, needs="torchvision"),
}


def _measure(what: str, name: str, photos: Path, size: int, epochs: int) -> dict[str, Any]:
    """Returns images a second of the first pass or of each epoch that counts, the type given, and the peak."""
    gives: str | None = None
    speeds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        run = SIDES[what, name].prepare(photos, size)
        for _ in range(1 if what == FIRST else 1 + epochs):
            began = time.perf_counter()
            if what == FIRST:
                count = run()
            else:
                count, gives = _consume(run())
            speeds.append(count / (time.perf_counter() - began))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"speeds": speeds if what == FIRST else speeds[1:], "gives": gives, "peak": peak}


def _consume(batches: Iterator[Any]) -> tuple[int, str]:
    """Touches a byte in each 64 or so; returns how many images came, and of which type."""
    import numpy as np

    count, gives = 0, ""
    for batch in batches:
        pixels = np.asarray(batch)
        pixels.reshape(-1)[::64].sum()
        count, gives = count + len(pixels), str(pixels.dtype)
    return count, gives


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="A folder of photos.")
@click.option("--size", default=224, show_default=True, help="Side of the images, in pixels.")
@click.option("--count", default=0, help="Photos; all where it is left out.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--epochs", default=10, show_default=True, help="Of each round, besides the one that warms up.")
@click.option("--child", nargs=2, hidden=True, help="WHAT SIDE: in this process; --data is the folder of links.")
def main(data: Path, size: int, count: int, rounds: int, epochs: int, child: tuple[str, str] | None) -> None:
    """Times each side in turns and prints the medians."""
    if child is not None:
        click.echo(json.dumps(_measure(*child, data, size, epochs)))
        return
    sides = {key: side for key, side in SIDES.items() if importlib.util.find_spec(side.needs)}
    speeds: dict[tuple[str, str], list[float]] = {key: [] for key in sides}
    peaks: dict[tuple[str, str], list[float]] = {key: [] for key in sides}
    gives: dict[tuple[str, str], str | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        link(photos_of(data), Path(folder), count)
        command = [sys.executable, __file__, "--data", folder, "--size", str(size), "--epochs", str(epochs)]
        for turn in range(rounds):
            for what, name in sides:
                done = subprocess.run([*command, "--child", what, name], check=True, stdout=subprocess.PIPE, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                speeds[what, name] += found["speeds"]
                peaks[what, name].append(found["peak"])
                gives[what, name] = found["gives"]
                click.echo(f"round {turn + 1}  {what}  {name}: {found['speeds'][-1]:,.0f} images a second", err=True)
    rows = [
        {
            "what": what,
            "side": name,
            "gives": gives[what, name],
            "images a second, median": round(statistics.median(speeds[what, name])),
            "the toolkit's, times this": round(
                statistics.median(speeds[what, "zoo"]) / statistics.median(speeds[what, name]), 2
            ),
            "target": side.target,
            "peak MB": round(max(peaks[what, name])),
            "runs": [round(speed) for speed in speeds[what, name]],
        }
        for (what, name), side in sides.items()
    ]
    report("input", rows)


if __name__ == "__main__":
    main()
