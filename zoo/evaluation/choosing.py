"""Which images are measured: those that a run kept from training, wherever they are now, or others."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from zoo.data import Dataset, Split
from zoo.data.inputs import Source
from zoo.data.membership import image_keys
from zoo.errors import DataError
from zoo.runs.exactness import data_difference
from zoo.runs.folder import RunFolder
from zoo.runs.images import RunImages, read_images
from zoo.system.text_tables import of_these

# Images of one place that are not divided.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class MeasuredPart:
    """Images of one split of the data, and the class of each; None takes the data's own."""

    origin: str
    split: Split
    truths: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is measured."""

    name: str
    parts: tuple[MeasuredPart, ...]
    missing: int = 0
    trained_on: int = 0
    newer: int = 0
    warnings: tuple[str, ...] = ()


def choose(folder: RunFolder, source: Source, name: str | None, *, is_own: bool) -> Chosen:
    """Chooses the images of a split that a run kept, or of other images than its own.

    Args:
        folder: The run.
        source: The images.
        name: The split, or None for the one that says most of the classifier.
        is_own: Whether they are the images that the run had.

    Raises:
        DataError: There is no such split, or which of the images it had is not known any more.
    """
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
            f"the run was trained on {of_these(trained_on, len(part.split))}: its figures are optimistic"
            + ("; those that validated it: --split validation" if kept.count("validation") else "")
        ]
        if trained_on and name != "train"
        else []
    )
    return Chosen(name=name, parts=(part,), trained_on=trained_on, warnings=(*source.warnings, *warnings))


def _kept(folder: RunFolder, dataset: Dataset, keys: dict[str, list[str]], kept: RunImages, name: str) -> Chosen:
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
    for truth, listed_keys in kept.splits[name].items():
        for key in listed_keys:
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
        MeasuredPart(
            origin=origin,
            split=splits[origin].subset(np.array([row for row, _ in chosen], np.int64)),
            truths=tuple(truth for _, truth in chosen),
        )
        for origin, chosen in rows.items()
        if chosen
    )
    return Chosen(
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
        warnings.append(f"{shared:,} of the {name} images {are} in train too, so its figures are optimistic")
    if name == "test" and (shared := _shared(kept, name, "validation")):
        warnings.append(f"{shared:,} of the test images validated too: the best epoch is chosen on them")
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


def _of_others(splits: dict[str, Split], name: str | None) -> tuple[str, MeasuredPart]:
    """Chooses a split of other images than the run's own."""
    if name is None:
        origin = next(kind for kind in ("test", "validation", "train") if kind in splits)
        # Images that are not divided are no less strange to the run for being called train.
        name = ALL if list(splits) == ["train"] else origin
    else:
        origin = _checked(name, splits)
    return name, MeasuredPart(origin=origin, split=splits[origin])


def _choose_anew(folder: RunFolder, source: Source, name: str | None, *, is_own: bool) -> Chosen:
    """Chooses the images of a run that an earlier zoo left, which does not say which images it had in each split."""
    if not is_own:
        name, part = _of_others({kind: one for kind, one in source.dataset.splits().items() if len(one)}, name)
        return Chosen(name=name, parts=(part,), warnings=source.warnings)
    splits = {**source.dataset.splits(), "train": source.train}
    if source.validation is not None:
        splits["validation"] = source.validation
    name = _checked(name or next((kind for kind in ("test", "validation") if kind in splits), None), splits)
    chosen = Chosen(name=name, parts=(MeasuredPart(origin=name, split=splits[name]),))
    changed = data_difference(folder, source.dataset.fingerprint())
    if changed is None:
        return chosen
    if source.shares is not None and name != "test":
        raise DataError(
            f"{changed}, and this run, of an earlier zoo, does not say which images it had in {name}; "
            "put the data back, or measure images that it has never seen with --data PATH"
        )
    return replace(chosen, warnings=(changed,))
