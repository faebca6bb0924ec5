"""What an image is known by, so that it is found again however a folder has grown, shrunk or been renamed."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from zoo.data.dataset import Split
from zoo.data.images import index

# 96 bits: among a million images the chance that any two share a key is below 1e-17.
KEY_DIGITS = 24
# Of a file's name, by which one that has changed is told from one that is new: a match by chance is harmless.
NAME_DIGITS = 8
_IDENTITY_DIGITS = 12


@runtime_checkable
class KnownByContent(Protocol):
    """Items that know a hash of each image's pixels."""

    def contents(self) -> Sequence[str]:
        """Returns a hash for each item."""
        ...


def image_keys(split: Split) -> list[str]:
    """Returns what each image of a split is known by.

    For a file that is its content's hash, for an array or an item in code the hash of its pixels, and for what a
    library gives the identity of the split and the number in it. A file that cannot be read has an empty key.
    """
    images = split.images
    if isinstance(images, np.ndarray):
        return [_pixels_key(image) for image in images]
    if isinstance(images, Sequence):
        return [
            "" if content.startswith(index.UNREADABLE) else content[:KEY_DIGITS] for content in index.contents(images)
        ]
    if isinstance(images, KnownByContent):
        return [content[:KEY_DIGITS] for content in images.contents()]
    identity = images.identity[:_IDENTITY_DIGITS]
    return [f"{identity}:{number}" for number in range(len(images))]


def name_key(name: str) -> str:
    """Returns what a file's name is known by: the name below the data's folder cannot be read from it."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:NAME_DIGITS]


def file_names(split: Split, root: Path | None) -> list[str] | None:
    """Returns the names of a split's files below the data's folder, with slashes; None where they are not files."""
    if isinstance(split.images, np.ndarray) or not isinstance(split.images, Sequence):
        return None
    return [
        (path.relative_to(root) if root is not None and path.is_relative_to(root) else path).as_posix()
        for path in split.images
    ]


def _pixels_key(image: np.ndarray) -> str:
    digest = hashlib.sha256(f"{image.dtype} {image.shape}\n".encode())
    digest.update(np.ascontiguousarray(image).reshape(-1).data)
    return digest.hexdigest()[:KEY_DIGITS]
