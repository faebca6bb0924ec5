"""Files of weights that others made, in each format that `weights=` takes."""

import functools
import io
import json
import os
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.hostile.cases import Case, Place, name_of
from tests.hostile.test_archives import directory_of, with_field

MODEL = "mnist_conv_tiny"


def warm_up() -> None:
    """Imports Keras before anything is measured."""
    arrays()


@functools.cache
def model():
    import zoo

    return zoo.build(MODEL, weights=None)


@functools.cache
def arrays():
    """The model's own numbers by path."""
    return {weight.path: np.asarray(weight.value) for weight in model().weights}


@functools.cache
def good(suffix):
    """A file of the model's own weights, as a library writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"good{suffix}"
        if suffix == ".keras":
            model().save(path)
        elif suffix == ".weights.h5":
            model().save_weights(path)
        else:
            return safetensors(arrays())
        return path.read_bytes()


def safetensors(tensors, **header):
    """A file in the format, with entries of its header replaced."""
    described, data = {}, b""
    for name, array in tensors.items():
        described[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    return framed(json.dumps({**described, **header}).encode(), data)


def framed(header, data=b"", *, said=None):
    return struct.pack("<Q", len(header) if said is None else said) + header + data


def entry(**fields):
    """A good file in which one array is described otherwise."""
    name, array = next(iter(arrays().items()))
    usual = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [0, array.nbytes]}
    return safetensors(arrays(), **{name: {**usual, **fields}})


def flipped(content, seed):
    data, chosen = bytearray(content), random.Random(seed)
    data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    return bytes(data)


def h5(write):
    with io.BytesIO() as buffer:
        with h5py.File(buffer, "w") as file:
            write(file)
        return buffer.getvalue()


def keras_2(file, dataset=None, names=("kernel",)):
    file.attrs["layer_names"] = ["conv"]
    file.create_group("conv").attrs["weight_names"] = list(names)
    if dataset is not None:
        dataset(file["conv"])


def zipped(members, packing=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def in_keras(weights, **more):
    return zipped({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": weights, **more})


def in_keras_first():
    """A `.keras` file in whose directory the weights come first."""
    return zipped({"model.weights.h5": good(".weights.h5"), "config.json": b"{}"})


def damaged_stream():
    data = bytearray(in_keras_first())
    data[200:220] = bytes(20)
    return bytes(data)


def pickled(body):
    """A legacy checkpoint of PyTorch whose object is made by these instructions."""
    begin = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s."
    return begin + b"\x80\x02" + body + b".\x80\x02]."


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def long(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


CALL = b"cposix\nsystem\nX" + struct.pack("<I", 24) + b"touch ../outside/marker\0" + b"\x85R"
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x01NtQ"


def tensor(shape, offset=b"K\0"):
    called = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + offset
    return called + b"(" + shape + b"t(" + shape + b"t\x89ccollections\nOrderedDict\n)RtR"


def weights(name, data: Callable[[], bytes], suffix, says="", *, is_refused: bool | None = True):
    def make(place: Place) -> None:
        content = data()
        (place.inside / f"w{suffix}").write_bytes(content)

    def call(place: Place) -> None:
        import zoo

        zoo.build(MODEL, weights=f"./w{suffix}")

    said = says or ("" if is_refused is not True else f"w{suffix}")
    return Case(name=f"{suffix[1:]}: {name}", make=make, call=call, says=said, is_refused=is_refused)


def cut(suffix, percent):
    return weights(f"cut at {percent} %", lambda: (w := good(suffix))[: len(w) * percent // 100], suffix)


def sparse(suffix, size, begin=b""):
    def make(place: Place) -> None:
        with (place.inside / f"w{suffix}").open("wb") as file:
            file.write(begin)
            file.truncate(size)

    case = weights("sparse", bytes, suffix)
    return Case(name=f"{suffix[1:]}: {size >> 20} MB of nothing", make=make, call=case.call, says=f"w{suffix}")


def special(suffix, what, make):
    case = weights(what, bytes, suffix)
    return Case(
        name=f"{suffix[1:]}: {what}",
        make=lambda place: make(place.inside / f"w{suffix}"),
        call=case.call,
        says=f"w{suffix}",
    )


FORMATS = (".safetensors", ".weights.h5", ".keras")
USUAL = tuple(
    case
    for suffix in FORMATS
    for case in (
        weights("good", lambda s=suffix: good(s), suffix, is_refused=False),
        *(cut(suffix, percent) for percent in (5, 50, 95)),
        *(
            weights(f"flipped {n}", lambda s=suffix, n=n: flipped(good(s), n), suffix, is_refused=None)
            for n in range(8)
        ),
    )
)
ANY = tuple(
    case
    for suffix in (*FORMATS, ".h5", ".pth")
    for case in (
        weights("empty", bytes, suffix),
        weights("a page", lambda: b"<html>" * 99, suffix),
        weights("noise", lambda: random.Random(1).randbytes(9_000), suffix),
        weights("a pickle", lambda: b"cposix\nsystem\n(S'touch ../outside/marker'\ntR.", suffix),
        *([sparse(suffix, 40 << 30)] if suffix not in (".safetensors", ".pth") else []),
        special(suffix, "a pipe", os.mkfifo),
        special(suffix, "a device", lambda path: path.symlink_to("/dev/zero")),
        special(suffix, "links in a circle", lambda path: path.symlink_to(path.name)),
    )
)
SAFETENSORS = tuple(
    weights(name, data, ".safetensors", says)
    for name, data, says in [
        ("a header of 100 MB", lambda: framed(b"{" + b" " * 99_999_990 + b"}"), "header"),
        ("a header of 8 EB", lambda: framed(b"{}", said=(1 << 63) - 1), "w.safetensors"),
        ("a header beyond the file", lambda: framed(b"{}", said=5_000), "w.safetensors"),
        ("a nested header", lambda: framed(b'{"a":' + b"[" * 50_000 + b"}"), "w.safetensors"),
        (
            "many names",
            lambda: framed(
                b"{"
                + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(100_000))
                + b"}"
            ),
            "w.safetensors",
        ),
        ("no object", lambda: framed(b"[]"), "w.safetensors"),
        ("negative places", lambda: entry(data_offsets=[-4, 0]), "w.safetensors"),
        ("overlapping places", lambda: entry(data_offsets=[0, 8]), "w.safetensors"),
        ("places behind the end", lambda: entry(data_offsets=[1 << 40, 1 << 41]), "w.safetensors"),
        ("a type that is not known", lambda: entry(dtype="Q77"), "w.safetensors"),
        (
            "a type of 8-bit floats",
            lambda: framed(b'{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', bytes(4)),
            "w.safetensors",
        ),
        (
            "a type of 4-bit floats",
            lambda: framed(b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}', bytes(4)),
            "w.safetensors",
        ),
        ("a type of objects", lambda: entry(dtype="O"), "w.safetensors"),
        ("a side of 2^60", lambda: entry(shape=[1 << 60, 1 << 60]), "w.safetensors"),
        ("negative sides", lambda: entry(shape=[-1, -1]), "w.safetensors"),
        ("more than its arrays", lambda: safetensors(arrays()) + bytes(100), "w.safetensors"),
        (
            "NaN",
            lambda: safetensors({name: np.full_like(array, np.nan) for name, array in arrays().items()}),
            "w.safetensors",
        ),
        ("other shapes", lambda: safetensors({name: np.zeros((3, 3), "f4") for name in arrays()}), "w.safetensors"),
        ("other names", lambda: safetensors({f"{name}x": array for name, array in arrays().items()}), "w.safetensors"),
        (
            "names of escapes",
            lambda: safetensors({**arrays(), "\x1b]0;title\x07\nzoo: ok": np.zeros(3, "f4")}),
            "w.safetensors",
        ),
        ("a long name", lambda: safetensors({**arrays(), "a" * 1_000_000: np.zeros(3, "f4")}), "w.safetensors"),
        ("a large array", lambda: safetensors({**arrays(), "more": np.zeros(60_000_000, "f4")}), "w.safetensors"),
    ]
)
HDF5 = tuple(
    weights(name, data, suffix, f"w{suffix}")
    for name, data, suffix in [
        (
            "huge and empty",
            lambda: h5(
                lambda f: keras_2(
                    f, lambda g: g.create_dataset("kernel", (1 << 34,), "f4", chunks=(1 << 16,), compression="gzip")
                )
            ),
            ".h5",
        ),
        (
            "packed zeros",
            lambda: h5(
                lambda f: keras_2(
                    f,
                    lambda g: g.create_dataset(
                        "kernel",
                        data=np.zeros(100_000_000, "f4"),
                        chunks=(1 << 20,),
                        compression="gzip",
                        compression_opts=9,
                    ),
                )
            ),
            ".h5",
        ),
        (
            "an external link",
            lambda: h5(
                lambda f: keras_2(f, lambda g: g.__setitem__("kernel", h5py.ExternalLink("../outside/precious", "/a")))
            ),
            ".h5",
        ),
        (
            "a soft link",
            lambda: h5(lambda f: keras_2(f, lambda g: g.__setitem__("kernel", h5py.SoftLink("/conv")))),
            ".h5",
        ),
        (
            "external data",
            lambda: h5(
                lambda f: keras_2(
                    f, lambda g: g.create_dataset("kernel", (4,), "u1", external=[("../outside/precious", 0, 4)])
                )
            ),
            ".h5",
        ),
        ("texts", lambda: h5(lambda f: keras_2(f, lambda g: g.create_dataset("kernel", data=[b"a", b"b"]))), ".h5"),
        (
            "references",
            lambda: h5(
                lambda f: keras_2(f, lambda g: g.create_dataset("kernel", data=np.array([f.ref], dtype=h5py.ref_dtype)))
            ),
            ".h5",
        ),
        ("a group as an array", lambda: h5(lambda f: keras_2(f, lambda g: g.create_group("kernel"))), ".h5"),
        (
            "one array many times",
            lambda: h5(
                lambda f: keras_2(f, lambda g: g.create_dataset("kernel", data=np.zeros(4, "f4")), ["kernel"] * 3_000)
            ),
            ".h5",
        ),
        ("names that are missing", lambda: h5(lambda f: keras_2(f)), ".h5"),
        ("names that are numbers", lambda: h5(lambda f: f.attrs.__setitem__("layer_names", [1, 2])), ".h5"),
        ("no names", lambda: h5(lambda f: f.create_group("a")), ".h5"),
        ("layers that are an array", lambda: h5(lambda f: f.create_dataset("layers", data=[1.0])), ".weights.h5"),
        (
            "groups in a circle",
            lambda: h5(lambda f: f.create_group("layers/a").__setitem__("layers", f["layers"])),
            ".weights.h5",
        ),
        (
            "two circles",
            lambda: h5(lambda f: [f.create_group(f"layers/{n}").__setitem__("layers", f["layers"]) for n in "ab"]),
            ".weights.h5",
        ),
        ("deep groups", lambda: h5(lambda f: f.create_group("layers/" + "a/layers/" * 3_000)), ".weights.h5"),
        (
            "variables that are words",
            lambda: h5(lambda f: f.create_dataset("layers/a/vars/word", data=[1.0])),
            ".weights.h5",
        ),
        ("another model", lambda: h5(lambda f: f.create_dataset("layers/conv9/vars/0", data=[1.0])), ".weights.h5"),
        ("NaN", lambda: h5(lambda f: keras_2(f, lambda g: g.create_dataset("kernel", data=[np.nan]))), ".h5"),
    ]
)
KERAS = tuple(
    weights(name, data, ".keras", says)
    for name, data, says in [
        ("encrypted", lambda: with_field(in_keras_first(), 8, "<H", 1), "is encrypted"),
        ("method 99", lambda: with_field(in_keras_first(), 10, "<H", 99), "method 99"),
        ("LZMA", lambda: zipped({"model.weights.h5": good(".weights.h5")}, zipfile.ZIP_LZMA), "method 14"),
        ("a damaged stream", damaged_stream, "is damaged"),
        ("a wrong sum", lambda: with_field(in_keras_first(), 16, "<I", 7), "Bad CRC"),
        ("an archive in it", lambda: in_keras(in_keras(good(".weights.h5"))), "w.keras"),
        ("zeros", lambda: in_keras(bytes(300_000_000)), "unpack to 300,000,000 bytes"),
        ("a directory of 30 MB", lambda: directory_of(30_000_000), "a directory of more than"),
        ("no weights", lambda: zipped({"config.json": b"{}"}), "holds no 'model.weights.h5'"),
        (
            "weights above it",
            lambda: zipped({"../model.weights.h5": good(".weights.h5")}),
            "holds no 'model.weights.h5'",
        ),
        ("weights that are a page", lambda: in_keras(b"<html>" * 99), "w.keras"),
    ]
)
TORCH = tuple(
    weights(name, data, ".pth", says)
    for name, data, says in [
        ("a call", lambda: pickled(CALL), "it names posix.system"),
        ("a call at once", lambda: CALL + b".", "w.pth"),
        ("the newer format", lambda: zipped({"archive/data.pkl": CALL + b"."}), "zip format"),
        ("numbers of millions of digits", lambda: pickled(tensor(long(1 << 40_000_000) * 8)), "w.pth"),
        ("an offset of millions of digits", lambda: pickled(tensor(b"K\1", long(1 << 40_000_000))), "w.pth"),
        ("a number as text", lambda: pickled(b"I" + b"9" * 5_000_000 + b"\n"), "w.pth"),
        ("a nested tuple", lambda: pickled(b")" + b"\x85" * 900_000), "w.pth"),
        ("a million instructions", lambda: pickled(b"N" * 1_100_000), "instructions"),
        ("900,000 marks", lambda: pickled(b"(" * 900_000 + b"t"), "w.pth"),
        ("a list in itself", lambda: pickled(b"]q\0h\0a"), "w.pth"),
        ("a dict in itself", lambda: pickled(b"}q\0X\1\0\0\0ah\0s"), "w.pth"),
        ("an empty stack", lambda: pickled(b"R"), "w.pth"),
        ("a memo that is not there", lambda: pickled(b"h\x09"), "w.pth"),
        ("an attribute", lambda: pickled(b"cbuiltins\ngetattr\n"), "it names builtins.getattr"),
        ("a long name", lambda: pickled(b"c" + b"a" * 1_000_000 + b"\nb\n"), "it names aaa"),
        ("a name of escapes", lambda: pickled(b"c\x1b]0;title\x07\nb\n"), "it names"),
        ("an extension", lambda: pickled(b"\x82\x01"), "instruction EXT1"),
        ("a storage of 8 EB", lambda: pickled(tensor(b"K\1")) + text("0"), "w.pth"),
    ]
)


CASES = (*USUAL, *ANY, *SAFETENSORS, *HDF5, *KERAS, *TORCH)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_hostile_files_of_weights_are_refused_or_rightly_taken(case, tried):
    assert tried(case) == []
