"""Whether what is to be published is on the shelf already: the same recipe, the same numbers, the same results."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import ContractError
from zoo.sharing.locks.lock import FILE as LOCK_FILE
from zoo.sharing.publishing import Publication, content_sha256
from zoo.sharing.receipt import CURVES
from zoo.sharing.receipt import FILE as RECEIPT_FILE
from zoo.shelves.shelf import SIGNATURE_FILE, Shelf
from zoo.shelves.versions import Version

# They say when and how fast; what came of it is in the lock, the hash of the model's numbers with it.
_DATED = (RECEIPT_FILE, CURVES)


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A version that has all that is to be published.

    Attributes:
        version: The newest such version.
        is_newest: Whether no version is newer; else a push makes it the newest again.
        what: In what they are the same: `recipe and results`.
    """

    version: Version
    is_newest: bool
    what: str

    @property
    def note(self) -> str:
        """Says it, and whether anything is published."""
        same = f"the same {self.what} as {self.version.reference}"
        return f"{same}; nothing is published" if self.is_newest else f"{same}, which is not the newest"


def find_repeated(shelf: Shelf, name: str, publication: Publication) -> Repeated | None:
    """Finds the version of a recipe to which a push would add nothing.

    Another signature, other weights or another description is a reason for a new version. Where the shelf cannot be
    pushed to, or what it holds of the recipe is damaged, nothing is found: the push says so.

    Raises:
        ShelfError: The shelf cannot be read.
        OSError: What was seen cannot be noted.
    """
    if shelf.place.why_read_only or (shelf.required_keys and SIGNATURE_FILE not in publication.files):
        return None
    try:
        versions = shelf.versions(name)
        same = _newest_of(versions, publication)
        if same is None:
            return None
        same = shelf.confirmed(same)
    except ContractError:
        return None
    what = "recipe and results" if RECEIPT_FILE in publication.files else "recipe"
    return Repeated(version=same, is_newest=same.number == versions[-1].number, what=what)


def _newest_of(versions: Sequence[Version], publication: Publication) -> Version | None:
    return next((one for one in reversed(versions) if _has_all_of(one, publication)), None)


def _has_all_of(version: Version, publication: Publication) -> bool:
    metadata = publication.metadata
    if metadata.get("signed_by") not in (None, version.metadata.signed_by):
        return False
    if metadata.get("description", "") != version.metadata.description:
        return False
    files = {name: content for name, content in publication.files.items() if name != SIGNATURE_FILE}
    if not files.keys() <= version.files.keys():
        return False
    dated = _DATED if LOCK_FILE in files else ()
    compared = {name: content for name, content in files.items() if name not in dated}
    return all(content_sha256(content) == version.files[name].sha256 for name, content in compared.items())
