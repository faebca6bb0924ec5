"""Images as a caller holds them: paths, arrays, Pillow images, bytes, open files, or many of these, one at a time.

An array of three sides can be one image, `[height, width, channels]`, or grey images, `[n, height, width]`. It is one
image where its last side is 1, 3 or 4: no photo is 4 pixels wide. It is refused, with what to type instead, where the
input of the model is that narrow; and, for a model of colour images, where its first side is 3 or 4: this may be an
image with its channels first. Else it is grey images. An array in a list is always one image.
"""

import itertools
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from os import PathLike, fsdecode
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image

from zoo.data.images.content import says_what_to_do
from zoo.data.images.facts import BadImageError
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.loading import fit_item, load_array
from zoo.data.sources.trees.folders import image_files
from zoo.errors import DataError
from zoo.registry.fitting import ImageFit
from zoo.system.paths import given_path

GREY_AND_ALPHA = 2
BANDS = range(5, 8)  # of a satellite's image, say, which is likelier than images so narrow
CHANNELS = (1, 3, 4)
EXPECTED = (
    "expected a path, a folder, uint8[n, height, width(, channels)], a Pillow image, bytes, an open file, "
    "or a list of these"
)
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class GivenImage:
    """One image, not read yet.

    Attributes:
        source: A file's path, encoded bytes, a Pillow image, or uint8[height, width(, channels)]; or why there is none.
        name: For messages: the path, or `image 3`.
    """

    source: Any
    name: str

    @property
    def path(self) -> str | None:
        """The file's path; None of what is not a file."""
        return str(self.source) if isinstance(self.source, Path) else None

    def read(self, settings: Settings) -> np.ndarray:
        """Brings it to a size: uint8[height, width, channels] in [0, 255].

        Raises:
            DataError: It cannot be read; the message names it.
        """
        if isinstance(self.source, DataError):
            raise self.source
        if isinstance(self.source, Path):
            check_file(self.source)
        try:
            if isinstance(self.source, Path | bytes):
                return read_pixels(self.source, settings)[0]
            return fit_item(self.source, settings)
        except BadImageError as fault:
            advice = "" if says_what_to_do(str(fault)) else ". Repair or replace the file."
            raise DataError(f"{self.name}: {fault}{advice}") from fault
        except DataError:
            raise
        except Exception as fault:  # Pillow reads an image from its file as late as here, and may raise anything
            reason = " ".join(str(fault).split()) or type(fault).__name__
            raise DataError(f"{self.name}: cannot be read ({reason})") from fault


def settings_for(input_shape: tuple[int | None, ...], fit: ImageFit, *, model: str) -> Settings:
    """Returns the settings by which images become a model's input.

    Args:
        input_shape: Height, width and channels.
        fit: How a photo is brought to them.
        model: Its name, for messages.

    Raises:
        DataError: It takes something else than grey or colour images of one size.
    """
    if len(input_shape) == 3:
        height, width, channels = input_shape
        if height and width and channels in (1, 3):
            return Settings(height=height, width=width, channels=channels, fit=fit)
    raise DataError(
        f"model '{model}' takes input {'x'.join(map(str, input_shape))}; expected a height, a width and 1 or 3 "
        "channels to read images; give it arrays itself: model.predict(arrays)"
    )


def read_batches(images: object, settings: Settings, *, size: int) -> Iterator[tuple[list[str | None], np.ndarray]]:
    """Reads what was given, some images at a time.

    Args:
        images: See `given_images`.
        settings: The size that they are brought to.
        size: How many at a time.

    Yields:
        Their paths, None of what is not a file, and uint8[m, height, width, channels] in [0, 255].

    Raises:
        DataError: What was given is not an image, or cannot be read.
    """
    given = given_images(images, settings=settings)
    if isinstance(given, np.ndarray):
        for start in range(0, len(given), size):
            rows = given[start : start + size]
            yield [None] * len(rows), load_array(rows, settings, lambda done, total: None)
        return
    while batch := list(itertools.islice(given, size)):
        pixels: list[np.ndarray] = []
        for found in read_each(batch, settings):
            if isinstance(found, DataError):
                raise found
            pixels.append(found)
        yield [one.path for one in batch], np.stack(pixels)


def read_each(images: Sequence[GivenImage], settings: Settings) -> list[np.ndarray | DataError]:
    """Reads images, on as many threads as there are cores.

    Returns:
        For each uint8[height, width, channels] in [0, 255], or its fault.
    """

    def read(rows: Iterator[int]) -> list[np.ndarray | DataError]:
        found: list[np.ndarray | DataError] = []
        for row in rows:
            try:
                found.append(images[row].read(settings))
            except DataError as fault:
                found.append(fault)
        return found

    with quiet_pillow():
        return [one for _, found in map_ranges(len(images), read) for one in found]


def files_of(path: Path) -> Sequence[Path]:
    """Lists the images of a folder; anything else, and a folder without any, stands for itself."""
    try:
        return (image_files(path) if path.is_dir() else ()) or [path]
    except OSError:  # a name that is too long, say: reading it says so
        return [path]


def check_file(path: Path) -> None:
    """Refuses a path that leads to no file.

    Raises:
        DataError: With the path that was meant where it is known.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, ValueError):  # a zero byte in the name
        raise DataError(f"{path}: there is no such file; expected an image; check the path") from None
    except OSError as fault:  # the name is too long, a folder may not be entered
        raise DataError(f"{str(path)[:_LONGEST_SHOWN]}: cannot be read ({fault.strerror}); check the path") from None
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: holds no images; expected some in the folder or below it")


def given_images(images: object, *, settings: Settings) -> "Iterator[GivenImage] | np.ndarray":
    """Tells what was given.

    Args:
        images: See `EXPECTED`; an iterator is asked for one image after the other.
        settings: The model's input: of its size and channels it depends how an array of three sides is read.

    Returns:
        The images, a folder's files in the place of the folder; or uint8[n, height, width(, channels)] where an array
        of several was given.

    Raises:
        DataError: Something else, by name; in a list or an iterator, when it is come to.
    """
    array = _array_of(images)
    if array is not None and (array.dtype.kind in "OUS" or array.shape == (0,)):
        images = array.tolist()  # paths, as a column of a table has them
    elif array is not None:
        return _one_or_many(array, settings)
    if (single := _single(images, "the image")) is not None:
        return iter(single)
    if not _is_a_row(images):
        raise DataError(f"the images are {_kind(images)}; {EXPECTED}")
    return _each(images)


def _each(images: Iterable[object]) -> Iterator[GivenImage]:
    for number, item in enumerate(images):
        name = f"image {number}"
        if (single := _single(item, name)) is not None:
            yield from single
        elif (array := _array_of(item)) is not None:
            yield GivenImage(_one(array, name), name)
        else:
            raise DataError(
                f"{name} is {_kind(item)}; expected a path, uint8[height, width(, channels)], a Pillow "
                "image, bytes or an open file"
            )


def _single(item: object, name: str) -> Sequence[GivenImage] | None:
    """Returns what is one image, or a folder of them, whatever it stands in; None for an array or a row of others."""
    if isinstance(item, str | PathLike):
        path = given_path(fsdecode(item))
        return [GivenImage(file, str(file)) for file in files_of(path)]
    if isinstance(item, Image.Image):
        return [GivenImage(item, name)]
    if isinstance(item, bytes | bytearray | memoryview):
        return [GivenImage(bytes(item), name)]
    if callable(getattr(item, "read", None)):
        return [GivenImage(_content(item, name), name)]
    return None


def _content(file: Any, name: str) -> bytes:
    label = file.name if isinstance(getattr(file, "name", None), str) else name
    try:
        content: object = file.read()
    except (ValueError, OSError) as fault:  # it is closed, or open for writing
        raise DataError(f"{label}: cannot be read ({fault}); expected a file open for reading, with 'rb'") from fault
    if isinstance(content, str):
        raise DataError(f"{label}: is open as text; open it with 'rb'")
    if not isinstance(content, bytes):
        raise DataError(f"{label}: read() gives {_kind(content)}; expected bytes")
    if not content and getattr(file, "seekable", bool)() and file.tell():
        raise DataError(f"{label}: is read to its end already; go back to its beginning with seek(0)")
    return content


def _array_of(item: object) -> np.ndarray | None:
    """Returns the array that a thing is, or gives of itself; None of what does not."""
    if isinstance(item, np.ndarray):
        return item
    if _is_a_table(item) or isinstance(item, Image.Image) or not hasattr(item, "__array__") or isinstance(item, type):
        return None
    try:
        return np.asarray(item)
    except Exception as fault:  # a tensor on another device, say
        raise DataError(f"{_kind(item)} gives no array ({' '.join(str(fault).split())}); {EXPECTED}") from fault


def _one_or_many(array: np.ndarray, settings: Settings) -> "Iterator[GivenImage] | np.ndarray":
    shape = _written(array)
    if array.dtype != np.uint8:
        raise DataError(f"The images are {shape}; {_expected_array()}{_as_bytes(array)}.")
    if array.ndim == 2:
        return iter([GivenImage(_one(array, "the image"), "the image")])
    if array.ndim and len(array) and not array.size:
        raise DataError(f"The images are {shape}, without any pixels; {_expected_array()}.")
    if array.ndim == 4:
        _check_channels(array, "The images are")
        return array
    if array.ndim != 3:
        raise DataError(f"The images are {shape}; {_expected_array()}.")
    first, second, last = array.shape
    if last in CHANNELS and first:
        if (second, last) == (settings.height, settings.width):
            raise DataError(
                f"The images are {shape}: one image of {last} channels, or {first} grey images of "
                f"{second} x {last}; add an axis: images[None] or images[..., None]."
            )
        return iter([GivenImage(_one(array, "the image"), "the image")])
    if last == GREY_AND_ALPHA and first:
        raise DataError(
            f"The images are {shape}: {first} grey images of {second} x {last}, or one of grey and alpha; "
            "write images[..., None], or take the grey of one: image[..., 0]."
        )
    if first and last in BANDS and (second, last) != (settings.height, settings.width):
        raise DataError(
            f"The images are {shape}: {first} grey images of {second} x {last}, or one of {last} channels; "
            "write images[..., None], or take channels of one: image[..., :3]."
        )
    if first in (3, 4) and settings.channels != 1:
        raise DataError(
            f"The images are {shape}: {first} grey images, or one with its channels first; expected channels last: "
            "image.transpose(1, 2, 0), or images[..., None] for grey ones."
        )
    return array[..., np.newaxis]


def _one(array: np.ndarray, name: str) -> np.ndarray:
    shape = _written(array)
    expected = "expected one image, uint8[height, width] or uint8[height, width, channels] with 1, 3 or 4 channels"
    if array.dtype != np.uint8:
        raise DataError(f"{name} is {shape}; {expected}{_as_bytes(array)}.")
    if array.ndim not in (2, 3) or not array.size:
        raise DataError(f"{name} is {shape}; {expected}.")
    if array.ndim == 3 and array.shape[2] not in CHANNELS:
        advice = "; channels come last: image.transpose(1, 2, 0)" if array.shape[0] in CHANNELS else ""
        raise DataError(f"{name} is {shape}; {expected}{advice}.")
    return array


def _check_channels(array: np.ndarray, place: str) -> None:
    if array.shape[3] not in CHANNELS:
        advice = "; channels come last: images.transpose(0, 2, 3, 1)" if array.shape[1] in CHANNELS else ""
        raise DataError(f"{place} {_written(array)}; {_expected_array()}{advice}.")


def _expected_array() -> str:
    return (
        "expected uint8[n, height, width] or uint8[n, height, width, channels] with 1, 3 or 4 channels, "
        "or one image: uint8[height, width(, channels)]"
    )


def _as_bytes(array: np.ndarray) -> str:
    """Says how an array of another type becomes uint8, where its values tell."""
    if array.dtype.kind not in "fiub" or not array.size:
        return ""
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high <= 1:
        return f". Its values are {low:g} to {high:g}; scale them: (255 * images).round().astype('uint8')"
    if low >= 0 and high <= 255:
        return f". Its values are {low:g} to {high:g}; convert them: images.round().astype('uint8')"
    return f". Its values are {low:g} to {high:g}; expected [0, 255]: undo their normalisation"


def _written(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _is_a_row(images: object) -> TypeGuard[Iterable[object]]:
    """Whether a thing is passed through in an order of its own; a set has none, and a table's is that of columns."""
    return isinstance(images, Iterable) and not isinstance(images, Mapping | Set) and not _is_a_table(images)


def _is_a_table(item: object) -> bool:
    return hasattr(item, "columns") and hasattr(item, "iloc")


def _kind(item: object) -> str:
    name = type(item).__name__
    return "None" if item is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
