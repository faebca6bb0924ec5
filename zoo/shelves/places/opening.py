"""From an address to the place that it names."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zoo.errors import printable
from zoo.shelves.faults import ShelfError
from zoo.shelves.places.filesystem import FILE_SYSTEMS, FileSystemPlace
from zoo.shelves.places.folder import FolderPlace
from zoo.shelves.places.hub import HubPlace
from zoo.shelves.places.place import Place

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_HTTP = ("http", "https")


def checked_url(given: str) -> str:
    """Returns an address as it is kept: that of a folder absolute, and without anything secret.

    Raises:
        ShelfError: It is not one that a shelf can have.
    """
    text = printable(given)
    if not given.strip() or text != given:
        raise ShelfError(f"'{text}' is not the address of a shelf; expected a folder or an address such as s3://...")
    scheme = _SCHEME.match(given)
    if scheme is None:
        return str(Path(given).expanduser().absolute())
    parts = urlsplit(given)
    if parts.username or parts.password or parts.query or parts.fragment:
        kept = "credentials are kept where the store's own tools keep them"
        raise ShelfError(f"{scheme[1]}://{parts.hostname}: holds a name, a password or a query; leave it out; {kept}")
    if scheme[1] == "file":
        return str(Path(unquote(parts.path)))
    if scheme[1] not in (*_HTTP, *FILE_SYSTEMS):
        known = ", ".join(f"{one}://" for one in ("file", *_HTTP, *FILE_SYSTEMS))
        raise ShelfError(f"{text}: {scheme[1]}:// is not read; expected a folder or one of {known}")
    return given.rstrip("/")


def open_place(url: str) -> Place:
    """Opens the place of an address that `checked_url` has let pass; nothing is asked of it yet.

    Raises:
        ShelfError: What it needs is not installed.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return FolderPlace(Path(url))
    if scheme[1] in _HTTP:
        from zoo.shelves.places.http import HttpPlace  # imports ssl, which folders do without

        return HttpPlace(url)
    return HubPlace(url) if scheme[1] == "hf" else FileSystemPlace(url)
