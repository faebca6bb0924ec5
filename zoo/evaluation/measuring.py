"""`zoo.evaluate`: a finished run's classifier, measured on the images that the run kept from training, or on others."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data import InCode, Packing, Split
from zoo.data.dataset import quoted, unknown_classes
from zoo.data.inputs import Source, open_source, pack_split, settings_for_model
from zoo.errors import DataError, NotFoundError
from zoo.evaluation.choosing import Chosen, MeasuredPart, choose
from zoo.evaluation.scores import ClassResult, Evaluation, Mistake, score, wilson_interval
from zoo.inference.classifier import Classifier, load
from zoo.recipe.schema import Recipe
from zoo.registry.sources import row_of_file, source_row
from zoo.report.progress import ProgressDisplay, Verbose, make_display
from zoo.runs.folder import RunFolder
from zoo.system.interruption import noticed
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClassResult", "Evaluation", "Mistake", "evaluate", "score", "wilson_interval"]


@noticed()
def evaluate(
    run: os.PathLike[str] | str,
    data: Path | str | InCode | None = None,
    split: str | None = None,
    *,
    display: ProgressDisplay | None = None,
    verbose: Verbose = 0,
) -> Evaluation:
    """Measures a finished run's classifier.

    Without `data` it is measured on exactly the images that the run kept for validation, or had for test, however the
    folder has grown or been renamed since: the run knows them by their contents.

    Args:
        run: The run, or its folder.
        data: Other images than the run's own, or the run's own at another place. A path, or what `zoo.finetune` takes.
        split: `train`, `validation` or `test`; by default test where there is one, else validation, else, for
            other images than the run's own, all. With `data` that has no such split, the images in it that the run had
            in its own.
        display: Shows progress in place of what `verbose` says.
        verbose: What is shown on stderr: 0 nothing, 1 bars, 2 lines; `auto` bars on a terminal, and lines elsewhere.
            All that is said in words goes to the logger `zoo.evaluate` too, and warnings are in the result.

    Raises:
        NotFoundError: There is no finished run, or its images are no longer where they were.
        DataError: The images cannot be used, have classes that the classifier does not know, or which of them
            validated is not known any more.

    Example:

        evaluation = zoo.evaluate("runs/pets")
        print(evaluation.split, evaluation.metrics["accuracy"], evaluation.wrong[:3])
    """
    own_display = make_display(verbose, logger="zoo.evaluate")
    folder = RunFolder.open(given_path(run, "the path of the run"))
    classifier = load(folder.path)
    recipe = folder.recipe()
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(own_display) if display is None else display
        images, place = _images(folder, data)
        source = open_images(recipe, images, is_own=data is None)
        chosen = choose(folder, source, split, is_own=data is None)
        for warning in chosen.warnings:
            shown.line(f"warning: {warning}")
        probabilities, labels, names = _measure(classifier, recipe, chosen, source.dataset.classes, shown)
    found = score(probabilities, labels, classifier.classes, names)
    return replace(
        found,
        split=chosen.name,
        run=str(folder.path),
        data=place,
        missing=chosen.missing,
        trained_on=chosen.trained_on,
        newer=chosen.newer,
        warnings=chosen.warnings,
    )


def _images(folder: RunFolder, data: Path | str | InCode | None) -> tuple[Path | InCode | None, str | None]:
    """Returns the images to open, and their place for the report."""
    if data is not None:
        path = given_path(data, "the path of the images") if isinstance(data, str | Path) else data
        return path, str(path) if isinstance(path, Path) else None
    inputs = folder.record().inputs
    if inputs.in_code is not None:
        raise DataError(
            f"{folder.path}: its images were given in code ({inputs.in_code}), and a run does not keep them; "
            "give them again: zoo.evaluate(run, data), or others with --data PATH"
        )
    if inputs.data is None:
        return None, None
    path = Path(inputs.data)
    if not path.exists():
        raise NotFoundError(
            f"{folder.path}: its images are no longer at {path}; say where they are now: "
            "--data PATH --split validation measures those that validated"
        )
    return path, str(path)


def open_images(recipe: Recipe, images: Path | InCode | None, *, is_own: bool) -> Source:
    """Opens the images that a classifier is measured on.

    Args:
        recipe: The run's.
        images: Where they are; None of a source that ships or downloads.
        is_own: Whether they are where the run had them; others are not divided again.

    Raises:
        DataError: They cannot be used.
    """
    data = recipe.data
    if not is_own:
        # They are not divided again: a share of them would be chosen by chance. Where the recipe's source cannot be
        # what is given, they are class folders, or what the file's ending says.
        row = source_row(data.source)
        is_other = row.is_file and isinstance(images, Path) and images.is_dir()
        row = source_row("folder") if is_other or not row.takes_path else row
        by_ending = row_of_file(images) if isinstance(images, Path) else None
        has_columns = row.has_columns or (by_ending is not None and by_ending.has_columns)
        others: dict[str, object] = {
            "source": "folder" if row.name == "folder" else data.source,
            "columns": data.columns if has_columns else {},
            "options": data.options if row.options else {},
        }
        data = data.model_copy(update={"validation": 0.0, "group": "", **others})
    return open_source(data, images, seed=recipe.train.seed, measuring=not is_own)


def _measure(
    classifier: Classifier, recipe: Recipe, chosen: Chosen, names: Sequence[str], display: ProgressDisplay
) -> "tuple[np.ndarray, np.ndarray, list[str]]":
    """Computes probabilities, float32[n, classes], beside labels, int64[n], and what each image is called."""
    import numpy as np

    from zoo.inference.batches import predict_in_batches

    settings = settings_for_model(recipe.data, classifier.input_shape)
    # How many bad files are too many is a rule of training.
    how = Packing(on_bad="leave_out", keep=True)
    probabilities: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    called: list[str] = []
    for part in chosen.parts:
        packed = pack_split(
            Split(images=part.split.images, labels=labels_of(part, names, classifier.classes)),
            settings,
            how,
            bar=display.bar,
            description=f"reading {chosen.name} images",
        )
        for skipped in packed.skipped:
            display.line(str(skipped))
        probabilities.append(predict_in_batches(classifier.model, packed.images))
        labels.append(packed.labels)
        images = part.split.images
        is_files = isinstance(images, Sequence)
        called += [str(images[row]) if is_files else f"{chosen.name}[{row}]" for row in packed.rows.tolist()]
    return np.concatenate(probabilities), np.concatenate(labels), called


def labels_of(part: MeasuredPart, names: Sequence[str], classes: Sequence[str]) -> "np.ndarray":
    """Returns indices of the classifier's own classes, int64[n].

    Args:
        part: Images.
        names: The data's classes.
        classes: The classifier's.

    Raises:
        DataError: One of them has a class that the classifier does not know.
    """
    import numpy as np

    labels: list[int] = part.split.labels.tolist()
    truths = part.truths or tuple(names[label] for label in labels)
    used = set(truths)
    if unknown := unknown_classes([name for name in names if name in used], classes, of="the classifier"):
        listed = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise DataError(
            f"the data has classes that the classifier does not know: {listed}; expected some of {quoted(classes)}"
        )
    known = {name: index for index, name in enumerate(classes)}
    return np.array([known[name] for name in truths], dtype=np.int64)
