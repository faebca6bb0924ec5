"""The files that pages are, from names that anybody may have chosen, and the links between them."""

import hashlib
import posixpath
import re
from urllib.parse import quote

INDEX = "index.html"
FOLDER = "recipes"
# What is a file's name on every system as it stands, and differs from all others in more than capitals.
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*){0,7}")
LONGEST = 100
# What a page can be below the site's folder: no part of it begins with a dot.
_PAGE = re.compile(r"index\.html|recipes/([a-z0-9][a-z0-9_.@-]*/)*[a-z0-9][a-z0-9_.@-]*\.html")
# Windows has devices of these names.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])")


def page_of(recipe: str, version: int | None = None) -> str:
    """Returns the file of a recipe's page below the site's folder.

    Args:
        recipe: Its name on the shelf, whatever it holds.
        version: Of the page of an older version; None for the newest.
    """
    suffix = "" if version is None else f"@{version}"
    return f"{FOLDER}/{_stem(recipe)}{suffix}.html"


def _stem(name: str) -> str:
    if len(name) <= LONGEST and _PLAIN.fullmatch(name) and not any(map(_DEVICES.fullmatch, name.split("/"))):
        return name
    # With a dot, which no plain name has.
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "recipe"
    return f"{readable}.{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def is_page(path: str) -> bool:
    """Returns whether a path is one that a page can have, which never leads out of the site's folder."""
    return _PAGE.fullmatch(path) is not None


def link(target: str, *, page: str) -> str:
    """Returns the relative address of a page, as a link on another one.

    Args:
        target: The page that it leads to, below the site's folder.
        page: The page that it stands on.
    """
    return quote(posixpath.relpath(target, posixpath.dirname(page) or "."))
