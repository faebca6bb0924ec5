"""Opens what is to answer, with the runtime that computes it; `predict` and `serve` share it."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from zoo.backend.hardware.machine import usable_cores
from zoo.backend.quiet_start import descriptor_2_silenced, import_keras
from zoo.errors import NotFoundError, WeightsError, ZooError, in_one_line, shown
from zoo.foreign import trust
from zoo.inference.answerer import Answerer
from zoo.inference.export_folder import ANEW, ExportFolder, is_export, open_runtime, read_export
from zoo.inference.fallback import TRY_AGAIN, given_up, or_by_keras
from zoo.inference.kept_exports import LOGGER, Identity, find_kept, identity_of
from zoo.inference.prediction import Compute
from zoo.inference.sources import check_source, weights_of
from zoo.models.saving import MODEL_FOLDER
from zoo.registry.exports import EXPORTS, ExportFormat
from zoo.system.partial_entries import discard
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import numpy as np

# `auto` is the fastest that is there and proved: a kept export, else Keras; of an export its own format's.
Runtime = Literal["auto", "keras", "litert", "onnx", "openvino"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
AUTO: Runtime = "auto"
KERAS: Runtime = "keras"
# What `auto` keeps and takes: it opens at once, and proves equal to 1e-7.
LITERT: Runtime = "litert"


def check_answers(source: os.PathLike[str] | str) -> None:
    """Looks whether there is something that can answer, before anything is loaded.

    Raises:
        NotFoundError: There is no finished run, no export, and no model of this name that has classes of its own.
        WeightsError: The model's weights are not on this machine.
        RunError: An export's document is damaged.
    """
    if is_export(path := given_path(source, "the path of the run")):
        read_export(path)
    else:
        check_source(source)


def open_answerer(
    source: os.PathLike[str] | str,
    runtime: Runtime = AUTO,
    *,
    threads: int | None = None,
    start_keras: Callable[[], object] = import_keras,
) -> Answerer:
    """Opens what is to answer.

    With `auto`, a run or a model is answered for by the proved LiteRT export that the cache keeps of it, which starts
    neither Keras nor TensorFlow; where there is none, or it cannot be used, Keras answers. An export is answered for by
    its format's own runtime.

    Args:
        source: A finished run, its `model` folder, a model with pretrained weights, or an export's folder.
        runtime: What computes; `auto` chooses.
        threads: How many a runtime may use; None for as many as this process has cores. Keras has its own setting.
        start_keras: Called before Keras is needed.

    Raises:
        NotFoundError: There is no such run, model, export or runtime, or no export for this runtime is kept.
        WeightsError: The weights or the kept export are damaged, or cannot be found here.
        RunError: The run or the export is damaged.
        TrustError: The export is a program, and not trusted on this machine.
        ZooError: The runtime is not installed, or cannot open the export.
    """
    if runtime not in RUNTIMES:
        raise NotFoundError(f"runtime is {shown(runtime)}; expected {', '.join(RUNTIMES)}")
    opening = _Opening(source, threads or usable_cores(), start_keras)
    if is_export(path := given_path(source, "the path of the run")):
        return opening.of_export(read_export(path), runtime)
    check_source(source)
    if runtime == KERAS:
        return opening.by_keras()
    row = EXPORTS.lookup(LITERT if runtime == AUTO else runtime)
    if runtime != AUTO:
        row.require_runtime()
    identity = identity_of(source) if row.can_run else None
    if runtime == AUTO:
        return opening.by_keras() if identity is None else opening.kept_or_by_keras(identity, row)
    if identity is None:
        raise NotFoundError(f"{source}: has no export that can be kept; expected --runtime {AUTO} or {KERAS}")
    kept = find_kept(identity.folder(row))
    if kept is None or kept.refused:
        why, again = (
            ("", "") if kept is None else (f" ({kept.refused})", f", or type {TRY_AGAIN} to have it tried again")
        )
        raise NotFoundError(f"{source}: no {row.name} export is kept{why}; expected --runtime {AUTO} or {KERAS}{again}")
    return opening.kept(identity, row)


@dataclass(frozen=True)
class _Opening:
    """What is to be opened, and with what means."""

    source: os.PathLike[str] | str
    threads: int
    start_keras: Callable[[], object]

    def by_keras(self) -> Answerer:
        return answerer_of_keras(self.source, self.start_keras)

    def kept_or_by_keras(self, identity: Identity, row: ExportFormat) -> Answerer:
        """Takes the kept export, or Keras where there is none, it is damaged, or its runtime fails; that is said."""
        folder = identity.folder(row)
        kept = None
        try:
            kept = find_kept(folder)
            if kept is None or kept.refused:
                return self.by_keras()
            answerer = self.kept(identity, row)
        except WeightsError as fault:
            LOGGER.warning("%s; Keras answers", fault)
            discard(folder)  # and the next one is made
            return self.by_keras()
        except (ZooError, OSError) as fault:
            LOGGER.warning("%s; Keras answers%s", fault, given_up(folder, kept, fault))
            return self.by_keras()
        return or_by_keras(answerer, self.by_keras, lambda fault: given_up(folder, kept, fault))

    def kept(self, identity: Identity, row: ExportFormat) -> Answerer:
        classes = len(identity.blueprint.classes)
        return Answerer(
            name=name_of(self.source),
            classes=identity.blueprint.classes,
            input_shape=identity.blueprint.input_shape,
            fit=identity.blueprint.fit,
            runtimes=[said_runtime(row)],
            weights=identity.weights,
            compute=checked(opened(row, identity.folder(row), self.threads), identity.folder(row), classes),
        )

    def of_export(self, export: ExportFolder, runtime: Runtime) -> Answerer:
        row, document = export.row, export.document
        if runtime not in (AUTO, row.name):
            raise NotFoundError(
                f"{export.path}: is an export to {row.name}, which '{runtime}' cannot run; expected --runtime {AUTO}"
            )
        export.verify()
        if not row.runtime:
            return replace(self.by_keras(), name=document.run)
        row.require_runtime()
        if row.is_program:
            trust.require(document.program, str(export.path))
        if "tensorflow" in row.runs_with:
            self.start_keras()
        return Answerer(
            name=document.run,
            classes=document.classes,
            input_shape=document.input.shape,
            fit=document.image_fit,
            runtimes=[said_runtime(row)],
            weights=document.weights,
            compute=checked(opened(row, export.path, self.threads), export.path, len(document.classes)),
        )


def said_runtime(row: ExportFormat) -> str:
    """Returns what computes an export of a format, with its version, as `litert 2.3.0`."""
    return f"{row.name} {row.runtime_name.rpartition(' ')[2]}"


def opened(row: ExportFormat, folder: Path, threads: int) -> Compute:
    """Opens an export by its runtime, whose faults become ours.

    Raises:
        ZooError: The runtime cannot open it.
    """
    try:
        with descriptor_2_silenced(all_of_it=False):
            run = open_runtime(row, folder, threads=threads)
    except Exception as fault:  # whatever a runtime raises
        raise ZooError(f"{folder}: {row.runtime_name} cannot open it ({in_one_line(fault)})") from fault
    has_run = False

    def compute(pixels: "np.ndarray") -> "np.ndarray":
        nonlocal has_run
        try:
            # LiteRT writes a line when it first takes memory.
            with nullcontext() if has_run else descriptor_2_silenced(all_of_it=False):
                found = run(pixels)
        except Exception as fault:
            raise ZooError(f"{folder}: {row.runtime_name} failed ({in_one_line(fault)})") from fault
        has_run = True
        return found

    return compute


def checked(compute: Compute, folder: Path, classes: int) -> Compute:
    """Refuses what cannot be the probabilities of a number of classes: the file may be anybody's.

    Raises:
        ZooError: When called: the shape or type is another, or a number is not one.
    """
    import numpy as np

    def run(pixels: "np.ndarray") -> "np.ndarray":
        found = np.asarray(compute(pixels))
        expected = f"expected float32[{len(pixels)}, {classes}], a probability for each class; {ANEW}"
        if found.dtype != np.float32 or found.shape != (len(pixels), classes):
            raise ZooError(f"{folder}: its model gives {found.dtype}{list(found.shape)}; {expected}")
        if not np.isfinite(found).all():
            raise ZooError(f"{folder}: its model gives NaN or infinite numbers; {expected}")
        return found

    return run


def answerer_of_keras(source: os.PathLike[str] | str, start_keras: Callable[[], object] = import_keras) -> Answerer:
    """Loads a run, a model, or an export to safetensors by Keras."""
    start_keras()
    from importlib.metadata import version

    from zoo.inference.batches import predict_in_batches
    from zoo.inference.classifier import load

    classifier = load(source)
    return Answerer(
        name=name_of(source),
        classes=classifier.classes,
        input_shape=classifier.input_shape,
        fit=classifier.fit,
        runtimes=[f"{KERAS} {version('keras')}"],
        weights=weights_of(source),
        compute=lambda pixels: predict_in_batches(classifier.model, pixels),
        classifier=classifier,
    )


def name_of(source: os.PathLike[str] | str) -> str:
    """Returns what a run or a model goes by: the folder's own name, or the model's."""
    path = given_path(source, "the path of the run")
    if not path.is_dir():
        return str(source)
    whole = path.resolve()
    return whole.parent.name if whole.name == MODEL_FOLDER and (whole.parent / "run.json").is_file() else whole.name
