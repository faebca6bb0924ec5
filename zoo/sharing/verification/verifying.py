"""`zoo.verify`: what `zoo.jobs.verifying` knows, and what is shared: locks, receipts, versions, and who signed them."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import NotFoundError
from zoo.jobs import verifying as below
from zoo.recipe.finding import is_version
from zoo.system.cache import cache_folder
from zoo.system.integrity.checked_reading import RECORD_FILE
from zoo.system.integrity.verification import Verification
from zoo.system.paths import given_path

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(path: os.PathLike[str] | str, *, keys: Collection[os.PathLike[str] | str] = ()) -> Verification:
    """Compares files with every hash that is known of them; nothing is changed, and no Keras is loaded.

    Args:
        path: A run's folder, finished or not; a folder of runs, such as those of several seeds; an export; the cache, a
            kind or an entry of it; a file of weights; a recipe's file; a lock; a receipt; the folder of a version that
            was pulled; that of a shelf; a bundle; or a version on a shelf, such as `vision/pets@3`, which is pulled.
        keys: Public keys (`.pub` files) of which one must have signed; of what is signed.

    Returns:
        What was found: `is_whole` where every hash holds, else `faults`, each with its file; and who signed.

    Raises:
        NotFoundError: There is nothing there, or nothing says what it should be.

    Example:

        found = zoo.verify("runs/pets")
        print(found.is_whole, found.files, *found.faults)
    """
    place = given_path(path, "the path to verify")
    trusted = _public_keys(keys)
    if is_version(place):
        from zoo.shelves.pulling import pull

        place = pull(str(place)).path
    if not _is_plainly_ours(place):
        # Here, because most of what is verified is a run or the cache, and this imports half of zoo.
        from zoo.sharing.verification.shared import verify_shared

        if (found := verify_shared(place, trusted)) is not None:
            return found
    if trusted:
        raise NotFoundError(
            f"{place}: is not signed, as only versions, bundles, locks and receipts are; leave out --key"
        )
    return below.verify(place)


def _is_plainly_ours(place: Path) -> bool:
    """Whether a folder is a run's, the cache or a kind of it, which nobody shares or signs."""
    return os.path.lexists(place / RECORD_FILE) or cache_folder() in (place, place.parent)


def _public_keys(paths: Collection[os.PathLike[str] | str]) -> "dict[str, Ed25519PublicKey]":
    """Reads public keys, by the paths that they are given as."""
    if not paths:
        return {}
    from zoo.shelves.signatures import load_public_key

    return {os.fspath(path): load_public_key(given_path(path, "the public key")) for path in paths}
