"""Images that belong together, such as all of one patient: named by a pattern, and kept on one side of a split."""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset, Split, quoted
from zoo.errors import DataError


def group_by_name(dataset: Dataset, pattern: str) -> Dataset:
    r"""Puts files into groups by their paths.

    Args:
        dataset: Files, as class folders give them.
        pattern: A regular expression that is searched for in each path relative to the dataset's root, with `/`
            between folders, such as `patient(\d+)`. Its first group, or else all that it matches, is the group's
            name; a file in which it finds nothing is a group of its own.

    Returns:
        The dataset with `groups` in each split.

    Raises:
        DataError: A pattern that is no regular expression or is found in no path, or images that are no files.
    """
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as fault:
        raise DataError(
            f"data.group is '{pattern}'; expected a regular expression ({fault}), such as 'patient(\\d+)'. Correct it."
        ) from fault
    found = 0
    grouped: dict[str, Split] = {}
    example = ""
    for name, split in dataset.splits().items():
        if not isinstance(split.images, Sequence):
            raise no_groups("images that are no files")
        groups: list[str] = []
        for path in split.images:
            example = _relative(path, dataset.root)
            group = _group_in(compiled, example)
            found += group is not None
            # No group can have a file's name with this in front: no path holds it.
            groups.append(f"\0{example}" if group is None else group)
        grouped[name] = replace(split, groups=tuple(groups))
    if not found:
        raise DataError(
            f"data.group is '{pattern}'; it is found in no file's path, such as '{example}'; expected a regular "
            "expression that finds the group's name there. Correct it, or leave it out."
        )
    return replace(dataset, train=grouped["train"], validation=grouped.get("validation"), test=grouped.get("test"))


def no_groups(what: str) -> DataError:
    """Returns the error for data that cannot be grouped."""
    return DataError(
        f"data.group is set, and the data is {what}, which has no groups; expected class folders, a .csv or a .jsonl. "
        "Leave data.group out."
    )


def shared_groups(dataset: Dataset, place: str) -> list[str]:
    """Returns a warning for each two splits that have a group in common: what is measured is then too good."""
    warnings: list[str] = []
    for (name, split), (other, there) in itertools.combinations(dataset.splits().items(), 2):
        both = sorted(set(split.groups or ()) & set(there.groups or ()))
        if both:
            warnings.append(
                f"{place}: {name} and {other} both have images of the groups {quoted(both)}: "
                f"what is measured on {other} is too good"
            )
    return warnings


def choose_groups(labels: np.ndarray, groups: Sequence[str], targets: Mapping[int, int], seed: int) -> np.ndarray:
    """Chooses whole groups until each class has about as many images as wanted.

    Groups come in an order that depends on the seed and their names only. Each is taken when that brings its
    classes closer to their targets, in shares of a target, and leaves each class an image. A class that has none
    after that gets the group that fits best, where one can be spared.

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

    def take(group: str) -> None:
        chosen.add(group)
        for label, size in sizes[group].items():
            held[label] += size

    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode(errors="surrogatepass")).digest())
    for group in order:
        if change(group) <= 0:
            take(group)
    for label in totals:
        if not held[label] and targets[label]:
            spare = [group for group in order if label in sizes[group] and change(group) < float("inf")]
            if spare:
                take(min(spare, key=change))
    return np.fromiter((group in chosen for group in groups), bool, len(labels))


def _relative(path: Path, root: Path | None) -> str:
    return (path.relative_to(root) if root is not None and path.is_relative_to(root) else path).as_posix()


def _group_in(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    return match.group(1 if pattern.groups else 0) or None
