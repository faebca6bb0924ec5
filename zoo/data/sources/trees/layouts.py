"""Which folders are splits and which are classes; what can be read in two ways is refused, or said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.dataset import SPLIT_NAMES, SplitName, quoted
from zoo.data.sources.trees.subfolders import ListInside, Subfolders
from zoo.data.sources.trees.unclear_layouts import (
    classes_named_like_splits,
    no_classes,
    refuse_loose_splits,
    refuse_names_of_both,
    refuse_pictures_of_labels,
    refuse_splits_inside_classes,
    refuse_unclear_beside,
    same_inside,
    wrapped_classes,
)
from zoo.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a folder is read.

    Attributes:
        splits: The folders of classes by split; `train` alone where there are no split folders.
        warnings: What should be known about it, one line each.
        has_splits: Whether there are split folders.
    """

    splits: Mapping[SplitName, Sequence[Path]]
    warnings: tuple[str, ...]
    has_splits: bool = False


def find_layout(root: Path, folders: Sequence[Path], list_inside: ListInside, *, measuring: bool) -> Layout:
    """Decides what the subfolders of the data's folder are.

    Split folders are known by their names (see `split_names`) and by what is in them: one of train holds class folders.

    Args:
        root: The data's folder.
        folders: Its subfolders, sorted.
        list_inside: Gives the folders and images in a folder.
        measuring: Whether a finished classifier is to be measured: there need be no train.

    Raises:
        DataError: A layout that can be read in two ways, or splits without class folders.
    """
    found = Subfolders(root=root, folders=folders, list_inside=list_inside)
    chosen = _split_folders(found, measuring=measuring)
    if chosen:
        return _by_splits(found, chosen)
    refuse_pictures_of_labels(root, folders)
    refuse_loose_splits(found, measuring=measuring)
    refuse_splits_inside_classes(found)
    refuse_names_of_both(found)
    warnings = same_inside(found)
    if not warnings:
        warnings = [*wrapped_classes(found, measuring=measuring), *classes_named_like_splits(found)]
    return Layout(splits={"train": folders}, warnings=tuple(warnings))


def deepest_single(folder: Path, list_inside: ListInside) -> Path:
    """Goes down as long as a folder holds a single folder and nothing else: `photos/photos/photos`."""
    subfolders, files = list_inside(folder)
    while len(subfolders) == 1 and not files:
        inner, images = list_inside(subfolders[0])
        if images or not inner or subfolders[0].is_symlink():
            return folder
        folder, subfolders, files = subfolders[0], inner, images
    return folder


def _split_folders(found: Subfolders, *, measuring: bool) -> dict[SplitName, Path]:
    """Returns the folder of each split; nothing where the subfolders are classes."""
    trains = [folder for folder in found.folders if found.reading(folder).split == "train" and found.inside(folder)]
    plain = [folder for folder in trains if not found.reading(folder).rest]
    if not plain and len(trains) > 1:
        return {}
    rest: tuple[str, ...] = () if plain or not trains else found.reading(trains[0]).rest
    splits = [folder for folder in found.folders if found.reading(folder).split and found.reading(folder).rest == rest]
    by_name: dict[SplitName, Path] = {}
    parts = [folder for folder in found.folders if found.inside(folder)]
    if measuring and len(parts) == 1 and found.reading(parts[0]).is_part and found.reading(parts[0]).split is None:
        return {"test": parts[0]} if len(found.folders) == 1 else {}
    if measuring and not trains and all(found.reading(folder).is_split for folder in found.folders):
        splits = [folder for folder in splits if found.inside(folder)]
    elif not trains or (rest and len(splits) == 1):
        return {}
    for folder in splits:
        name = found.reading(folder).split
        assert name is not None  # they were chosen by it
        if name in by_name:
            raise DataError(
                f"{found.root}: '{by_name[name].name}' and '{folder.name}' are both the {name} split; "
                "expected one folder for it. Merge or rename one."
            )
        by_name[name] = folder
    return by_name


def _by_splits(found: Subfolders, chosen: Mapping[SplitName, Path]) -> Layout:
    root = found.root
    beside = [folder for folder in found.folders if folder not in chosen.values()]
    train_names: set[str] = set()
    warnings: list[str] = []
    splits: dict[SplitName, Sequence[Path]] = {}
    if "train" in chosen:
        level = found.class_level(chosen["train"], set())
        train_names = found.names_inside(level)
        refuse_unclear_beside(found, chosen, beside, train_names)
    if beside:
        warnings.append(f"{root}: ignored folders beside the split folders: {quoted(path.name for path in beside)}")
    in_order: list[SplitName] = sorted(chosen, key=("train", "validation", "test").index)
    other: list[SplitName] = [name for name in in_order if chosen[name].name.casefold() not in SPLIT_NAMES]
    if other:
        read = ", ".join(f"'{chosen[name].name}' as {name}" for name in other)
        warnings.append(f"{root}: reads {read}; if they are not that, rename them")
    for name in in_order:
        folder = found.class_level(chosen[name], train_names)
        if folder != chosen[name]:
            warnings.append(f"{root}: the class folders of {name} are those in {folder.relative_to(root)}")
        if found.inside(folder):
            refuse_pictures_of_labels(folder, found.inside(folder))
            splits[name] = found.inside(folder)
        elif name == "test":
            warnings.append(f"{folder}: {len(found.images(folder))} files have no class folders; no test split is used")
        else:
            raise no_classes(folder, found.images(folder))
    return Layout(splits=splits, warnings=tuple(warnings), has_splits=True)
