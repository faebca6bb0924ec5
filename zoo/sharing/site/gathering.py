"""From a shelf to what its pages show: every version listed, the newest ones read and verified."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from zoo.errors import ContractError
from zoo.report.progress import ProgressDisplay, SilentDisplay
from zoo.sharing.receipt import RECIPE
from zoo.sharing.site import contents, receipts
from zoo.sharing.site.parents import Catalogue, catalogue_of, parent_of
from zoo.sharing.site.published import Published
from zoo.shelves.shelf import Shelf
from zoo.shelves.versions import Version

# Of a recipe so many versions, the newest, have pages; older ones are rows of a table.
VERSIONS_WITH_PAGES = 20
NUMBERS = "model/model.safetensors"
# What others reach too; a folder on this machine is nobody else's.
SHARED_SCHEMES = ("http", "https", "s3", "gs", "gcs", "hf")


def gather(shelf: Shelf, display: ProgressDisplay | None = None) -> contents.Shelf:
    """Lists a shelf, and reads and verifies what its pages are made of.

    A version that was altered is listed with what is wrong with it.

    Args:
        shelf: The shelf.
        display: Shows progress; None shows nothing.

    Raises:
        ShelfError: The shelf cannot be read.
        ContractError: A version is gone or another since it was last seen here, or its document is damaged.
    """
    catalogue, published = catalogue_of(shelf.versions()), Published(shelf)
    recipes = list[contents.Recipe]()
    count = sum(len(newest_first[:VERSIONS_WITH_PAGES]) for newest_first in catalogue.by_name.values())
    with (display or SilentDisplay()).bar("reading versions", count) as move:
        read = 0
        for name, newest_first in catalogue.by_name.items():
            whole = list[contents.Version]()
            for one in newest_first[:VERSIONS_WITH_PAGES]:
                whole.append(_version(one, catalogue, published))
                move(read := read + 1, "")
            older = [replace(_listed(one), is_listed_only=True) for one in newest_first[VERSIONS_WITH_PAGES:]]
            recipes.append(contents.Recipe(name=name, versions=(*whole, *older)))
    return contents.Shelf(name=shelf.name, address=public_address(shelf.url), recipes=tuple(recipes))


def faults_of(shelf: contents.Shelf) -> list[str]:
    """Returns what is wrong with versions of a shelf, each in one line."""
    return [version.fault for recipe in shelf.recipes for version in recipe.versions if version.fault]


def public_address(url: str) -> str:
    """Returns a shelf's address where others reach it too; empty of a folder, and of what holds a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_public = parts.scheme in SHARED_SCHEMES and not (parts.query or parts.fragment or "@" in parts.netloc)
    return url if is_public else ""


def _version(version: Version, catalogue: Catalogue, published: Published) -> contents.Version:
    """Reads a version, and verifies its signature and the files that its page is made of."""
    try:
        published.shelf.confirmed(version)
        signer = published.shelf.verified_signer(version, partial(published.read, version))
        source = _source(published.toml(version, RECIPE))
        receipt = published.receipt(version)
        parent_of(version, catalogue, published)
        published.epochs(version)
    except ContractError as fault:
        return replace(_listed(version), fault=_said(fault, version, published.shelf), metrics={})
    listed = replace(_listed(version), signed_by=signer or "", read=partial(_details, version, catalogue, published))
    if receipt is None:
        return replace(listed, data=_claimed_data(version, source))
    metrics = receipts.metrics_of(receipt.result.metrics, receipt.result.intervals)
    return replace(listed, model=receipt.model, metrics=metrics, data=receipts.data_of(receipt, source))


def _said(fault: ContractError, version: Version, shelf: Shelf) -> str:
    """Returns a fault as others may read it, without the place of a shelf on this machine."""
    text = str(fault).replace(f"{shelf.url}/", "").replace(shelf.url, f"shelf '{shelf.name}'")
    return text if text.startswith(version.reference) else f"{version.reference}: {text}"


def _listed(version: Version) -> contents.Version:
    """Returns what a version's document says, which is what its author says."""
    said = version.metadata
    return contents.Version(
        number=version.number,
        digest=version.sha256,
        published=version.document.published,
        model=said.model or "",
        description=said.description,
        metrics=receipts.metrics_of(said.metrics, said.intervals),
        licence=said.licence or "",
        needs=said.needs,
    )


def _details(version: Version, catalogue: Catalogue, published: Published) -> contents.Details:
    receipt = published.receipt(version)
    return contents.Details(
        toml=published.text(version, RECIPE),
        parent=parent_of(version, catalogue, published),
        receipt=receipts.shown(receipt, version.hashes) if receipt else None,
        epochs=published.epochs(version),
        weights=version.files[NUMBERS].size if NUMBERS in version.files else 0,
    )


def _source(recipe: Mapping[str, Any] | None) -> str:
    """Returns a recipe's `data.source`; empty where it has none."""
    data: Any = (recipe or {}).get("data")
    source: Any = cast("dict[str, Any]", data).get("source") if isinstance(data, dict) else None
    return source if isinstance(source, str) else ""


def _claimed_data(version: Version, source: str) -> contents.Data | None:
    """Returns what a recipe without a run names as its data; None of a folder, which each user has another of."""
    if ":" not in source:
        return None
    return contents.Data(name=source, classes=version.metadata.class_names, train=version.metadata.images)
