"""The weights of a model as arrays by name, and the file that holds them."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.backend.distribution.copies import first_copy
from zoo.errors import RunError, WeightsError, in_one_line
from zoo.system.regular_files import open_regular

if TYPE_CHECKING:
    import numpy as np

MODEL_FILE = "model.safetensors"
# Of a file of weights or of training state: the largest model here as float32, with all that an optimizer keeps of it.
MOST_BYTES = 8_000_000_000


def arrays_of(variables: Iterable[Any]) -> "dict[str, np.ndarray]":
    """Reads variables by path.

    Raises:
        RunError: Two have the same path.
    """
    return {path: array_of(variable) for path, variable in by_path(variables).items()}


def by_path(variables: Iterable[Any]) -> dict[str, Any]:
    """Returns variables by path.

    Raises:
        RunError: Two have the same path.
    """
    found: dict[str, Any] = {}
    for variable in variables:
        if variable.path in found:
            raise RunError(f"two variables are called {variable.path}; expected a name for each layer of its own")
        found[variable.path] = variable
    return found


def seed_states(layer: Any) -> list[Any]:
    """Lists the states of a layer's seed generators, which are not weights: those of dropout and stochastic depth."""
    weights = {id(weight) for weight in getattr(layer, "weights", ())}
    return [state for state in getattr(layer, "variables", ()) if id(state) not in weights and "seed" in state.path]


def array_of(variable: Any) -> "np.ndarray":
    """Reads one variable; safetensors may write what it gives."""
    return first_copy(variable)


def write_arrays(path: Path, arrays: "Mapping[str, np.ndarray]") -> str:
    """Writes a new safetensors file to the disk's surface, and hashes it on the way.

    The library's own writer makes a copy of all of it first, and holds Python's lock meanwhile: training would wait.
    Source: https://github.com/huggingface/safetensors#format.

    Args:
        path: Where; nothing is there.
        arrays: By name, in memory in C's order.

    Returns:
        The file's SHA-256, in hex.

    Raises:
        OSError: The disk is full, ...
    """
    import hashlib

    # The largest numbers first, as the library has it, so that each lies at a multiple of its size.
    ordered = dict(sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])))
    header: dict[str, Any] = {}
    end = 0
    for name, array in ordered.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for part in (
            len(text).to_bytes(8, "little"),
            text,
            *(array.reshape(-1).view("u1").data for array in ordered.values()),
        ):
            digest.update(part)
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}


def read_verified(path: Path, sha256: object, *, limit: int = MOST_BYTES) -> "dict[str, np.ndarray] | None":
    """Reads a safetensors file whose hash is known; None when the file has another.

    It is opened once, so that what is hashed is what is read, wherever the path leads by then.

    Args:
        path: The file; no link is followed.
        sha256: Its hash, in hex.
        limit: Most bytes that it may hold.

    Raises:
        WeightsError: It is not a regular file, holds more bytes, or has the hash and is not a safetensors file.
        FileNotFoundError: It is not there.
    """
    import hashlib

    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        with open_regular(path, follow_links=False, limit=limit) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return None
            # The library takes a path only. Windows has no such path; there an open file cannot be replaced.
            opened = Path(f"/dev/fd/{file.fileno()}")
            return load_file(opened if opened.exists() else path)
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise WeightsError(f"{path}: {fault.strerror or fault}; expected a file of weights") from None
    except (SafetensorError, ValueError, KeyError) as fault:
        raise WeightsError(f"{path}: is not a safetensors file ({in_one_line(fault)})") from None


def most_bytes(model: Any) -> int:
    """Returns how many bytes a file of a model's weights can have: as float64, and a large classifier."""
    return 2 * sum(math.prod(weight.shape) * 4 for weight in model.weights) + 100_000_000
