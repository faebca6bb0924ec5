"""Layouts of folders that can be read in two ways: refused with what to rename, or said."""

import itertools
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.data.dataset import SPLIT_NAMES, SplitName, quoted
from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.data.sources.trees.lying_beside import is_ignored
from zoo.data.sources.trees.split_names import read_name
from zoo.data.sources.trees.subfolders import Subfolders
from zoo.errors import DataError
from zoo.registry.sources import suffixes
from zoo.system.text_tables import counted

# So many subfolders of one name are not chance.
FEW = 2


def no_classes(folder: Path, files: Sequence[Path]) -> DataError:
    """Returns the error for a folder without class folders."""
    if images := [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]:
        lists = sorted(path for place in (folder, folder.parent) for path in place.glob("*.[ctj]s*") if _is_list(path))
        parent = (
            f", or type --data {typed(folder.parent)} if '{folder.name}' is a class"
            if _is_beside_others(folder)
            else ""
        )
        or_list = f", or, if {lists[0].name} lists them, type --data {typed(lists[0])}" if lists else ""
        lie = "lies" if len(images) == 1 else "lie"
        return DataError(
            f"{folder}: {counted(len(images), 'image')} {lie} directly in the folder; expected one subfolder per "
            f"class, such as {folder / 'cat' / images[0].name}. Move each image into the folder of its "
            f"class{or_list}{parent}"
        )
    return DataError(
        f"{folder}: no images and no class folders; expected one subfolder of images per class. "
        "Point --data at the folder that holds the class folders."
    )


def _is_beside_others(folder: Path) -> bool:
    """Whether a folder of images lies beside others, as a class does."""
    if read_name(folder.name).is_part or folder.parent == folder:
        return False
    for sibling in sorted(folder.parent.iterdir()):
        if sibling != folder and sibling.is_dir() and not is_ignored(sibling.name) and os.access(sibling, os.R_OK):
            with os.scandir(sibling) as entries:
                for entry in itertools.islice(entries, _ENOUGH):
                    if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                        return True
    return False


# So many entries of a folder show what it holds.
_ENOUGH = 20


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in suffixes(with_columns=True) and path.is_file()


def refuse_unclear_beside(
    found: Subfolders, chosen: Mapping[SplitName, Path], beside: Sequence[Path], train_names: set[str]
) -> None:
    """Refuses folders beside train that are likely to be a split, or the classes that train is one of."""
    root, train = found.root, chosen["train"]
    for folder in beside:
        inside = found.names_inside(found.class_level(folder, train_names))
        reading = found.reading(folder)
        same = len(inside & train_names)
        if same >= FEW or (same and (reading.is_unclear or reading.splits)):
            raise DataError(
                f"{root}: '{folder.name}' holds the same class folders as '{train.name}', and its name does not say "
                "which split it is; expected train, val and test. Rename it, or move it out of the folder."
            )
    with_images = [folder for folder in beside if found.images(folder) and not found.reading(folder).is_part]
    if len(chosen) == 1 and with_images:
        raise DataError(
            f"{root}: '{train.name}' holds folders, and {quoted(path.name for path in with_images)} beside it hold "
            f"images: it may be the train split or a class. Move them out if '{train.name}' is the split; "
            "rename it if it is a class."
        )


# Folders of images, and of what lies beside them where objects are to be found in images, or outlined.
_OF_IMAGES = {"images", "image", "imgs", "img", "jpegimages", "photos", "pictures"}
_OF_LABELS = {
    "labels",
    "label",
    "annotations",
    "annots",
    "masks",
    "mask",
    "segmentation",
    "segmentationclass",
    "bboxes",
}


def refuse_pictures_of_labels(root: Path, folders: Sequence[Path]) -> None:
    """Refuses data for detection or segmentation, whose masks would be a class."""
    names = {folder.name.casefold(): folder.name for folder in folders}
    images, labels = _OF_IMAGES & names.keys(), _OF_LABELS & names.keys()
    if images and labels and len(images) + len(labels) == len(names):
        raise DataError(
            f"{root}: {quoted(sorted(names.values()))} look like images and what is marked in them, as for detection "
            "or segmentation; expected one subfolder per class, for one label per image. Sort the images into class "
            "folders, or list them in a .csv with the columns path,label."
        )


def refuse_loose_splits(found: Subfolders, *, measuring: bool) -> None:
    """Refuses split folders that hold images without classes, and split folders without train."""
    root, folders = found.root, found.folders
    parts = [folder for folder in folders if found.reading(folder).is_part]
    trains = [folder for folder in parts if found.reading(folder).split == "train"]
    others = [folder for folder in parts if found.reading(folder).split not in (None, "train")]
    if measuring and len(parts) == len(folders) and not any(found.inside(folder) for folder in parts):
        raise no_classes(parts[0], found.images(parts[0]))
    if trains and (others or len(parts) == len(folders)) and not found.inside(trains[0]):
        raise no_classes(trains[0], found.images(trains[0]))
    if measuring or len(parts) < len(folders):
        return
    is_exact = all(folder.name.casefold() in SPLIT_NAMES for folder in parts)
    if is_exact or any(found.inside(folder) for folder in parts):
        raise DataError(
            f"{root}: has the split folders {quoted(folder.name for folder in folders)} and no 'train'; "
            "expected a train folder with one subfolder per class. Add it, or rename one to it, or point --data at the "
            "class folders."
        )


def refuse_splits_inside_classes(found: Subfolders) -> None:
    """Refuses split folders in class folders, and classes in a folder beside others of their names.

    Raises:
        DataError: With what to move.
    """
    root = found.root
    tops = {folder.name.casefold() for folder in found.folders}
    for folder in found.folders:
        parts = {inner: read_name(inner.name).split for inner in found.inside(folder) if read_name(inner.name).is_split}
        kinds = set(parts.values())
        measured = kinds - {"train"}
        if measured and ("train" in kinds or found.images(folder)):
            inner = next(iter(parts))
            raise DataError(
                f"{root}: the class folder '{folder.name}' holds split folders, {quoted(path.name for path in parts)}; "
                f"expected classes inside splits. Move {folder.name}/{inner.name} to {parts[inner]}/{folder.name}, "
                f"or, if '{folder.name}' is the whole data, type --data {typed(folder)}"
            )
        others = tops - {folder.name.casefold()}
        same = len(others & found.names_inside(folder))
        if same and found.reading(folder).is_part and same >= min(FEW, len(others)):
            raise DataError(
                f"{root}: '{folder.name}' holds folders of the same names as the class folders beside it; expected "
                "splits or classes. Move the class folders that train into a folder 'train'."
            )


def refuse_names_of_both(found: Subfolders) -> None:
    """Refuses names that hold a split and a class: `train_cats`, `test_cats`."""
    classes: dict[tuple[str, ...], dict[SplitName, Path]] = {}
    for folder in found.folders:
        reading = found.reading(folder)
        if reading.split is not None and reading.rest:
            classes.setdefault(reading.rest, {})[reading.split] = folder
    both = [by_split for by_split in classes.values() if len(by_split) > 1]
    if both:
        (split, first), *_ = both[0].items()
        word = found.reading(first).rest[0]
        at = first.name.casefold().find(word)
        label = first.name[at : at + len(word)]
        raise DataError(
            f"{found.root}: the names of {quoted(folder.name for folder in both[0].values())} hold a split and a "
            f"class; expected a folder for each split with one for each class in it. Rename '{first.name}' to "
            f"{split}/{label}, and the others alike."
        )


def same_inside(found: Subfolders) -> list[str]:
    """Refuses or says that all folders hold no images, but folders of the same names: one of the two are classes."""
    root, folders = found.root, found.folders
    if len(folders) < FEW or not all(found.is_of_folders(folder) for folder in folders):
        return []
    names = [found.names_inside(folder) for folder in folders]
    common = set[str].intersection(*names)
    if len(common) < FEW or len(common) * 2 < max(map(len, names)):
        return []
    what = f"{quoted(folder.name for folder in folders)} hold no images but all the same folders"
    inside = quoted(inner.name for inner in found.inside(folders[0]))
    readings = [found.reading(folder) for folder in folders]
    if any(one.splits or one.is_unclear or (one.is_filler and not one.rest) for one in readings):
        raise DataError(
            f"{root}: {what} ({inside}), and their names look like those of splits; expected train, val and test. "
            f"Rename them, or type --data {typed(folders[0])} to use one of them."
        )
    return [
        f"{root}: {what} ({inside}): they are read as the classes. "
        f"If the inner folders are the classes, type --data {typed(folders[0])}; splits are to be named train, "
        "val and test"
    ]


def wrapped_classes(found: Subfolders, *, measuring: bool) -> list[str]:
    """Says which classes hold no images but several folders, whose images are put together."""
    wrapped = [folder for folder in found.folders if found.is_of_folders(folder) and len(found.inside(folder)) >= FEW]
    if not wrapped or (len(found.folders) < FEW and not measuring):
        return []
    inside = quoted(inner.name for inner in found.inside(wrapped[0]))
    return [
        f"{found.root}: the class folders {quoted(folder.name for folder in wrapped)} hold no images but folders "
        f"({inside}), whose images are put together. If these are the classes, type --data {typed(wrapped[0])}"
    ]


def classes_named_like_splits(found: Subfolders) -> list[str]:
    """Says which classes have the name of a split."""
    named = [folder.name for folder in found.folders if found.reading(folder).is_split]
    if not named:
        return []
    read = "is read as a class" if len(named) == 1 else "are read as classes"
    return [
        f"{found.root}: {quoted(named)} {read}, though named like a split. If that is wrong, put the folders of the "
        "classes that train into a folder 'train'"
    ]


def typed(path: Path) -> str:
    """Returns a path as it is typed in a shell."""
    return shlex.quote(str(path))
