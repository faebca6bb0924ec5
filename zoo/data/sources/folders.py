"""A folder with one subfolder of images per class, with or without split folders above them.

photos/cat/1.jpg                 flat: one train split
photos/train/cat/1.jpg           split folders: train | training, val | valid | validation, test,
photos/val/cat/2.jpg             recognised in any case
"""

import os
import stat
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import numpy as np

from zoo.data.dataset import SPLIT_NAMES, Dataset, Split, SplitName, quoted, unknown_classes
from zoo.errors import DataError

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
# What lies beside images without being meant as one. Any other file is taken for an image, so that one that
# cannot be decoded is reported at packing and never dropped in silence.
_IGNORED_SUFFIXES = {
    *(".txt", ".md", ".rst", ".html", ".log"),
    *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini"),
    *(".py", ".ipynb", ".lnk"),
}
_IGNORED_NAMES = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}


def read_class_folders(root: Path) -> Dataset:
    """Lists the images of a folder of class folders; opens none of them.

    Classes are the names of the class folders, sorted. The layout has splits when the folder has a train
    folder with subfolders in it. Folders inside a class folder belong to the class. Hidden files and folders
    are ignored, and so are files that are plainly no images (`README.txt`, `Thumbs.db`). A link to a folder
    is followed for a split or a class, not below, and not back to a folder that it is in; that is warned of.

    Args:
        root: An existing folder.

    Returns:
        The splits, each with its files in a fixed order: by class, then by path.

    Raises:
        DataError: No class folders, a class without images, a validation or test class that train has not,
            or a folder that cannot be read.
    """
    subfolders, files = _entries(root)
    if not subfolders:
        raise _no_classes(root, files)
    links: list[Path] = []
    split_folders = _split_folders(root, subfolders)
    if split_folders is None:
        stray = [path for path in files if path.suffix.lower() in _IMAGE_SUFFIXES]
        warnings = _beside(root, stray, "images beside the class folders")
        train = _class_files(subfolders, links)
        others: dict[SplitName, dict[str, list[Path]]] = {}
    else:
        unknown = [folder for folder in subfolders if folder not in split_folders.values()]
        warnings = _beside(root, unknown, "folders beside the split folders")
        train = _class_files(_entries(split_folders["train"])[0], links)
        others = {}
        for name, folder in split_folders.items():
            class_folders, images = _entries(folder)
            if class_folders and name != "train":
                others[name] = _class_files(class_folders, links)
            elif name == "test":
                warnings.append(f"{folder}: {len(images)} files have no class folders; no test split is used")
            elif name == "validation":
                raise _no_classes(folder, images)
    _check_train(root, subfolders, train)
    classes = tuple(train)
    for name, files_of in others.items():
        _check_known(root, name, classes, files_of)
    splits = {name: _split(files_of, classes) for name, files_of in others.items()}
    if links:
        warnings.append(f"{root}: passed over links to folders: {quoted(path.relative_to(root) for path in links)}")
    return Dataset(
        classes=classes,
        train=_split(train, classes),
        validation=splits.get("validation"),
        test=splits.get("test"),
        warnings=tuple(warnings),
        root=root,
        is_folder=True,
    )


def _split_folders(root: Path, subfolders: Sequence[Path]) -> dict[SplitName, Path] | None:
    """Returns the folder of each split, or `None` where the subfolders are classes."""
    found: dict[SplitName, Path] = {}
    for folder in subfolders:
        name = SPLIT_NAMES.get(folder.name.casefold())
        if name in found:
            raise DataError(
                f"{root}: '{found[name].name}' and '{folder.name}' are both the {name} split; "
                "expected one folder for it. Merge or rename one."
            )
        if name is not None:
            found[name] = folder
    if "train" in found and _entries(found["train"])[0]:
        return found
    if len(found) < len(subfolders):
        return None
    if "train" in found:
        raise _no_classes(found["train"], _entries(found["train"])[1])
    raise DataError(
        f"{root}: has the split folders {quoted(folder.name for folder in subfolders)} and no 'train'; "
        "expected a train folder with one subfolder per class. Add it, or point --data at the class folders."
    )


def _class_files(folders: Sequence[Path], passed_over: list[Path]) -> dict[str, list[Path]]:
    passed_over += [folder for folder in folders if _leads_back(folder)]
    return {folder.name: image_files(folder, passed_over) for folder in folders if folder not in passed_over}


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it is in, whose images would be a class's once more."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def image_files(folder: Path, passed_over: list[Path] | None = None) -> list[Path]:
    """Lists the files below a folder that may be images, in order; hidden files, texts and the like are passed over.

    Args:
        folder: Where to look.
        passed_over: Is given the links to folders, which are not followed.

    Raises:
        DataError: A folder cannot be read.
    """
    subfolders, files = _entries(folder)
    for subfolder in subfolders:
        if not subfolder.is_symlink():  # a link to a folder above it would never end
            files += image_files(subfolder, passed_over)
        elif passed_over is not None:
            passed_over.append(subfolder)
    return sorted(files, key=Path.as_posix)


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files that may be images, both sorted, without what is ignored."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if entry.name.startswith(".") or entry.name.casefold() in _IGNORED_NAMES:
                    continue
                if _is_folder(entry):
                    folders.append(path)
                elif path.suffix.lower() not in _IGNORED_SUFFIXES and _may_be_image(entry):
                    files.append(path)
    except OSError as fault:
        raise DataError(
            f"{folder}: the folder cannot be read ({fault.strerror}). Change its permissions, or remove it."
        ) from fault
    return sorted(folders, key=attrgetter("name")), sorted(files, key=attrgetter("name"))


def _may_be_image(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(entry.stat().st_mode)  # opening a pipe or a device would block
    except OSError:
        return True  # a link to nowhere or to itself: a lost image, which packing reports


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _split(files_of: Mapping[str, Sequence[Path]], classes: Sequence[str]) -> Split:
    images = [path for name in classes for path in files_of.get(name, ())]
    counts = [len(files_of.get(name, ())) for name in classes]
    return Split(images=tuple(images), labels=np.repeat(np.arange(len(classes), dtype=np.int64), counts))


def _check_train(root: Path, subfolders: Sequence[Path], train: Mapping[str, Sequence[Path]]) -> None:
    for name in train:
        # What is no text comes from the file system as halves of surrogate pairs.
        if any("\ud800" <= sign <= "\udfff" for sign in name):
            raise DataError(
                f"{root}: the class folder {os.fsencode(name)} has a name that is no UTF-8 text; expected one that "
                "can be shown as the class's name. Rename the folder."
            )
    if empty := [name for name, files in train.items() if not files]:
        raise DataError(
            f"{root}: no images in the class folders {quoted(empty)}; expected one or more in each. "
            "Add images, or remove these folders."
        )
    if len(train) == 1 and len(subfolders) == 1 and len(_entries(subfolders[0])[0]) > 1:
        raise DataError(
            f"{root}: has one class only, {quoted(train)}; expected two or more. "
            f"If its subfolders are the classes, type --data {subfolders[0]}"
        )


def _check_known(root: Path, name: str, classes: Sequence[str], files_of: Mapping[str, Sequence[Path]]) -> None:
    if not any(files_of.values()):
        raise DataError(
            f"{root}: no images in the class folders of {name}; expected one or more. Add images, or remove the folder."
        )
    if unknown := unknown_classes((found for found, files in files_of.items() if files), classes):
        listed = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise DataError(
            f"{root}: {name} has classes that train has not: {listed}; expected classes of train only. "
            "Rename or remove these folders."
        )


def _no_classes(folder: Path, files: Sequence[Path]) -> DataError:
    if images := [path for path in files if path.suffix.lower() in _IMAGE_SUFFIXES]:
        return DataError(
            f"{folder}: {len(images)} images lie directly in the folder; expected one subfolder per class, "
            f"such as {folder / 'cat' / images[0].name}. Move each image into the folder of its class."
        )
    return DataError(
        f"{folder}: no images and no class folders; expected one subfolder of images per class. "
        "Point --data at the folder that holds the class folders."
    )


def _beside(root: Path, ignored: Sequence[Path], what: str) -> list[str]:
    return [f"{root}: ignored {what}: {quoted(path.name for path in ignored)}"] if ignored else []
