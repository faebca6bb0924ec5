"""The photos that a run kept from training, as files on disk: a proof reads what others will read."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.data import InCode
from zoo.data.images.decoding import as_image, flattened
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.settings import Settings
from zoo.data.inputs import Source
from zoo.errors import DataError, NotFoundError
from zoo.evaluation.choosing import Chosen, MeasuredPart, choose
from zoo.evaluation.measuring import labels_of, open_images
from zoo.runs.folder import RunFolder
from zoo.runs.images import read_images
from zoo.system.files import say_room

# What says most of an export is what training did not see, and decided by.
_SPLITS = ("validation", "test", "train")
# What photos are called that a run never had.
GIVEN = "given"


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Photos and the class of each.

    Attributes:
        split: Of the run: `validation`, or what there was in its place.
        files: Where each lies.
        names: What each is called, without a place on this machine: a path below the data's folder.
        labels: The index of its class among the classifier's.
        moved: How many photos of the split are no longer where the run had them; the others are proved on.
        is_own: Whether they are the run's; else the run's were given in code, and these are others.
    """

    split: str
    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    moved: int = 0
    is_own: bool = True

    def __len__(self) -> int:
        return len(self.files)


@contextmanager
def kept_photos(
    run: RunFolder, classes: Sequence[str], settings: Settings, data: Path | None = None
) -> Generator[Photos]:
    """Gives the photos of a run's validation split, else of its test split, else those that it trained on.

    Images that are not files, as those of an archive, are written to a temporary folder without loss, upright and
    opaque; it is removed in the end.

    Args:
        run: The run.
        classes: The classifier's.
        settings: The pixels that they become.
        data: Where the run's images are now; None where they were.

    Raises:
        NotFoundError: The images are no longer where they were.
        DataError: They were given in code, or none of them is there any more.
    """
    source = open_images(run.recipe(), place_of(run) if data is None else data, is_own=data is None)
    split = next((name for name in _SPLITS if _count(run, source, name)), "train")
    chosen, is_own = _chosen(run, source, split, is_own=data is None)
    with tempfile.TemporaryDirectory(prefix="zoo-photos-") as temporary:
        files: list[Path] = []
        names: list[str] = []
        labels: list[int] = []
        for part in chosen.parts:
            found, called = _files_of(part, Path(temporary), settings, source.dataset.root)
            files += found
            names += called
            labels += labels_of(part, source.dataset.classes, classes).tolist()
        yield Photos(
            split=chosen.name if is_own else GIVEN,
            files=tuple(files),
            names=tuple(names),
            labels=tuple(labels),
            moved=chosen.missing,
            is_own=is_own,
        )


def _chosen(run: RunFolder, source: Source, split: str, *, is_own: bool) -> tuple[Chosen, bool]:
    """Chooses the run's photos of a split; of a run whose images were given in code, what other data has."""
    if run.record().inputs.in_code is not None:
        return choose(run, source, None, is_own=False), False
    try:
        return choose(run, source, split, is_own=is_own), True
    except DataError as fault:
        advice = "say where they are now with --data PATH"  # an export has no --split
        raise DataError(str(fault).replace("choose one with --split", advice)) from None


def _count(run: RunFolder, source: Source, split: str) -> int:
    """Returns how many images a split of the run had."""
    kept = read_images(run.path)
    if kept is not None:
        return kept.count(split)
    # A run of an earlier zoo, which does not say.
    found = {**source.dataset.splits(), "validation": source.validation}.get(split)
    return 0 if found is None else len(found)


def place_of(run: RunFolder) -> Path | InCode | None:
    """Returns the images that a run had; None of a source that ships or downloads.

    Raises:
        NotFoundError: They are no longer there.
        DataError: They were given in code.
    """
    inputs = run.record().inputs
    if inputs.in_code is not None:
        raise DataError(
            f"{run.path}: its images were given in code ({inputs.in_code}), and a run does not keep them; an export is "
            "proved on photos: give a folder of such, a folder in it for each class, with --data PATH"
        )
    path = None if inputs.data is None else Path(inputs.data)
    if path is not None and not path.exists():
        raise NotFoundError(
            f"{run.path}: its images are no longer at {path}, and an export is proved on them; say where they are now "
            "with --data PATH"
        )
    return path


def _files_of(
    part: MeasuredPart, temporary: Path, settings: Settings, root: Path | None
) -> tuple[list[Path], list[str]]:
    images: Any = part.split.images
    if isinstance(images, Sequence):
        files = [Path(one).absolute() for one in images]
        return files, [_below(one, root) for one in files]
    names = [f"{part.origin}-{number:06d}.png" for number in range(len(images))]
    with quiet_pillow():
        for number, name in enumerate(names):
            image = None
            with suppress(Exception):  # whatever a library raises: neither reader finds the file then
                image, _ = flattened(as_image(images[number]), side=settings.side, white=settings.fit.white)
            if image is not None:
                _save(image, temporary / name)
    return [temporary / name for name in names], names


def _save(image: Image.Image, path: Path) -> None:
    """Writes an image; a disk that is full must not pass for an image that cannot be read.

    Raises:
        OSError: There is no room, ...
    """
    try:
        image.save(path, compress_level=1)
    except OSError as fault:
        say_room(fault, path, needed=image.width * image.height * len(image.getbands()))
        raise


def _below(file: Path, root: Path | None) -> str:
    with suppress(ValueError):
        if root is not None:
            return file.relative_to(root.absolute()).as_posix()
    return file.name
