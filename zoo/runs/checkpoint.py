"""Checkpoints: everything that training needs to go on, written whole or not at all.

checkpoints/step-00001200/                     step-00000600-batch-00001200/ where two batches make a step: with
    model.safetensors   weights by path        few batches, several epochs may end in the same step
    state.safetensors   optimizer variables by path, seed generators in the order of the graph; inside an epoch its
                        metrics, and the seed generators of augmentation
    history.jsonl       the lines of metrics.jsonl until then
    manifest.json       progress, and the SHA-256 of the three; sealed

step-00001200-before-validation/ is an epoch whose batches are done and which is not validated.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RunError
from zoo.models.arrays import MODEL_FILE, read_verified, write_arrays
from zoo.runs.counted_in_batches import counted_anew
from zoo.runs.folder import SCHEMA, RunFolder
from zoo.runs.progress import Progress
from zoo.system.files import make_folder, say_room, sync
from zoo.system.regular_files import read_regular
from zoo.system.sealing import read_document, sealed

if TYPE_CHECKING:
    import numpy as np

STATE_FILE = "state.safetensors"
HISTORY_FILE = "history.jsonl"
MANIFEST_FILE = "manifest.json"
FOLDER_NAME = re.compile(r"step-(?P<step>\d{8,})(-batch-(?P<batch>\d{8,}))?(?P<unvalidated>-before-validation)?")
# What is put to the hidden name of one that is being removed; one that is being written has none.
REMOVED = "-removed"
# Most bytes of history.jsonl: a million epochs.
HISTORY_LIMIT = 300_000_000
# In the names of what belongs to an epoch that has begun, in state.safetensors.
OF_AN_EPOCH = "epoch/"
# And of weights whose moving averages are in model.safetensors.
AS_TRAINED = "weight/"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that a checkpoint keeps, in memory.

    Attributes:
        model: Weights by path.
        state: All else that training needs to go on, by names that begin with a kind.
        progress: How far the run has come.
        history: The lines of metrics.jsonl until then.
    """

    model: "Mapping[str, np.ndarray]"
    state: "Mapping[str, np.ndarray]"
    progress: Progress
    history: Sequence[Mapping[str, Any]] = ()

    @property
    def bytes(self) -> int:
        """What its numbers take on disk, about."""
        return sum(array.nbytes for array in (*self.model.values(), *self.state.values()))

    @property
    def is_finite(self) -> bool:
        """Whether all weights are finite; else there is nothing to go on from."""
        import numpy as np

        trained = (array for name, array in self.state.items() if name.startswith(AS_TRAINED))
        floats = (array for array in (*self.model.values(), *trained) if array.size and array.dtype.kind == "f")
        return all(bool(np.isfinite(array.min()) and np.isfinite(array.max())) for array in floats)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose manifest is there; the files are verified when they are read.

    Attributes:
        path: Its folder.
        progress: How far the run had come.
        hashes: The SHA-256 of each file, from the manifest.
    """

    path: Path
    progress: Progress
    hashes: Mapping[str, str]

    def model_arrays(self) -> "dict[str, np.ndarray]":
        """Reads the weights by path.

        Raises:
            RunError: The file is damaged.
        """
        return self._read(MODEL_FILE)

    def state_arrays(self) -> "dict[str, np.ndarray]":
        """Reads what is not a weight: optimizer variables and seed generators.

        Raises:
            RunError: The file is damaged.
        """
        return self._read(STATE_FILE)

    def history(self) -> list[dict[str, Any]] | None:
        """Reads the lines of metrics.jsonl until then; None in a checkpoint of an earlier zoo, which has none.

        Raises:
            RunError: They are damaged.
        """
        if HISTORY_FILE not in self.hashes:
            return None
        try:
            content = read_regular(self.path / HISTORY_FILE, limit=HISTORY_LIMIT, follow_links=False)
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != self.hashes[HISTORY_FILE]:
            raise self._damaged(HISTORY_FILE)
        return [json.loads(line) for line in content.splitlines()]

    def _read(self, name: str) -> "dict[str, np.ndarray]":
        file = self.path / name
        arrays = read_verified(file, self.hashes.get(name)) if file.is_file() else None
        if arrays is None:
            raise self._damaged(name)
        return arrays

    def verify(self) -> None:
        """Makes sure that every file is what the manifest says.

        Raises:
            RunError: One is damaged; the message begins with it.
        """
        self.model_arrays()
        self.state_arrays()
        self.history()

    def _damaged(self, name: str) -> RunError:
        return RunError(f"{self.path / name}: is damaged (its SHA-256 is not the manifest's)")


def save(folder: Path, snapshot: Snapshot, *, keep: int) -> Checkpoint:
    """Writes a checkpoint below `folder`, then deletes those that are neither the last `keep` nor the best.

    Raises:
        OSError: It could not be written; earlier checkpoints are untouched.
    """
    progress = snapshot.progress
    make_folder(folder)
    final = folder / _name(progress)
    temporary = folder / f".{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        hashes = _write_files(temporary, snapshot)
        sync(temporary)
        if final.exists():  # of the same batch: it stays until there is another
            _remove(final)
        temporary.rename(final)
    except BaseException as fault:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(fault, OSError):
            say_room(fault, final, needed=snapshot.bytes)
        raise
    sync(folder)
    _prune(folder, keep=keep, best=[best.batch for best in (progress.best, progress.phase_best) if best])
    return Checkpoint(final, progress, hashes)


def _write_files(folder: Path, snapshot: Snapshot) -> dict[str, str]:
    """Fills a checkpoint's folder, the manifest last, and makes each file last; returns the hashes."""
    hashes = {
        MODEL_FILE: write_arrays(folder / MODEL_FILE, snapshot.model),
        STATE_FILE: write_arrays(folder / STATE_FILE, snapshot.state),
    }
    history = "".join(json.dumps(row) + "\n" for row in snapshot.history)
    hashes[HISTORY_FILE] = hashlib.sha256(history.encode()).hexdigest()
    manifest = {
        "schema": SCHEMA,
        "kind": "checkpoint",
        "progress": snapshot.progress.to_json(),
        "sha256": hashes,
    }
    for name, text in ((HISTORY_FILE, history), (MANIFEST_FILE, sealed(manifest))):
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    return hashes


def _name(progress: Progress) -> str:
    batch = "" if progress.step == progress.batch else f"-batch-{progress.batch:08d}"
    return f"step-{progress.step:08d}{batch}{'-before-validation' if progress.awaits_validation else ''}"


def _prune(folder: Path, *, keep: int, best: Collection[int]) -> None:
    found = checkpoints(folder)
    kept = {checkpoint.path for checkpoint in found[-keep:]}
    for checkpoint in found:
        progress = checkpoint.progress
        if checkpoint.path not in kept and (progress.partial_epoch or progress.batch not in best):
            _remove(checkpoint.path)


def _remove(path: Path) -> None:
    """Removes a checkpoint, and not under its name, by which it would be found while it is half there."""
    removed = path.with_name(f".{path.name}{REMOVED}")
    shutil.rmtree(removed, ignore_errors=True)
    path.rename(removed)
    shutil.rmtree(removed)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Lists the checkpoints below a folder whose manifest can be read, oldest first."""
    found: list[Checkpoint] = []
    for path in folders(folder):
        with contextlib.suppress(RunError):
            found.append(open_checkpoint(path))
    return sorted(found, key=lambda checkpoint: (checkpoint.progress.batch, checkpoint.progress.epoch))


def folders(folder: Path) -> list[Path]:
    """Lists the folders of checkpoints, oldest first by what they are called, whether they are whole or not."""
    paths = [path for path in (folder.iterdir() if folder.is_dir() else ()) if FOLDER_NAME.fullmatch(path.name)]
    return sorted(paths, key=_order)


def _order(path: Path) -> tuple[int, bool]:
    name = FOLDER_NAME.fullmatch(path.name)
    assert name is not None
    return int(name["batch"] or name["step"]), name["unvalidated"] is None


def remove_newer(folder: Path, than: Checkpoint) -> None:
    """Removes the checkpoints after the one that a run goes on from: they are damaged, and it comes to them again."""
    paths = folders(folder)
    for path in paths[paths.index(than.path) + 1 :]:
        _remove(path)


def open_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint's manifest.

    Raises:
        RunError: It is damaged or missing.
    """
    manifest = path / MANIFEST_FILE
    try:
        document = read_document(manifest, follow_links=False).values
        progress = Progress.from_json(document["progress"])
        if "batch" not in document["progress"]:
            progress = counted_anew(progress, RunFolder(path.parent.parent))
        return Checkpoint(path, progress, dict(document["sha256"]))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise RunError(f"{manifest}: is damaged") from fault


def latest(folder: Path) -> Checkpoint | None:
    """Returns the newest checkpoint below a folder, or None."""
    found = checkpoints(folder)
    return found[-1] if found else None


def best(folder: Path) -> Checkpoint | None:
    """Returns the checkpoint that holds the best model, the newest where nothing was monitored, or None."""
    newest = latest(folder)
    if newest is None or newest.progress.best is None:
        return newest
    return at_batch(folder, newest.progress.best.batch) or newest


def at_batch(folder: Path, batch: int) -> Checkpoint | None:
    """Returns the checkpoint of the epoch that ended with a batch of the run, or None where it is not kept."""
    ends = (one for one in checkpoints(folder) if one.progress.partial_epoch is None)
    return next((one for one in ends if one.progress.batch == batch), None)
