"""Images that are the same or look alike, and what that means: a leak, a wrong label, or one too many."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zoo.data.check.alike import clusters, touching
from zoo.data.check.findings import CheckedImage, Finding
from zoo.data.check.perceptual_hash import colour_of, shade_of
from zoo.data.images.index import IndexedImage


def find_duplicates(images: Sequence[CheckedImage], known: Mapping[str, IndexedImage]) -> list[Finding]:
    """Finds files that are the same, pictures that are, and images of one colour: one finding for all of a group."""
    by_content: dict[str, list[CheckedImage]] = defaultdict(list)
    for image in images:
        by_content[image.content].append(image)
    findings = [
        finding for same in by_content.values() if len(same) > 1 for finding in _related(same, "the same content")
    ]
    flat: dict[tuple[int, ...], list[CheckedImage]] = defaultdict(list)
    seen: list[str] = []
    for content, same in by_content.items():
        colour = colour_of(known[content].perceptual_hash)
        if colour:
            flat[shade_of(colour)] += same
        elif known[content].perceptual_hash:
            seen.append(content)
    findings += [_of_one_colour(same, known) for same in flat.values()]
    for cluster in clusters([known[content].perceptual_hash for content in seen]):
        same = [image for number in cluster for image in _one_of_each(by_content[seen[number]])]
        findings += [
            Finding(kind=f"near_{finding.kind}", images=finding.images, detail=finding.detail)
            for finding in _related(same, "alike")
        ]
    return findings


def better_left_out(
    images: Sequence[CheckedImage], known: Mapping[str, IndexedImage], duplicates: Iterable[Finding]
) -> tuple[str, ...]:
    """Chooses what to leave out: of a leak what trains, of a conflict all, of duplicates all but the first.

    Of pictures that are alike only what itself looks like one that measures.
    """
    of_name = {image.name: image for image in images}
    out = {image.name for image in images if known[image.content].facts.reason}
    for finding in duplicates:
        same = [of_name[name] for name in finding.images]
        if finding.kind == "conflict":
            out |= {image.name for image in same}
        elif finding.kind == "leak":
            kept = max(same, key=lambda image: _KEPT_FIRST[image.split]).split
            out |= {image.name for image in same if image.split != kept}
        elif finding.kind == "near_leak":
            out |= _near_what_measures(same, known)
        elif finding.kind == "duplicate":
            out |= {image.name for image in same[1:]}
    return tuple(image.raw for image in images if image.name in out)


def _one_of_each(same: Sequence[CheckedImage]) -> list[CheckedImage]:
    """Chooses the first of each split and class."""
    return list({(image.split, image.label): image for image in reversed(same)}.values())[::-1]


def _of_one_colour(same: Sequence[CheckedImage], known: Mapping[str, IndexedImage]) -> Finding:
    colours = list(dict.fromkeys(colour_of(known[image.content].perceptual_hash) for image in same))
    splits, labels = {image.split for image in same}, {image.label for image in same}
    words = [f"one colour, {'near ' if len(colours) > 1 else ''}{colours[0]}"]
    if len(splits) > 1:
        words.append(f"in {' and '.join(sorted(splits))}")
    if len(labels) > 1:
        words.append(f"as {_listed(sorted(labels))}")
    return Finding(kind="flat", images=tuple(image.name for image in same), detail=", ".join(words))


def _related(same: Sequence[CheckedImage], how: str) -> Iterator[Finding]:
    """Says what it means that images are the same."""
    splits, labels = {image.split for image in same}, {image.label for image in same}
    names = tuple(image.name for image in same)
    if len(splits) > 1:
        yield Finding(kind="leak", images=names, detail=f"{how}, in {' and '.join(sorted(splits))}")
    if len(labels) > 1:
        yield Finding(kind="conflict", images=names, detail=f"{how}, as {_listed(sorted(labels))}")
    if len(splits) == len(labels) == 1:
        yield Finding(kind="duplicate", images=names, detail=how)


def _listed(labels: Sequence[str], at_most: int = 4) -> str:
    shown = [*labels[:at_most], *([f"{len(labels) - at_most:,} more"] if len(labels) > at_most else [])]
    return " and ".join(shown)


def _near_what_measures(same: Sequence[CheckedImage], known: Mapping[str, IndexedImage]) -> set[str]:
    """Returns the names of those that look like one of a split that counts more."""
    out: set[str] = set()
    for split in {image.split for image in same}:
        some = [image for image in same if image.split == split]
        others = [image for image in same if _KEPT_FIRST[image.split] > _KEPT_FIRST[split]]
        if others:
            near = touching(*([known[image.content].perceptual_hash for image in part] for part in (some, others)))
            out |= {image.name for image, is_near in zip(some, near, strict=True) if is_near}
    return out


# Of a picture in two splits the one that measures is kept.
_KEPT_FIRST = {"train": 0, "validation": 1, "test": 2}
