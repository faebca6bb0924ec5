"""What a lock says of the data: for each split and class how many images, a hash, and what each image is known by.

The order of images, the names of files and the place of the folder are not in it. An image's key is that of
images.json: see `zoo.data.membership`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.runs.images import RunImages
from zoo.system.json_objects import LEFT_OUT, JsonObject
from zoo.system.text_tables import counted

# The names of files, below the data's folder, by what each is known by.
FileNames = Mapping[str, Sequence[str]]
# Of more files that changed in a class not all are named.
MOST_NAMED = 3
# Of more images a lock has hashes only: 10 MB of keys.
MOST_KEYS = 400_000
WITHOUT_KEYS = "the lock has no key of each image: zoo reproduce will see that images differ, not which"


@dataclass(frozen=True, kw_only=True)
class ClassLock(JsonObject):
    """The images of a class in a split.

    Attributes:
        images: How many there are.
        sha256: Of `keys`.
        keys: What each image is known by, sorted, with a space between; None where there are too many.
        names: What the name of each file is known by, in the order of `keys`; None where they are not files.
    """

    images: int
    sha256: str
    keys: str | None = field(default=None, metadata=LEFT_OUT)
    names: str | None = field(default=None, metadata=LEFT_OUT)

    @property
    def counted(self) -> "Counter[str]":
        """How often each key is there."""
        return Counter((self.keys or "").split())


@dataclass(frozen=True, kw_only=True)
class DataLock(JsonObject):
    """The images of a recipe.

    Attributes:
        sha256: Of the counts and hashes of all splits and classes; the order of images is not in it.
        fingerprint: As run.json has it, which knows the order, the names of files, weights and groups too.
        splits: The classes of each split by name.
    """

    sha256: str
    fingerprint: str
    splits: Mapping[str, Mapping[str, ClassLock]]

    @classmethod
    def of_images(cls, images: RunImages, fingerprint: str) -> "DataLock":
        """Describes the images that a run has in each split.

        Args:
            images: Their keys.
            fingerprint: The dataset's.
        """
        has_keys = sum(images.count(split) for split in images.splits) <= MOST_KEYS
        names = images.names
        splits = {
            split: {
                name: _class_lock(keys, None if names is None else names[split][name], has_keys=has_keys)
                for name, keys in classes.items()
            }
            for split, classes in images.splits.items()
        }
        return cls(sha256=hash_of_splits(splits), fingerprint=fingerprint, splits=splits)

    @property
    def has_keys(self) -> bool:
        """Whether images can be told apart by it."""
        return all(one.keys is not None for classes in self.splits.values() for one in classes.values())

    def fault(self) -> str | None:
        """Says in what it contradicts itself; None where it does not."""
        for split, classes in self.splits.items():
            for name, one in classes.items():
                place = f"data.splits.{split}.{name}"
                if one.images < 0:
                    return f"{place}.images is {one.images}; expected 0 or more"
                if one.keys is None:
                    continue
                if hashlib.sha256(one.keys.encode("utf-8", "surrogatepass")).hexdigest() != one.sha256:
                    return f"{place}.sha256 is not that of its keys"
                if one.counted.total() != one.images:
                    return f"{place}.images is {one.images:,}; expected {one.counted.total():,}, as many as keys"
                if one.names is not None and len(one.names.split()) != one.images:
                    return f"{place}.names has not as many as keys"
        return None if hash_of_splits(self.splits) == self.sha256 else "data.sha256 is not that of its splits"


def _class_lock(keys: tuple[str, ...], names: tuple[str, ...] | None, *, has_keys: bool) -> ClassLock:
    pairs = sorted(zip(keys, names or keys, strict=True))
    text = " ".join(key for key, _ in pairs)
    return ClassLock(
        images=len(keys),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        keys=text if has_keys else None,
        names=" ".join(name for _, name in pairs) if has_keys and names is not None else None,
    )


def hash_of_splits(splits: Mapping[str, Mapping[str, ClassLock]]) -> str:
    """Returns the SHA-256 of `{split: {class: [images, sha256]}}` as JSON, sorted and without spaces."""
    plain = {
        split: {name: [one.images, one.sha256] for name, one in classes.items()} for split, classes in splits.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """How the images of a class in a split differ.

    Attributes:
        split: The split.
        name: The class.
        then: How many images there were.
        now: How many there are.
        removed: Keys of images that are no longer there.
        added: Keys of images that were not there.
        relabelled: Keys among `added` that were in the split before, under another class.
    """

    split: str
    name: str
    then: int
    now: int
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Which class of which split it is."""
        return f"data {self.split}/{self.name}"

    def now_with(self, names: FileNames) -> str:
        """Says how many images there are, and what came and went: `41 (1 added: cat/041.png)`.

        Args:
            names: Those of the files that are there now, by their keys.
        """
        new = [key for key in self.added if key not in set(self.relabelled)]
        parts = ((new, "added"), (self.relabelled, "of another class before"), (self.removed, "gone"))
        said = ", ".join(f"{len(keys):,} {what}{_listed(keys, names)}" for keys, what in parts if keys)
        return f"{self.now:,}{f' ({said})' if said else ''}"

    def __str__(self) -> str:
        return f"{self.place}: {counted(self.then, 'image')}, now {self.now_with({})}"


def _listed(keys: Sequence[str], names: FileNames) -> str:
    """Names the first files of some keys, those that have names."""
    known = [name for key in dict.fromkeys(keys) for name in names.get(key, ())]
    more = f" and {len(known) - MOST_NAMED:,} more" if len(known) > MOST_NAMED else ""
    return f": {' '.join(known[:MOST_NAMED])}{more}" if known else ""


def class_differences(then: DataLock, now: DataLock) -> list[ClassDifference]:
    """Lists the classes whose images differ, split by split; which images is known where both have keys."""
    found: list[ClassDifference] = []
    none = ClassLock(images=0, sha256=hashlib.sha256(b"").hexdigest(), keys="")
    for split in dict.fromkeys((*then.splits, *now.splits)):
        before, after = then.splits.get(split, {}), now.splits.get(split, {})
        before_in_split = {key for one in before.values() for key in one.counted}
        for name in dict.fromkeys((*before, *after)):
            old, new = before.get(name, none), after.get(name, none)
            if (old.images, old.sha256) == (new.images, new.sha256):
                continue
            keys: dict[str, Any] = {}
            if old.keys is not None and new.keys is not None:
                added = tuple(sorted((new.counted - old.counted).elements()))
                keys = {
                    "removed": tuple(sorted((old.counted - new.counted).elements())),
                    "added": added,
                    "relabelled": tuple(key for key in added if key in before_in_split and key not in old.counted),
                }
            found.append(ClassDifference(split=split, name=name, then=old.images, now=new.images, **keys))
    return found
