"""Reads the numbers of an HDF5 file of Keras weights, in a child process with limits.

HDF5 is a large format with a large C library: a hostile file may crash it or fill the memory, and must not take the
user's process along. The child gets an address space and CPU seconds in proportion to the file, reads arrays only (no
configuration, no pickle, no link to another file), and hands them over as safetensors. It is given the open file, never
its path, which may lead to another file by then.

Three layouts are known: Keras 2's `.h5` of a model and of weights alone, in which each layer lists its weights by name,
and Keras 3's `.weights.h5`, which also lies in a `.keras` archive, and counts layers of each class.
"""

import contextlib
import itertools
import json
import math
import os
import re
import signal
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import WeightsError

if TYPE_CHECKING:
    import keras
    import numpy as np

SUFFIXES = (".h5", ".keras")
TIME_LIMIT_SECONDS = 300
# Of the processor, and how many bytes a second it reads at least.
CPU_SECONDS, CPU_BYTES_PER_SECOND = 10, 10_000_000
# What Python with h5py and NumPy needs before it reads anything, and copies of the arrays in the child.
BASE_BYTES = 2 << 30
COPIES = 4
# A file cannot decompress into more than this many times its size.
MAX_BYTES_PER_FILE_BYTE = 20
INNER_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True, kw_only=True)
class HeldWeights:
    """What a file holds.

    Attributes:
        layers: Those that have weights.
        in_order: Whether they come in the model's order, as in Keras 2's layouts; else by name.
    """

    layers: "tuple[LayerArrays, ...]"
    in_order: bool


@dataclass(frozen=True)
class LayerArrays:
    """A layer's arrays in the order in which Keras keeps them.

    Attributes:
        name: The layer's name, or, in Keras 3's layout, its class and number.
        arrays: One for each weight.
    """

    name: str
    arrays: "tuple[np.ndarray, ...]"


def read_layers(file: IO[bytes], *, origin: str, limit: int | None = None) -> HeldWeights:
    """Reads a file's layers that have weights.

    Args:
        file: Open, on disk.
        origin: The file's path, which messages name; `.keras` says that it is an archive.
        limit: Most bytes that its arrays may have, where less than in proportion to the file.

    Raises:
        WeightsError: It is not such a file, or reading it took more than the limits.
    """
    # Here, because `zoo list` imports this module and need not wait for them.
    import importlib.util
    import subprocess
    import tempfile

    from safetensors.numpy import load_file

    if importlib.util.find_spec("resource") is None:
        raise WeightsError(
            f"{origin}: HDF5 files are read under limits of memory and time, which this system ({sys.platform}) does "
            "not have; use WSL, or convert the file to .safetensors elsewhere"
        )
    with tempfile.TemporaryDirectory() as folder, _weights_in(file, origin) as weights:
        target = Path(folder) / "arrays.safetensors"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "zoo.foreign.hdf5", str(target), str(limit or 0)],
                stdin=weights,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise WeightsError(f"{origin}: reading it took more than {TIME_LIMIT_SECONDS} s; it is damaged") from fault
        if done.returncode:
            stopped = (
                "it took too long" if -done.returncode in (signal.SIGXCPU, signal.SIGKILL) else "the reader stopped"
            )
            said = (done.stderr.strip().splitlines() or [stopped])[-1]
            raise WeightsError(f"{origin}: is not a readable file of Keras weights ({said})")
        listed = json.loads(done.stdout)
        arrays = load_file(target)
    names: list[str] = listed["names"]
    grouped: list[list[np.ndarray]] = [[] for _ in names]
    for key in sorted(arrays):
        grouped[int(key.split("/")[0])].append(arrays[key])
    layers = tuple(LayerArrays(name, tuple(found)) for name, found in zip(names, grouped, strict=True))
    return HeldWeights(layers=layers, in_order=listed["in_order"])


@contextlib.contextmanager
def _weights_in(file: IO[bytes], origin: str) -> Generator[IO[bytes]]:
    """Gives the file, or the weights in a `.keras` archive and nothing else: its configuration could name code."""
    if not origin.endswith(".keras"):
        yield file
        return
    import tempfile

    from zoo.foreign import zip_archives

    with tempfile.TemporaryFile() as weights:
        try:
            with zip_archives.open_zip(file) as archive:
                size = archive.NameToInfo[INNER_WEIGHTS].file_size if INNER_WEIGHTS in archive.NameToInfo else 0
                if size > MAX_BYTES_PER_FILE_BYTE * os.fstat(file.fileno()).st_size:
                    raise WeightsError(f"{origin}: its weights unpack to {size:,} bytes; it is damaged")
                for piece in zip_archives.unpacked(archive, INNER_WEIGHTS):
                    weights.write(piece)
        except (zip_archives.ZipError, OSError) as fault:
            raise WeightsError(f"{origin}: is not a readable .keras file ({fault})") from fault
        weights.seek(0)
        yield weights


def match_layers(model: "keras.Model", held: HeldWeights, *, origin: str) -> "dict[str, np.ndarray]":
    """Gives each array the path of the weight that it belongs to.

    Layers are found by name; by class and number in Keras 3's layout. Keras 2's may be numbered otherwise, by what
    else was built in the process, or nested: there the order decides, if every shape but the last layer's agrees.

    Returns:
        By `variable.path`; shapes of layers that were found by name are not compared.

    Raises:
        WeightsError: The file's layers are not the model's.
    """
    ours = {layer.name: layer for layer in model.layers if layer.weights}
    by_number = {} if held.in_order else _by_class_and_number(model)
    for known in (ours, by_number):
        if all(layer.name in known for layer in held.layers):
            return _match_by_name(known, held.layers, origin=origin)
    arrays = [array for layer in held.layers for array in layer.arrays]
    weights = [weight for layer in ours.values() for weight in layer.weights]
    certain = len(weights) - len(list(ours.values())[-1].weights)
    shapes = [tuple(array.shape) for array in arrays]
    if held.in_order and shapes[:certain] == [tuple(weight.shape) for weight in weights[:certain]]:
        return {weight.path: array for weight, array in zip(weights, arrays, strict=False)}
    stranger = next(layer.name for layer in held.layers if layer.name not in ours)
    raise WeightsError(
        f"{origin}: holds {len(held.layers)} layers with weights, for example '{stranger}', and model '{model.name}' "
        f"has {len(ours)}; expected a file of the same architecture"
    )


def _match_by_name(
    known: "Mapping[str, keras.layers.Layer]", found: Sequence[LayerArrays], *, origin: str
) -> "dict[str, np.ndarray]":
    arrays: dict[str, np.ndarray] = {}
    for held in found:
        weights = known[held.name].weights
        if len(weights) != len(held.arrays):
            raise WeightsError(
                f"{origin}: layer '{held.name}' holds {len(held.arrays)} arrays; expected {len(weights)}"
            )
        arrays |= {weight.path: array for weight, array in zip(weights, held.arrays, strict=True)}
    return arrays


def _by_class_and_number(model: "keras.Model") -> "dict[str, keras.layers.Layer]":
    """Names layers as Keras 3's files do: `conv2d`, `conv2d_1`, ... for each class, in order."""
    counts: dict[str, int] = {}
    named: dict[str, Any] = {}
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        named[f"{kind}_{number}" if number else kind] = layer
    return named


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def main(target: str, limit: str) -> None:
    """Reads the file that is its input under limits and writes `target`; prints the layers' names as JSON.

    Runs in the child.
    """
    import resource

    import numpy as np
    from safetensors.numpy import save_file

    source = sys.stdin.buffer
    size = os.fstat(source.fileno()).st_size
    memory = BASE_BYTES + COPIES * MAX_BYTES_PER_FILE_BYTE * size
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = CPU_SECONDS + size // CPU_BYTES_PER_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import h5py

    with h5py.File(source, "r") as file:
        in_order = "layers" not in file
        layers = _keras_2_layers(file) if in_order else _keras_3_layers(_local(file, "layers"))
        if not layers:
            raise ValueError("it holds no layers with weights")
        total = sum(dataset.nbytes for _, datasets in layers for dataset in datasets)
        if total > min(MAX_BYTES_PER_FILE_BYTE * size, int(limit) or math.inf):
            raise ValueError(f"its arrays hold {total:,} bytes in a file of {size:,}")
        arrays = {
            f"{index:06d}/{number:04d}": np.array(dataset[()])
            for index, (_, datasets) in enumerate(layers)
            for number, dataset in enumerate(datasets)
        }
    save_file(arrays, target)
    sys.stdout.write(json.dumps({"in_order": in_order, "names": [name for name, _ in layers]}))


def _keras_2_layers(file: Any) -> list[tuple[str, list[Any]]]:
    root = _local(file, "model_weights") if "model_weights" in file else file
    layers: list[tuple[str, list[Any]]] = []
    for name in _texts(root.attrs, "layer_names"):
        group = _local(root, name)
        datasets = [_local(group, weight) for weight in _texts(group.attrs, "weight_names")]
        if datasets:
            layers.append((name, datasets))
    return layers


def _texts(attributes: "Mapping[str, Any]", key: str) -> list[str]:
    """Reads a list of names, which Keras divides into `key0`, `key1`, ... where it is too long for one attribute."""
    numbered = itertools.takewhile(lambda part: part in attributes, (f"{key}{part}" for part in itertools.count()))
    parts = [key] if key in attributes else numbered
    values = [value for part in parts for value in attributes[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _keras_3_layers(root: Any, prefix: str = "") -> list[tuple[str, list[Any]]]:
    layers: list[tuple[str, list[Any]]] = []
    for name in root:
        group = _local(root, name)
        if "vars" in group:
            variables = _local(group, "vars")
            datasets = [_local(variables, number) for number in sorted(variables, key=int)]
            if datasets:
                layers.append((prefix + name, datasets))
        if "layers" in group:
            layers += _keras_3_layers(_local(group, "layers"), f"{prefix}{name}/")
    return layers


def _local(group: Any, name: str) -> Any:
    """Opens a member that lies in this very file: a link could lead to any other file of the user's."""
    import h5py

    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"'{name}' is not a member of the file itself")
        group = group[part]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual or group.dtype.kind not in "fiub"):
        raise ValueError(f"'{name}' is not an array of numbers in the file itself")
    return group


if __name__ == "__main__":
    main(*sys.argv[1:])
