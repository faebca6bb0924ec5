"""The pages of a shelf as HTML, by templates that escape whatever its recipes say.

A page's policy lets only the style and the scripts run that ship with zoo, which it names by their hashes: what got
past the escaping would neither run nor load anything.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from zoo.sharing.site import charts, wording
from zoo.sharing.site.addresses import INDEX, link, page_of
from zoo.sharing.site.commands import adding, pushing, usage
from zoo.sharing.site.contents import Data, Details, Parent, Recipe, Shelf, Version
from zoo.sharing.site.listing import ROWS_DRAWN, listing_of, metrics_first
from zoo.system.text_tables import counted

TEMPLATES = "templates"
MOST_CLASSES, MOST_VERSIONS = 1_000, 200


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page.

    Attributes:
        path: Its file below the site's folder, with slashes.
        content: Makes what the file holds.
    """

    path: str
    content: Callable[[], bytes]


def pages_of(shelf: Shelf) -> list[Page]:
    """Returns the index and each recipe's pages; the same shelf gives the same bytes."""
    site = _Site(shelf=shelf, recipes={one.name: one for one in shelf.recipes}, environment=_environment())
    pages = [Page(path=INDEX, content=partial(_index, site))]
    for recipe in shelf.recipes:
        for version in recipe.versions:
            if (path := _page(recipe, version)) is not None:
                pages.append(Page(path=path, content=partial(_recipe, site, recipe, version)))
    return pages


@dataclass(frozen=True, kw_only=True)
class _Site:
    shelf: Shelf
    recipes: Mapping[str, Recipe]
    environment: Environment


def _page(recipe: Recipe, version: Version) -> str | None:
    """Returns the file of a version's page; None where it has none."""
    if version is recipe.newest:
        return page_of(recipe.name)
    return None if version.is_listed_only else page_of(recipe.name, version.number)


def _index(site: _Site) -> bytes:
    shelf = site.shelf
    listing = listing_of(shelf)
    values = {
        "shelf": shelf,
        "versions": sum(len(recipe.versions) for recipe in shelf.recipes),
        "add_command": adding(shelf),
        "push_command": pushing(shelf),
        "drawn": listing.rows[:ROWS_DRAWN],
        "listed": htmlsafe_json_dumps(
            {"drawn": ROWS_DRAWN, "classes": listing.classes, "recipes": listing.rows}, separators=(",", ":")
        ),
        **vars(listing),
    }
    return _rendered(site, "index.html", values, scripts=("copying.js", "filtering.js"))


def _recipe(site: _Site, recipe: Recipe, version: Version) -> bytes:
    shelf = site.shelf
    page = _page(recipe, version) or INDEX
    details = version.read() if version.read else None
    receipt = details.receipt if details else None
    kept = receipt.kept_step if receipt else None
    headline = metrics_first({name for one in recipe.versions for name in one.metrics})[:1] or ["accuracy"]
    values = {
        "shelf": shelf,
        "recipe": recipe,
        "version": version,
        "is_newest": version is recipe.newest,
        "home": link(INDEX, page=page),
        "newest_href": link(page_of(recipe.name), page=page),
        "details": details,
        "receipt": receipt,
        "parent_href": _parent_link(site, details.parent, page) if details else "",
        "figures": _figures(version),
        "commands": usage(shelf, recipe, version, has_run=receipt is not None),
        "charts": charts.charts_of(details.epochs, kept) if details else (),
        "box": _BOX,
        "drawn": charts.drawn_epochs(len(details.epochs)) if details else [],
        "receipt_kept": kept,
        "toml": wording.toml_lines(details.toml) if details else [],
        "run_facts": _run_facts(version.data, details) if details else [],
        "hashes": [("This version", version.digest), *(receipt.hashes.items() if receipt else ())],
        "headline": headline[0],
        "listed": [_version_row(one, recipe, headline[0], page) for one in recipe.versions[:MOST_VERSIONS]],
        "most_classes": MOST_CLASSES,
    }
    return _rendered(site, "recipe.html", values, scripts=("copying.js",))


def _parent_link(site: _Site, parent: Parent | None, page: str) -> str:
    """Returns where the parent's page is; empty where this shelf has none."""
    recipe = site.recipes.get(parent.name) if parent else None
    if parent is None or recipe is None:
        return ""
    exact = [one for one in recipe.versions if one.digest == parent.digest]
    target = _page(recipe, exact[0] if exact else recipe.newest)
    return link(target, page=page) if target is not None and target != page else ""


_BOX = {
    "width": charts.WIDTH,
    "height": charts.HEIGHT,
    "left": charts.LEFT,
    "right": charts.RIGHT,
    "top": charts.TOP,
    "bottom": charts.BOTTOM,
}


def _figures(version: Version) -> list[dict[str, Any]]:
    """Returns the metrics as the table shows them, with what is drawn of shares, in percent."""
    rows = list[dict[str, Any]]()
    for name in metrics_first(version.metrics):
        metric = version.metrics[name]
        is_share = not wording.less_is_better(name) and 0 <= metric.value <= 1
        low, high = metric.interval or (None, None)
        rows.append(
            {
                "name": name,
                "value": wording.figure(metric.value, name),
                "ends": wording.interval(metric.interval, name).split(" to "),
                "share": _percent(metric.value) if is_share else None,
                "low": None if low is None else _percent(low),
                "high": None if high is None else _percent(high),
            }
        )
    return rows


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 1)


def _run_facts(data: Data | None, details: Details) -> list[tuple[str, str]]:
    if details.receipt is None:
        return []
    splits = [("train", data.train), ("validation", data.validation), ("test", data.test)] if data else []
    images = ", ".join(f"{count:,} {split}" for split, count in splits if count)
    return [
        ("Time", wording.duration(details.receipt.seconds)),
        *([("Images", images)] if images else []),
        *([("Classes", f"{len(data.classes):,}")] if data and data.classes else []),
        *details.receipt.settings.items(),
        ("Weights on the shelf", wording.size(details.weights) if details.weights else "no"),
    ]


def _version_row(version: Version, recipe: Recipe, metric: str, page: str) -> dict[str, Any]:
    target = _page(recipe, version)
    found = version.metrics.get(metric)
    return {
        "number": version.number,
        "href": link(target, page=page) if target is not None else "",
        "published": version.published,
        "figure": wording.figure(found.value if found else None, metric),
        "signer": "not looked at" if version.is_listed_only else version.signed_by,
        "digest": version.digest,
        "fault": version.fault,
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("zoo.sharing.site", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    cast("dict[str, Any]", environment.filters).update(
        brief=wording.brief,
        counted=counted,
        figure=wording.figure,
        moment=wording.moment,
        whole=wording.whole,
    )
    return environment


def _shown(value: object) -> object:
    """Writes each value that a template puts out; HTML's own signs are escaped after it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if value == "\n":  # between the lines of a recipe
        return value
    return wording.shown(value)


def _rendered(site: _Site, template: str, values: Mapping[str, Any], *, scripts: Sequence[str]) -> bytes:
    style, script = _own("style.css"), "".join(_own(name) for name in scripts)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    # Ours, and without an end tag in it.
    own = {"style": Markup(style), "script": Markup(script), "policy": policy}
    text = site.environment.get_template(template).render(**values, **own)
    return text.encode()


@cache
def _own(name: str) -> str:
    """Reads a file of the templates' folder, as a browser reads it whatever ends its lines."""
    text = files("zoo.sharing.site").joinpath(TEMPLATES, name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
