"""Which images validate, where data has no validation split of its own."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from zoo.data.batches import permutation
from zoo.data.dataset import quoted
from zoo.errors import DataError


def split_share(
    labels: np.ndarray, share: float, seed: int, *, groups: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divides images into train and validation, class by class.

    Each class gives `share` of its images, rounded, but at least one and never all; a class with
    a single image stays in train. The choice inside a class depends on the seed, the label and the number of
    its images only, so images that are added to one class leave the others as they were.

    With groups, all images of one are on one side, and each class gives about as many as it would without: see
    `choose_groups`. A class that is in a single group stays in train. The choice depends on
    the seed, the names of the groups and what is in each, and not on the order of the images.

    Args:
        labels: int[n], the class of each image.
        share: The share of validation, between 0 and 1, both excluded.
        seed: Not negative.
        groups: The group of each image, or None where each is its own.

    Returns:
        Two sorted int64 arrays that together hold each of 0..n-1 once: the train and the validation images.

    Raises:
        DataError: A share out of range.
    """
    if not 0 < share < 1:
        raise DataError(
            f"data.validation is {share}; expected a share between 0 and 1, such as 0.1. "
            "Set 0 to train without validation."
        )
    targets: dict[int, int] = {}
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        targets[label] = min(max(int(share * len(members) + 0.5), 1), len(members) - 1)
        held_out[members[permutation(len(members), seed, label)[: targets[label]]]] = True
    if groups is not None:
        held_out = choose_groups(labels, groups, targets, seed)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def share_warnings(
    labels: np.ndarray, held_out: np.ndarray, share: float, classes: Sequence[str], *, has_groups: bool
) -> list[str]:
    """Says where validation is not what was asked for: another share, or classes without an image.

    Args:
        labels: int[n], the class of each image.
        held_out: int[m], the images that validate.
        share: What was asked for.
        classes: Their names.
        has_groups: Whether groups stayed whole.
    """
    warnings: list[str] = []
    found = len(held_out) / len(labels)
    if has_groups and not share / _FAR <= found <= share * _FAR:
        warnings.append(
            f"validation has {100 * found:.0f} % of the images, and {100 * share:.0f} % were asked for: groups stay "
            "whole, and none fit better. Set data.validation to another share, or data.group to smaller groups"
        )
    total, held = (np.bincount(some, minlength=len(classes)) for some in (labels, labels[held_out]))
    if none := [classes[int(index)] for index in np.flatnonzero((total > 0) & (held == 0))]:
        reason = (
            "what they have is in one group, or in groups that are too large" if has_groups else "they have one image"
        )
        warnings.append(f"validation has no images of the classes {quoted(none)}: {reason}")
    return warnings


# A share that is so many times what was asked for, or as small a part of it, is said.
_FAR = 1.5
# A group is not taken that would bring one of its classes to more than so many times what is wanted.
_MOST = 2


def choose_groups(labels: np.ndarray, groups: Sequence[str], targets: Mapping[int, int], seed: int) -> np.ndarray:
    """Chooses whole groups until each class has about as many images as wanted.

    Groups come in an order that depends on the seed and their names only. Each is taken when that brings its
    classes closer to their targets, in shares of a target, leaves each class an image, and brings none beyond twice its
    target. A class that has none after that gets the group that fits best, where one can be spared that does not bring
    another class beyond that: a rare class does not make half of the data validate. Where nothing fits, the smallest
    group is taken.

    Args:
        labels: int[n], the class of each image.
        groups: The group of each.
        targets: How many images of each class are wanted, fewer than there are.
        seed: Not negative.

    Returns:
        bool[n], which images are chosen.
    """
    sizes: dict[str, dict[int, int]] = {}
    for group, label in zip(groups, labels.tolist(), strict=True):
        of_class = sizes.setdefault(group, {})
        of_class[label] = of_class.get(label, 0) + 1
    totals = {int(label): int(count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    held = dict.fromkeys(totals, 0)
    chosen: set[str] = set()

    def change(group: str) -> float:
        """How much further from the targets the group would bring its classes; infinite where it is all of one."""
        further = 0.0
        for label, size in sizes[group].items():
            if held[label] + size >= totals[label]:
                return float("inf")
            missing = targets[label] - held[label]
            further += (abs(missing - size) - abs(missing)) / max(targets[label], 1)
        return further

    def fits(group: str, *, but: int | None = None) -> bool:
        """Whether no class goes far beyond its target, but perhaps one."""
        return all(held[label] + size <= _MOST * targets[label] for label, size in sizes[group].items() if label != but)

    def take(group: str) -> None:
        chosen.add(group)
        for label, size in sizes[group].items():
            held[label] += size

    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode(errors="surrogatepass")).digest())
    for group in order:
        if change(group) <= 0 and fits(group):
            take(group)
    for label in totals:
        if not held[label] and targets[label]:
            spare = [group for group in order if label in sizes[group] and change(group) < float("inf")]
            if fitting := [group for group in spare if fits(group, but=label)]:
                take(min(fitting, key=change))
    spare = [group for group in order if change(group) < float("inf")]
    if not chosen and spare:
        take(min(spare, key=lambda group: sum(sizes[group].values())))
    return np.fromiter((group in chosen for group in groups), bool, len(labels))
