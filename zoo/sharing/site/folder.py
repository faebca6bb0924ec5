"""The folder that a site is written into: a new one, or one that holds a site already.

`site.json` marks it, and lists the pages with their hashes. Another file is neither written over nor removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import ZooError
from zoo.report.progress import ProgressDisplay, SilentDisplay
from zoo.sharing.site.addresses import is_page
from zoo.sharing.site.pages import Page
from zoo.system.files import make_folder, sha256_of, write_atomic
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.regular_files import open_below
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

MARKER = "site.json"
SCHEMA, KIND = 1, "site"


@dataclass(frozen=True, kw_only=True)
class SiteRecord(JsonObject):
    """site.json.

    Attributes:
        pages: The SHA-256 of each page, by its path below the folder; empty of one that is being written first.
    """

    pages: Mapping[str, str] = field(default_factory=dict[str, str])


def write_site(out: Path, pages: Sequence[Page], display: ProgressDisplay | None = None) -> list[str]:
    """Writes a site, each file whole, and removes pages of the site before it that are not among them.

    A page that is the same as before is left as it is, its time included. What a power cut takes of pages that were
    just written is written again by the next call, which compares them.

    Args:
        out: The folder; made where it is not there.
        pages: What it is to hold.
        display: Shows progress; None shows nothing.

    Returns:
        The paths of the pages below the folder, in their order.

    Raises:
        ZooError: The folder holds other files, or one of them stands in a page's place.
        OSError: A page cannot be written.
    """
    before = _pages_before(out)
    for page in pages:
        _check_place(out, page.path, is_ours=page.path in before)
    make_folder(out, parents=True)
    # At first, so that a site that is cut off here is known as one.
    _mark(out, {**{page.path: "" for page in pages}, **before})
    written = dict[str, str]()
    with (display or SilentDisplay()).bar("writing pages", len(pages)) as move:
        for page in pages:
            content = page.content()
            written[page.path] = sha256_of(content)
            if _found(out, page.path) != written[page.path]:
                make_folder((out / page.path).parent, parents=True)
                # Ten thousand pages that each wait for the disk take minutes.
                write_atomic(out / page.path, content, lasts=False)
            move(len(written), "")
    for path in sorted(before.keys() - written.keys()):
        _remove(out, path, before[path])
    _mark(out, written)
    return list(written)


def _pages_before(out: Path) -> dict[str, str]:
    """Returns the pages of the site that the folder holds, with their hashes.

    Raises:
        ZooError: It holds something else.
    """
    if not out.exists():
        return {}
    if not out.is_dir():
        raise ZooError(f"{out}: is a file; expected a folder, or a name that is not taken")
    if not any(out.iterdir()):
        return {}
    try:
        read = read_document(out / MARKER, follow_links=False)
        if (read.values.get("schema"), read.values.get("kind")) != (SCHEMA, KIND) or not read.is_sealed:
            raise DamagedDocumentError("it is not a sealed document of a site")
        values = {key: value for key, value in read.values.items() if key not in ("schema", "kind")}
        record = read_object(values, SiteRecord)
    except FileNotFoundError:
        raise ZooError(
            f"{out}: holds other files; expected a new folder, or one that 'zoo shelf site' made; give another OUT"
        ) from None
    except (DamagedDocumentError, JsonObjectError, OSError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise ZooError(f"{out / MARKER}: {why}; expected what 'zoo shelf site' wrote; give another OUT") from None
    return {path: sha256 for path, sha256 in record.pages.items() if is_page(path)}


def _check_place(out: Path, page: str, *, is_ours: bool) -> None:
    """Refuses to write a page where another's file or a link stands."""
    path = out / page
    for above in path.parents:
        if above == out:
            break
        if above.is_symlink() or (above.exists() and not above.is_dir()):
            raise ZooError(f"{above}: is a link or a file; expected a folder of the site; give another OUT")
    if path.is_dir() or (not is_ours and (path.exists() or path.is_symlink())):
        raise ZooError(f"{path}: is not a page that 'zoo shelf site' wrote; move it away, or give another OUT")


def _remove(out: Path, page: str, sha256: str) -> None:
    """Removes a page that the site does not have any more; one that somebody changed is left."""
    found = _found(out, page)
    if found is None or sha256 not in ("", found):
        return
    (out / page).unlink()
    for above in (out / page).parents:
        if above == out or any(above.iterdir()):
            break
        above.rmdir()


def _found(out: Path, page: str) -> str | None:
    """Returns the SHA-256 of a page that is there; None where there is none, or a link."""
    try:
        with open_below(out, page) as file:
            return sha256_of(file.read())
    except OSError:
        return None


def _mark(out: Path, pages: Mapping[str, str]) -> None:
    record = SiteRecord(pages=dict(sorted(pages.items())))
    write_atomic(out / MARKER, sealed({"schema": SCHEMA, "kind": KIND, **record.to_json()}))
