"""Files of weights from the net: fetched once, kept whole or not at all, and pinned.

A file is fetched into a folder of its own and moved into the cache only when it is complete and its hash is right, so
that a killed download is never mistaken for a file; what arrived of one is not fetched again. Where its publisher gives
no hash, the SHA-256 of the first fetch is kept beside the file and holds from then on.
"""

import json
from pathlib import Path
from urllib.parse import urlsplit

from zoo.errors import MissingWeightsError, WeightsError
from zoo.registry import Download, PackageFile, WeightSet
from zoo.system.cache import cache_folder
from zoo.system.files import sha256, sync, write_atomic
from zoo.system.partial_entries import discard, held, remove_litter


def cached_path(source: Download) -> Path:
    """Returns where a download is or will be kept: by its address, so that two of one name lie apart."""
    parts = source.url.partition("://")[2].partition("?")[0].replace(":", "_").split("/")
    return cache_folder().joinpath("weights", *(part for part in parts if part not in ("", ".", "..")))


def carried_path(source: PackageFile) -> Path:
    """Returns where a file of a package is kept that came with a bundle, for machines that the package is not on."""
    return cache_folder().joinpath("weights", "packages", source.package, Path(source.file).name)


def is_cached(source: Download) -> bool:
    """Returns whether a download is here and complete."""
    path = cached_path(source)
    return path.is_file() and _pin_path(path).is_file()


def pinned_sha256(source: Download) -> str:
    """Returns the SHA-256 that a file had when it was fetched.

    Raises:
        WeightsError: It was never fetched, or what was noted of it is damaged.
    """
    path = _pin_path(cached_path(source))
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise WeightsError(f"{path}: is damaged ({fault}); remove its folder and fetch the weights again") from fault


def verify_entry(path: Path) -> list[str]:
    """Compares a downloaded file with the SHA-256 that it had when it was fetched.

    Args:
        path: The file in `weights` of the cache, beside which `<name>.pin.json` lies.

    Returns:
        What is wrong, a line that begins with the file; nothing where it is as it was fetched.
    """
    try:
        pin = json.loads(_pin_path(path).read_text(encoding="utf-8"))
        if path.stat().st_size != pin["bytes"] or sha256(path) != pin["sha256"]:
            return [f"{path}: its SHA-256 is not the one noted when it was fetched; it has changed or is damaged"]
    except OSError as fault:
        return [f"{fault.filename or path}: {fault.strerror or fault}"]
    except (ValueError, KeyError, TypeError) as fault:
        return [f"{_pin_path(path)}: is damaged ({fault})"]
    return []


def fetch(weight_set: WeightSet, source: Download) -> Path:
    """Downloads a file, checks it and puts it into the cache; progress goes to stderr.

    Args:
        weight_set: Whose hash the file must have, where one is known.
        source: Its address.

    Returns:
        The file in the cache.

    Raises:
        WeightsError: It cannot be downloaded, arrived incomplete, or has another hash; the cache is as it was.
    """
    # Here, because `zoo list` imports this module and need not wait for it.
    from zoo.foreign.downloading import DownloadError, download

    path = cached_path(source)
    before = _pinned_at(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(path.parent)
        with held(path) as partial:
            if is_cached(source) and _pinned_at(path) != before:  # another process was as far
                return path
            arrived = download(source.url, partial, sha256=weight_set.sha256, md5=weight_set.md5)
            pin = {"url": source.url, "sha256": sha256(arrived), "bytes": arrived.stat().st_size}
            arrived.replace(path)
            write_atomic(_pin_path(path), json.dumps(pin, indent=2) + "\n")
            sync(path.parent)
            discard(partial)
    except (DownloadError, OSError) as fault:
        raise MissingWeightsError(
            f"weights '{weight_set.name}' could not be fetched from {urlsplit(source.url).netloc}: {_reason(fault)}"
        ) from fault
    return path


def _reason(fault: Exception) -> str:
    """Says in one line what went wrong, without the address, and what to do."""
    if isinstance(fault, OSError):
        return f"{fault.filename or cache_folder()}: {fault.strerror or fault}; correct that and try again"
    return f"{' '.join(str(fault).split())}; check the connection and try again"


def _pinned_at(path: Path) -> int | None:
    """Returns when a download was pinned; None where it was not."""
    try:
        return _pin_path(path).stat().st_mtime_ns
    except OSError:
        return None


def _pin_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.pin.json")
