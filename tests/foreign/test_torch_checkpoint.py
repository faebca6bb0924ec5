"""Files are put together here by hand, instruction by instruction, as pickle's protocol 2 defines them."""

import struct
import sys
import tracemalloc

import numpy as np
import pytest

from zoo.errors import WeightsError
from zoo.foreign import torch_checkpoint
from zoo.foreign.torch_checkpoint import read_checkpoint

MARK, TUPLE, REDUCE, BUILD, NONE, FALSE, EMPTY_TUPLE, EMPTY_DICT = b"(", b"t", b"R", b"b", b"N", b"\x89", b")", b"}"
PERSISTENT_ID, SET_ITEMS, STOP = b"Q", b"u", b"."
PREAMBLE = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",  # LONG1: the magic number
    b"\x80\x02M\xe9\x03.",  # BININT2: 1001
)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def long_number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def sizes(*values):
    return MARK + b"".join(map(number, values)) + TUPLE


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


SIX = number(6)


def storage(numbers=SIX, key="0", kind="FloatStorage"):
    parts = text("storage") + name("torch", kind) + text(key) + text("cpu") + numbers + NONE
    return MARK + parts + TUPLE + PERSISTENT_ID


ORDERED_DICT = name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE


def tensor(shape=(2, 3), strides=(3, 1), offset=0, stored=None):
    parts = (stored or storage()) + number(offset) + sizes(*shape) + sizes(*strides) + FALSE + ORDERED_DICT
    return name("torch._utils", "_rebuild_tensor_v2") + MARK + parts + TUPLE + REDUCE


def state_dict(**tensors):
    return ORDERED_DICT + MARK + b"".join(text(key) + value for key, value in tensors.items()) + SET_ITEMS


STORED = struct.pack("<q6f", 6, *range(6))


def checkpoint(state, keys=("0",), stored=STORED, little_endian=b"\x88"):
    system = EMPTY_DICT + text("little_endian") + little_endian + b"s"
    listed = b"](" + b"".join(map(text, keys)) + b"e"
    return b"".join(PREAMBLE) + system + STOP + state + STOP + listed + STOP + stored


def error_of(data):
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(data, "net.pth")
    return str(raised.value)


def test_a_dict_of_tensors():
    versions = EMPTY_DICT + text("_metadata") + ORDERED_DICT + b"s"
    state = state_dict(
        whole=tensor(),
        transposed=tensor((3, 2), (1, 3)),
        part=tensor((2,), (2,), offset=1),
        scalar=tensor((), (), offset=5),
        count=tensor((1,), (1,), stored=storage(number(1), key="1", kind="LongStorage")),
    )
    arrays = read_checkpoint(
        checkpoint(state + versions + BUILD, ("1", "0"), struct.pack("<qq", 1, -7) + STORED), "net.pth"
    )
    assert {path: array.tolist() for path, array in arrays.items()} == {
        "whole": [[0, 1, 2], [3, 4, 5]],
        "transposed": [[0, 3], [1, 4], [2, 5]],
        "part": [1, 3],
        "scalar": 5,
        "count": [-7],
    }
    assert arrays["whole"].dtype == np.float32
    assert arrays["count"].dtype == np.int64
    assert all(array.flags.c_contiguous and array.flags.owndata for array in arrays.values())
    arrays["whole"][:] = 9
    assert arrays["scalar"] == 5


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (name("posix", "system") + text("id") + b"\x85" + REDUCE, "it names posix.system"),
        (name("builtins", "eval") + text("1") + b"\x85" + REDUCE, "it names builtins.eval"),
        (name("builtins", "getattr"), "it names builtins.getattr"),
        (name("torch._utils", "_rebuild_tensor_v2.__globals__"), "_rebuild_tensor_v2.__globals__"),
        (name("zoo_canary", "anything"), "it names zoo_canary.anything"),
        (text("os") + text("system") + b"\x93", "it holds the instruction STACK_GLOBAL"),
        (MARK + text("id") + b"iposix\nsystem\n", "it holds the instruction INST"),
        (MARK + b"o", "it holds the instruction OBJ"),
        (ORDERED_DICT + EMPTY_TUPLE + b"\x81", "it holds the instruction NEWOBJ"),
        (b"\x82\x01", "it holds the instruction EXT1"),
        (NONE + b"2", "it holds the instruction DUP"),
        (name("torch", "FloatStorage") + long_number(1 << 40) + b"\x85" + REDUCE, "it makes a call"),
        (name("collections", "OrderedDict") + EMPTY_DICT + b"\x85" + REDUCE, "it makes a call"),
        (text("posix.system") + EMPTY_TUPLE + REDUCE, "it makes a call"),
        (name("torch", "FloatStorage") + EMPTY_DICT + BUILD, "it sets attributes"),
        (storage() + EMPTY_DICT + text("dtype") + text("O") + b"s" + BUILD, "it sets attributes"),
        (ORDERED_DICT + NONE + BUILD, "it sets attributes"),
        (storage() + text("key") + NONE + b"s", "it sets items"),
        (EMPTY_DICT + MARK + text("odd") + SET_ITEMS, "it sets items"),
        (EMPTY_TUPLE + NONE + b"a", "it appends to"),
        (EMPTY_DICT + b")" + b"\x85" * 100_000 + NONE + b"s", "a key of a dict is not a string"),
        (EMPTY_DICT + text("deep") + b")" + b"\x85" * 100_000 + b"s", "something else than a dict of tensors"),
        (b"]q\x00h\x00a", "something else than a dict of tensors"),
        (state_dict(model=state_dict(w=tensor())), "something else than a dict of tensors"),
        (text("module") + PERSISTENT_ID, "something else than a storage"),
        (storage(kind="FloatStorage", numbers=number(-1)), "has an impossible size"),
        (state_dict(a=tensor(), b=tensor(stored=storage(number(7)))), "storage '0' is described in two ways"),
        (state_dict(w=tensor((2, 4), (4, 1))), "a tensor reaches beyond its storage '0' of 6 numbers"),
        (state_dict(w=tensor((2, 3), (4, 1))), "a tensor reaches beyond its storage"),
        (state_dict(w=tensor(offset=1)), "a tensor reaches beyond its storage"),
        (state_dict(w=tensor((1000, 1000), (0, 0))), "a tensor reaches beyond its storage"),
        (state_dict(w=tensor((1,), (2**31 - 1,))), "a tensor reaches beyond its storage"),
        (state_dict(w=tensor((0, 3), (3, 1))), "a tensor reaches beyond its storage"),
        (state_dict(w=tensor((2, 3), (3, -1))), "not made of a few sizes"),
        (state_dict(w=tensor((-2, -3), (3, 1))), "not made of a few sizes"),
        (state_dict(w=tensor(offset=-1)), "not made of a few sizes"),
        (state_dict(w=tensor((2, 3), (1,))), "not made of a few sizes"),
        (state_dict(w=tensor((1,) * 9, (1,) * 9)), "not made of a few sizes"),
        (state_dict(**{f"w{i}": tensor() for i in range(400)}), "more than 4 times the file's size"),
    ],
)
def test_what_no_dict_of_tensors_needs_is_refused(state, reason, monkeypatch):
    # So that the last case, which shares one storage 400 times, need not be a file of gigabytes.
    monkeypatch.setattr(torch_checkpoint, "MAX_BYTES_PER_FILE_BYTE", 0.1 if b"w399" in state else 4)
    message = error_of(checkpoint(state)).replace("0.1 times", "4 times")
    assert message.startswith("net.pth: refused: ")
    assert reason in message
    assert message.endswith("; expected a dict of tensors, as state_dict() gives")
    assert "zoo_canary" not in sys.modules


def test_a_storage_that_lies_about_its_size():
    huge = 1 << 40
    state = state_dict(w=tensor(stored=storage(long_number(huge))))
    assert f"storage '0' has 6 numbers, expected {huge}" in error_of(checkpoint(state))
    # Both say the same, and the file does not hold it.
    stored = struct.pack("<q6f", huge, *range(6))
    tracemalloc.start()
    assert "is damaged near byte" in error_of(checkpoint(state, stored=stored))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "bomb",
    [
        b"X" + struct.pack("<I", 2**32 - 1),  # BINUNICODE
        b"\x8d" + struct.pack("<Q", 2**40),  # BINUNICODE8
        b"\x8e" + struct.pack("<Q", 2**40),  # BINBYTES8
        b"\x8b" + struct.pack("<i", 2**31 - 1),  # LONG4
        b"\x95" + struct.pack("<Q", 2**40),  # FRAME
        b"Nr" + struct.pack("<I", 2**32 - 1),  # LONG_BINPUT: a memo of 32 GB in the C implementation
    ],
)
def test_a_length_beyond_the_file_takes_no_memory(bomb):
    tracemalloc.start()
    error_of(checkpoint(bomb))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_too_many_instructions(monkeypatch):
    monkeypatch.setattr(torch_checkpoint, "MAX_INSTRUCTIONS", 1000)
    assert "more than 1000 instructions" in error_of(checkpoint(NONE * 1000))


def test_a_truncated_file_is_refused_wherever_it_ends():
    whole = checkpoint(state_dict(w=tensor()))
    assert read_checkpoint(whole, "net.pth")["w"].shape == (2, 3)
    for end in range(len(whole)):
        error_of(whole[:end])
    assert "1 bytes after the last storage" in error_of(whole + b"\0")


def test_a_changed_byte_gives_arrays_or_a_clear_fault():
    whole = checkpoint(state_dict(w=tensor()))
    for position in range(len(whole)):
        for value in (0, 1, 0x28, 0x51, 0x52, 0x71, 0x85, 0xFF, whole[position] ^ 1):
            changed = whole[:position] + bytes([value]) + whole[position + 1 :]
            try:
                arrays = read_checkpoint(changed, "net.pth")
            except WeightsError:
                continue
            assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "net.pth: is not a checkpoint or is damaged near byte 0"),
        (b"hello", "net.pth: is not a checkpoint or is damaged near byte"),
        (b"\x80\x02K\x01.", "does not begin as a legacy checkpoint of PyTorch does"),
        (b"PK\x03\x04rest", "net.pth: is in PyTorch's zip format, which zoo cannot read yet"),
        (checkpoint(state_dict(w=tensor()), keys=()), "its list of storages is not that of its tensors"),
        (checkpoint(state_dict(w=tensor()), keys=("0", "1")), "its list of storages"),
        (checkpoint(state_dict(w=tensor()), keys=("0", "0")), "its list of storages"),
        (checkpoint(state_dict(w=tensor()), little_endian=FALSE), "not written on a little-endian machine"),
    ],
)
def test_files_of_another_kind(data, reason):
    assert reason in error_of(data)
