"""A shelf by its name: what it holds, how a version is added, and whose signature the user requires."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ContractError, NotFoundError, did_you_mean, printable
from zoo.shelves import publishing, seen
from zoo.shelves.configured import ShelfSettings, configured_shelves
from zoo.shelves.index import list_versions, read_listed
from zoo.shelves.places.opening import open_place
from zoo.shelves.places.package import package_place, package_shelves
from zoo.shelves.places.place import Place
from zoo.shelves.versions import Version

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE_FILE = "signature.json"
# An index that is written meanwhile may be an older one for a moment, or two mixed; so long later it is read again.
AGAIN_SECONDS = 1.0


class Shelf:
    """A place that recipes are shared from.

    Attributes:
        name: What the user calls it.
        url: Where it is.
        place: How it is read and written.
    """

    def __init__(self, settings: ShelfSettings, place: Place, *, is_package: bool = False) -> None:
        """Takes the place; nothing is asked of it yet.

        Args:
            settings: What the user says of it.
            place: Where it lies.
            is_package: Whether an installed package brings it, which may be updated.
        """
        self.name = settings.name
        self.url = place.url
        self.place = place
        self._settings = settings
        self._is_package = is_package

    @cached_property
    def required_keys(self) -> "tuple[Ed25519PublicKey, ...]":
        """The keys of which one must have signed what is taken from here; none for any.

        Raises:
            ZooError: A key in the user's settings is damaged.
        """
        if not self._settings.require_keys:
            return ()
        from zoo.shelves.signatures import read_public_key  # cryptography takes a while

        return tuple(read_public_key(one, f"require_keys of '{self.name}'") for one in self._settings.require_keys)

    def versions(self, name: str | None = None) -> list[Version]:
        """Lists the versions of a recipe, or of all, by name and number.

        Raises:
            ShelfError: It cannot be reached, or holds what no shelf may hold.
            ContractError: A version is damaged, or was altered or is gone since it was last seen.
        """
        try:
            return self._listed(name)
        except ContractError:
            time.sleep(AGAIN_SECONDS)
            return self._listed(name)

    def usable_versions(self) -> tuple[list[Version], list[str]]:
        """Lists the versions of all recipes but those of which one is damaged, altered or gone.

        Returns:
            The versions by name and number, and of each recipe that is left out why.

        Raises:
            ShelfError: It cannot be reached, or holds what no shelf may hold.
            ContractError: The list itself is damaged.
        """
        try:
            return self.versions(), []
        except ContractError:
            names = {*(name for name, _ in self.place.documents()), *seen.seen_names(self.url)}
            faults = {name: fault for name in sorted(names) if (fault := self.fault_of(name))}
            if not faults:
                raise
        found = [one for name in sorted(names - set(faults)) for one in self.versions(name)]
        return found, list(faults.values())

    def _listed(self, name: str | None) -> list[Version]:
        listed = list_versions(self.place, self.name, name)
        if not self._is_package:
            seen.remember(self.url, listed, of=name)
        return listed

    def confirmed(self, version: Version) -> Version:
        """Returns a listed version once its own document says the same as the list.

        Raises:
            ContractError: It does not.
            ShelfError: It cannot be read.
        """
        own = read_listed(self.place, self.name, (version.name, version.number))
        if own.text != version.text:
            raise ContractError(
                f"{self.url}: {version.name}@{version.number} is another in index.json than in its own document; "
                "one of them was altered; ask who keeps the shelf"
            )
        return own

    def version_alone(self, name: str, number: int) -> Version:
        """Reads a version without the others of its recipe, of which one may be damaged or gone.

        Raises:
            ContractError: It is damaged, altered or gone itself.
            ShelfError: It cannot be read.
        """
        version = read_listed(self.place, self.name, (name, number))
        if not self._is_package:
            seen.remember(self.url, [version], of=name, is_all=False)
        return version

    def publish(self, name: str, files: Mapping[str, Path | bytes], metadata: Mapping[str, Any]) -> Version:
        """Adds a version, which appears whole or not at all.

        Args:
            name: The recipe's name on the shelf.
            files: Each file by its name in the version, as a path or its bytes.
            metadata: What is said of it: see `VersionMetadata`; `signed_by` is read from signature.json.

        Raises:
            DataError: A name, a file or a key of the metadata cannot be published.
            ShelfError: It cannot be written.
            ContractError: The user requires a signature here that it does not have.
            OSError: What was pushed cannot be noted on this machine; a note of it says whether it is on the shelf.
        """
        if self.required_keys and SIGNATURE_FILE not in files:
            raise ContractError(f"{self.name}/{name}: {self._not_signed()}; sign what you push: --sign KEY")
        draft = publishing.draft_version(self.name, name, files, publishing.checked_metadata(metadata))
        signer = self.verified_signer(draft, lambda one: publishing.content(files[one]))
        draft = replace(draft, document=replace(draft.document, metadata=replace(draft.metadata, signed_by=signer)))
        before = [] if self._is_package else [number for one, number in seen.seen_versions(self.url) if one == name]
        seen.remember(self.url, [], of=name, is_all=False)  # where nothing can be noted, nothing is pushed
        version = publishing.publish(self.place, draft, files, above=before)
        try:
            seen.remember(self.url, [version], of=name, is_all=False)
        except OSError as fault:
            fault.add_note(f"{version.reference} is on the shelf")
            raise
        return version

    def fault_of(self, name: str) -> str:
        """Returns why nothing is taken of a recipe, such as a version that is gone; empty where its versions hold."""
        try:
            self.versions(name)
        except ContractError as fault:
            return str(fault)
        return ""

    def verified_signer(self, version: Version, read: Callable[[str], bytes]) -> str | None:
        """Verifies who signed a version.

        Args:
            version: The version.
            read: Gives the bytes of a file of it.

        Returns:
            The name of the key; None where it is not signed, and need not be.

        Raises:
            ContractError: The signature does not hold, or the user requires one of another key.
        """
        required = self.required_keys
        if SIGNATURE_FILE not in version.files:
            if required:
                raise ContractError(f"{version.reference}: {self._not_signed()}")
            return None
        from zoo.shelves.signatures import LIMIT, read_signature, verify

        place = f"{version.reference}: {SIGNATURE_FILE}"
        if version.files[SIGNATURE_FILE].size > LIMIT:
            raise ContractError(f"{place}: has more than {LIMIT:,} bytes; expected the signature that zoo wrote")
        signature = read_signature(read(SIGNATURE_FILE), place)
        return verify(signature, version.hashes, trusted=required or None, place=place)

    def _not_signed(self) -> str:
        from zoo.shelves.signatures import key_name

        keys = " or ".join(key_name(one) for one in self.required_keys)
        return f"is not signed; you require a signature of key {keys}"


def open_shelf(name: str) -> Shelf:
    """Opens a shelf that 'zoo shelf add' has named, or that an installed package brings.

    Raises:
        NotFoundError: There is none of that name.
        ShelfError: What it needs is not installed, or the user's settings are damaged.
    """
    configured = configured_shelves()
    if name in configured:
        return Shelf(configured[name], open_place(configured[name].url))
    packages = package_shelves()
    if name in packages:
        place = package_place(name, packages[name])
        return Shelf(ShelfSettings(name, place.url), place, is_package=True)
    near = did_you_mean(name, [*configured, *packages])
    add = "name one by 'zoo shelf add NAME URL'"
    raise NotFoundError(f"Unknown shelf '{printable(name)}'.{near} See 'zoo shelf ls', or {add}.")


def shelf_names() -> list[str]:
    """Lists the shelves that the user has named and those of installed packages.

    Raises:
        ShelfError: The user's settings are damaged.
    """
    return sorted({*configured_shelves(), *package_shelves()})
