"""Files of weights that came another way than from their source: with a bundle.

A file that has the hash on the card is the publisher's own, and is kept in the cache from then on, as if it had been
fetched. Of a set whose publisher gives no hash nothing proves that, so it is used in this process and never pinned.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.models import downloads
from zoo.models.weights import is_whole, locate, use_meanwhile
from zoo.registry import Download, PackageFile, WeightSet
from zoo.system.files import make_folder, sync, write_atomic
from zoo.system.partial_entries import discard, held, remove_litter


def take_up(weight_set: WeightSet, file: Path, sha256: str) -> bool:
    """Lets a weight set be read from a file that a bundle carries, where it is not on this machine.

    Args:
        weight_set: One of the card's.
        file: The file in the bundle, which was verified.
        sha256: Its hash.

    Returns:
        Whether nothing but the bundle says that it is the set: its publisher gives no hash.

    Raises:
        WeightsError: It is not the file that the card describes.
        OSError: The cache cannot be written.
    """
    if (here := locate(weight_set)) is not None and is_whole(weight_set, here):
        return False
    if not (weight_set.sha256 or weight_set.md5):
        use_meanwhile(weight_set, file, sha256)
        return True
    if weight_set.sha256:
        found, expected = sha256, weight_set.sha256
    else:
        found, expected = _hash(file, hashlib.md5), weight_set.md5
    if found != expected:
        raise WeightsError(
            f"{file.name}: is not the set '{weight_set.name}' of the card: its hash is {found}, expected {expected}; "
            "get the bundle again"
        )
    _keep(weight_set, file, sha256)
    return False


def _hash(file: Path, kind: Callable[[], Any]) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def _keep(weight_set: WeightSet, file: Path, sha256: str) -> None:
    """Puts the file where one that was fetched lies."""
    source = weight_set.source
    if not isinstance(source, Download | PackageFile):
        return  # comes with zoo
    path = downloads.cached_path(source) if isinstance(source, Download) else downloads.carried_path(source)
    url = source.url if isinstance(source, Download) else f"package:{source.package}"
    make_folder(path.parent, parents=True)
    remove_litter(path.parent)
    with held(path) as partial:
        partial.mkdir(exist_ok=True)
        copy = Path(shutil.copyfile(file, partial / path.name))
        sync(copy)
        copy.replace(path)
        pin = {"url": url, "sha256": sha256, "bytes": path.stat().st_size}
        write_atomic(path.with_name(f"{path.name}.pin.json"), json.dumps(pin, indent=2) + "\n")
        discard(partial)
