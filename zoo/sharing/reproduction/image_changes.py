"""Which images differ from those of a lock, file by file: changed, added, removed, relabelled, renamed.

A lock knows an image by its content and the hash of its name, and no name itself: what was removed is named where this
machine has read it before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from zoo.data.dataset import Dataset
from zoo.data.images import index
from zoo.data.membership import file_names, image_keys, name_key
from zoo.sharing.locks.data import DataLock

What = Literal["changed", "added", "removed", "relabelled", "renamed"]
# What splits are called together of which one is a share of the other.
SHARED = "train"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of then or of now.

    Attributes:
        key: What it is known by.
        label: Its class.
        name: The name of its file below the data's folder; of then only the hash of it; "" where it has none.
    """

    key: str
    label: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """An image that is not as it was.

    Attributes:
        what: What happened to it.
        split: The split that it is in.
        then: What it was; None of one that was added.
        now: What it is; None of one that was removed.
        name_then: What the file was called below the data's folder; "" where that is not known here.
        content: A file on this machine that has the content of then; None where none is known.
    """

    what: What
    split: str
    then: Image | None = None
    now: Image | None = None
    name_then: str = ""
    content: Path | None = None

    @property
    def name(self) -> str:
        """The file's name below the data's folder, or, where that is not known, what it is known by."""
        if self.now is not None:
            return self.now.name or self.now.key
        return self.name_then or (self.then.key if self.then else "")

    @property
    def is_revertible(self) -> bool:
        """Whether the image can be put back as it was, in a copy of the folder."""
        if self.what == "added":
            return bool(self.now and self.now.name)
        if self.what in ("changed", "removed"):
            return self.content is not None and bool(self.name_then)
        return bool(self.name_then)


def image_changes(then: DataLock, dataset: Dataset, *, is_shared: bool) -> list[ImageChange]:
    """Lists the images that are not as a lock says, in the order of their names.

    Args:
        then: The lock, which knows each image.
        dataset: The images of now.
        is_shared: Whether validation is a share of train, so that which of the two an image is in says nothing.
    """
    before = _of_lock(then, is_shared=is_shared)
    after = _of_dataset(dataset)
    changes = [
        change
        for split in dict.fromkeys((*before, *after))
        for change in _changes(split, before.get(split, []), after.get(split, []))
    ]
    return sorted(
        changes, key=lambda one: (one.split, one.now.name if one.now else "", one.then.key if one.then else "")
    )


def _of_lock(lock: DataLock, *, is_shared: bool) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = {}
    for split, classes in lock.splits.items():
        pool = found.setdefault(SHARED if is_shared and split == "validation" else split, [])
        for label, one in classes.items():
            keys = (one.keys or "").split()
            names = one.names.split() if one.names is not None else [""] * len(keys)
            pool += [Image(key=key, label=label, name=name) for key, name in zip(keys, names, strict=True)]
    return found


def _of_dataset(dataset: Dataset) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = {}
    for split, images in dataset.splits().items():
        names = file_names(images, dataset.root) or [""] * len(images)
        rows = zip(image_keys(images), images.labels.tolist(), names, strict=True)
        found[split] = [Image(key=key, label=dataset.classes[label], name=name) for key, label, name in rows if key]
    return found


def _changes(split: str, before: Sequence[Image], after: Sequence[Image]) -> Iterator[ImageChange]:
    """Pairs the images of a split, those that have most in common first, and yields what does not match."""
    then, now = list(before), list(after)
    has_names = all(one.name for one in (*before, *after))
    for change, same in _PAIRINGS:
        if "name" in same and not has_names:
            continue
        waiting: dict[tuple[str, ...], list[Image]] = {}
        for one in then:
            waiting.setdefault(_identity(one, same, is_hashed=True), []).append(one)
        left: list[Image] = []
        for one in now:
            if of_then := waiting.get(_identity(one, same, is_hashed=False)):
                earlier = of_then.pop(0)
                if change is not None and not (change == "renamed" and not has_names):
                    yield ImageChange(what=change, split=split, then=earlier, now=one)
            else:
                left.append(one)
        then, now = [one for ones in waiting.values() for one in ones], left
    yield from (ImageChange(what="removed", split=split, then=one) for one in then)
    yield from (ImageChange(what="added", split=split, now=one) for one in now)


# What happened to an image -> what it has in common with itself before.
_PAIRINGS: tuple[tuple[What | None, tuple[str, ...]], ...] = (
    (None, ("key", "label", "name")),
    ("renamed", ("key", "label")),
    ("relabelled", ("key",)),
    ("changed", ("name", "label")),
)


def _identity(image: Image, same: Sequence[str], *, is_hashed: bool) -> tuple[str, ...]:
    name = image.name if is_hashed else name_key(image.name)
    parts = {"key": image.key, "label": image.label, "name": name}
    return tuple(parts[one] for one in same)


def with_files_known_here(changes: Sequence[ImageChange], root: Path | None) -> list[ImageChange]:
    """Adds what this machine knows of images of then: names of what was removed, and files that still have the content.

    Args:
        changes: What differs.
        root: The data's folder.
    """
    files = index.read_before({one.then.key for one in changes if one.then is not None})
    return [_known_here(one, files[one.then.key], root) if one.then else one for one in changes]


def _known_here(change: ImageChange, files: Sequence[Path], root: Path | None) -> ImageChange:
    then, now = change.then, change.now
    assert then is not None
    # What it may have been called, the likeliest first.
    names = [] if now is None else [now.name, _under(now.name, now.label, then.label)]
    names = [name for name in (*names, *_names(files, root)) if _is_below(name) and then.name in ("", name_key(name))]
    if then.name == "" and change.what == "relabelled":
        names = names[1:]
    there = None
    if change.what in ("changed", "removed"):
        there = next((file for file in files if index.contents([file])[0].startswith(then.key)), None)
    return replace(change, name_then=names[0] if names else "", content=there)


def _is_below(name: str) -> bool:
    """Returns whether a name leads to a file below a folder: a class is called whatever a lock says."""
    parts = name.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or "\0" in part or ":" in part for part in parts)


def _under(name: str, label: str, other: str) -> str:
    """Returns the name that a file has in the folder of another class."""
    parts = name.split("/")
    if label in parts[:-1]:
        parts[parts.index(label)] = other
    return "/".join(parts)


def _names(files: Sequence[Path], root: Path | None) -> Iterator[str]:
    """Yields what files of these paths may be called below the data's folder, wherever that was."""
    for file in files:
        if root is not None and file.is_relative_to(root.absolute()):
            yield file.relative_to(root.absolute()).as_posix()
        yield from ("/".join(file.parts[-length:]) for length in range(1, min(5, len(file.parts))))
