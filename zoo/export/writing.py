"""An export's files but for its proof: the model's by the writer of its format, export.json, call.py, requirements."""

import errno
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.backend import devices
from zoo.backend.quiet_start import descriptor_2_silenced
from zoo.data.given import settings_for
from zoo.data.images.settings import Settings
from zoo.errors import ZooError, in_one_line
from zoo.export.call.composing import compose, requirements
from zoo.freezing.stages import stages
from zoo.inference.export_folder import (
    CALL_FILE,
    REQUIREMENTS_FILE,
    ExportDocument,
    ExportFit,
    ExportInput,
    write_document,
)
from zoo.models.arrays import MODEL_FILE
from zoo.models.blueprint import blueprint_of
from zoo.models.saving import read_card
from zoo.registry.exports import EXPORTS, ExportFormat, ExportRequest, Quantize, installed_version
from zoo.runs.folder import RunFolder
from zoo.system.files import say_room, sha256, sha256_of, write_atomic
from zoo.system.text_tables import hidden_sign

if TYPE_CHECKING:
    import keras
    import numpy as np

# Of what export.json says, what stands in the model's own file too.
_IN_THE_FILE = ("zoo", "run", "model", "classes", "input", "output", "fit", "weights", "recipe", "licence", "quantize")
# Bytes of a parameter, in what a format takes at most beside the numbers themselves.
_BYTES_OF_A_PARAMETER = 5


@dataclass(frozen=True, kw_only=True)
class Quantizing:
    """How numbers are made smaller.

    Attributes:
        to: What they become.
        in_float: The stages that stay in float32.
        photos: Gives training photos, uint8[n, height, width, channels] each, by which ranges are measured.
    """

    to: Quantize
    in_float: tuple[str, ...] = ()
    photos: "Callable[[], Iterator[np.ndarray]] | None" = None


def refuse_backend(row: ExportFormat) -> None:
    """Checks that Keras computes with what the format is written from.

    Raises:
        ZooError: It does not.
    """
    backend = devices.name()
    if "tensorflow" in row.writes_with and backend != "tensorflow":
        raise ZooError(
            f"format '{row.name}' is written from TensorFlow's graph, and Keras' backend is {backend}; the same run "
            f"can be exported with it: KERAS_BACKEND=tensorflow zoo export ..."
        )


def settings_of(model: "keras.Model") -> Settings:
    """Returns how photos become the model's input.

    Raises:
        DataError: The model takes no images of one size.
    """
    blueprint = blueprint_of(model)
    return settings_for(blueprint.input_shape, blueprint.fit, model=blueprint.architecture)


def described(run: RunFolder, model: "keras.Model", row: ExportFormat) -> ExportDocument:
    """Says of a run's model what export.json says, but for files and proof.

    Raises:
        DataError: The model takes no images of one size.
        RunError: The run's recipe is damaged.
    """
    blueprint = blueprint_of(model)
    name = run.path.resolve().name
    packages = dict.fromkeys(("keras", *row.writes_with, *row.runs_with, "numpy", "pillow"))
    return ExportDocument(
        format=row.name,
        model=blueprint.architecture,
        classes=blueprint.classes,
        input=ExportInput(shape=settings_of(model).shape),
        fit=ExportFit.of(blueprint.fit),
        weights=read_card(run.model).sha256 or sha256(run.model / MODEL_FILE),
        recipe=sha256_of(run.recipe_content()),
        run=ascii(name)[1:-1] if hidden_sign(name) else name,
        licence=blueprint.licence,
        zoo=installed_version("zoo") or "unknown",
        packages={name: version for name in packages if (version := installed_version(name)) is not None},
    )


def write_export(
    folder: Path,
    row: ExportFormat,
    model: "keras.Model",
    document: ExportDocument,
    quantizing: Quantizing | None = None,
) -> ExportDocument:
    """Writes all of an export but what its proof adds.

    Args:
        folder: An empty one.
        row: The format.
        model: In float32.
        document: What `described` says of it.
        quantizing: How its numbers are made smaller; None for float32.

    Returns:
        What export.json says: with the hashes of the files.

    Raises:
        ZooError: The format cannot hold the model.
        OSError: There is no room.
    """
    if quantizing is not None:
        document = replace(document, quantize=quantizing.to, in_float=quantizing.in_float)
    write_model(folder, row, model, document, quantizing)
    document = replace(document, files=_hashes(row, folder))
    write_document(folder, document)
    write_atomic(folder / CALL_FILE, compose(row))
    write_atomic(folder / REQUIREMENTS_FILE, requirements(row))
    return document


def write_model(
    folder: Path,
    row: ExportFormat,
    model: "keras.Model",
    document: ExportDocument,
    quantizing: Quantizing | None = None,
) -> None:
    """Writes the model's files alone; see `write_export`."""
    request = ExportRequest(
        model=model,
        folder=folder,
        metadata=_metadata(document),
        classes=document.classes,
        quantize=None if quantizing is None else quantizing.to,
        float_layers=() if quantizing is None else _layers_of(model, quantizing.in_float),
        photos=None if quantizing is None else quantizing.photos,
    )
    _write_quietly(row, request)


def _layers_of(model: "keras.Model", names: Sequence[str]) -> list[str]:
    """Lists the layers of stages."""
    return [layer.name for stage in stages(model) if stage.name in names for layer in stage.layers] if names else []


def _metadata(document: ExportDocument) -> dict[str, str]:
    """Returns what stands in the model's file: texts as they are, all else as JSON."""
    said = {name: value for name, value in document.to_json().items() if name in _IN_THE_FILE and value is not None}
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in said.items()
    }


def _write_quietly(row: ExportFormat, request: ExportRequest) -> None:
    try:
        with _quietly():
            row.build(request)
    except ZooError:
        raise
    except Exception as fault:
        refuse_full_disk(request, fault)
        if devices.is_out_of_memory(fault):
            raise
        if not row.is_shipped:
            raise EXPORTS.fault(row, f"its writer fails: {in_one_line(fault)}") from fault
        raise ZooError(
            f"format '{row.name}' cannot hold this model: {in_one_line(fault)}; expected another of "
            f"{', '.join(name for name in EXPORTS.names() if name != row.name)}"
        ) from fault


def refuse_full_disk(request: ExportRequest, fault: Exception) -> None:
    """Says of a fault that it was for want of room, where it was: converters raise whatever they like then.

    Raises:
        OSError: It was.
    """
    place, needed = request.folder.parent, _BYTES_OF_A_PARAMETER * request.model.count_params()
    if shutil.disk_usage(place).free < needed and not isinstance(fault, OSError):
        fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if isinstance(fault, OSError):
        say_room(fault, place, needed=needed)
        raise fault


@contextmanager
def _quietly() -> Generator[None]:
    """Holds back what converters say: to descriptor 2, as warnings and in logs; where they fail, all of it is shown."""
    logs = [logging.getLogger(name) for name in ("", "tensorflow", "tf2onnx", "absl")]
    levels, handlers = [log.level for log in logs], list(logging.root.handlers)
    try:
        for log in logs:
            log.setLevel(logging.ERROR)
        with warnings.catch_warnings(), descriptor_2_silenced():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        logging.root.handlers[:] = handlers  # TensorFlow's converter adds one, which prints whatever anybody logs


def _hashes(row: ExportFormat, folder: Path) -> Mapping[str, str]:
    """Returns the SHA-256 of each file that a writer left, by its path below the folder.

    Raises:
        ZooError: It has not written what its row says.
    """
    for name in row.files:
        if not (folder / name).exists():
            raise EXPORTS.fault(row, f"wrote no {name}")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}
