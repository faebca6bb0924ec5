"""Which column of a library's data set holds the images, the labels and the groups."""

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.data.dataset import quoted
from zoo.errors import DataError, did_you_mean
from zoo.registry.sources import SourceRequest

# What a column of labels may be called where nothing says that it is one.
_LABEL_NAMES = ("label", "labels", "fine_label")


def _only(place: str, what: str, candidates: Sequence[str], role: str) -> str:
    if len(candidates) != 1:
        raise DataError(
            f"{place}: has {len(candidates)} {what} columns{f': {quoted(candidates)}' if candidates else ''}; "
            f"expected one. Say which is meant, such as --set data.columns.{role}={next(iter(candidates), 'NAME')}"
        )
    return candidates[0]


def image_column(place: str, request: SourceRequest, images: Sequence[str], features: Mapping[str, Any]) -> str:
    """Returns the column that holds images: the one that `data.columns` names, or the only one.

    Raises:
        DataError: There is no such column, or not one.
    """
    named = _named(place, request, "path", features)
    if named and named not in images:
        raise DataError(
            f"{place}: data.columns.path names '{named}', which does not hold images; expected one of {quoted(images)}."
        )
    return named or _only(place, "image", images, "path")


def label_column(place: str, request: SourceRequest, declared: Sequence[str], features: Mapping[str, Any]) -> str:
    """Returns the column that holds labels: the one that `data.columns` names, or the only one.

    Raises:
        DataError: There is no such column, or not one.
    """
    named = _named(place, request, "label", features)
    return named or _only(place, "label", declared or [name for name in _LABEL_NAMES if name in features], "label")


def group_column(place: str, request: SourceRequest, features: Mapping[str, Any]) -> str:
    """Returns the column whose values name groups; "" where none is named.

    Raises:
        DataError: There is no such column, or not one.
    """
    if request.group and request.group not in features:
        raise DataError(
            f"{place}: has no column '{request.group}', which data.group names; it has {quoted(features)}."
            f"{did_you_mean(request.group, features)}"
        )
    return request.group or _named(place, request, "group", features)


def _named(place: str, request: SourceRequest, role: str, features: Mapping[str, Any]) -> str:
    named = request.columns.get(role, "")
    if named and named not in features:
        raise DataError(
            f"{place}: has no column '{named}', which data.columns.{role} names; it has {quoted(features)}."
            f"{did_you_mean(named, features)}"
        )
    return named
