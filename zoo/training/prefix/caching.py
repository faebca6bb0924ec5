"""No work twice: what a frozen prefix gives for each image is computed once, and kept by all that decides it.

The key is a hash of the images, of the prefix's weights and layers, and of what computes them. A change in any of these
is another key, so a hit cannot be stale. Images of files are known by their contents and how they are read, others by
all their pixels. An entry is written beside its place and renamed, with a hash that is checked when it is read; the
least recently used ones go when the cache is full.
"""

import functools
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from zoo.backend.keras_internals.graphs import inputs_of, producer
from zoo.backend.memory import has_memory
from zoo.data import Pixels
from zoo.data.inputs import Bar
from zoo.data.packs.pixels import identity
from zoo.freezing.contract import fingerprint
from zoo.freezing.graphs import operations_of
from zoo.inference.batches import predict_in_batches
from zoo.models.counting import count_madds
from zoo.system.cache import MANIFEST_FILE, UNFINISHED, cache_folder, has_room, is_writable, make_room
from zoo.system.files import sha256, sync, write_atomic
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.views import View

# Makes room for activations of a shape and dtype.
Allocate = Callable[[tuple[int, ...], "np.dtype[Any]"], np.ndarray]

# Where activations are, or will be.
Place = Literal["there", "on disk", "in memory"]

FORMAT = 1
KIND = "activations"
ARRAY_FILE = "activations.npy"
CHUNK = 1024
# Backward and update cost about twice a forward pass.
TRAINING_COST = 3
# What a file that was just written gives, in bytes a second, and a CPU core, in multiply-adds a second.
READING_SPEED = 1e9
COMPUTING_SPEED = 2e10


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What caching a phase's prefix would take and save.

    Attributes:
        bytes: Of all activations.
        first_pass_seconds: To compute them.
        epoch_seconds: Of an epoch from them.
        uncached_epoch_seconds: Of an epoch without them.
    """

    bytes: int
    first_pass_seconds: float
    epoch_seconds: float
    uncached_epoch_seconds: float

    def __str__(self) -> str:
        return (
            f"first pass {_seconds(self.first_pass_seconds)}, then {_seconds(self.epoch_seconds)} an epoch instead of "
            f"{_seconds(self.uncached_epoch_seconds)}; {self.bytes / 1e6:,.1f} MB"
        )


def _seconds(value: float) -> str:
    if value < 0.1:
        return "under 0.1 s"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min"


@dataclass(frozen=True)
class Kept:
    """Activations, and how they came.

    Attributes:
        activations: float[n, ...] in the prefix's compute dtype; with views float[views * n, ...], one view of all
            images after the other.
        computed: How many images the prefix was run on; 0 where they were there.
    """

    activations: np.ndarray
    computed: int


def entries_folder() -> Path:
    """Returns where entries are kept: a folder for each key."""
    return cache_folder() / KIND


def key_of(prefix: Prefix, images: Pixels, views: Sequence[View] = ()) -> str:
    """Hashes all that decides what a prefix gives for images.

    Args:
        prefix: Its weights, layers and dtypes count.
        images: uint8[n, height, width, channels]; their order counts too.
        views: Fixed views of them; none where the images are taken as they are.
    """
    digest = hashlib.blake2b(digest_size=20)
    for part in (
        {"format": FORMAT, "keras": keras.__version__, "backend": keras.backend.backend()},
        {
            "shape": list(images.shape),
            "dtype": str(images.dtype),
            "cut": prefix.cut,
            "views": [view.described() for view in views],
        },
        [_described(operation) for operation in operations_of(prefix.prefix)],
        fingerprint(prefix.prefix.weights),
    ):
        digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    for part in identity(images):
        digest.update(part)
    return digest.hexdigest()


def _described(operation: Any) -> Any:
    """Describes a layer by what rebuilds it; one that cannot say is known by its name, class, dtype and weights."""
    kind = f"{type(operation).__module__}.{type(operation).__qualname__}"
    try:
        config = operation.get_config()
    except (NotImplementedError, TypeError, ValueError):
        config = {"name": operation.name, "dtype": str(getattr(operation, "dtype_policy", ""))}
    identity = getattr(operation, "identity", None)
    if identity:
        config["identity"] = identity
    # What is trained above the cut does not change what comes out below it.
    config.pop("trainable", None)
    inputs = [str(producer(tensor).name) for tensor in inputs_of(operation)]
    return [kind, config, inputs]


def refusal(prefix: Prefix, *, epochs: int, augmented: bool, views: int = 0) -> str:
    """Says why a phase's prefix is not cached; empty where it is.

    The answer rests on counts and not on the clock, so that a resumed or repeated run decides alike.

    Args:
        prefix: The frozen part.
        epochs: Of the phase.
        augmented: Whether each epoch draws its images anew.
        views: Fixed views of each image; 0 where it is taken as it is.
    """
    if augmented:
        return "augmentation draws the images anew in each epoch"
    if epochs < 2:
        return "one epoch runs the prefix once anyway"
    if epochs <= views:
        return f"{views} views of each image cost as much as the phase's {epochs} epochs"
    computing = count_madds(prefix.prefix) / COMPUTING_SPEED
    if is_counted(prefix.prefix) and bytes_of(prefix) / READING_SPEED > computing:
        return f"reading {bytes_of(prefix):,} bytes an image takes longer than computing them"
    return ""


def is_counted(model: Any) -> bool:
    """Tells whether `count_madds` sees all that a model computes; into a SavedModel's layer it cannot look."""
    kernels = ("kernel", "depthwise_kernel", "pointwise_kernel")
    return all(
        any(getattr(layer, name, None) is not None for name in kernels)
        or not any(len(weight.shape) > 1 for weight in layer.weights)
        for layer in model.layers
    )


def place_for(size: int) -> Place | None:
    """Chooses where activations of so many bytes are kept: on disk, where the next run finds them, if they fit."""
    return "on disk" if is_writable(KIND) and has_room(size) else "in memory" if has_memory(size) else None


def bytes_of(prefix: Prefix) -> int:
    """Returns the bytes that the prefix gives for an image."""
    output = prefix.prefix.outputs[0]
    return math.prod(output.shape[1:]) * (2 if "16" in output.dtype else 4)


def forecast(prefix: Prefix, images: Pixels, *, count: int, per_epoch: int) -> Forecast:
    """Measures the prefix on a batch and says what caching costs and saves.

    Args:
        prefix: The frozen part.
        images: uint8[n, height, width, channels], some to measure on.
        count: Images to run it on, each view counted.
        per_epoch: Images of an epoch and its validation.
    """
    batch = images[: min(32, len(images))]
    predict_in_batches(prefix.prefix, batch)
    began = time.perf_counter()
    predict_in_batches(prefix.prefix, batch)
    each = (time.perf_counter() - began) / len(batch)
    below, above = count_madds(prefix.prefix), count_madds(prefix.suffix)
    seconds_a_madd = each / max(1, below) if is_counted(prefix.prefix) else 1 / COMPUTING_SPEED
    training = TRAINING_COST * above * seconds_a_madd
    size = count * bytes_of(prefix)
    return Forecast(
        bytes=size,
        first_pass_seconds=count * each,
        epoch_seconds=per_epoch * (training + bytes_of(prefix) / READING_SPEED),
        uncached_epoch_seconds=per_epoch * (each + training),
    )


def keep(
    prefix: Prefix,
    images: Pixels,
    *,
    views: Sequence[View] = (),
    in_memory: bool = False,
    bar: Bar,
    what: str,
) -> Kept:
    """Returns what the prefix gives for images: from the cache, or computed and put there.

    Args:
        prefix: Split off by `frozen_prefix`.
        images: uint8[n, height, width, channels].
        views: Fixed views of them; none where the images are taken as they are.
        in_memory: Keep what is computed for this process only.
        bar: Shows the first pass.
        what: Which images, for the bar.

    Raises:
        OSError: The cache cannot be written.
    """
    folder = entries_folder() / key_of(prefix, images, views)
    there = _read(folder)
    if there is not None:
        return Kept(there, computed=0)
    count = len(images) * max(1, len(views))

    def compute(allocate: Allocate) -> np.ndarray:
        with bar(f"frozen layers, {what} images", count) as move:
            return _computed(prefix, _chunks(images, views), allocate, count=count, move=move)

    if in_memory:
        return Kept(compute(lambda shape, dtype: np.empty(shape, dtype)), computed=count)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as name:
        part = Path(name) / "entry"
        part.mkdir()
        mapped: Any = compute(functools.partial(_mapped, part / ARRAY_FILE))
        mapped.flush()
        sync(part / ARRAY_FILE)
        document = {"schema": 1, "kind": "activations", "dtype": mapped.dtype.name, "sha256": sha256(part / ARRAY_FILE)}
        write_atomic(part / MANIFEST_FILE, json.dumps(document, indent=2) + "\n")
        make_room(KIND, (part / ARRAY_FILE).stat().st_size, beside=part.parent)
        if folder.is_dir():
            shutil.rmtree(folder)
        part.rename(folder)
    activations = _read(folder)
    assert activations is not None  # it was just written
    return Kept(activations, computed=count)


def find(prefix: Prefix, images: Pixels, views: Sequence[View] = ()) -> np.ndarray | None:
    """Returns what is kept of a prefix for images, or None."""
    return _read(entries_folder() / key_of(prefix, images, views))


def _chunks(images: Pixels, views: Sequence[View]) -> Iterator[np.ndarray]:
    for view in views:
        yield from view.chunks(images)
    if not views:
        yield from (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))


def _computed(
    prefix: Prefix,
    chunks: Iterator[np.ndarray],
    allocate: Allocate,
    *,
    count: int,
    move: Callable[[int, str], None],
) -> np.ndarray:
    """Runs the prefix over images."""
    array: np.ndarray | None = None
    done = 0
    for chunk in chunks:
        before = done
        rows = predict_in_batches(prefix.prefix, chunk, move=lambda within, before=before: move(before + within, ""))
        if array is None:
            array = allocate((count, *rows.shape[1:]), rows.dtype)
        array[done : done + len(rows)] = rows
        done += len(rows)
    assert array is not None  # there are images
    return array


def _mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Makes a .npy file of a size; it cannot name bfloat16, whose bits it holds."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=_stored(dtype), shape=shape)
    return array.view(dtype)


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # bfloat16 is no dtype of NumPy's own; its bits are.
    return dtype if dtype.kind == "f" else np.dtype(f"uint{8 * dtype.itemsize}")


def _read(folder: Path) -> np.ndarray | None:
    """Opens an entry; one that is damaged is removed, and computed again."""
    try:
        document = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if sha256(folder / ARRAY_FILE) == document["sha256"]:
            os.utime(folder)
            array = np.load(folder / ARRAY_FILE, mmap_mode="r")
            return array if array.dtype.name == document["dtype"] else array.view(_dtype(document["dtype"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _dtype(name: str) -> Any:
    import ml_dtypes

    return getattr(ml_dtypes, name)
