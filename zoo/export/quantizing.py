"""Smaller numbers, int8 or float16: the photos by which ranges are measured, what is lost, and in which stages most."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from zoo.data.given import GivenImage, read_each
from zoo.data.images.settings import Settings
from zoo.errors import ContractError, DataError, NotFoundError, ZooError, did_you_mean, shown
from zoo.evaluation.choosing import choose
from zoo.evaluation.measuring import open_images
from zoo.export.proving.photos import kept_photos, place_of
from zoo.export.writing import Quantizing, settings_of, write_model
from zoo.freezing.stages import stages
from zoo.inference.batches import predict_in_batches
from zoo.inference.export_folder import ExportDocument, Proof, open_runtime
from zoo.models.blueprint import blueprint_of
from zoo.registry.exports import EXPORTS, ExportFormat, Quantize
from zoo.report.progress import ProgressDisplay
from zoo.runs.folder import RunFolder

if TYPE_CHECKING:
    import keras

# What accuracy may fall by on the photos of the proof, as a share of them: half a point.
MOST_LOST = 0.005 + 1e-9  # of differences of shares, such as 0.905 - 0.9
# TensorFlow's guide has 100 to 500: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
_CALIBRATED_BY = 200
# Photos on which stages are compared: more take long, and say the same.
_COMPARED_ON = 500
# How many stages a message names.
_NAMED = 3


def refuse_quantize(row: ExportFormat, quantize: object, in_float: object) -> None:
    """Checks that a format's numbers can be made smaller in this way.

    Raises:
        ZooError: They cannot, or there is no such way.
    """
    if quantize is not None and not (isinstance(quantize, str) and quantize in get_args(Quantize)):
        raise ZooError(f"quantize is {shown(quantize)}; expected {' or '.join(get_args(Quantize))}")
    if not isinstance(in_float, list | tuple) or not all(isinstance(name, str) for name in in_float):
        raise ZooError(f"in_float is {shown(in_float)}; expected a list of stages, such as ['head']")
    if quantize is not None and quantize not in row.quantizes:
        able = [one.name for one in EXPORTS.rows() if quantize in one.quantizes]
        raise ZooError(f"format '{row.name}' has no {quantize}; expected one that has: {', '.join(able) or 'none'}")
    if in_float and quantize is None:
        raise ZooError("in_float keeps stages in float32 where others become smaller; expected quantize beside it")


def quantizing_of(
    run: RunFolder, model: "keras.Model", to: Quantize, *, in_float: Sequence[str], data: Path | None
) -> Quantizing:
    """Says how a run's numbers are made smaller.

    Args:
        run: The run.
        model: Its model.
        to: What they become.
        in_float: Stages that stay in float32.
        data: Where the run's images are now; None where they were.

    Raises:
        NotFoundError: The model has no such stage, or the run's images are no longer where they were.
        DataError: None of the photos to calibrate by can be read.
    """
    known = [stage.name for stage in stages(model)]
    for name in in_float:
        if name not in known:
            hint = did_you_mean(name, known)
            raise NotFoundError(f"model '{model.name}' has no stage '{name}'.{hint} It has: {', '.join(known)}.")
    photos = _training_photos(run, settings_of(model), data) if to == "int8" else []
    return Quantizing(to=to, in_float=tuple(in_float), photos=lambda: iter(photos))


def _training_photos(run: RunFolder, settings: Settings, data: Path | None) -> list[np.ndarray]:
    """Reads some of the photos that a run trained on, the same ones each time: uint8[1, height, width, channels]."""
    source = open_images(run.recipe(), place_of(run) if data is None else data, is_own=data is None)
    images = choose(run, source, "train", is_own=data is None).parts[0].split.images
    rows = np.random.default_rng(0).permutation(len(images))[:_CALIBRATED_BY].tolist()
    found = read_each([GivenImage(images[row], f"train[{row}]") for row in rows], settings)
    photos = [one[None] for one in found if not isinstance(one, DataError)]
    if not photos:
        raise DataError(f"{run.path}: none of its training photos can be read; int8 is calibrated on them")
    return photos


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Photos of the proof, on which stages are compared.

    Attributes:
        pixels: uint8[n, height, width, channels].
        labels: The class of each, int64[n].
    """

    pixels: np.ndarray
    labels: np.ndarray

    def share_right(self, probabilities: np.ndarray) -> float:
        """Returns the share of the photos whose likeliest class is right."""
        return float(np.mean(probabilities.argmax(axis=1) == self.labels))


def compared_photos(run: RunFolder, model: "keras.Model", data: Path | None) -> Compared:
    """Reads some of the photos that the proof is made on; stages are compared on them."""
    settings = settings_of(model)
    with kept_photos(run, blueprint_of(model).classes, settings, data) as photos:
        rows = np.random.default_rng(0).permutation(len(photos))[:_COMPARED_ON].tolist()
        found = read_each([GivenImage(photos.files[row], photos.names[row]) for row in rows], settings)
    good = [(one, photos.labels[row]) for row, one in zip(rows, found, strict=True) if not isinstance(one, DataError)]
    return Compared(pixels=np.stack([one for one, _ in good]), labels=np.array([label for _, label in good]))


@dataclass(frozen=True, kw_only=True)
class Costly:
    """Which stages cost most in smaller numbers.

    Attributes:
        stages: From the one that costs most, where all others stay in float32.
        offered: Those that are to stay in float32 for little to be lost; empty where none were found.
        left: What is then lost on the photos that it was tried on, as a share.
    """

    stages: tuple[str, ...]
    offered: tuple[str, ...] = ()
    left: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was exported, and can be exported again with other stages in float32.

    Attributes:
        row: The format.
        model: The run's, in float32.
        document: What export.json says of it.
        quantizing: What numbers become, and the photos that ranges are measured by.
    """

    row: ExportFormat
    model: "keras.Model"
    document: ExportDocument
    quantizing: Quantizing

    def __str__(self) -> str:
        return f"format '{self.row.name}' in {self.quantizing.to}"

    def probabilities(self, compared: Compared, in_float: Sequence[str]) -> np.ndarray:
        """Exports with some stages in float32, and computes: float32[n, classes]."""
        kept = (*self.quantizing.in_float, *in_float)
        with tempfile.TemporaryDirectory(prefix="zoo-quantizing-") as temporary:
            folder = Path(temporary)
            write_model(folder, self.row, self.model, self.document, replace(self.quantizing, in_float=kept))
            compute = open_runtime(self.row, folder)
            pixels = compared.pixels
            return np.concatenate([compute(pixels[at : at + 32]) for at in range(0, len(pixels), 32)])

    def costly(self, compared: Compared, display: ProgressDisplay) -> Costly:
        """Tries each stage alone, all others in float32; then keeps those that cost most, until little is lost."""
        by_keras = predict_in_batches(self.model, compared.pixels)
        right = compared.share_right(by_keras)
        kept = self.quantizing.in_float
        names = [stage.name for stage in stages(self.model) if stage.params and stage.name not in kept]
        cost: dict[str, float] = {}
        with display.bar("trying each stage alone", len(names)) as move:
            for number, name in enumerate(names, 1):
                found = self.probabilities(compared, [other for other in names if other != name])
                cost[name] = float(np.mean(np.abs(found - by_keras)))
                move(number, name)
        ranked = tuple(sorted(names, key=lambda name: -cost[name]))
        for count in range(1, len(ranked)):
            lost = right - compared.share_right(self.probabilities(compared, ranked[:count]))
            if lost <= MOST_LOST:
                return Costly(stages=ranked, offered=(*kept, *ranked[:count]), left=max(lost, 0.0))
        return Costly(stages=ranked)


def refuse_loss(proof: Proof, trial: Trial, compared: Callable[[], Compared], *, display: ProgressDisplay) -> None:
    """Checks that smaller numbers cost little accuracy.

    Args:
        proof: What was measured.
        trial: What was exported.
        compared: Gives photos on which stages are compared, where too much is lost.
        display: Shows progress.

    Raises:
        ContractError: More than half a point is lost; the message names the stages that cost most.
    """
    now, before = proof.accuracy or 0.0, proof.accuracy_of_keras or 0.0
    if before - now <= MOST_LOST:
        return
    display.line(f"{trial} loses {_points(before - now)}; looking for the stages that cost most")
    found = trial.costly(compared(), display)
    offer = f"; --in-float {','.join(found.offered)} loses {_points(found.left)}" if found.offered else ""
    raise ContractError(
        f"{trial} loses {_points(before - now)} of accuracy on {proof.count_photos()} "
        f"({100 * before:.1f} % to {100 * now:.1f} %); expected at most {_points(MOST_LOST)}; most is lost in "
        f"{', '.join(found.stages[:_NAMED])}{offer}"
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
