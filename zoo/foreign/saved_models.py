"""TensorFlow SavedModels as files: from a handle to a folder in the cache that goes by its SHA-256.

A folder, an archive or a fetched module is copied into the cache, checked and hashed there, and used from there alone,
so that what is hashed is what is loaded, and a run goes on when the original is gone. Nothing here runs a module.
"""

import contextlib
import json
import os
import re
import shutil
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from zoo.backend.quiet_start import tensorflows_log_left_out
from zoo.errors import NotFoundError, WeightsError, shown
from zoo.foreign import archives
from zoo.foreign.trust import pin
from zoo.system.cache import cache_folder
from zoo.system.files import sha256, sync, write_atomic
from zoo.system.partial_entries import discard, held, remove_litter

GRAPH_FILE = "saved_model.pb"
BY_HASH = "sha256:"

_KAGGLE = re.compile(r"[\w.-]+/[\w.-]+/tensorflow2/[\w.-]+/\d+", re.IGNORECASE)


@dataclass(frozen=True)
class SavedModel:
    """A module in the cache.

    Attributes:
        sha256: Of its files' names and contents.
        path: Its folder.
    """

    sha256: str
    path: Path

    @property
    def handle(self) -> str:
        """The handle that means these very files on any machine."""
        return BY_HASH + self.sha256


def fetch(handle: str) -> SavedModel:
    """Finds the module that a handle means and puts it into the cache.

    Args:
        handle: A folder that holds `saved_model.pb`, an archive of one (`.tar.gz`, `.tgz`, `.tar`), the address of a
            TensorFlow Hub or Kaggle module, Kaggle's `owner/model/tensorFlow2/variation/version`, or `sha256:HEX` for
            one that is in the cache. `#sha256=HEX` behind it says which hash it must have.

    Raises:
        NotFoundError: There is no such module, or what fetches it is not installed.
        WeightsError: It is not a SavedModel, its archive is hostile or damaged, or it has another hash.
    """
    place, _, expected = handle.partition("#sha256=")
    if not place:
        raise NotFoundError(
            'tfhub: which module? Expected handle="..." (in a recipe: [model] handle), the folder or archive of a '
            "SavedModel, the address of a TensorFlow Hub or Kaggle module, or sha256:..."
        )
    if place.startswith(BY_HASH):
        module = _cached(place.removeprefix(BY_HASH))
        if module is None:
            raise NotFoundError(
                f"{handle}: this module is not on this machine; fetch it by its folder, archive or address: "
                "zoo weights fetch tfhub --option handle=..."
            )
    elif Path(place).is_dir():
        module = _copied(Path(place))
    elif Path(place).exists():  # of what is not a file the reason is given
        module = _unpacked(Path(place))
    elif "://" in place or _KAGGLE.fullmatch(place):
        module = _downloaded(place)
    else:
        raise NotFoundError(
            f"{place}: there is no such module; expected the folder or archive of a SavedModel, the "
            "address of a TensorFlow Hub or Kaggle module, or sha256:..."
        )
    if expected and module.sha256 != expected.lower():
        raise WeightsError(f"{place}: found SHA-256 {module.sha256}, expected {expected}; it is another module")
    return module


def trust(handle: str | Path) -> str:
    """Lets a SavedModel run on this machine from now on: it is a program, and is named by its SHA-256.

    Args:
        handle: As for `zoo.build("tfhub", handle=...)`, or the folder of a run of one.

    Returns:
        The handle `sha256:...` of what is trusted now.

    Raises:
        NotFoundError: There is no such module.
        WeightsError: It is not a SavedModel.

    Example:

        zoo.trust("modules/mobilenet_v2")
        model = zoo.build("tfhub", handle="modules/mobilenet_v2", classes=["cat", "dog"])
    """
    unchecked = cast(object, handle)
    if not isinstance(unchecked, str | os.PathLike):
        raise NotFoundError(f"trust: handle is {shown(unchecked)}; expected the folder of a SavedModel, or its address")
    in_run = Path(handle) / "model" / "saved_model"
    module = fetch(str(in_run if in_run.is_dir() else handle))
    pin(module.sha256, str(handle))
    return module.handle


def verify(module: SavedModel) -> None:
    """Hashes a module in the cache again, just before it is run.

    Raises:
        WeightsError: Its files are not those that its name stands for.
    """
    found = _tree_sha256(module.path)
    if found != module.sha256:
        raise WeightsError(
            f"{module.path}: found SHA-256 {found}; it has changed or is damaged: remove it and fetch the module again"
        )


def verify_entry(folder: Path) -> list[str]:
    """Compares a module in the cache with the SHA-256 that it goes by.

    Args:
        folder: `modules/<SHA-256>` in the cache.

    Returns:
        What is wrong, a line that begins with the folder; nothing where all is as it was imported.
    """
    try:
        verify(SavedModel(folder.name, folder))
    except WeightsError as fault:
        return [str(fault)]
    except OSError as fault:
        return [f"{fault.filename or folder}: {fault.strerror or fault}"]
    return []


def copy_to(module: SavedModel, folder: Path) -> None:
    """Copies a module's files into a new folder, for a run to carry.

    Raises:
        OSError: They could not be written.
    """
    if folder.is_dir():
        shutil.rmtree(folder)
    _copy_tree(module.path, folder)


def _cached(digest: str) -> SavedModel | None:
    path = _modules() / digest
    return SavedModel(digest, path) if re.fullmatch(r"[0-9a-f]{64}", digest) and path.is_dir() else None


def _modules() -> Path:
    return cache_folder() / "modules"


@contextlib.contextmanager
def _incoming() -> Generator[Path]:
    """Gives a folder that becomes a cached module only as a whole; a killed copy is never mistaken for one."""
    _modules().mkdir(parents=True, exist_ok=True)
    remove_litter(_modules())
    with held(_modules() / f"{os.getpid()}-{os.urandom(4).hex()}") as partial:
        partial.mkdir()
        try:
            yield partial / "module"
        finally:
            discard(partial)


def _stored(folder: Path, origin: str) -> SavedModel:
    """Moves a folder to its place by hash."""
    root = _root(folder, origin)
    digest = _tree_sha256(root)
    module = _cached(digest)
    if module is None:
        for path in _files(root, origin):
            sync(path)
        try:
            root.rename(_modules() / digest)
        except OSError:
            # Another process may have been as far with the same module: then its folder is the same.
            if _cached(digest) is None:
                raise
        sync(_modules())
        module = SavedModel(digest, _modules() / digest)
    return module


def _root(folder: Path, origin: str) -> Path:
    """Finds the folder of the SavedModel; archives often have one around it."""
    inner = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    for path in inner:
        if (path / GRAPH_FILE).is_file():
            return path
    raise WeightsError(f"{origin}: holds no SavedModel; expected {GRAPH_FILE} in it")


def _files(folder: Path, origin: str) -> Iterator[Path]:
    """Lists the files below a folder in a fixed order, within the limits."""
    size = count = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names + folders):
            path = Path(parent) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise WeightsError(
                    f"{origin}: {path.relative_to(folder)} is a link or not a file; expected plain files"
                )
            if path.is_file():
                size, count = size + path.stat().st_size, count + 1
                archives.check_limits(size, count, origin)
                yield path


def _tree_sha256(folder: Path) -> str:
    import hashlib

    lines = sorted(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in _files(folder, str(folder)))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _copied(source: Path) -> SavedModel:
    if not (source / GRAPH_FILE).is_file():
        raise WeightsError(f"{source}: holds no SavedModel; expected {GRAPH_FILE} in it")
    with _incoming() as folder:
        _copy_tree(source, folder)
        return _stored(folder, str(source))


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    for path in _files(source, str(source)):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _unpacked(archive: Path) -> SavedModel:
    with _incoming() as folder:
        archives.unpack(archive, folder)
        return _stored(folder, str(archive))


def _downloaded(address: str) -> SavedModel:
    """Downloads a module once; afterwards its address means what it meant then."""
    url = address if "://" in address else f"https://www.kaggle.com/models/{address}"
    noted = _modules() / "addresses" / f"{_name_of(url)}.json"
    if noted.is_file():
        module = _cached(json.loads(noted.read_text(encoding="utf-8"))["sha256"])
        if module is not None:
            return module
    if not url.startswith(("https://", "http://")):
        raise NotFoundError(f"{address}: expected an address that begins with https://")
    if urlsplit(url).path.endswith(archives.SUFFIXES):
        module = _downloaded_archive(url)
    else:
        with _incoming() as folder:
            folder.mkdir()
            module = _stored(Path(_resolve(url, folder)), address)
    noted.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(noted, json.dumps({"url": url, "sha256": module.sha256}, indent=2) + "\n")
    return module


def _downloaded_archive(url: str) -> SavedModel:
    """Downloads and unpacks an archive; what arrived of it before a kill is not fetched again."""
    # Here, because `zoo list` imports this module and need not wait for it.
    from zoo.foreign.downloading import DownloadError, download

    _modules().mkdir(parents=True, exist_ok=True)
    with held(_modules() / _name_of(url)[:40]) as partial:
        try:
            arrived = download(url, partial)
        except DownloadError as fault:
            raise WeightsError(f"{url}: could not be fetched: {fault}; check the address and try again") from fault
        try:
            # By its own name, which says what it is.
            return _unpacked(arrived.rename(partial / PurePosixPath(urlsplit(url).path).name))
        finally:
            discard(partial)


def _name_of(url: str) -> str:
    import hashlib

    return hashlib.sha256(url.encode()).hexdigest()


# tensorflow_hub reads its folder from a variable, and the environment is the whole process's: one thread at a time.
_SWITCHING = threading.Lock()


def _resolve(url: str, folder: Path) -> str:
    """Lets tensorflow_hub download a module into a folder."""
    import warnings

    try:
        with tensorflows_log_left_out(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports pkg_resources, which says that it is going away
            import tensorflow_hub as hub  # pyright: ignore[reportMissingImports]: an extra
    except ImportError as fault:
        raise NotFoundError(
            f"{url}: fetching a module needs tensorflow-hub ({fault}); get it with pip install tensorflow-hub tf_keras "
            "'setuptools<81', or download the module yourself and name its folder or archive"
        ) from fault
    with _SWITCHING:
        before = os.environ.get("TFHUB_CACHE_DIR")
        os.environ["TFHUB_CACHE_DIR"] = str(folder)
        try:
            resolved: Any = hub.resolve(url)
        except Exception as fault:  # it raises what urllib, tarfile or TensorFlow raise
            raise WeightsError(f"{url}: could not be fetched: {fault}; check the address and the connection") from fault
        finally:
            del os.environ["TFHUB_CACHE_DIR"]
            if before is not None:
                os.environ["TFHUB_CACHE_DIR"] = before
    return str(resolved)
