"""What is reproduced, and the ways to change a copy of it, each by chance."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from other_environment import PACKAGE
from PIL import Image

RECIPE = """name = "tiny"
[model]
name = "mnist_conv_tiny"
[data]
validation = 0.0
[train]
batch_size = 4
deterministic = true
seed = 0
[[phases]]
name = "all"
train = "all"
epochs = 4
batchnorm = "train"
learning_rate = 0.01
"""
# Keys that change what is trained, with another value.
KEYS = {
    "phases.all.learning_rate": "learning_rate = 0.003",
    "phases.all.optimizer": 'optimizer = "sgd"',
    "phases.all.weight_decay": "weight_decay = 0.3",
    "phases.all.schedule": 'schedule = "constant"',
    "train.label_smoothing": "label_smoothing = 0.1",
    "train.clip_norm": "clip_norm = 0.05",
    "train.ema": "ema = 0.9",
    "description": 'description = "another"',
}
IMAGES, WEIGHTS, LOCK = "photos", "begun.safetensors", "tiny.lock"


def write_photos(folder: Path, *, count: int) -> None:
    """Writes images of two classes that a network can tell apart: each has a band of its own on noise."""
    generator = np.random.default_rng(0)
    for number in range(2 * count):
        image = generator.integers(0, 90, (28, 28)).astype(np.uint8)
        image[14 * (number % 2) : 14 * (number % 2) + 14] += 150
        path = folder / ("cat", "dog")[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def make_original(folder: Path) -> None:
    """Trains and locks what is reproduced."""
    import zoo
    from zoo.sharing.locks.making import lock_runs

    write_photos(folder / IMAGES, count=12)
    time.sleep(2.5)  # what is older is known by its path
    (folder / "tiny.toml").write_text(RECIPE)
    first = zoo.finetune(folder / "tiny.toml", folder / IMAGES, run=folder / "first", verbose=0)
    shutil.copyfile(first.path / "model" / "model.safetensors", folder / WEIGHTS)
    run = zoo.finetune(folder / "tiny.toml", folder / IMAGES, run=folder / "run", weights=folder / WEIGHTS, verbose=0)
    (folder / LOCK).write_text(lock_runs(run.path).to_text())


def any_image(folder: Path, chance: random.Random, but: Sequence[str] = ()) -> Path:
    """Chooses an image that nothing else was done to."""
    files = sorted(path for path in (folder / IMAGES).rglob("*.png") if path.name not in but)
    return chance.choice(files)


def change_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Turns a square of an image's pixels around."""
    path = any_image(folder, chance, taken)
    taken.append(path.name)
    pixels = np.array(Image.open(path))
    row, column = chance.randrange(20), chance.randrange(20)
    pixels[row : row + 8, column : column + 8] = 255 - pixels[row : row + 8, column : column + 8]
    Image.fromarray(pixels).save(path)
    return f"data {path.relative_to(folder / IMAGES).as_posix()}"


def add_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Adds an image like another, with other noise."""
    path = any_image(folder, chance, taken)
    pixels = np.array(Image.open(path)).astype(int) + np.random.default_rng(chance.randrange(1000)).integers(
        -9, 9, (28, 28)
    )
    name = path.with_name(f"{chance.randrange(100):03d}b.png")
    taken.append(name.name)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(name)
    return f"data {name.relative_to(folder / IMAGES).as_posix()}"


def relabel_image(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Moves an image to the other class."""
    path = any_image(folder, chance, taken)
    taken.append(path.name)
    other = path.parents[1] / {"cat": "dog", "dog": "cat"}[path.parent.name] / path.name
    path.rename(other)
    return f"data {other.relative_to(folder / IMAGES).as_posix()}"


def flip_weights(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Flips a bit of a weight, whichever."""
    from safetensors.numpy import load_file, save_file

    arrays = {name: array.copy() for name, array in load_file(folder / WEIGHTS).items()}
    flat = arrays[chance.choice(sorted(name for name, array in arrays.items() if array.dtype == np.float32))].reshape(
        -1
    )
    flat.view(np.uint32)[chance.randrange(flat.size)] ^= np.uint32(1 << chance.randrange(32))
    save_file(arrays, folder / WEIGHTS)
    return "weights weights"


def fake_package(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another version of a package into the lock."""
    from zoo.sharing.locks.lock import read_lock

    lock = read_lock(folder / LOCK)
    name = chance.choice(["keras", "numpy", "pillow", "tensorflow", "zoo"])
    (folder / LOCK).write_text(replace(lock, versions={**lock.versions, name: "0.0.1"}).to_text())
    return f"package package {name}"


def set_key(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another value of a key."""
    key = chance.choice(list(KEYS))
    table, _, name = key.rpartition(".")
    text = (folder / "tiny.toml").read_text()
    lines = [line for line in text.splitlines() if line.partition(" = ")[0] != name]
    place = {"": 0, "train": lines.index("[train]") + 1, "phases.all": len(lines)}[table]
    (folder / "tiny.toml").write_text("\n".join([*lines[:place], KEYS[key], *lines[place:]]) + "\n")
    return f"recipe recipe {key}"


def set_seed(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another seed."""
    path = folder / "tiny.toml"
    path.write_text(path.read_text().replace("seed = 0", f"seed = {chance.randrange(1, 1000)}"))
    return "seed recipe train.seed"


def set_precision(folder: Path, chance: random.Random, taken: list[str]) -> str:
    """Writes another precision."""
    path = folder / "tiny.toml"
    path.write_text(path.read_text().replace("[train]\n", '[train]\nprecision = "mixed_bfloat16"\n'))
    return "precision recipe train.precision"


Change = Callable[[Path, random.Random, list[str]], str]
CHANGES: dict[str, Change] = {
    "image": change_image,
    "lost image": change_image,
    "added": add_image,
    "relabelled": relabel_image,
    "weights": flip_weights,
    "package": fake_package,
    "key": set_key,
    "seed": set_seed,
    "precision": set_precision,
    "installed": lambda *_: f"package package {PACKAGE}",
    "patched": lambda *_: f"package package {PACKAGE}",
    "threads": lambda *_: "threads threads",
    "backend": lambda *_: "backend backend",
}
