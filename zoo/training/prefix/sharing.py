"""What frozen prefixes give, computed once by several processes that train together.

Each computes the rows of its own devices, and all get all of them, chunk by chunk. Where a process has an entry that
another lacks, it sends it. Of processes that have one cache folder, the first writes.
"""

import json
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.backend.distribution.agreement import gathered
from zoo.backend.distribution.exchanging import broadcast_array
from zoo.backend.distribution.placement import current
from zoo.data import Pixels
from zoo.data.inputs import Bar
from zoo.errors import ZooError
from zoo.inference.engines import Compiled
from zoo.system.partial_entries import held, remove_litter
from zoo.training.prefix.caching import CHUNK, RUNNING, PassOutput, compute, entries_folder
from zoo.training.prefix.storing import Seeds, UnfinishedEntry, find_entry
from zoo.training.prefix.views import View


class _Rows:
    """Activations of an output as they come, for this process only."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.array: np.ndarray | None = None

    def write(self, start: int, rows: np.ndarray, _: Seeds) -> None:
        """Takes some, the first of which has a number."""
        if self.array is None:
            self.array = np.empty((self._count, *rows.shape[1:]), rows.dtype)
        self.array[start : start + len(rows)] = rows


class _Entry:
    """Activations of an output as they come, for the cache."""

    def __init__(self, partial: Path, count: int) -> None:
        self.unfinished = UnfinishedEntry(partial, count)

    def write(self, start: int, rows: np.ndarray, seeds: Seeds) -> None:
        """Takes some, but those that are there."""
        done = self.unfinished.done
        if done < start + len(rows):
            self.unfinished.write(rows[done - start :], seeds)


def get_together(
    model: keras.Model | Compiled,
    images: Pixels,
    folders: Sequence[Path],
    *,
    views: Sequence[View] = (),
    in_memory: bool = False,
    bar: Bar,
    what: str,
) -> PassOutput:
    """Does what `caching.get_or_compute` does, in all processes at once; the arguments are the same.

    Raises:
        OSError: The cache cannot be written; the other processes end too.
    """
    now, count = folders[0], len(images) * max(1, len(views))
    there = find_entry(now)
    has_it = [bool(text) for text in gathered("activations", "there" if there is not None else "")]
    if all(has_it):
        assert there is not None
        return PassOutput({now: there}, computed=0)
    source = has_it.index(True) if any(has_it) else None
    wanted = list(folders) if source is None else [now]
    writes = writes_cache() and not in_memory and there is None
    with bar(f"{RUNNING}{what} images", count) as move, ExitStack() as stack:
        sinks: list[_Rows | _Entry] = []
        if writes:
            now.parent.mkdir(parents=True, exist_ok=True)
            remove_litter(now.parent)
            places = {folder: stack.enter_context(held(folder)) for folder in sorted(set(wanted))}
            sinks.extend(_Entry(places[folder], count) for folder in wanted)
        elif in_memory and there is None:
            sinks.extend(_Rows(count) for _ in wanted)
        done, seeds = _least_done(sinks)
        before = done

        def take(start: int, rows: Sequence[np.ndarray], seeds: Seeds) -> None:
            for sink, some in zip(sinks, rows, strict=False):  # none where another writes
                sink.write(start, some, seeds)
            move(start + len(rows[0]), "")

        if source is None:
            compute(model, images, views, take, done=done, seeds=seeds)
        else:
            _send(there, source, count, take)
        for folder, sink in zip(wanted, sinks, strict=False):
            if isinstance(sink, _Entry):
                sink.unfinished.finish(folder)
    gathered("activations written", "")
    kept = {folder: sink.array for folder, sink in zip(wanted, sinks, strict=False) if isinstance(sink, _Rows)}
    found = kept or {folder: find_entry(folder) for folder in wanted}
    if found[now] is None:
        raise ZooError(f"{now}: another process wrote it, and it is not there; do all see the same cache folder?")
    arrays = {folder: array for folder, array in found.items() if array is not None}
    return PassOutput(arrays, computed=0 if source is not None else count - before)


def _least_done(sinks: Sequence[_Rows | _Entry]) -> tuple[int, Seeds]:
    """Returns how many rows all processes have that keep some, and the seeds of the last of those."""
    mine = [(one.unfinished.done, one.unfinished.seeds) if isinstance(one, _Entry) else (0, ()) for one in sinks]
    said: list[Any] = [
        json.loads(text) for text in gathered("rows done", json.dumps(min(mine, key=lambda one: one[0], default=None)))
    ]
    done, seeds = min((tuple(one) for one in said if one is not None), key=lambda one: one[0], default=(0, ()))
    return done, seeds


def _send(there: np.ndarray | None, source: int, count: int, take: Any) -> None:
    """Sends the rows of an entry that one process has to all."""
    is_source = current().process == source
    mine = there if is_source else None
    described = "" if mine is None else json.dumps([list(mine.shape[1:]), mine.dtype.name])
    shape, dtype = json.loads(gathered("shape of activations", described)[source])
    for start in range(0, count, CHUNK):
        size = (min(CHUNK, count - start), *shape)
        rows = np.asarray(mine[start : start + CHUNK]) if mine is not None else None
        take(start, [broadcast_array(rows, size, dtype, source=source)], ())


_writers: dict[Path, bool] = {}


def writes_cache() -> bool:
    """Returns whether this process is the first of those that see its cache folder."""
    folder = entries_folder()
    if folder not in _writers:
        name = f".shared-{uuid.uuid4().hex}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        names = gathered("cache", name)
        _writers[folder] = not any((folder / other).exists() for other in names[: current().process])
        gathered("cache seen", "")
        with suppress(OSError):
            (folder / name).unlink()
    return _writers[folder]
