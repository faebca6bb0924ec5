"""Images and labels as arrays in code, brought to uint8; what speaks against it is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.errors import DataError

CHANNELS = (1, 3, 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """Images in memory with their labels.

    Attributes:
        images: uint8[n, height, width] or uint8[n, height, width, channels] in [0, 255]; or images of several sizes,
            Pillow images or paths.
        targets: int[n], str[n] or one-hot rows.
        classes: Names in the order of the labels, or None.
        warnings: What the user should know, one line each.
    """

    images: Sequence[Any] | np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.targets[index]


def is_arrays(source: object) -> bool:
    """Whether an object is a pair of images and labels."""
    if not isinstance(source, tuple | list) or len(cast("Sequence[object]", source)) != 2:
        return False
    x, y = cast("Sequence[Any]", source)
    if isinstance(x, tuple | str | bytes | Path) or isinstance(y, str | bytes) or not hasattr(x, "__len__"):
        return False
    if isinstance(source, list) and not hasattr(x, "shape"):
        return False  # a list of two items
    return len(getattr(y, "shape", (0,))) > 0 and hasattr(y, "__len__")


def from_arrays(source: Any, name: str) -> Held:
    """Takes the images and labels of a pair.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
    x, y = source
    images = _images(x, name)
    targets = np.asarray(y)
    if len(images) != len(targets):
        raise DataError(f"{name}: x has {len(images)} images and y has {len(targets)} labels; expected as many.")
    if isinstance(images, np.ndarray):
        reader = PixelReader(name)
        return Held(images=reader.checked(reader.take(images)), targets=_texts(targets), warnings=reader.warnings())
    return Held(images=images, targets=_texts(targets))


def _images(x: Any, name: str) -> Sequence[Any] | np.ndarray:
    if isinstance(x, list) and not all(isinstance(one, int | float) for one in x):
        return cast("list[Any]", x)
    images = np.asarray(x)
    if images.dtype.kind in "OU" and images.ndim == 1:
        return images.tolist()
    if images.ndim not in (3, 4):
        raise DataError(
            f"{name}: x is {images.dtype}{list(images.shape)}; expected [n, height, width] or "
            "[n, height, width, channels], or a list of paths. Reshape it."
        )
    return images


def _texts(labels: np.ndarray) -> np.ndarray:
    """Makes text of objects that all are, as data frames hold them."""
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.ravel()):
        return labels.astype(str)
    return labels


class PixelReader:
    """Brings arrays to uint8, and remembers what speaks against it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._largest = 0.0
        self._is_float = False
        self._is_rounded = False

    def take(self, images: np.ndarray) -> np.ndarray:
        """Returns a batch as uint8.

        Args:
            images: [n, height, width] or [n, height, width, channels].
        """
        check_axes(images.shape[1:], images.dtype, self._name)
        if images.dtype == np.uint8:
            return images
        if images.dtype.kind not in "iuf":
            raise DataError(f"{self._name}: images are {images.dtype}; expected uint8 in [0, 255]. Convert them.")
        low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
        if not (low >= 0 and high <= 255):  # NaN compares false
            raise DataError(
                f"{self._name}: images are {images.dtype} in [{low:.3g}, {high:.3g}]; expected pixels in [0, 255]. "
                "Leave out what scales or normalises them: the model does that itself."
            )
        self._largest = max(self._largest, high)
        self._is_float = self._is_float or images.dtype.kind == "f"
        whole = np.rint(images).astype(np.uint8)
        self._is_rounded = self._is_rounded or bool(np.any(whole != images))
        return whole

    def checked(self, images: np.ndarray) -> np.ndarray:
        """Returns all images, once all are taken; refuses those in [0, 1]."""
        if self._is_float and self._largest <= 1:
            raise DataError(
                f"{self._name}: images are numbers in [0, {self._largest:.3g}]; expected pixels in [0, 255]. "
                "Leave out what scales them (a Rescaling(1/255), ToTensor or / 255): the model does that itself."
            )
        return images

    def warnings(self) -> tuple[str, ...]:
        """Says what was done to the pixels."""
        return (f"{self._name}: pixels are rounded to whole numbers",) if self._is_rounded else ()


def as_pixels(images: np.ndarray, name: str) -> np.ndarray:
    """Returns images as uint8, which may be whole numbers in [0, 255] of another type.

    Raises:
        DataError: They are something else; see `check_axes`.
    """
    return PixelReader(name).take(images)


def check_axes(shape: tuple[int, ...], dtype: object, name: str) -> None:
    """Refuses the shape of an image that is neither [height, width] nor [height, width, channels] of 1, 3 or 4.

    Raises:
        DataError: It says which axes to move, or which channels to take.
    """
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS):
        return
    found = f"{name}: an image is {dtype}{list(shape)}"
    if len(shape) == 3 and shape[0] in CHANNELS:
        raise DataError(
            f"{found}, channels first; expected [height, width, channels]. Move the axis: "
            "numpy.moveaxis(image, 0, -1), or leave out what makes it a tensor."
        )
    if len(shape) == 3:
        raise DataError(f"{found}, {shape[-1]} channels; expected 1 (grey), 3 (RGB) or 4 (RGBA). Choose three of them.")
    raise DataError(f"{found}; expected [height, width] or [height, width, channels]. Reshape it.")
