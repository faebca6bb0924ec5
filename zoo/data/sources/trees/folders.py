"""A folder with one subfolder of images per class, with or without split folders above them.

photos/cat/1.jpg                 flat: one train split
photos/train/cat/1.jpg           split folders: train | training, val | valid | validation, test | testing,
photos/val/cat/2.jpg             recognised in any case, and with words that add nothing, as in training_set
"""

import functools
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset, Split, SplitName, quoted, unknown_classes
from zoo.data.images.suffixes import FOREIGN_SUFFIXES, IMAGE_SUFFIXES, TEXT_SUFFIXES, count_suffixes
from zoo.data.sources.grouping import group_by_name
from zoo.data.sources.trees.layouts import deepest_single, find_layout
from zoo.data.sources.trees.lying_beside import is_being_begun, is_ignored, is_output, is_written
from zoo.data.sources.trees.subfolders import ListInside
from zoo.data.sources.trees.unclear_layouts import no_classes
from zoo.errors import DataError, printable
from zoo.registry.sources import SourceRequest

DEEPEST = 100
# The files of each class folder by its name.
ClassFiles = dict[str, list[Path]]


@dataclass(frozen=True)
class PassedOver:
    """What is not read, to be said.

    Attributes:
        links: Links to folders, which would lead in circles.
        outputs: Folders that zoo or Python's tools have written.
        foreign: Files of classes that are plainly not images, though someone may have meant them to be learnt from.
    """

    links: list[Path] = field(default_factory=list[Path])
    outputs: list[Path] = field(default_factory=list[Path])
    foreign: list[Path] = field(default_factory=list[Path])

    def warnings(self, root: Path) -> list[str]:
        """Says what it was, one line each."""
        said: list[str] = []
        if self.links:
            said.append(f"{root}: passed over links to folders: {_named(self.links, root)}")
        if self.outputs:
            said.append(
                f"{root}: passed over what zoo or Python's tools have written, such as runs: "
                f"{_named(self.outputs, root)}"
            )
        if self.foreign:
            said.append(f"{root}: passed over files that are not images: {count_suffixes(self.foreign)}")
        return said


def _named(paths: Sequence[Path], root: Path) -> str:
    return quoted(sorted({path.relative_to(root) for path in paths}))


@dataclass(frozen=True, kw_only=True)
class Entries:
    """What is directly in a folder, each sorted, without what is ignored.

    Attributes:
        folders: Folders that may hold images.
        files: Files that may be images.
        outputs: Folders that zoo or Python's tools have written.
        foreign: Files that are plainly something else, such as sound.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    outputs: tuple[Path, ...]
    foreign: tuple[Path, ...]


# Gives what is in a folder.
ListFolder = Callable[[Path], Entries]


def open_folder(request: SourceRequest) -> Dataset:
    """Opens a folder of class folders; see `read_class_folders` and `group_by_name`."""
    assert request.path is not None  # the table says that it needs one
    dataset = read_class_folders(request.path, measuring=request.measuring)
    return group_by_name(dataset, request.group) if request.group else dataset


def read_class_folders(root: Path, *, measuring: bool = False) -> Dataset:
    """Lists the images of a folder of class folders; opens none of them.

    Classes are the names of the class folders, sorted. The layout has splits when the folder has a train
    folder with subfolders in it. Folders inside a class folder belong to the class. Hidden files and folders
    are ignored, and so are files that are plainly not images (`README.txt`, `Thumbs.db`). Run folders and other
    folders that zoo has written are passed over, with a warning. A link to a folder
    is followed for a split or a class, not below, and not back to a folder that it is in; that is warned of.

    Args:
        root: An existing folder.
        measuring: Whether a finished classifier is to be measured: there may be one class only, class folders may
            be empty, and there need be no train.

    Returns:
        The splits, each with its files in a fixed order: by class, then by path.

    Raises:
        DataError: No class folders, a class without images, a validation or test class that is not in train,
            a layout that can be read in two ways, or a folder that cannot be read.
    """
    passed_over = PassedOver()
    entries = functools.cache(_entries)  # a class may hold many files, and is listed to know the layout

    def list_inside(folder: Path) -> tuple[Sequence[Path], Sequence[Path]]:
        return entries(folder).folders, entries(folder).files

    subfolders, files = list_inside(root)
    # Foreign files beside the classes were not meant to be learnt from, and are not said.
    passed_over.outputs.extend(entries(root).outputs)
    if not subfolders and is_written(root):
        raise DataError(
            f"{root}: is a run, or another folder that zoo has written; expected images. Point --data at the folder "
            "that holds the class folders."
        )
    if not subfolders:
        raise no_classes(root, files)
    passed_over.links.extend(folder for folder in subfolders if _leads_back(folder))
    subfolders = [folder for folder in subfolders if folder not in passed_over.links]
    layout = find_layout(root, subfolders, list_inside, measuring=measuring)
    warnings = list(layout.warnings)
    if stray := [path.name for path in files if path.suffix.lower() in IMAGE_SUFFIXES]:
        beside = "images beside the split folders" if layout.has_splits else "images beside the class folders"
        warnings.insert(0, f"{root}: ignored {beside}: {quoted(stray)}")
    _refuse_links_to_one(root, layout.splits.values())
    found: dict[SplitName, ClassFiles] = {
        name: _class_files(folders, passed_over, entries) for name, folders in layout.splits.items()
    }
    if measuring:
        classes = _measured_classes(root, found)
    else:
        _check_train(root, found["train"], passed_over)
        if len(found["train"]) == 1 and len(subfolders) == 1:
            _refuse_wrapper(root, found["train"], list_inside)
        classes = tuple(found["train"])
        for name, files_of in found.items():
            if name != "train":
                _check_known(root, name, classes, files_of)
    splits = {name: _split(files_of, classes) for name, files_of in found.items()}
    return Dataset(
        classes=classes,
        train=splits.get("train") or _split({}, classes),
        validation=splits.get("validation"),
        test=splits.get("test"),
        warnings=(*warnings, *passed_over.warnings(root)),
        root=root,
        is_folder=True,
    )


def _class_files(folders: Sequence[Path], passed_over: PassedOver, entries: ListFolder) -> ClassFiles:
    found: ClassFiles = {}
    for folder in folders:
        if _leads_back(folder):
            passed_over.links.append(folder)
        else:
            found[folder.name] = image_files(folder, passed_over, entries)
    return found


def _refuse_links_to_one(root: Path, splits: Iterable[Sequence[Path]]) -> None:
    """Refuses two class folders that are one by a link: a class would be wrong, or a split would measure nothing."""
    seen: dict[Path, Path] = {}
    for folder in (folder for folders in splits for folder in folders if not _leads_back(folder)):
        first = seen.setdefault(folder.resolve(), folder)
        if first is not folder:
            raise DataError(
                f"{root}: '{first.relative_to(root)}' and '{folder.relative_to(root)}' are one folder, by a link; "
                "expected other images in each. Remove the link."
            )


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that it is in, whose images would be a class's once more."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def image_files(
    folder: Path, passed_over: PassedOver | None = None, list_folder: ListFolder | None = None
) -> list[Path]:
    """Lists the files below a folder that may be images, in order; hidden files, texts, runs and such are passed over.

    Args:
        folder: Where to look.
        passed_over: Is given the links to folders, which are not followed, folders that zoo has written, and files
            that are plainly something else, such as sound.
        list_folder: Gives what is in the folder itself, where that is known already.

    Raises:
        DataError: A folder cannot be read, or lies deeper than any that holds images.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    files: list[Path] = []
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current is not folder and current.is_symlink():  # one to a folder above it would never end
            passed_over.links.append(current)
            continue
        if len(current.parts) - len(folder.parts) > DEEPEST:
            raise DataError(
                f"{current}: lies more than {DEEPEST} folders below {printable(folder)}; expected images nearer to it. "
                "Move them, or remove these folders."
            )
        entries = (list_folder or _entries)(current) if current is folder else _entries(current)
        files += entries.files
        passed_over.outputs.extend(entries.outputs)
        passed_over.foreign.extend(entries.foreign)
        waiting += reversed(entries.folders)
    return sorted(files, key=Path.as_posix)


def _entries(folder: Path) -> Entries:
    folders: list[Path] = []
    files: list[Path] = []
    outputs: list[Path] = []
    foreign: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if is_ignored(entry.name):
                    continue
                if _is_folder(entry):
                    if not is_being_begun(path):
                        (outputs if is_output(path) else folders).append(path)
                elif path.suffix.lower() in FOREIGN_SUFFIXES:
                    foreign.append(path)
                elif path.suffix.lower() not in TEXT_SUFFIXES and _may_be_image(entry):
                    files.append(path)
    except OSError as fault:
        raise DataError(
            f"{folder}: the folder cannot be read ({fault.strerror}). Change its permissions, or remove it."
        ) from fault
    return Entries(
        folders=_by_name(folders), files=_by_name(files), outputs=_by_name(outputs), foreign=_by_name(foreign)
    )


def _by_name(paths: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(sorted(paths, key=attrgetter("name")))


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


def _check_train(root: Path, train: Mapping[str, Sequence[Path]], passed_over: PassedOver) -> None:
    _check_names(root, train)
    if empty := [name for name, files in train.items() if not files]:
        held = [path for path in passed_over.foreign if not {parent.name for parent in path.parents}.isdisjoint(empty)]
        foreign = f", only {count_suffixes(held)}," if held else ""
        raise DataError(
            f"{root}: no images{foreign} in the class folders {quoted(empty)}; expected one or more in each. "
            "Add images, or remove these folders."
        )


def _refuse_wrapper(root: Path, train: Iterable[str], list_inside: ListInside) -> None:
    deepest = deepest_single(root, list_inside)
    if len(list_inside(deepest)[0]) > 1:
        raise DataError(
            f"{root}: has one class only, {quoted(train)}; expected two or more. "
            f"If its subfolders are the classes, type --data {shlex.quote(str(deepest))}"
        )


def _check_names(root: Path, names: Iterable[str]) -> None:
    for name in names:
        # What is not text comes from the file system as halves of surrogate pairs.
        if any("\ud800" <= sign <= "\udfff" for sign in name):
            raise DataError(
                f"{root}: the class folder {os.fsencode(name)} has a name that is not UTF-8 text; expected one that "
                "can be shown as the class's name. Rename the folder."
            )


def _measured_classes(root: Path, found: Mapping[SplitName, ClassFiles]) -> tuple[str, ...]:
    classes = {name for files_of in found.values() for name, files in files_of.items() if files}
    if not classes:
        raise DataError(
            f"{root}: no images in the class folders; expected one or more. Point --data at the folder that holds the "
            "class folders."
        )
    _check_names(root, classes)
    return tuple(sorted(classes))


def _check_known(root: Path, name: str, classes: Sequence[str], files_of: Mapping[str, Sequence[Path]]) -> None:
    if not any(files_of.values()):
        raise DataError(
            f"{root}: no images in the class folders of {name}; expected one or more. Add images, or remove the folder."
        )
    if unknown := unknown_classes((found for found, files in files_of.items() if files), classes):
        listed = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise DataError(
            f"{root}: {name} has classes that are not in train: {listed}; expected classes of train only. "
            "Rename or remove these folders."
        )
