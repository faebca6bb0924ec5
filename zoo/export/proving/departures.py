"""Where an export departs from the run's model: in reading photos, in the order of classes, or at a stage."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.images.decoding import decode
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.errors import ZooError, in_one_line, shown
from zoo.export.proving.calling import look_inside
from zoo.export.writing import write_model
from zoo.freezing.stages import HEAD, stages
from zoo.inference.batches import predict_in_batches
from zoo.inference.export_folder import ExportFolder, open_runtime
from zoo.inference.features import feature_model
from zoo.models.blueprint import blueprint_of
from zoo.registry.fitting import INTERPOLATIONS, RESIZES, ImageFit

if TYPE_CHECKING:
    import keras

# How far a stage's output may be from Keras', as a share of its largest number; engines of a first pass have the same.
_STAGE_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Case:
    """A photo on which an export departs.

    Attributes:
        file: Where it lies.
        expected: What Keras gives, float32[classes].
        given: What the export gives, in the order of the run's classes.
    """

    file: Path
    expected: np.ndarray
    given: np.ndarray

    @property
    def difference(self) -> float:
        """The largest of any class; infinite where one is not a number."""
        largest = float(np.max(np.abs(self.given.astype(np.float64) - self.expected)))
        return largest if np.isfinite(largest) else np.inf


def first_departure(
    export: ExportFolder, model: "keras.Model", settings: Settings, cases: Sequence[Case], *, tolerance: float
) -> str:
    """Names the first stage at which an export departs, from the file of a photo on.

    Args:
        export: What was written.
        model: The run's, by Keras.
        settings: How the run reads photos.
        cases: Photos on which it departs; the worst are best.
        tolerance: What a probability may differ by.

    Returns:
        The stage and what is wrong there, for a message.
    """
    classes = blueprint_of(model).classes
    if found := _of_classes(export.document.classes, classes):
        return found
    files = [case.file for case in cases]
    with quiet_pillow():
        pixels = np.stack([read_pixels(file, settings)[0] for file in files])
    read, computed = look_inside(export.path, files, pixels)
    for file, expected, found in zip(files, pixels, read, strict=True):
        if found.dtype != np.uint8 or not np.array_equal(expected, found):
            return _of_reading(export.path, file, settings, expected, found)
    expected = np.stack([case.expected for case in cases])
    return _of_order(expected, computed, classes) or _of_stages(export, model, pixels, tolerance)


def _of_classes(written: Sequence[str], classes: Sequence[str]) -> str:
    if len(written) != len(classes):
        return f"the class order departs: export.json has {len(written)} classes, the run {len(classes)}"
    for place, (found, expected) in enumerate(zip(written, classes, strict=True)):
        if found != expected:
            return (
                f"the class order departs: class {place} of export.json is {shown(found)}, of the run {shown(expected)}"
            )
    return ""


def _of_reading(folder: Path, file: Path, settings: Settings, expected: np.ndarray, found: np.ndarray) -> str:
    """Says what is wrong with the pixels that call.py reads."""
    if found.dtype != np.uint8 or found.shape != expected.shape:
        return (
            f"reading departs: the pixels are {found.dtype}{list(found.shape)}; expected {expected.dtype}"
            f"{list(expected.shape)} in [0, 255], which the net itself scales"
        )
    if int(found.max()) <= 1 < int(expected.max()):
        return "reading departs: the pixels lie in [0, 1]; expected [0, 255], which the net itself scales"
    if np.array_equal(found, expected[..., ::-1]):
        return "reading departs: the channels are blue, green, red; expected red, green, blue"
    for key, value, other in _other_fits(settings.fit):
        if np.array_equal(found, read_pixels(file, replace(settings, fit=other))[0]):
            return f"reading departs: resizing is that of {key} {value}; expected {getattr(settings.fit, key)}"
    count, most = np.count_nonzero(found != expected), int(np.max(np.abs(found.astype(int) - expected)))
    what = f"{count:,} of {expected.size:,} values differ, by up to {most}"
    # The same photo once decoding is done: where it is read as it should be, decoding was at fault.
    with tempfile.TemporaryDirectory(prefix="zoo-proof-") as temporary, quiet_pillow():
        plain = Path(temporary) / "decoded.png"
        decode(file, side=settings.side, white=settings.fit.white)[0].save(plain, compress_level=1)
        resized = read_pixels(plain, settings)[0]
        again, _ = look_inside(folder, [plain], resized[None])
    stage = "decoding" if np.array_equal(again[0], resized) else "resizing"
    return f"reading departs, in {stage}: {what}"


def _other_fits(fit: ImageFit) -> list[tuple[str, str | float, ImageFit]]:
    """Lists fits that are easily taken for another."""
    others: list[tuple[str, str | float, ImageFit]] = [
        ("interpolation", name, replace(fit, interpolation=name))
        for name in INTERPOLATIONS
        if name != fit.interpolation
    ]
    if fit.crop_share == 1:
        others += [("resize", one, replace(fit, resize=one)) for one in RESIZES]
    else:
        others.append(("crop_share", 1.0, replace(fit, crop_share=1.0)))
    return [(key, value, other) for key, value, other in others if other != fit]


def _of_order(expected: np.ndarray, given: np.ndarray, classes: Sequence[str]) -> str:
    """Says whether outputs stand in other places than they should; empty where they are other numbers."""
    if given.shape != expected.shape:
        return f"the net departs: it gives {list(given.shape[1:])} numbers a photo; expected {list(expected.shape[1:])}"
    # float64[classes, classes]: how far each given output is from each expected one, on all photos.
    apart = np.stack([np.max(np.abs(expected - column[:, None]), axis=0) for column in given.T.astype(np.float64)])
    nearest = apart.argmin(axis=1)
    moved = np.flatnonzero(nearest != np.arange(len(classes)))
    is_order = len(moved) and len(set(nearest.tolist())) == len(classes)
    if not is_order or float(apart[np.arange(len(classes)), nearest].max()) > _STAGE_TOLERANCE:
        return ""
    place = int(moved[0])
    found, wanted = classes[int(nearest[place])], classes[place]
    return f"the class order departs: output {place} is that of {shown(found)}; expected {shown(wanted)}"


def _of_stages(export: ExportFolder, model: "keras.Model", pixels: np.ndarray, tolerance: float) -> str:
    """Exports the net cut at each stage in turn, and names the first whose output departs from Keras'."""
    apart = 0.0
    for stage in stages(model):
        part = model if stage.name == HEAD else _part(model, stage.name)
        if part is None:
            continue
        expected = predict_in_batches(part, pixels)
        try:
            given = _exported(export, part, pixels)
        except Exception as fault:  # whatever a converter raises: the whole could be written
            return f"the net departs, and its part up to stage {stage.name} cannot be exported ({in_one_line(fault)})"
        apart = float(np.max(np.abs(given.astype(np.float64) - expected))) if given.shape == expected.shape else np.inf
        largest = float(np.max(np.abs(expected)))
        if not apart <= _STAGE_TOLERANCE * largest:  # nor where one is not a number
            share = (
                f"by {apart / largest:.2g} of its largest number" if largest and np.isfinite(apart) else "altogether"
            )
            return f"stage {stage.name} departs first: its output differs {share}"
    if export.document.quantize is not None:
        return (
            f"no stage departs in float32: {export.document.quantize} cannot hold its numbers; keep some stages in "
            "float32 with --in-float STAGES, or leave --quantize out"
        )
    if apart <= tolerance:  # of the last stage: the whole net
        return "the written file departs: no stage does when it is exported anew"
    by_accuracy = (
        ", or --quantize float16, which is proved by its accuracy" if "float16" in export.row.quantizes else ""
    )
    return (
        f"no stage departs by more than {_STAGE_TOLERANCE:g} of its largest number: roundings add up over the net, as "
        f"this format's runtime computes; choose another format with --to{by_accuracy}"
    )


def _part(model: "keras.Model", stage: str) -> "keras.Model | None":
    """Returns the net up to a stage; None where the stage lies inside a layer."""
    try:
        return feature_model(model, at=stage, pooling=None)
    except ZooError:
        return None


def _exported(export: ExportFolder, part: "keras.Model", pixels: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory(prefix="zoo-proof-") as folder:
        write_model(Path(folder), export.row, part, export.document)
        return open_runtime(export.row, Path(folder))(pixels)
