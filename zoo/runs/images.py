"""images.json: which images a run trained, validated and tested on, by what they are and not by where they lay.

    {"schema": 1, "kind": "images", "sealed": true,
     "splits": {"validation": {"cat": ["3f0c...", ...], "dog": [...]}, ...},
     "names": {"validation": {"cat": ["9a41...", ...], "dog": [...]}, ...}, "seal": "..."}

An image is known by the beginning of its content's SHA-256 (96 bits): of a file's bytes, or of the pixels of an array.
Where a library gives the images it is the data's identity and the number in it. No place on a machine is named; of
100,000 images it holds 2.7 MB, and of files 1.1 MB more: the hashes of their names, which tell a file that has changed
from one that is new.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import RunError, shown
from zoo.system.files import write_atomic
from zoo.system.integrity.checked_reading import read_checked
from zoo.system.sealing import NO_SEAL, DamagedDocumentError, parse_document, sealed_text

FILE = "images.json"
SCHEMA = 1
# Of 3.7 million images.
MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class RunImages:
    """Which images each split of a run had.

    Attributes:
        splits: Keys of images by split and class name; an image that was there twice is listed twice.
        names: What the name of each is known by, in the same order; None where they are not files.
    """

    splits: Mapping[str, Mapping[str, tuple[str, ...]]]
    names: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None

    def count(self, split: str) -> int:
        """Returns how many images a split had."""
        return sum(len(keys) for keys in self.splits.get(split, {}).values())

    @cached_property
    def known(self) -> "dict[str, Counter[str]]":
        """How often each key is in each split."""
        return {
            split: Counter(key for keys in classes.values() for key in keys) for split, classes in self.splits.items()
        }

    def to_text(self) -> str:
        """Returns images.json, with its seal: a line for each class."""
        first = f'"schema": {SCHEMA}, "kind": "images", "sealed": true'
        names = "" if self.names is None else f'"names": {_blocks(self.names)}, '
        return sealed_text(f'{{{first}, "splits": {_blocks(self.splits)}, {names}"seal": "{NO_SEAL}"}}')

    def write(self, folder: Path) -> None:
        """Writes images.json whole into a run's folder."""
        write_atomic(folder / FILE, self.to_text())


def _blocks(splits: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    blocks = ",\n".join(_block(split, classes) for split, classes in splits.items())
    return f"{{\n{blocks}\n}}"


def _block(split: str, classes: Mapping[str, tuple[str, ...]]) -> str:
    """Writes a split with a line for each class."""
    lines = ",\n".join(_line(name, keys) for name, keys in classes.items())
    return f"{json.dumps(split)}: {{\n{lines}\n}}"


def _line(name: str, keys: tuple[str, ...]) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(keys, separators=(',', ':'))}"


def read_images(folder: Path) -> RunImages | None:
    """Reads a run's images.json; None where an earlier zoo wrote none.

    Raises:
        RunError: It is damaged.
    """
    path = folder / FILE
    try:
        document = parse_document(read_checked(folder, FILE, limit=MAX_BYTES)).values
        if document["schema"] != SCHEMA:
            raise RunError(f"{path}: schema is {shown(document['schema'])}; expected {SCHEMA}; use a newer zoo")
        splits = _splits(document["splits"])
        names = _splits(document["names"]) if "names" in document else None
        if names is not None and _counts(names) != _counts(splits):
            raise RunError(f"{path}: has other names than images; expected what zoo wrote")
    except FileNotFoundError:
        return None
    except DamagedDocumentError as fault:
        raise RunError(f"{path}: cannot be read ({fault}); expected what zoo wrote") from None
    except (TypeError, KeyError, AttributeError):
        raise RunError(
            f"{path}: cannot be read (it lists no images by split and class); expected what zoo wrote"
        ) from None
    return RunImages(splits, names)


def _splits(document: Any) -> dict[str, dict[str, tuple[str, ...]]]:
    return {
        split: {str(name): tuple(map(str, keys)) for name, keys in classes.items()}
        for split, classes in document.items()
    }


def _counts(splits: Mapping[str, Mapping[str, tuple[str, ...]]]) -> dict[str, dict[str, int]]:
    return {split: {name: len(keys) for name, keys in classes.items()} for split, classes in splits.items()}
