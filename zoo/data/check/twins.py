"""Images that are the same or look alike, and what that means: a leak, a wrong label, or one too many."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zoo.data.check.findings import Finding, Listed
from zoo.data.check.looks import alike
from zoo.data.images.index import Known


def find_twins(images: Sequence[Listed], known: Mapping[str, Known]) -> list[Finding]:
    """Finds files that are the same, and pictures that are."""
    by_content: dict[str, list[Listed]] = defaultdict(list)
    for image in images:
        by_content[image.content].append(image)
    findings = [
        finding for same in by_content.values() if len(same) > 1 for finding in _related(same, "the same content")
    ]
    contents = [content for content in by_content if known[content].looks]
    for one, other in alike([known[content].looks for content in contents]):
        pair = [by_content[contents[one]][0], by_content[contents[other]][0]]
        findings += [
            Finding(kind=f"near_{finding.kind}", images=finding.images, detail=finding.detail)
            for finding in _related(_telling(by_content[contents[one]], by_content[contents[other]]) or pair, "alike")
        ]
    return findings


def _telling(some: Sequence[Listed], others: Sequence[Listed]) -> list[Listed] | None:
    """Chooses of two groups the pair that matters most: of two splits, or else of two classes."""
    pairs = list(itertools.product(some, others))
    for differs in (lambda a, b: a.split != b.split, lambda a, b: a.label != b.label):
        for one, other in pairs:
            if differs(one, other):
                return [one, other]
    return None


def _related(same: Sequence[Listed], how: str) -> Iterator[Finding]:
    """Says what it means that images are the same."""
    splits, labels = {image.split for image in same}, {image.label for image in same}
    names = tuple(image.name for image in same)
    if len(splits) > 1:
        yield Finding(kind="leak", images=names, detail=f"{how}, in {' and '.join(sorted(splits))}")
    if len(labels) > 1:
        yield Finding(kind="conflict", images=names, detail=f"{how}, as {' and '.join(sorted(labels))}")
    if len(splits) == len(labels) == 1:
        yield Finding(kind="duplicate", images=names, detail=how)


def better_left_out(images: Sequence[Listed], known: Mapping[str, Known], twins: Iterable[Finding]) -> tuple[str, ...]:
    """Chooses what to leave out: of a leak what trains, of a conflict all, of duplicates all but the first."""
    of_name = {image.name: image for image in images}
    out = {image.name for image in images if known[image.content].facts.reason}
    for finding in twins:
        same = [of_name[name] for name in finding.images]
        if finding.kind == "conflict":
            out |= {image.name for image in same}
        elif finding.kind.endswith("leak"):
            kept = max(same, key=lambda image: _KEPT_FIRST[image.split]).split
            out |= {image.name for image in same if image.split != kept}
        elif finding.kind == "duplicate":
            out |= {image.name for image in same[1:]}
    return tuple(image.raw for image in images if image.name in out)


# Of a picture in two splits the one that measures is kept.
_KEPT_FIRST = {"train": 0, "validation": 1, "test": 2}
