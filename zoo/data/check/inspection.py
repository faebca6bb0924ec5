"""What a set of images holds: each is decoded once, and all that is odd about it is said, with its file.

What is found is kept by content (see `zoo.data.images.index`): nothing is decoded again while it stays the same.
"""

import collections
import functools
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.data.check.findings import KINDS, CheckedImage, Finding, Report, Sizes
from zoo.data.check.near_duplicates import better_left_out, find_duplicates
from zoo.data.check.perceptual_hash import SMALLEST_SIDE, perceptual_hash_of
from zoo.data.dataset import Dataset, Split
from zoo.data.images import index
from zoo.data.images.decoding import as_image, decode, flattened
from zoo.data.images.facts import BadImageError, Facts
from zoo.data.images.index import IndexedImage
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.suffixes import FOREIGN_SUFFIXES, SUFFIXES_OF, TEXT_SUFFIXES
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import PRINT_MODES, count, dark_warning
from zoo.data.packs.packing import BAD_PERCENT, most_bad
from zoo.data.sources.trees.lying_beside import is_ignored, is_output

# What a JPEG is decoded to at least: enough for the perceptual hash.
_SIDE = SMALLEST_SIDE
# A side below this many pixels, or an area this many times below or above the median, is out of the usual.
_TINY_SIDE = 16
_AREA_FACTOR = 16
_LONG_SHAPE = 5
# A class this many times smaller than the largest.
_IMBALANCE = 10


def inspect(dataset: Dataset, *, on_progress: Callable[[int, int], None]) -> Report:
    """Inspects every image of a data set.

    Args:
        dataset: What a source has opened.
        on_progress: Called with the images done and their total.
    """
    images: list[CheckedImage] = []
    pixels: dict[str, Callable[[], Image.Image]] = {}
    for split_name, split in dataset.splits().items():
        for image, load in _listed(dataset, split_name, split):
            images.append(image)
            if load is not None:
                pixels.setdefault(image.content, load)
    known, decoded = _known(images, pixels, on_progress)
    readable = [(image, known[image.content].facts) for image in images if not known[image.content].facts.reason]
    findings = [
        *_layout(dataset, images),
        *(finding for image in images for finding in _oddities(image, known[image.content].facts)),
        *_outliers(readable),
        *_dark([facts for _, facts in readable]),
    ]
    duplicates = find_duplicates(images, known)
    findings += duplicates
    order = list(KINDS)
    return Report(
        counts={
            name: {
                label: int(count)
                for label, count in zip(
                    dataset.classes, np.bincount(split.labels, minlength=len(dataset.classes)), strict=True
                )
            }
            for name, split in dataset.splits().items()
        },
        formats=dict(collections.Counter(facts.format for _, facts in readable if facts.format).most_common()),
        sizes=_sizes([facts for _, facts in readable]),
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
        decoded=decoded,
        exclude=(exclude := better_left_out(images, known, duplicates)),
        stops=tuple(_stops(images, known)),
        empties=tuple(_empties(images, set(exclude))),
    )


def path_as_text(path: Path | str) -> str:
    """Writes a path as text that any terminal and file takes: what is not UTF-8 as `\\xff`."""
    return raw_bytes(path).decode("utf-8", "backslashreplace")


def raw_bytes(path: Path | str) -> bytes:
    """Writes a path as the file system has it."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # a list may name what no file can be called
        return str(path).encode("utf-8", "backslashreplace")


def _listed(
    dataset: Dataset, split_name: str, split: Split
) -> Iterator[tuple[CheckedImage, Callable[[], Image.Image] | None]]:
    """Yields each image, and what gives it where it is not a file."""
    labels = [dataset.classes[label] for label in split.labels]
    images: Any = split.images
    if isinstance(images, Sequence):
        paths: Sequence[Path] = images
        for path, label, content in zip(paths, labels, index.contents(paths), strict=True):
            raw = _relative(path, dataset.root)
            image = CheckedImage(
                name=path_as_text(raw), raw=raw, split=split_name, label=label, content=content, path=path
            )
            yield image, None
        return
    for row, label in enumerate(labels):
        name = f"{split_name}[{row}]"
        try:
            content = "pixels " + hashlib.blake2b(_bytes_of(images[row]), digest_size=20).hexdigest()
        except Exception:  # what a library or the caller's code gives may be anything; it is looked at again, and named
            content = f"{index.UNREADABLE}{name}"
        image = CheckedImage(name=name, raw=name, split=split_name, label=label, content=content, path=None)
        yield image, functools.partial(_image_at, images, row)


def _image_at(images: Any, row: int) -> Image.Image:
    return as_image(images[row])


def _bytes_of(item: Any) -> bytes:
    pixels = np.asarray(item)
    colours = f"{item.mode}{item.getpalette()}{item.info.get('transparency')}" if isinstance(item, Image.Image) else ""
    return f"{colours}{pixels.shape}{pixels.dtype}".encode() + pixels.tobytes()


def _relative(path: Path, root: Path | None) -> str:
    return str(path.relative_to(root) if root is not None and path.is_relative_to(root) else path)


def _known(
    images: Sequence[CheckedImage],
    pixels: Mapping[str, Callable[[], Image.Image]],
    on_progress: Callable[[int, int], None],
) -> tuple[dict[str, IndexedImage], int]:
    """Returns what each content is, and how many were decoded to know it."""
    first = {image.content: image for image in reversed(images)}
    known = {
        content: one
        for content, one in index.recall(first).items()
        if one.perceptual_hash or one.facts.reason or _is_small(one)
    }
    unknown = [image for content, image in first.items() if content not in known]

    def inspected(numbers: Iterator[int]) -> dict[str, IndexedImage]:
        return {unknown[number].content: _inspect_content(unknown[number], pixels) for number in numbers}

    with quiet_pillow(), index.learning() as learn:
        for numbers, found in map_ranges(len(unknown), inspected):
            learn(found)
            known |= found
            on_progress(len(first) - len(unknown) + numbers.stop, len(first))
    return known, len(unknown)


def _inspect_content(image: CheckedImage, pixels: Mapping[str, Callable[[], Image.Image]]) -> IndexedImage:
    try:
        decoded, facts = (
            flattened(pixels[image.content](), side=_SIDE) if image.path is None else decode(image.path, side=_SIDE)
        )
        one = IndexedImage(facts)
        return one if _is_small(one) else IndexedImage(facts, perceptual_hash_of(decoded))
    except BadImageError as fault:
        return IndexedImage(fault.facts)
    except Exception as fault:  # what a library gives for an image may be anything
        return IndexedImage(Facts(reason=f"cannot be decoded ({' '.join(str(fault).split()) or type(fault).__name__})"))


def _is_small(known: IndexedImage) -> bool:
    return min(known.facts.width, known.facts.height) < SMALLEST_SIDE


def _oddities(image: CheckedImage, facts: Facts) -> Iterator[Finding]:
    """Yields what is odd about one image."""

    def found(kind: str, detail: str) -> Finding:
        return Finding(kind=kind, images=(image.name,), detail=detail)

    if facts.reason:
        yield found("unreadable", facts.reason)
    if image.path is not None:
        suffix = image.path.suffix.lower()
        if facts.format and not facts.reason and suffix not in SUFFIXES_OF.get(facts.format, {suffix}):
            yield found("extension", f"is {facts.format}, named {suffix or 'without a suffix'}")
        if path_as_text(image.path.name) != image.path.name:
            yield found("name", "is not UTF-8")
    if facts.reason:
        return
    if facts.mode in PRINT_MODES:
        yield found("cmyk", facts.mode)
    if facts.is_deep:
        yield found("deep", facts.mode)
    if facts.mode in ("P", "PA"):
        yield found("palette", facts.mode)
    if facts.transparent:
        yield found("transparent", facts.mode)
    if facts.animated:
        yield found("animated", facts.format)
    if facts.orientation != 1:
        yield found("turned", f"EXIF orientation {facts.orientation}")


def _sizes(facts: Sequence[Facts]) -> Sizes | None:
    sides = sorted(((one.width, one.height) for one in facts), key=lambda size: (math.prod(size), size))
    return Sizes(smallest=sides[0], median=sides[(len(sides) - 1) // 2], largest=sides[-1]) if sides else None


def _outliers(sized: Sequence[tuple[CheckedImage, Facts]]) -> Iterator[Finding]:
    """Yields images whose size is far from the others'."""
    if not sized:
        return
    median = float(np.median([facts.width * facts.height for _, facts in sized]))
    for image, facts in sized:
        area, short, long = facts.width * facts.height, *sorted((facts.width, facts.height))
        is_tiny = short < _TINY_SIDE and area < median
        if is_tiny or long > _LONG_SHAPE * short or not median / _AREA_FACTOR <= area <= median * _AREA_FACTOR:
            detail = f"{facts.width} x {facts.height}; the median image has {median:,.0f} pixels"
            yield Finding(kind="size", images=(image.name,), detail=detail)


def _dark(facts: Sequence[Facts]) -> Iterator[Finding]:
    """Yields what deep greys lose that use little of their range, as 12 bits in files of 16 do."""
    warning = dark_warning([count(facts).peak])
    if warning:
        yield Finding(kind="dark", images=(), detail=warning)


def _stops(images: Sequence[CheckedImage], known: Mapping[str, IndexedImage]) -> Iterator[str]:
    """Says of which splits so many files cannot be read that training would not begin."""
    for split in ("train", "validation"):
        rows = [image for image in images if image.split == split]
        bad = sum(bool(known[image.content].facts.reason) for image in rows)
        if bad > most_bad(len(rows)):
            share = f"{bad:,} of {len(rows):,} images of {split}"
            yield f"training will stop: {share} cannot be read, more than {BAD_PERCENT} %"
            continue
        good = {image.label for image in rows if not known[image.content].facts.reason}
        for label in dict.fromkeys(image.label for image in rows):
            if label not in good:
                yield f"training will stop: of class '{label}' no image of {split} can be read"


def _empties(images: Sequence[CheckedImage], exclude: set[str]) -> Iterator[str]:
    """Says which classes would have no images left in train."""
    left = {image.label for image in images if image.split == "train" and image.raw not in exclude}
    for label in dict.fromkeys(image.label for image in images if image.split == "train"):
        if label not in left:
            yield label


def _layout(dataset: Dataset, images: Sequence[CheckedImage]) -> Iterator[Finding]:
    """Yields what is odd about classes, and about files that are not images of the data."""
    for warning in dataset.warnings:
        yield Finding(kind="layout", images=(), detail=warning)
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    if counts.min() * _IMBALANCE <= counts.max():
        least, most = dataset.classes[int(counts.argmin())], dataset.classes[int(counts.argmax())]
        detail = f"train has {counts.min():,} images of '{least}' and {counts.max():,} of '{most}'"
        yield Finding(kind="imbalance", images=(), detail=detail)
    listed = {image.path for image in images if image.path is not None}
    # A file that lists images says nothing of those that lie around it.
    if dataset.root is not None and dataset.is_folder:
        yield from _beside(dataset.root, listed)


def _beside(root: Path, listed: set[Path]) -> Iterator[Finding]:
    """Walks the data's folder for links, and for what is not an image of it."""

    def found(kind: str, path: Path, detail: str) -> Finding:
        return Finding(kind=kind, images=(path_as_text(_relative(path, root)),), detail=detail)

    real_root = root.resolve()
    holding = {folder for path in listed for folder in path.parents}
    for name, folders, files in os.walk(root):
        folder = Path(name)
        for hidden in sorted(entry for entry in folders if entry.startswith(".")):
            yield found("passed_over", folder / hidden, "hidden folder")
        for output in sorted(entry for entry in folders if is_output(folder / entry)):
            yield found("passed_over", folder / output, "a run, or what else zoo or a tool of Python has written")
        folders[:] = [entry for entry in folders if not (entry.startswith(".") or is_output(folder / entry))]
        for path in sorted(folder / entry for entry in [*folders, *files]):
            if path.is_symlink():
                try:
                    target = path.resolve()
                except (OSError, RuntimeError):  # the latter up to Python 3.12
                    yield found("link", path, "leads to itself")
                    continue
                if target in (real_root, *real_root.parents) or path.parent.resolve().is_relative_to(target):
                    yield found("link", path, "leads back to a folder that it is in; passed over")
                    continue
                if not target.is_relative_to(real_root):
                    yield found("link", path, f"leads out of the folder, to {path_as_text(target)}")
                if path not in listed and path not in holding:
                    what = "a link to a folder inside a class" if path.is_dir() else _why_passed_over(path)
                    yield found("passed_over", path, what)
            elif path not in listed and path.name in files:
                yield found("passed_over", path, _why_passed_over(path))


def _why_passed_over(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    if not path.is_file():
        return "not a file"
    if path.suffix.lower() in TEXT_SUFFIXES | FOREIGN_SUFFIXES:
        return f"named {path.suffix}"
    return "left by the system" if is_ignored(path.name) else "not in the folder of a class"
