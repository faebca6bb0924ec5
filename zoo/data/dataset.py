"""What every source gives: class names and up to three labelled splits."""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from zoo.data.images import index
from zoo.errors import DataError, shortened
from zoo.system.text_tables import JOINERS, hidden_sign

SplitName = Literal["train", "validation", "test"]
# What data calls its splits, in lower case.
SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


class Items(Protocol):
    """Images that are read one at a time, from a library or the caller's own code."""

    @property
    def identity(self) -> str:
        """What tells these images from any others, such as a hash of them."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any:
        """Returns a Pillow image, or uint8[height, width] or uint8[height, width, channels] in [0, 255]."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Images and the class of each.

    Attributes:
        images: Files; or pixels as uint8[n, height, width] or uint8[n, height, width, channels] with 1, 3
            or 4 channels (grey, RGB, RGBA) in [0, 255]; or items that are read one at a time.
        labels: int64[n], an index into the dataset's classes for each image.
        weights: float32[n], how much each image counts in the training loss; None where all count 1.
        groups: A name for each image; those of one name stay on one side of a split. None where each is its own.
    """

    images: Sequence[Path] | np.ndarray | Items
    labels: np.ndarray
    weights: np.ndarray | None = None
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: np.ndarray) -> "Split":
        """Returns the chosen rows, int64[m], in their order."""
        return Split(
            images=_chosen(self.images, rows),
            labels=self.labels[rows],
            weights=None if self.weights is None else self.weights[rows],
            groups=None if self.groups is None else tuple(self.groups[row] for row in rows),
        )


@dataclass(frozen=True)
class _ChosenItems:
    items: Items
    rows: np.ndarray

    @property
    def identity(self) -> str:
        return f"{self.items.identity}[{hashlib.sha256(self.rows.astype('<i8').tobytes()).hexdigest()}]"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.items[int(self.rows[index])]


def _chosen(images: Sequence[Path] | np.ndarray | Items, rows: np.ndarray) -> Sequence[Path] | np.ndarray | Items:
    if isinstance(images, np.ndarray):
        return images[rows]
    return [images[row] for row in rows] if isinstance(images, Sequence) else _ChosenItems(images, rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A labelled set of images whose train split is the authority on the classes.

    Attributes:
        classes: The name of each class; a label is an index into it.
        train: The images to learn from.
        validation: The data's own validation split, or `None`.
        test: The data's own test split, or `None`.
        warnings: One line per oddity that does not stop a run, such as a class that validation lacks.
        root: The folder that file names are relative to in the fingerprint; `None` for arrays.
        is_folder: Whether the data is meant to be all that lies below `root`.
    """

    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split | None
    warnings: tuple[str, ...] = ()
    root: Path | None = None
    is_folder: bool = False

    def fingerprint(self) -> str:
        """Identifies the data.

        It covers the class names in order, which splits there are, every label, weight and group, and for an
        array its shape and bytes. For a file it covers the path relative to `root` (the whole path of one that
        lies elsewhere) and the content. The folder's own place and the files' times are not covered, so a copy
        is the same data.

        Returns:
            A SHA-256 digest, 64 hexadecimal digits.
        """
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for name, split in self.splits().items():
            digest.update(f"\n{name} {len(split)}\n".encode())
            if isinstance(split.images, np.ndarray):
                digest.update(f"{split.images.shape}\n".encode())
                digest.update(np.ascontiguousarray(split.images).reshape(-1).data)
            elif not isinstance(split.images, Sequence):
                digest.update(split.images.identity.encode())
            else:
                for path, content in zip(split.images, index.contents(split.images), strict=True):
                    relative = path
                    if self.root is not None and path.is_relative_to(self.root):
                        relative = path.relative_to(self.root)
                    readable = "" if content.startswith(index.UNREADABLE) else content
                    digest.update(os.fsencode(relative.as_posix()) + f"\0{readable}\n".encode())
            digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
            if split.weights is not None:
                digest.update(b"\nweights\n" + np.ascontiguousarray(split.weights, dtype="<f4").tobytes())
            if split.groups is not None:
                digest.update(b"\ngroups\n" + json.dumps(split.groups).encode())
        return digest.hexdigest()

    def hash_files(self) -> None:
        """Hashes the files that are not known, so that whoever asks for their contents finds them."""
        for split in self.splits().values():
            if isinstance(split.images, Sequence):
                index.contents(split.images)

    def splits(self) -> dict[str, Split]:
        """Returns the splits that there are, by name, in the order train, validation, test."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in named.items() if split is not None}


def of_splits(
    classes: tuple[str, ...], splits: Mapping[str, Split], *, warnings: Sequence[str] = (), root: Path | None = None
) -> Dataset:
    """Puts splits together; where a test is measured alone, train has no images.

    Args:
        classes: The name of each class.
        splits: By train, validation and test.
        warnings: One line per oddity.
        root: The folder that file names are relative to.
    """
    return Dataset(
        classes=classes,
        train=splits.get("train", Split(images=(), labels=np.zeros(0, np.int64))),
        validation=splits.get("validation"),
        test=splits.get("test"),
        warnings=tuple(warnings),
        root=root,
    )


def check_dataset(dataset: Dataset, place: str, *, measuring: bool = False) -> Dataset:
    """Refuses labels that name no class and sets of one class; notes what is odd about the classes.

    Args:
        dataset: What a source has read.
        place: The file, folder or source, for messages.
        measuring: Whether a finished classifier is to be measured: one class is enough, and none need have images.

    Returns:
        The dataset, with a warning added for each split that lacks classes, for classes that look like one and
        for classes that weigh nothing.

    Raises:
        DataError: Fewer than two classes, two classes of one name, a name that cannot be shown, or a label out of
            range.
    """
    classes = dataset.classes
    if len(classes) < 2 and not measuring:
        raise DataError(
            f"{place}: has one class only, {quoted(classes)}; expected two or more. Add the images of a second class."
        )
    if repeated := sorted(name for name, count in Counter(classes).items() if count > 1):
        raise DataError(
            f"{place}: has two classes of the name {quoted(repeated)}; expected each name once. Rename one."
        )
    _check_names(classes, place)
    warnings = [*dataset.warnings, *_alike(classes, place)]
    for name, split in dataset.splits().items():
        if outside := sorted({int(label) for label in split.labels if not 0 <= label < len(classes)}):
            raise DataError(
                f"{place}: {name} has the labels {quoted(outside)}; expected 0 to {len(classes) - 1}, "
                f"one for each of {len(classes)} classes. Correct the labels or the class names."
            )
        counts = np.bincount(split.labels, minlength=len(classes))
        if measuring:
            continue
        if lacking := [classes[index] for index in np.flatnonzero(counts == 0)]:
            warnings.append(f"{place}: {name} has no images of the classes {quoted(lacking)}")
    train = dataset.train
    if train.weights is not None:
        counts = np.bincount(train.labels, minlength=len(classes))
        weights = np.bincount(train.labels, weights=train.weights, minlength=len(classes))
        if light := [classes[index] for index in np.flatnonzero((weights == 0) & (counts > 0))]:
            warnings.append(f"{place}: all images of the classes {quoted(light)} weigh 0: they are not learnt")
    return replace(dataset, warnings=tuple(warnings))


def _check_names(classes: Sequence[str], place: str) -> None:
    for name in classes:
        if not name.strip():
            raise DataError(f"{place}: the class {quoted([name])} has an empty name; expected a text. Rename it.")
        sign = hidden_sign(name)
        if sign is not None:
            what = "control character" if unicodedata.category(sign) == "Cc" else "sign that cannot be seen"
            raise DataError(
                f"{place}: the class {quoted([name])} has a {what} in its name ({quoted([sign])}); expected a text "
                "that any line can show. Rename it."
            )


def unknown_classes(found: Iterable[str], classes: Sequence[str], *, of: str = "train") -> list[str]:
    """Returns what is not a class, for a message: `'Dog' (train has 'dog')` where one of train is near."""
    folded = {known.casefold(): known for known in classes}
    # The first of those that look the same.
    seen = {_as_seen(known): known for known in reversed(classes)}
    compared = max(1, min(UNKNOWN_LISTED, MOST_COMPARISONS // max(1, len(folded))))
    unknown: list[str] = []
    known_names = set(classes)
    for name in found:
        if name not in known_names:
            near = get_close_matches(name.casefold(), folded, n=1) if len(unknown) < compared else []
            alike = seen.get(_as_seen(name))
            if alike is not None:
                unknown.append(f"{quoted([name])} ({of} has {quoted([alike])}, which {_difference([name, alike])})")
            else:
                unknown.append(quoted([name]) + (f" ({of} has {quoted([folded[near[0]]])})" if near else ""))
    return unknown


# Messages name no more, and to find the nearest of many names takes long.
UNKNOWN_LISTED, MOST_COMPARISONS = 10, 20_000


def _alike(classes: Sequence[str], place: str) -> list[str]:
    """Says which classes are likely to be meant as one: `Cat` and `cat`, `01` and `1`."""
    spellings: dict[str, list[str]] = {}
    for name in classes:
        plain = _WORD_BREAK.sub(" ", _as_seen(name)).casefold()
        spellings.setdefault(plain.lstrip("0") or "0" if plain.isdecimal() else plain, []).append(name)
    alike = [names for names in spellings.values() if len(names) > 1]
    said = [
        f"{place}: {quoted(names)} are classes of their own, though they {_difference(names)}"
        for names in alike[:ALIKE_LISTED]
    ]
    if more := len(alike) - len(said):
        said.append(f"{place}: {more:,} more times classes differ in spelling only, or look the same")
    return said


ALIKE_LISTED = 20


def _difference(names: Sequence[str]) -> str:
    """Says in what names differ that look alike, or nearly so."""
    if len({unicodedata.normalize("NFC", name) for name in names}) == 1:
        forms = ", ".join("composed" if unicodedata.is_normalized("NFC", name) else "decomposed" for name in names)
        return f"differ only in the Unicode form of their letters ({forms})"
    if len({_as_seen(name) for name in names}) == 1:
        return f"look the same ({', '.join(ascii(name) for name in names)})"
    return "differ in spelling only"


# Between letters only: -1 and 1 are two numbers.
_WORD_BREAK = re.compile(r"(?<=[^\W\d_])[-_ ]+(?=[^\W\d_])")
# Letters of other alphabets that look like Latin ones.
_LOOKALIKES = str.maketrans("аеорсухіАВЕКМНОРСТХІΑΒΕΗΙΚΜΝΟΡΤΧο", "aeopcyxiABEKMHOPCTXIABEHIKMNOPTXo")


def _as_seen(name: str) -> str:
    """Brings a name to what the eye sees: one form of each letter, single spaces, nothing invisible."""
    plain = unicodedata.normalize("NFKC", name)
    visible = "".join(
        sign for sign in plain if not (unicodedata.category(sign) == "Cf" or "\ufe00" <= sign <= "\ufe0f")
    )
    return " ".join(visible.split()).translate(_LOOKALIKES)


def quoted(names: Iterable[object], *, at_most: int = 10) -> str:
    """Returns `'a', 'b' and 3 more`: names for a one-line message, with what cannot be shown as `\\n`."""
    listed = list(names)
    text = ", ".join(f"'{_shown(str(name))}'" for name in listed[:at_most])
    return text if len(listed) <= at_most else f"{text} and {len(listed) - at_most} more"


def _shown(name: str) -> str:
    name = shortened(name)
    if name.isprintable():
        return name
    return "".join(sign if sign.isprintable() or sign in JOINERS else ascii(sign)[1:-1] for sign in name)
