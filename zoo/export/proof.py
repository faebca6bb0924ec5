"""The proof of an export: call.py, as others run it, answers as the run's model does, on every photo that validated.

Peers check one array of noise, and leave decoding and resizing outside; there users are hurt. Here each photo goes from
its file on disk through call.py, in a Python of its own, and beside it through zoo's reader and Keras.
"""

import heapq
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.backend.compute.precision import full_float32
from zoo.data.given import GivenImage, settings_for
from zoo.data.images.settings import Settings
from zoo.errors import ContractError, DataError
from zoo.export.proving.calling import answers
from zoo.export.proving.departures import Case, first_departure
from zoo.export.proving.photos import Photos, kept_photos
from zoo.inference.batches import predict_in_batches
from zoo.inference.export_folder import PREDICTIONS_FILE, ExportFolder, Proof, read_export
from zoo.inference.prediction import compute_each
from zoo.models.blueprint import blueprint_of
from zoo.report.progress import ProgressDisplay
from zoo.runs.folder import RunFolder
from zoo.system.files import write_atomic

if TYPE_CHECKING:
    import keras

# What a probability may differ by, in float32: 1,000 numbers summed in another order differ by some 1e-6.
TOLERANCE = 1e-5
# Of how many photos the cause is looked for.
_WORST = 8


def prove(
    run: RunFolder,
    folder: Path,
    model: "keras.Model",
    *,
    display: ProgressDisplay,
    data: Path | None = None,
    tolerance: float = TOLERANCE,
) -> Proof:
    """Proves an export on the photos that a run validated on, and writes predictions.jsonl into it.

    Args:
        run: The run.
        folder: The export: the model's files, export.json and call.py.
        model: The run's model, in float32.
        display: Shows progress, and says how many photos have moved since.
        data: Where the run's images are now; None where they were.
        tolerance: What the largest difference of a probability may be; 1 where numbers were made smaller, and it is
            only measured.

    Raises:
        ContractError: A probability differs by more, a photo is read by one of the two alone, or call.py fails; the
            message names the first stage that departs.
        NotFoundError: The run's images are no longer where they were.
        DataError: They cannot be used.
    """
    export = read_export(folder)
    blueprint = blueprint_of(model)
    settings = settings_for(blueprint.input_shape, blueprint.fit, model=blueprint.architecture)
    with full_float32(), kept_photos(run, blueprint.classes, settings, data) as photos:
        if not photos.is_own:
            display.line(
                f"warning: the run's images were given in code; the export is proved on {len(photos):,} others, which "
                "it may have trained on"
            )
        if photos.moved:
            display.line(
                f"warning: {photos.moved:,} of the {photos.moved + len(photos):,} {photos.split} photos of the run are "
                "no longer where it had them; the export is proved on the others"
            )
        seen = _compared(export, model, photos, settings, display)
        if not seen.photos and not seen.alone:
            raise DataError(f"{run.path}: none of its {photos.split} photos can be read; an export is proved on them")
        if unread := len(photos) - seen.photos:
            display.line(
                f"warning: {unread:,} of the {len(photos):,} {photos.split} photos cannot be read, as "
                f"{PREDICTIONS_FILE} says; the export is proved on the others"
            )
        if seen.is_within(tolerance):
            return seen.to_proof(export, photos.split, tolerance)
        worst = [case for _, _, case in sorted(seen.worst, reverse=True)]
        cause = seen.alone or first_departure(export, model, settings, worst, tolerance=tolerance)
    differ = f"probabilities differ by up to {seen.largest:.2g}"
    if not math.isfinite(seen.largest):
        differ = "some probabilities are not numbers"
    raise ContractError(
        f"format '{export.row.name}': {seen.disagreements:,} of {seen.photos:,} {photos.split} photos get another "
        f"class, and {differ}; expected at most {tolerance:g}; {cause}"
    )


@dataclass
class Seen:
    """What came of calling an export, photo by photo.

    Attributes:
        classes: The run's.
        photos: How many both have read.
        disagreements: Of how many the likeliest class is another.
        largest: The largest difference of a probability.
        right: How many the export classifies as they are labelled.
        right_by_keras: How many Keras does.
        alone: What is wrong where one of the two reads a photo that the other refuses.
        worst: The photos that depart most: difference, number, case.
    """

    classes: tuple[str, ...]
    photos: int = 0
    disagreements: int = 0
    largest: float = 0.0
    right: int = 0
    right_by_keras: int = 0
    alone: str = ""
    worst: list[tuple[float, int, Case]] = field(default_factory=list[tuple[float, int, Case]])

    def take(
        self, photos: Photos, number: int, expected: "np.ndarray | DataError", answer: dict[str, Any]
    ) -> dict[str, Any]:
        """Compares what is given for a photo; returns its line of predictions.jsonl."""
        name, truth = photos.names[number], self.classes[photos.labels[number]]
        if isinstance(expected, DataError) or "error" in answer:
            if not (isinstance(expected, DataError) and "error" in answer):
                self._note_alone(name, photos.files[number], expected, answer)
            return {"path": name, "class": truth, "error": str(answer.get("error", "")).replace(answer["path"], name)}
        probabilities: dict[str, float] = answer["probabilities"]
        given = np.array([probabilities.get(one, np.nan) for one in self.classes])
        case = Case(file=photos.files[number], expected=expected, given=given)
        by_keras = self.classes[int(expected.argmax())]
        self.photos += 1
        self.disagreements += by_keras != answer["label"]
        self.right += truth == answer["label"]
        self.right_by_keras += truth == by_keras
        self.largest = max(self.largest, case.difference)
        heapq.heappush(self.worst, (case.difference, -number, case))
        if len(self.worst) > _WORST:
            heapq.heappop(self.worst)
        return {
            "path": name,
            "class": truth,
            "label": answer["label"],
            "probability": answer["probability"],
            "label_of_keras": by_keras,
            "probability_of_keras": float(expected.max()),
            "difference": case.difference if math.isfinite(case.difference) else None,
        }

    def _note_alone(self, name: str, file: Path, expected: "np.ndarray | DataError", answer: dict[str, Any]) -> None:
        if isinstance(expected, DataError):
            reason = str(expected).replace(str(file), name)
            self.alone = self.alone or f"reading departs: call.py reads a photo that training refuses: {reason}"
        else:
            reason = answer["error"].replace(answer["path"], name)
            self.alone = self.alone or f"reading departs: call.py refuses a photo that training reads: {reason}"

    def is_within(self, tolerance: float) -> bool:
        """Whether both read the same photos, and no probability differs by more."""
        return not self.alone and self.largest <= tolerance

    def to_proof(self, export: ExportFolder, split: str, tolerance: float) -> Proof:
        """Returns what export.json says of it."""
        return Proof(
            photos=self.photos,
            disagreements=self.disagreements,
            largest_difference=self.largest,
            accuracy=self.right / self.photos,
            accuracy_of_keras=self.right_by_keras / self.photos,
            tolerance=tolerance,
            runtime=export.row.runtime_name,
            split=split,
        )


def _compared(
    export: ExportFolder, model: "keras.Model", photos: Photos, settings: Settings, display: ProgressDisplay
) -> Seen:
    """Runs both on all photos, side by side, and writes predictions.jsonl."""
    seen = Seen(classes=blueprint_of(model).classes)
    given = [GivenImage(file, str(file)) for file in photos.files]
    by_keras = compute_each(given, settings, lambda pixels: predict_in_batches(model, pixels))
    lines: list[str] = []
    with (
        answers(export.path, photos.files) as by_call,
        display.bar(f"proving on {photos.split} photos", len(photos)) as move,
    ):
        for number, ((_, expected), answer) in enumerate(zip(by_keras, by_call, strict=True)):
            lines.append(json.dumps(seen.take(photos, number, expected, answer)))
            move(number + 1, "")
    write_atomic(export.path / PREDICTIONS_FILE, "".join(f"{line}\n" for line in lines))
    return seen
