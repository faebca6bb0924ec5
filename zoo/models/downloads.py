"""Files of weights from the net: fetched once, kept whole or not at all, and pinned.

Keras downloads; what it lacks is added here. A file is fetched into a folder of its own and moved into the cache only
when it is complete and its hash is right, so that a killed download is never mistaken for a file. Where its publisher
gives no hash, the SHA-256 of the first fetch is kept beside the file and holds from then on.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from zoo.backend.keras_globals import require_backend
from zoo.backend.quiet_start import import_keras
from zoo.errors import MissingWeightsError, WeightsError
from zoo.registry import Download, WeightSet
from zoo.system.cache import cache_folder
from zoo.system.files import sha256, sync

# A server that sends nothing for so long has failed.
STALL_SECONDS = 60.0
# Keras prints to sys.stdout and asks for no time limit. Both are the whole process's: they are switched by one thread
# at a time, as two in turns would leave the other's for good, and what other threads print meanwhile goes to stderr.
_SWITCHING = threading.Lock()


def cached_path(source: Download) -> Path:
    """Returns where a download is or will be kept: by its address, so that two of one name lie apart."""
    parts = source.url.partition("://")[2].partition("?")[0].replace(":", "_").split("/")
    return cache_folder().joinpath("weights", *(part for part in parts if part not in ("", ".", "..")))


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
    # Here, because `zoo list` imports this module and need not wait for them.
    import tempfile

    require_backend()
    import_keras()
    import keras

    path = cached_path(source)
    known = weight_set.sha256 or weight_set.md5 or None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
            with _SWITCHING, contextlib.redirect_stdout(_FromTheFirstByte(sys.stderr)), _stalls_limited():
                arrived = Path(
                    keras.utils.get_file(
                        path.name, source.url, file_hash=known, cache_dir=folder, cache_subdir="", force_download=True
                    )
                )
            pin = {"url": source.url, "sha256": sha256(arrived), "bytes": arrived.stat().st_size}
            sync(arrived)
            arrived.replace(path)
            noted = Path(folder) / "pin.json"
            noted.write_text(json.dumps(pin, indent=2) + "\n", encoding="utf-8")
            sync(noted)
            noted.replace(_pin_path(path))
    except Exception as fault:  # Keras raises a bare Exception for every failure of the net
        raise MissingWeightsError(
            f"weights '{weight_set.name}' could not be fetched from {urlsplit(source.url).netloc}: {_reason(fault)}"
        ) from fault
    return path


def _reason(fault: Exception) -> str:
    """Says in one line what went wrong, without the address, and what to do; Keras' own message breaks lines."""
    if isinstance(fault, OSError) and fault.filename:
        return f"{fault.filename}: {fault.strerror}; correct that and try again"
    from urllib.error import HTTPError, URLError

    cause = fault.__context__
    text = str(fault)
    if isinstance(cause, HTTPError):
        text = f"{cause.code} {cause.msg}"
    elif isinstance(cause, URLError):
        text = str(getattr(cause.reason, "strerror", None) or cause.reason)
    return f"{' '.join(text.split())}; check the connection and try again"


class _FromTheFirstByte:
    """A stream that holds back the announcement of a download until something arrives: a failure is one line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._has_begun = False

    def write(self, text: str) -> int:
        """Writes, or holds back what comes before the first bar."""
        if not self._has_begun and (text.startswith("Downloading data from") or not text.strip()):
            self._held += text
            return len(text)
        self._has_begun = True
        self._stream.write(self._held + text)
        self._held = ""
        return len(text)

    def flush(self) -> None:
        """Shows what was written; what is held back stays so."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _stalls_limited() -> Generator[None]:
    """Lets a silent server fail; Keras' download has no time limit of its own."""
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _pin_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.pin.json")
