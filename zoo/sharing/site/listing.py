"""What the index lists of a shelf: a row for each recipe, and what the rows can be filtered and sorted by."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zoo.errors import printable
from zoo.sharing.site import wording
from zoo.sharing.site.addresses import INDEX, link, page_of
from zoo.sharing.site.contents import Recipe, Shelf

# Of a search, and of the choice of metrics: more is nothing that a person typed.
LONGEST_SEARCH, MOST_METRICS = 20_000, 50
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
        rows: A recipe each, by name.
        models: Each model, with how many recipes have it.
        data: Each data set likewise.
        metrics: Each metric; the first one is shown.
        columns: Of the table.
    """

    rows: list[dict[str, Any]]
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
    rows = [_row(recipe, metrics) for recipe in sorted(shelf.recipes, key=lambda recipe: recipe.name)]
    shown = printable(metrics[0]) if metrics else "metric"
    best = {"first": "descending", "ascending": "lowest first", "descending": "highest first"}
    return Listing(
        rows=rows,
        models=_counts(row["model"] for row in rows),
        data=_counts(row["data"] for row in rows),
        metrics=[MetricChoice(name=printable(name), less=wording.less_is_better(name)) for name in metrics],
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


def _row(recipe: Recipe, metrics: list[str]) -> dict[str, Any]:
    newest = recipe.newest
    data = newest.data
    figures = {
        printable(name): {
            "value": newest.metrics[name].value,
            "text": wording.figure(newest.metrics[name].value, name),
            "range": wording.interval(newest.metrics[name].interval, name) if newest.metrics[name].interval else "",
        }
        for name in metrics
        if name in newest.metrics and math.isfinite(newest.metrics[name].value)
    }
    first = figures.get(printable(metrics[0])) if metrics else None
    searched = (recipe.name, newest.description, newest.model, *((data.name, *data.classes) if data else ()))
    return {
        "name": recipe.name,
        "href": link(page_of(recipe.name), page=INDEX),
        "description": newest.description,
        # As they stand in the choices too.
        "model": printable(newest.model),
        "data": printable(data.name) if data else "",
        "version": newest.number,
        "published": newest.published,
        "signer": newest.signed_by,
        "search": " ".join(searched)[:LONGEST_SEARCH],
        "metrics": figures,
        "figure": first["text"] if first else "–",
        "range": first["range"] if first else "",
        "fault": newest.fault,
    }


def _counts(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(name for name in names if name).items())
