"""What the index lists of a shelf: a row for each recipe, and what the rows can be filtered and sorted by."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zoo.sharing.site import wording
from zoo.sharing.site.addresses import INDEX, link, page_of
from zoo.sharing.site.contents import Metric, Recipe, Shelf

# Most characters that a search looks through: of a description, of one list of class names, and of all lists together.
LONGEST_DESCRIPTION, LONGEST_CLASSES, MOST_CLASSES = 2_000, 20_000, 10_000_000
# Of a description and of a key's name, so many are shown.
LONGEST_ABOUT, LONGEST_SIGNER = 240, 40
MOST_METRICS = 50
# So many rows are drawn at a time: a browser takes seconds for ten thousand.
ROWS_DRAWN = 100
# What people look for first.
_HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the index.

    Attributes:
        key: Its name in the page.
        label: What stands above it.
        first: Which way it is sorted at first.
        ascending: What that order is called.
        descending: What the other one is.
    """

    key: str
    label: str
    first: str = "ascending"
    ascending: str = "A to Z"
    descending: str = "Z to A"


@dataclass(frozen=True, kw_only=True)
class MetricChoice:
    """A metric that can be shown and asked for, and whether less of it is better."""

    name: str
    less: bool


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The index, as its template takes it.

    Attributes:
        rows: A recipe each, by name, as the script of the page reads it too.
        classes: What a search looks through of class names; rows point to it, since many share the same data.
        models: Each model, with how many recipes have it.
        data: Each data set likewise.
        metrics: Each metric; the first one is shown.
        columns: Of the table.
    """

    rows: list[dict[str, Any]]
    classes: list[str]
    models: list[tuple[str, int]]
    data: list[tuple[str, int]]
    metrics: list[MetricChoice]
    columns: list[Column]


def metrics_first(names: Iterable[str]) -> list[str]:
    """Returns metrics in the order in which they are shown: those that people look for, others by name, losses."""

    def place(name: str) -> tuple[int, str]:
        after = len(_HEADLINES) + wording.less_is_better(name)
        return _HEADLINES.index(name) if name in _HEADLINES else after, name

    return sorted(names, key=place)


def listing_of(shelf: Shelf) -> Listing:
    """Lists a shelf's recipes by their newest versions."""
    metrics = metrics_first({name for recipe in shelf.recipes for name in recipe.newest.metrics})[:MOST_METRICS]
    classes = dict[str, int]()
    rows = [_row(recipe, metrics, classes) for recipe in sorted(shelf.recipes, key=lambda recipe: recipe.name)]
    longest = min(LONGEST_CLASSES, MOST_CLASSES // max(len(classes), 1))
    shown = wording.shown(metrics[0]) if metrics else "metric"
    best = {"first": "descending", "ascending": "lowest first", "descending": "highest first"}
    return Listing(
        rows=rows,
        classes=[wording.shown(names[:longest]) for names in classes],
        models=_counts(row["model"] for row in rows),
        data=_counts(row["data"] for row in rows),
        metrics=[MetricChoice(name=wording.shown(name), less=wording.less_is_better(name)) for name in metrics],
        columns=[
            Column(key="name", label="Recipe"),
            Column(key="model", label="Model"),
            Column(key="data", label="Data"),
            Column(key="metric", label=shown, **best),
            Column(
                key="published",
                label="Published",
                first="descending",
                ascending="oldest first",
                descending="newest first",
            ),
            Column(key="signed", label="Signed by"),
        ],
    )


def _row(recipe: Recipe, metrics: list[str], classes: dict[str, int]) -> dict[str, Any]:
    newest = recipe.newest
    data = newest.data
    is_long = len(newest.description) > LONGEST_ABOUT
    return {
        "name": wording.shown(recipe.name),
        "href": link(page_of(recipe.name), page=INDEX),
        "about": wording.shown(wording.brief(newest.description, LONGEST_ABOUT)),
        "searched": wording.shown(newest.description[:LONGEST_DESCRIPTION]) if is_long else "",
        # As they stand in the choices too.
        "model": wording.shown(newest.model),
        "data": wording.shown(data.name) if data else "",
        "classes": classes.setdefault(" ".join(data.classes), len(classes)) if data and data.classes else None,
        "version": newest.number,
        "published": wording.shown(newest.published),
        "when": wording.shown(wording.moment(newest.published)),
        "signer": wording.shown(wording.brief(newest.signed_by, LONGEST_SIGNER)),
        "fault": bool(newest.fault),
        "metrics": [_figure(newest.metrics.get(name), name) for name in metrics],
    }


def _figure(metric: Metric | None, name: str) -> tuple[float, str, str] | None:
    """Returns a metric's value, to six digits, and the texts of it and of its interval; None where there is none."""
    if metric is None or not math.isfinite(metric.value):
        return None
    text = wording.figure(metric.value, name)
    return float(f"{metric.value:.6g}"), text, wording.interval(metric.interval, name) if metric.interval else ""


def _counts(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(name for name in names if name).items())
