"""Requests and answers of the Open Inference Protocol as arrays: in JSON, and by the binary tensor extension.

https://github.com/kserve/open-inference-protocol; the extension is
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

import base64
import binascii
import itertools
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from zoo.errors import printable, shown
from zoo.registry.exports import PIXELS, PROBABILITIES
from zoo.serving.protocol.long_json import Numbers, read_json
from zoo.serving.refusals import BAD_REQUEST, TOO_LARGE, RefusedError

IMAGES = "images"
HEAD_LENGTH = "inference-header-content-length"
# A list of numbers takes many times its text's length once it is read.
MAX_JSON_BYTES = 8 << 20
_LENGTH_BYTES = 4
_LONGEST_ID = 1000


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a model takes.

    Attributes:
        input_shape: Height, width and channels.
        most: How many photos may come at once.
    """

    input_shape: tuple[int, ...]
    most: int


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """A request that holds either pixels or photos.

    Attributes:
        id: What the client calls it; empty where it does not.
        pixels: uint8[n, height, width, channels], or None.
        photos: Encoded, or none.
        is_binary: Whether the answer's tensor is to be binary.
    """

    id: str
    pixels: np.ndarray | None
    photos: tuple[bytes, ...]
    is_binary: bool


def read_request(body: bytes, head_length: str | None, spec: Spec) -> InferRequest:
    """Reads a request.

    Args:
        body: JSON, and behind it binary tensors where there are some.
        head_length: How many bytes the JSON has, as a header says it; None where the body is all of it.
        spec: What the model takes.

    Raises:
        RefusedError: It is not a request of the protocol, or not one for this model.
    """
    head, tail = _parted(body, head_length)
    document = _object(_json(head), "the request")
    given = document.get("inputs")
    if not isinstance(given, list) or len(cast("list[Any]", given)) != 1:
        raise _wrong(f"inputs is {shown(given)}; expected a list of one: '{PIXELS}' or '{IMAGES}'")
    tensor = _object(cast("list[Any]", given)[0], "inputs[0]")
    name = tensor.get("name")
    if name not in (PIXELS, IMAGES):
        raise _wrong(f"inputs[0].name is {shown(name)}; expected '{PIXELS}' or '{IMAGES}'")
    raw = _raw(tensor, tail)
    shape = _shape(tensor, spec)
    pixels = _pixels(tensor, raw, shape, spec) if name == PIXELS else None
    photos = _photos(tensor, raw, shape) if name == IMAGES else ()
    is_binary = _asks_for_binary(document)
    return InferRequest(id=_id(document), pixels=pixels, photos=photos, is_binary=is_binary)


def _parted(body: bytes, head_length: str | None) -> tuple[bytes, bytes]:
    length = len(body)
    if head_length is not None:
        if not (head_length.isdecimal() and len(head_length) < 16 and int(head_length) <= len(body)):
            raise _wrong(f"{HEAD_LENGTH} is {shown(head_length)}; expected at most the body's {len(body):,} bytes")
        length = int(head_length)
    if length > MAX_JSON_BYTES:
        raise RefusedError(
            TOO_LARGE,
            f"the JSON holds {length:,} bytes; expected at most {MAX_JSON_BYTES:,}; send tensors as binary data",
        )
    return body[:length], body[length:]


def _json(head: bytes) -> object:
    try:
        return read_json(head)
    except (ValueError, RecursionError) as fault:
        reason = "nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise _wrong(f"the request is not JSON ({reason}); expected an object with 'inputs'") from fault


def _raw(tensor: Mapping[str, Any], tail: bytes) -> bytes | None:
    """Returns the binary data of the tensor; None where it stands in the JSON."""
    size = _parameters(tensor, "inputs[0]").get("binary_data_size")
    if size is None:
        if tail:
            raise _wrong(f"{len(tail):,} bytes stand behind the JSON; expected 'binary_data_size' to say so")
        return None
    if not _is_whole(size) or size != len(tail):
        raise _wrong(f"binary_data_size is {shown(size)}; expected the {len(tail):,} bytes behind the JSON")
    return tail


def _shape(tensor: Mapping[str, Any], spec: Spec) -> tuple[int, ...]:
    name, shape = tensor["name"], tensor.get("shape")
    wanted = spec.input_shape if name == PIXELS else ()
    sides = cast("list[Any]", shape) if isinstance(shape, list) else []
    if not sides or not all(map(_is_whole, sides)) or tuple(sides[1:]) != wanted or sides[0] < 1:
        raise _wrong(f"the shape of '{name}' is {shown(shape)}; expected {['n', *wanted]}".replace("'n'", "n"))
    if sides[0] > spec.most:
        raise RefusedError(TOO_LARGE, f"'{name}' holds {sides[0]:,} photos; expected at most {spec.most:,} (--queue)")
    return tuple(sides)


def _pixels(tensor: Mapping[str, Any], raw: bytes | None, shape: tuple[int, ...], spec: Spec) -> np.ndarray:
    _check_type(tensor, "UINT8")
    count = math.prod(shape)
    if raw is not None:
        if len(raw) != count:
            raise _wrong(f"'{PIXELS}' holds {len(raw):,} bytes; expected {count:,} for {list(shape)}")
        return np.frombuffer(raw, np.uint8).reshape(shape)
    data = tensor.get("data")
    if isinstance(data, Numbers):
        content = data.read(shape)
        if content is None:
            raise _wrong(f"the data of '{PIXELS}' is not {count:,} whole numbers of 0 to 255, flat or as {list(shape)}")
        return np.frombuffer(content, np.uint8).reshape(shape)
    values = _whole_numbers(data, shape)
    if values is None:
        raise _wrong(f"the data of '{PIXELS}' is not {count:,} whole numbers, flat or as {list(shape)}")
    if min(values) < 0 or max(values) > 255:
        found = [printable(one) for one in (min(values), max(values))]
        raise _wrong(f"'{PIXELS}' holds {found[0]} to {found[1]}; expected 0 to 255")
    return np.frombuffer(bytes(values), np.uint8).reshape(shape)


def _whole_numbers(data: object, shape: tuple[int, ...]) -> list[int] | None:
    """Returns the numbers of a tensor, which is flat or nested; None where they are not as many, or not whole.

    NumPy does not do it: of one long text among short ones it makes as many long ones, which take all memory.
    """
    sides = shape if isinstance(data, list) and data and isinstance(data[0], list) else (math.prod(shape),)
    rows: list[Any] = [data]
    for side in sides:
        if not all(isinstance(row, list) and len(row) == side for row in rows):
            return None
        rows = [*itertools.chain.from_iterable(rows)]
    return rows if all(map(_is_whole, rows)) else None


def _photos(tensor: Mapping[str, Any], raw: bytes | None, shape: tuple[int, ...]) -> tuple[bytes, ...]:
    _check_type(tensor, "BYTES")
    found = _from_json(tensor.get("data")) if raw is None else _elements(raw, shape[0])
    if len(found) != shape[0]:
        raise _wrong(f"'{IMAGES}' holds {len(found):,} elements; expected {shape[0]:,}")
    return tuple(found)


def _from_json(data: object) -> list[bytes]:
    if not isinstance(data, list) or not all(isinstance(one, str) for one in cast("list[Any]", data)):
        raise _wrong(f"the data of '{IMAGES}' is {shown(data)}; expected a list of base64 texts")
    try:
        return [base64.b64decode(one, validate=True) for one in cast("list[str]", data)]
    except binascii.Error as fault:
        raise _wrong(
            f"the data of '{IMAGES}' is not base64 ({fault}); expected a file's bytes so, or binary"
        ) from fault


def _elements(raw: bytes, count: int) -> list[bytes]:
    """Parts the elements of a BYTES tensor: of each its length in four bytes, the lowest first, and the element."""
    found, start = list[bytes](), 0
    while start < len(raw):
        if len(found) == count:
            raise _wrong(f"'{IMAGES}' holds more than {count:,} elements; expected {count:,}")
        end = start + _LENGTH_BYTES
        length = struct.unpack("<I", raw[start:end])[0] if end <= len(raw) else 0
        if end + length > len(raw):
            raise _wrong(f"'{IMAGES}' ends within an element; expected a length of 4 bytes before each, and all of it")
        found.append(raw[end : end + length])
        start = end + length
    return found


def _asks_for_binary(document: Mapping[str, Any]) -> bool:
    by_default = _parameters(document, "the request").get("binary_data_output", False)
    asked = document.get("outputs") or []
    if not isinstance(asked, list):
        raise _wrong(f"outputs is {shown(asked)}; expected a list")
    outputs = [_object(one, "outputs[0]") for one in cast("list[Any]", asked)]
    if any(one.get("name") != PROBABILITIES for one in outputs) or len(outputs) > 1:
        raise _wrong(f"outputs asks for {shown([one.get('name') for one in outputs])}; expected '{PROBABILITIES}'")
    parameters = _parameters(outputs[0], "outputs[0]") if outputs else {}
    # What Triton has beside it, and nothing else does: refused, since the answer would be another than asked for.
    for name in ("classification", "shared_memory_region"):
        if name in parameters:
            raise _wrong(f"outputs[0] asks for '{name}'; expected the tensor itself, binary or not")
    return bool(parameters.get("binary_data", by_default))


def _id(document: Mapping[str, Any]) -> str:
    found = document.get("id", "")
    if not isinstance(found, str) or len(found) > _LONGEST_ID:
        raise _wrong(f"id is {shown(found)}; expected a text of at most {_LONGEST_ID:,} letters")
    return found


def _check_type(tensor: Mapping[str, Any], expected: str) -> None:
    if tensor.get("datatype") != expected:
        raise _wrong(f"the datatype of '{tensor['name']}' is {shown(tensor.get('datatype'))}; expected {expected}")


def _parameters(of: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    return _object(of.get("parameters") or {}, f"the parameters of {place}")


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{place} is {shown(value)}; expected an object")
    return cast("dict[str, Any]", value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(message: str) -> RefusedError:
    return RefusedError(BAD_REQUEST, message)


def write_answer(request: InferRequest, name: str, rows: Sequence[np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Writes the answer to a request.

    Args:
        request: What was asked.
        name: The model's name.
        rows: float32[classes] of each photo.

    Returns:
        The body, and the headers that say what it is.
    """
    probabilities = np.ascontiguousarray(np.stack(rows), "<f4")
    tensor: dict[str, Any] = {
        "name": PROBABILITIES,
        "datatype": "FP32",
        "shape": list(probabilities.shape),
    }
    raw = probabilities.tobytes() if request.is_binary else b""
    tensor |= {"parameters": {"binary_data_size": len(raw)}} if raw else {"data": probabilities.ravel().tolist()}
    document = {"model_name": name, "model_version": VERSION, "id": request.id, "outputs": [tensor]}
    head = json.dumps({key: value for key, value in document.items() if value}).encode()
    if not raw:
        return head, {"Content-Type": "application/json"}
    return head + raw, {"Content-Type": "application/octet-stream", HEAD_LENGTH: str(len(head))}


# A model has one; which weights it is, `GET /models` says.
VERSION = "1"
