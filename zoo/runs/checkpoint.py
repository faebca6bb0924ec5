"""Checkpoints: everything that training needs to go on, written whole or not at all.

checkpoints/step-00001200/                     step-00000600-batch-00001200/ where two batches make a step: with
    model.safetensors   weights by path        few batches, several epochs may end in the same step
    state.safetensors   optimizer variables by path, seed generators in the order of the graph
    manifest.json       progress, and the SHA-256 of the two
"""

import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RunError
from zoo.models.arrays import MODEL_FILE, array_of, arrays_of, by_path, read_verified, seed_states
from zoo.models.weights import finalize_state
from zoo.runs.counted_in_batches import counted_anew
from zoo.runs.folder import SCHEMA, RunFolder
from zoo.runs.progress import Progress
from zoo.system.files import sha256, sync, write_atomic

if TYPE_CHECKING:
    import numpy as np

STATE_FILE = "state.safetensors"
MANIFEST_FILE = "manifest.json"
FOLDER_NAME = re.compile(r"step-\d{8,}(-batch-\d{8,})?")


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

    def _read(self, name: str) -> "dict[str, np.ndarray]":
        file = self.path / name
        arrays = read_verified(file, self.hashes.get(name)) if file.is_file() else None
        if arrays is None:
            raise RunError(f"{file}: is damaged (its SHA-256 is not the manifest's); delete {self.path} to go back one")
        return arrays


def save(
    folder: Path,
    model: "Mapping[str, np.ndarray]",
    state: "Mapping[str, np.ndarray]",
    progress: Progress,
    *,
    keep: int,
) -> Checkpoint:
    """Writes a checkpoint below `folder`, then deletes those that are neither the last `keep` nor the best.

    Raises:
        OSError: It could not be written; earlier checkpoints are untouched.
    """
    from safetensors.numpy import save as to_bytes

    folder.mkdir(exist_ok=True)
    final = folder / _name(progress)
    temporary = folder / f".{final.name}"
    for leftover in (temporary, final):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        for name, arrays in ((MODEL_FILE, model), (STATE_FILE, state)):
            write_atomic(temporary / name, to_bytes(dict(arrays)))
        hashes = {name: sha256(temporary / name) for name in (MODEL_FILE, STATE_FILE)}
        manifest = {"schema": SCHEMA, "kind": "checkpoint", "progress": progress.to_json(), "sha256": hashes}
        write_atomic(temporary / MANIFEST_FILE, json.dumps(manifest, indent=2) + "\n")
        sync(temporary)
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync(folder)
    _prune(folder, keep=keep, best=[best.batch for best in (progress.best, progress.phase_best) if best])
    return Checkpoint(final, progress, hashes)


def _name(progress: Progress) -> str:
    return f"step-{progress.step:08d}" + ("" if progress.step == progress.batch else f"-batch-{progress.batch:08d}")


def _prune(folder: Path, *, keep: int, best: Collection[int]) -> None:
    found = checkpoints(folder)
    kept = {checkpoint.path for checkpoint in found[-keep:]}
    for checkpoint in found:
        if checkpoint.path not in kept and checkpoint.progress.batch not in best:
            shutil.rmtree(checkpoint.path)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Lists the whole checkpoints below a folder, oldest first.

    Raises:
        RunError: A manifest is damaged.
    """
    found = [
        _open(path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if FOLDER_NAME.fullmatch(path.name) and (path / MANIFEST_FILE).is_file()
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.progress.batch)


def _open(path: Path) -> Checkpoint:
    manifest = path / MANIFEST_FILE
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
        progress = Progress.from_json(document["progress"])
        if "batch" not in document["progress"]:
            progress = counted_anew(progress, RunFolder(path.parent.parent))
        return Checkpoint(path, progress, dict(document["sha256"]))
    except (ValueError, KeyError, TypeError) as fault:
        raise RunError(f"{manifest}: is damaged; delete {path} to go back one") from fault


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
    """Returns the checkpoint after a batch of the run, or None where it is not kept."""
    return next((checkpoint for checkpoint in checkpoints(folder) if checkpoint.progress.batch == batch), None)


def restore_weights(model: Any, source: Checkpoint) -> None:
    """Puts a checkpoint's weights into a model.

    Raises:
        RunError: They are damaged, or belong to another model.
    """
    arrays = source.model_arrays()
    if set(arrays) != {weight.path for weight in model.weights}:
        raise RunError(f"{source.path}: belongs to another model than {model.name}")
    for weight in model.weights:
        weight.assign(arrays[weight.path])
    finalize_state(model)


def saved_weights(model: Any, averages: Mapping[str, Any]) -> "dict[str, np.ndarray]":
    """Reads the weights that a kept model has: the moving average of a weight where there is one, else the weight."""
    arrays = arrays_of(model.weights)
    return {path: array_of(averages[path]) if path in averages else array for path, array in arrays.items()}


def training_state(model: Any, optimizer: Any, averages: Mapping[str, Any]) -> "dict[str, np.ndarray]":
    """Reads all that training needs beside `saved_weights`.

    That is: optimizer variables by path; the weights themselves where `saved_weights` has their averages; and seed
    generators by number.
    """
    return {name: array_of(variable) for name, variable in _state_variables(model, optimizer, averages).items()}


def restore_training_state(
    model: Any, optimizer: Any, averages: Mapping[str, Any], arrays: "Mapping[str, np.ndarray]"
) -> None:
    """Puts back what `training_state` read; the optimizer must be built.

    Raises:
        RunError: The state belongs to another model or optimizer.
    """
    variables = _state_variables(model, optimizer, averages)
    if set(variables) != set(arrays):
        differing = sorted(set(variables) ^ set(arrays))
        raise RunError(
            f"the checkpoint's state belongs to another training: {len(differing)} entries differ, {differing[0]} first"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _state_variables(model: Any, optimizer: Any, averages: Mapping[str, Any]) -> dict[str, Any]:
    variables = {f"optimizer/{path}": variable for path, variable in by_path(optimizer.variables).items()}
    variables |= {f"weight/{weight.path}": weight for weight in model.weights if weight.path in averages}
    # In the order of the graph, since their own names count up from process to process.
    states = [state for layer in model.layers for state in seed_states(layer)]
    return variables | {f"seed/{number}": state for number, state in enumerate(states)}
