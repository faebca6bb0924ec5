"""Images that belong together, such as all of one patient: named by a pattern, and kept on one side of a split."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.data.dataset import Dataset, Split, quoted
from zoo.errors import DataError, printable
from zoo.foreign.patterns import Pattern, PatternError, compile_pattern


def group_by_name(dataset: Dataset, pattern: str) -> Dataset:
    r"""Puts files into groups by their paths.

    Args:
        dataset: Files, as class folders give them.
        pattern: A regular expression, as `zoo.foreign.patterns` takes it, that is searched for in each path relative to
            the dataset's root, with `/` between folders, such as `patient(\d+)`. Its first group, or else all that it
            matches, is the group's name; a file in which it finds nothing is a group of its own.

    Returns:
        The dataset with `groups` in each split.

    Raises:
        DataError: A pattern that is not a regular expression or is found in no path, or images that are not files.
    """
    try:
        return _grouped(dataset, compile_pattern(pattern))
    except PatternError as fault:
        raise DataError(
            f"data.group is '{printable(pattern)}'; expected a regular expression ({fault}), such as 'patient(\\d+)'. "
            "Correct it."
        ) from fault


def _grouped(dataset: Dataset, pattern: Pattern) -> Dataset:
    found = 0
    grouped: dict[str, Split] = {}
    example = ""
    for name, split in dataset.splits().items():
        if not isinstance(split.images, Sequence):
            raise without_groups("images that are not files")
        groups: list[str] = []
        for path in split.images:
            example = _relative(path, dataset.root)
            group = pattern.first_group(example) or None
            found += group is not None
            # No group can have a file's name with this in front: no path holds it.
            groups.append(f"\0{example}" if group is None else group)
        grouped[name] = replace(split, groups=tuple(groups))
    if not found:
        raise DataError(
            f"data.group is '{printable(pattern.text)}'; it is found in no file's path, such as "
            f"'{printable(example)}'; expected a regular expression that finds the group's name there. Correct it, or "
            "leave it out."
        )
    return replace(dataset, train=grouped["train"], validation=grouped.get("validation"), test=grouped.get("test"))


def without_groups(what: str) -> DataError:
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


def _relative(path: Path, root: Path | None) -> str:
    return (path.relative_to(root) if root is not None and path.is_relative_to(root) else path).as_posix()
