"""Keeping an export of what has answered, so that the next `predict` starts neither Keras nor TensorFlow.

It is made by the format's writer from the Keras model that answered, and compared with it on the images that were just
classified and on some that are always the same. What does not prove equal is noted, and not tried again.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.backend.hardware.machine import usable_cores
from zoo.backend.memory import has_memory
from zoo.backend.quiet_start import descriptor_2_silenced, import_keras
from zoo.errors import ZooError, in_one_line
from zoo.export.writing import refuse_full_disk
from zoo.inference.answerer import Answerer, FirstBatch
from zoo.inference.answering import (
    AUTO,
    KERAS,
    LITERT,
    Runtime,
    answerer_of_keras,
    open_answerer,
    opened,
)
from zoo.inference.export_folder import is_export
from zoo.inference.kept_exports import (
    FLOAT32,
    KIND,
    TOLERANCE,
    Identity,
    KeptExport,
    KeptProof,
    find_kept,
    identity_of,
    write_manifest,
)
from zoo.inference.sources import check_source
from zoo.registry.exports import EXPORTS, ExportFormat, ExportRequest, installed_version
from zoo.system.cache import has_room, make_room
from zoo.system.files import sha256
from zoo.system.integrity.manifests import files_in
from zoo.system.partial_entries import complete, discard, held, is_held, partial_of, remove_litter
from zoo.system.paths import given_path

# Of the weights' bytes, for a converter to be let loose: it holds them several times, and this is a quarter of the
# memory that has to be there.
_CONVERTED = 2

if TYPE_CHECKING:
    import os

    import numpy as np


def open_or_make(
    source: "os.PathLike[str] | str", runtime: Runtime, *, start_keras: Callable[[], object] = import_keras
) -> Answerer:
    """Opens what is to answer; where a runtime is asked for by name of which no export is kept, it is made first.

    Args:
        source: See `open_answerer`.
        runtime: What computes; `auto` chooses.
        start_keras: Called before Keras is needed.

    Raises:
        ZooError: See `open_answerer`; or the export cannot be made, or does not prove equal to Keras.
    """
    if runtime not in (AUTO, KERAS) and not is_export(given_path(source, "the path of the run")):
        row = EXPORTS.lookup(runtime)
        row.require()
        check_source(source)
        identity = identity_of(source)
        if identity is not None and find_kept(identity.folder(row)) is None:
            refused = keep(answerer_of_keras(source, start_keras), identity, FirstBatch(), row)
            if refused:
                raise ZooError(f"{source}: --runtime {runtime}: {refused}; expected --runtime {AUTO} or {KERAS}")
    return open_answerer(source, runtime, start_keras=start_keras)


def what_to_keep(source: "os.PathLike[str] | str", answerer: Answerer) -> Identity | None:
    """Says of what a LiteRT export can be kept once an answerer has answered; None where there is nothing to do.

    Only where Keras answered on TensorFlow, in float32; where LiteRT is installed, and memory for the converter; and
    where no earlier try is noted, and none is under way.
    """
    row = EXPORTS.lookup(LITERT)
    classifier = answerer.classifier
    if classifier is None or not (row.can_run and row.can_write) or is_export(given_path(source, "the run")):
        return None
    from zoo.backend import devices

    if devices.name() != "tensorflow" or classifier.model.dtype_policy.name != FLOAT32:
        return None
    if not has_memory(_CONVERTED * 4 * classifier.model.count_params()):
        return None
    identity = identity_of(source)
    if identity is None:
        return None
    folder = identity.folder(row)
    with contextlib.suppress(OSError, ZooError):
        if is_held(partial_of(folder)) or find_kept(folder) is not None:
            return None
    return identity


def keep(answerer: Answerer, identity: Identity, first: FirstBatch, row: ExportFormat | None = None) -> str:
    """Makes an export of what a Keras model answers, proves it, and keeps it in the cache.

    Args:
        answerer: Keras' own.
        identity: What it is.
        first: What it was asked, and has answered.
        row: The format; None for LiteRT.

    Returns:
        Why nothing is kept, in one line; empty where the export is kept.
    """
    row = row or EXPORTS.lookup(LITERT)
    folder = identity.folder(row)
    bytes_expected = 4 * answerer.classifier.model.count_params() if answerer.classifier else 0
    if not has_room(2 * bytes_expected):
        return "the cache has no room for it"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(folder.parent)
        with held(folder) as partial:
            there = _found(folder)
            if there is not None:
                return there.refused or ""
            discard(partial)
            partial.mkdir()
            try:
                make_room(KIND, bytes_expected, beside=partial)
                kept = _made(answerer, identity, row, first, partial)
                write_manifest(partial, kept)
                complete(partial, folder)
            except BaseException:  # an interruption too: what is half made helps nobody
                discard(partial)
                raise
    except OSError as fault:
        return f"{fault.filename or folder}: {fault.strerror or fault}; --runtime {KERAS} makes none"
    except MemoryError:
        return "memory is short"
    return kept.refused or ""


def _found(folder: Path) -> KeptExport | None:
    """Reads an entry; a damaged one is removed."""
    try:
        return find_kept(folder)
    except ZooError:
        discard(folder)
        return None


def _made(answerer: Answerer, identity: Identity, row: ExportFormat, first: FirstBatch, folder: Path) -> KeptExport:
    """Writes the model's files, and says of them what the manifest is to say.

    Raises:
        OSError: The disk is full, ...
    """
    noted = KeptExport(
        key=identity.folder(row).name, format=row.name, runtime=row.runtime_name, weights=identity.weights
    )
    assert answerer.classifier is not None
    request = ExportRequest(
        model=answerer.classifier.model,
        folder=folder,
        metadata={"zoo": installed_version("zoo") or ""},
        classes=identity.blueprint.classes,
    )
    try:
        with descriptor_2_silenced():
            row.build(request)
            proof = _compared(answerer, row, first, folder)
    except (OSError, MemoryError):  # of this moment
        raise
    except Exception as fault:  # whatever a converter raises
        refuse_full_disk(request, fault)
        proof = f"{row.name} cannot take it over ({in_one_line(fault)})"
    if isinstance(proof, str):
        discard_files(folder)
        return replace(noted, refused=proof)
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in files_in(folder)}
    return replace(noted, sha256=files, proof=proof)


def discard_files(folder: Path) -> None:
    """Removes what a folder holds."""
    for path in list(folder.iterdir()):
        discard(path)


def _compared(answerer: Answerer, row: ExportFormat, first: FirstBatch, folder: Path) -> KeptProof | str:
    """Compares an export with Keras; returns in what it departs, where it does."""
    import numpy as np

    run = opened(row, folder, usable_cores())
    fixed = fixed_images(answerer.input_shape)
    pairs = [(fixed, answerer.compute(fixed))]
    if first.pixels is not None and first.probabilities is not None:
        pairs.append((first.pixels, first.probabilities))
    largest, images = 0.0, 0
    for pixels, expected in pairs:
        given = run(pixels)
        if given.shape != expected.shape:
            return f"{row.name} gives {list(given.shape)}; Keras gives {list(expected.shape)}"
        difference = float(np.max(np.abs(given - expected)))
        if not difference <= TOLERANCE:  # nor where one is NaN
            return f"{row.name} differs from Keras by {difference:.1g}; expected at most {TOLERANCE:.0e}"
        if pixels is first.pixels and not np.array_equal(given.argmax(axis=1), expected.argmax(axis=1)):
            return f"{row.name} names another class than Keras for an image of which two are as likely"
        largest, images = max(largest, difference), images + len(pixels)
    return KeptProof(images=images, largest_difference=largest)


def fixed_images(input_shape: tuple[int, ...]) -> "np.ndarray":
    """Makes images that are always the same: black, white, a ramp, and noise of two kinds.

    Args:
        input_shape: Height, width and channels.

    Returns:
        uint8[5, height, width, channels].
    """
    import numpy as np

    height, width, channels = input_shape
    generator = np.random.default_rng(0)
    ramp = np.linspace(0, 255, height * width).astype(np.uint8).reshape(height, width, 1)
    coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels)).astype(np.uint8)
    return np.stack(
        [
            np.zeros(input_shape, np.uint8),
            np.full(input_shape, 255, np.uint8),
            np.broadcast_to(ramp, input_shape),
            generator.integers(0, 256, input_shape).astype(np.uint8),
            coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width],
        ]
    )
