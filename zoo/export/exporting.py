"""`zoo.export_run`: a finished run's classifier as files of another format, with what calls them, and the proof."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import TrustError
from zoo.export.destination import default_path, made_beside, refuse_taken
from zoo.export.proof import TOLERANCE, prove
from zoo.export.proving.photos import place_of
from zoo.export.quantizing import Trial, compared_photos, quantizing_of, refuse_loss, refuse_quantize
from zoo.export.writing import described, refuse_backend, write_export
from zoo.foreign import trust
from zoo.inference.export_folder import ExportDocument, write_document
from zoo.inference.sources import model_folder
from zoo.models.building import load_model
from zoo.registry.exports import EXPORTS, Quantize
from zoo.report.progress import ProgressDisplay, Verbose, make_display
from zoo.runs.folder import RunFolder
from zoo.system.interruption import noticed
from zoo.system.paths import given_path


@dataclass(frozen=True)
class Export:
    """An export that was made, and proved where anything but zoo opens it.

    Attributes:
        path: Its folder.
        document: What export.json says, with the proof.
    """

    path: Path
    document: ExportDocument

    def to_json(self) -> dict[str, Any]:
        """Returns what `zoo export --json` prints."""
        return {"out": str(self.path), **self.document.to_json()}


# Many arguments because a user names them.
@noticed()
def export_run(
    run: os.PathLike[str] | str,
    to: str,
    *,
    data: os.PathLike[str] | str | None = None,
    out: os.PathLike[str] | str | None = None,
    quantize: Quantize | None = None,
    in_float: Sequence[str] = (),
    display: ProgressDisplay | None = None,
    verbose: Verbose = 0,
) -> Export:
    """Exports a finished run's classifier, and proves that the export answers as Keras does.

    The export takes raw pixels, uint8[n, height, width, channels], and gives probabilities, float32[n, classes], in
    float32 whatever the run trained in. Beside the model lie export.json, which says all of it, and call.py, which
    classifies photos without zoo. The proof calls it on every photo that the run validated on. An export that is a
    program, such as a SavedModel, is trusted on this machine from then on: zoo has written it here.

    Args:
        run: The run, or its folder.
        to: The format: `saved_model`, `onnx`, `litert`, `openvino`, `keras`, `safetensors`, or a plug-in's.
        data: Where the run's images are now; None where they were.
        out: The folder, new or an earlier export, which is replaced; by default `exports/<run>-<format>`.
        quantize: `int8` or `float16`, for smaller numbers; None for float32. int8 is calibrated on training photos.
            The export is refused where it loses more than half a point of accuracy on the photos of the proof.
        in_float: Stages that stay in float32 all the same.
        display: Shows progress in place of what `verbose` says.
        verbose: What is shown on stderr; see `zoo.evaluate`.

    Raises:
        NotFoundError: There is no finished run, no such format, or the run's images are no longer where they were.
        RunError: The folder is taken by something else.
        ContractError: The export does not answer as Keras does, or loses too much; nothing is left of it.
        ZooError: A package is missing, or the format cannot hold the model.

    Example:

        export = zoo.export_run("runs/pets", "onnx")
        print(export.path, export.document.proof)
    """
    row = EXPORTS.lookup(to)
    row.require()
    refuse_quantize(row, quantize, in_float)
    folder = RunFolder.open(given_path(run, "the path of the run"))
    name = folder.path.resolve().name
    path = default_path(name, row.name, quantize) if out is None else given_path(out, "the folder")
    images = None if data is None else given_path(data, "the path of the images")
    refuse_taken(path)
    model_folder(folder.path)
    refuse_backend(row)
    if row.runtime and images is None:
        place_of(folder)
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(make_display(verbose, logger="zoo.export")) if display is None else display
        made = stack.enter_context(made_beside(path))
        model = load_model(folder.model, precision="float32", as_saved=False)
        document = described(folder, model, row)
        quantizing = None
        if quantize is not None:
            quantizing = quantizing_of(folder, model, quantize, in_float=in_float, data=images)
        shown.line(f"writing {', '.join(row.files)}")
        document = write_export(made, row, model, document, quantizing)
        if row.runtime:
            tolerance = TOLERANCE if quantizing is None else 1.0
            proof = prove(folder, made, model, display=shown, data=images, tolerance=tolerance)
            if quantizing is not None:
                trial = Trial(row=row, model=model, document=document, quantizing=quantizing)
                refuse_loss(proof, trial, lambda: compared_photos(folder, model, images), display=shown)
            document = replace(document, proof=proof)
            write_document(made, document)
        if row.is_program:
            _trust_own(document, path, shown)
    return Export(path, document)


def _trust_own(document: ExportDocument, path: Path, display: ProgressDisplay) -> None:
    """Trusts a program that zoo has written of numbers, and run in its proof, on this machine a moment ago."""
    try:
        trust.pin(document.program, str(path.absolute()))
    except (OSError, TrustError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else fault
        display.line(f"warning: {path}: is not noted as trusted ({reason}); zoo predict will ask for --trust-code once")
