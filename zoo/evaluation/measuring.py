"""`zoo.evaluate`: a finished run's classifier, measured on the images that the run kept from training, or on others."""

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data import Dataset, InCode, Packing, Split
from zoo.data.dataset import quoted, unknown_classes
from zoo.data.inputs import Source, open_source, pack_split
from zoo.data.membership import image_keys
from zoo.errors import DataError, NotFoundError
from zoo.evaluation.scores import ClassResult, Evaluation, Mistake, score, wilson_interval
from zoo.inference.classifier import Classifier, load
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import Recipe
from zoo.registry.sources import row_of_file, source_row
from zoo.report.progress import ProgressDisplay, Verbose, make_display
from zoo.runs.folder import RunFolder
from zoo.runs.images import RunImages, read_images
from zoo.system.interruption import noticed
from zoo.system.paths import given_path
from zoo.system.text_tables import of_these

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClassResult", "Evaluation", "Mistake", "evaluate", "score", "wilson_interval"]

# Images of one place that are not divided.
ALL = "all"


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
    recipe = load_recipe(folder.recipe_path)
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(own_display) if display is None else display
        images, place = _images(folder, data)
        source = _open(recipe, images, is_own=data is None)
        chosen = _choose(folder, source, split, is_own=data is None)
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


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Images of one split of the data, and the class of each; None takes the data's own."""

    origin: str
    split: Split
    truths: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """What is measured."""

    name: str
    parts: tuple[_Part, ...]
    missing: int = 0
    trained_on: int = 0
    newer: int = 0
    warnings: tuple[str, ...] = ()


def _open(recipe: Recipe, images: Path | InCode | None, *, is_own: bool) -> Source:
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


def _choose(folder: RunFolder, source: Source, name: str | None, *, is_own: bool) -> _Chosen:
    kept = read_images(folder.path)
    if kept is None:
        return _choose_anew(folder, source, name, is_own=is_own)
    keys = {origin: image_keys(split) for origin, split in source.dataset.splits().items()}
    if is_own:
        name = name or next((kind for kind in ("test", "validation") if kept.count(kind)), None)
        chosen = _kept(folder, source.dataset, keys, kept, _checked(name, kept.splits))
        known = set().union(*kept.known.values())
        return replace(chosen, newer=sum(bool(key) and key not in known for listed in keys.values() for key in listed))
    # Where other images are measured, there need be none of train.
    splits = {kind: one for kind, one in source.dataset.splits().items() if len(one)}
    is_divided = list(splits) != ["train"]
    if name is not None and name in kept.splits and (name not in splits or not is_divided):
        # A copy of the run's own images: of those it had in the split that is asked for, these are here.
        if any(kept.known[name].keys() & set(listed) for listed in keys.values()):
            return _kept(folder, source.dataset, keys, kept, name)
        if name not in splits:
            raise DataError(
                f"the data has no split '{name}' and none of the {name} images of the run; it has "
                f"{', '.join(splits)}; choose one with --split"
            )
    name, part = _of_others(splits, name)
    trained_on = sum(key in kept.known["train"] for key in keys[part.origin])
    warnings = (
        [
            f"the run was trained on {of_these(trained_on, len(part.split))}: its figures flatter"
            + ("; those that validated it: --split validation" if kept.count("validation") else "")
        ]
        if trained_on and name != "train"
        else []
    )
    return _Chosen(name=name, parts=(part,), trained_on=trained_on, warnings=(*source.warnings, *warnings))


def _kept(folder: RunFolder, dataset: Dataset, keys: dict[str, list[str]], kept: RunImages, name: str) -> _Chosen:
    """Finds the images that a split of the run had, wherever they are in the data now."""
    import numpy as np

    places: dict[str, list[tuple[str, int]]] = {}
    for origin, listed in keys.items():
        for row, key in enumerate(listed):
            places.setdefault(key, []).append((origin, row))
    splits = dataset.splits()

    def class_at(place: tuple[str, int]) -> str:
        return dataset.classes[int(splits[place[0]].labels[place[1]])]

    missing = 0
    there: list[tuple[tuple[str, int], str, str]] = []
    for truth, wanted in kept.splits[name].items():
        for key in wanted:
            found = places.get(key)
            if not found:
                missing += 1
                continue
            place = next((one for one in found if class_at(one) == truth), found[0])
            there.append((place, truth, class_at(place)))
    renamed = _renamed(folder, {(now, truth) for _, truth, now in there}, kept.splits[name], dataset.classes)
    rows: dict[str, list[tuple[int, str]]] = {origin: [] for origin in splits}
    for place, _, now in there:
        rows[place[0]].append((place[1], renamed.get(now, now)))
    total = kept.count(name)
    if missing == total:
        raise DataError(
            f"{folder.path}: none of the {total:,} {name} images of the run is in the data any more; put them back, "
            "or measure others with --data PATH"
        )
    parts = tuple(
        _Part(
            origin=origin,
            split=splits[origin].subset(np.array([row for row, _ in chosen], np.int64)),
            truths=tuple(truth for _, truth in chosen),
        )
        for origin, chosen in rows.items()
        if chosen
    )
    return _Chosen(
        name=name,
        parts=parts,
        missing=missing,
        trained_on=total - missing if name == "train" else _shared(kept, name, "train"),
        warnings=tuple(
            _warnings_of(kept, name, missing=missing, relabelled=sum(truth != now for _, truth, now in there))
        ),
    )


def _renamed(
    folder: RunFolder, pairs: Collection[tuple[str, str]], known: Collection[str], classes: Collection[str]
) -> dict[str, str]:
    """Finds which classes have another name now.

    Args:
        folder: The run.
        pairs: Of each image its class now, and its class when the run was made.
        known: The run's classes.
        classes: Those of the data.

    Returns:
        The run's name by the name that the data has now.

    Raises:
        DataError: A class that the run does not know holds images of several, or of one that is still there.
    """
    renamed: dict[str, str] = {}
    for now, truth in sorted(pairs):
        if now in known:
            continue
        if truth in classes or renamed.setdefault(now, truth) != truth:
            raise DataError(
                f"{folder.path}: images of its class '{truth}' are in '{now}' now, which the classifier does not know, "
                f"and it is not '{truth}' renamed; put them back, or measure others with --data PATH"
            )
    return renamed


def _warnings_of(kept: RunImages, name: str, *, missing: int, relabelled: int) -> list[str]:
    total = kept.count(name)
    warnings: list[str] = []
    if missing:
        are = "is" if missing == 1 else "are"
        warnings.append(
            f"{missing:,} of the {total:,} {name} images of the run {are} no longer in the data: measured on the others"
        )
    if relabelled:
        have = "has" if relabelled == 1 else "have"
        warnings.append(f"{relabelled:,} of the {name} images {have} another class now than when the run was made")
    if name != "train" and (shared := _shared(kept, name, "train")):
        are = "is" if shared == 1 else "are"
        warnings.append(f"{shared:,} of the {name} images {are} in train too, so that its figures flatter")
    if name == "test" and (shared := _shared(kept, name, "validation")):
        warnings.append(f"{shared:,} of the test images validated too: the kept epoch is chosen on them")
    return warnings


def _shared(kept: RunImages, name: str, other: str) -> int:
    known = kept.known.get(other, {})
    return sum(count for key, count in kept.known[name].items() if key in known)


def _checked(name: str | None, splits: Any) -> str:
    if name is None:
        raise DataError(
            "the run kept no images to measure on; give others with --data PATH, or measure on those that it was "
            "trained on with --split train"
        )
    if name not in splits:
        raise DataError(f"the data has no split '{name}'; it has {', '.join(splits)}; choose one with --split")
    return name


def _of_others(splits: dict[str, Split], name: str | None) -> tuple[str, _Part]:
    """Chooses a split of other images than the run's own."""
    if name is None:
        origin = next(kind for kind in ("test", "validation", "train") if kind in splits)
        # Images that are not divided are no less strange to the run for being called train.
        name = ALL if list(splits) == ["train"] else origin
    else:
        origin = _checked(name, splits)
    return name, _Part(origin=origin, split=splits[origin])


def _choose_anew(folder: RunFolder, source: Source, name: str | None, *, is_own: bool) -> _Chosen:
    """Chooses the images of a run that an earlier zoo left, which does not say which images it had in each split."""
    if not is_own:
        name, part = _of_others({kind: one for kind, one in source.dataset.splits().items() if len(one)}, name)
        return _Chosen(name=name, parts=(part,), warnings=source.warnings)
    splits = {**source.dataset.splits(), "train": source.train}
    if source.validation is not None:
        splits["validation"] = source.validation
    name = _checked(name or next((kind for kind in ("test", "validation") if kind in splits), None), splits)
    then, now = folder.record().data.fingerprint, source.dataset.fingerprint()
    chosen = _Chosen(name=name, parts=(_Part(origin=name, split=splits[name]),))
    if then == now:
        return chosen
    changed = f"the data is no longer what the run was trained on (fingerprint {then[:12]}..., now {now[:12]}...)"
    if source.shares is not None and name != "test":
        raise DataError(
            f"{folder.path}: {changed}, and this run, of an earlier zoo, does not say which images it had in {name}; "
            "put the data back, or measure images that it has never seen with --data PATH"
        )
    return replace(chosen, warnings=(changed,))


def _measure(
    classifier: Classifier, recipe: Recipe, chosen: _Chosen, names: Sequence[str], display: ProgressDisplay
) -> "tuple[np.ndarray, np.ndarray, list[str]]":
    """Computes probabilities, float32[n, classes], beside labels, int64[n], and what each image is called."""
    import numpy as np

    from zoo.inference.batches import predict_in_batches

    # How many bad files are too many is a rule of training.
    how = Packing(on_bad="leave_out", keep=True)
    probabilities: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    called: list[str] = []
    for part in chosen.parts:
        packed = pack_split(
            Split(images=part.split.images, labels=_labels(part, names, classifier.classes)),
            recipe.data,
            how,
            input_shape=classifier.input_shape,
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


def _labels(part: _Part, names: Sequence[str], classes: Sequence[str]) -> "np.ndarray":
    """Returns indices of the classifier's own classes, int64[n]."""
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
