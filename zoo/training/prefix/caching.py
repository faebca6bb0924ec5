"""No work twice: what a frozen prefix gives for each image is computed once, and kept by all that decides it.

An entry is known by its key: see `keys`. It is written beside its place and renamed, with a hash that is checked when
it is read; the least recently used ones go when the cache is full.
"""

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import Pixels
from zoo.data.inputs import Bar
from zoo.inference.batches import predict_in_batches
from zoo.system.cache import ENTRY_MANIFEST, UNFINISHED, cache_folder, make_room
from zoo.system.files import sha256, sync, write_atomic
from zoo.training.prefix.keys import key_of
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.views import View

# Makes room for activations of a shape and dtype.
Allocate = Callable[[tuple[int, ...], "np.dtype[Any]"], np.ndarray]

KIND = "activations"
ARRAY_FILE = "activations.npy"
CHUNK = 1024


@dataclass(frozen=True)
class PrefixOutput:
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


def get_or_compute(
    prefix: Prefix,
    images: Pixels,
    *,
    views: Sequence[View] = (),
    in_memory: bool = False,
    bar: Bar,
    what: str,
) -> PrefixOutput:
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
        return PrefixOutput(there, computed=0)
    count = len(images) * max(1, len(views))

    def compute(allocate: Allocate) -> np.ndarray:
        with bar(f"frozen layers, {what} images", count) as move:
            return _computed(prefix, _chunks(images, views), allocate, count=count, move=move)

    if in_memory:
        return PrefixOutput(compute(lambda shape, dtype: np.empty(shape, dtype)), computed=count)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=UNFINISHED) as name:
        part = Path(name) / "entry"
        part.mkdir()
        mapped: Any = compute(functools.partial(_mapped, part / ARRAY_FILE))
        mapped.flush()
        sync(part / ARRAY_FILE)
        document = {"schema": 1, "kind": "activations", "dtype": mapped.dtype.name, "sha256": sha256(part / ARRAY_FILE)}
        write_atomic(part / ENTRY_MANIFEST, json.dumps(document, indent=2) + "\n")
        make_room(KIND, (part / ARRAY_FILE).stat().st_size, beside=part.parent)
        if folder.is_dir():
            shutil.rmtree(folder)
        part.rename(folder)
    activations = _read(folder)
    assert activations is not None  # it was just written
    return PrefixOutput(activations, computed=count)


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
    # NumPy has no bfloat16 of its own; it stores its bits.
    return dtype if dtype.kind == "f" else np.dtype(f"uint{8 * dtype.itemsize}")


def _read(folder: Path) -> np.ndarray | None:
    """Opens an entry; one that is damaged is removed, and computed again."""
    try:
        document = json.loads((folder / ENTRY_MANIFEST).read_text(encoding="utf-8"))
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
