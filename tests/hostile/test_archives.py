"""Archives and arrays that others made: modules for `zoo weights fetch`, `.npz` and IDX files for `zoo data check`."""

import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from tests.hostile.cases import Case, Place, name_of

GRAPH = b"not a graph that is run" * 40


def member(name, content=b"", **fields):
    """A member of a tar archive with its header, as bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


MODULE = member("saved_model.pb", GRAPH) + member("variables/variables.index", bytes(range(256)))
END = bytes(1024)


def flipped(data, seed):
    chosen, changed = random.Random(seed), bytearray(data)
    changed[chosen.randrange(10, len(changed))] ^= 1 << chosen.randrange(8)
    return bytes(changed)


def gnu_long_name(size):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    return header.tobuf(tarfile.GNU_FORMAT) + b"a" * size + bytes(-size % 512)


def pax(records, *, said=None):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, said if said is not None else len(records)
    return header.tobuf() + records + bytes(-len(records) % 512)


def size_field(name, field):
    """A header whose size is written in another way."""
    header = bytearray(member(name))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def fetched(name, data: Callable[[], bytes], says="", *, suffix="tar", is_refused: bool | None = True):
    def make(place: Place) -> None:
        content = data()
        (place.inside / f"module.{suffix}").write_bytes(content)

    words = ("weights", "fetch", "tfhub", "--option", f"handle=module.{suffix}")
    return Case(name=f"module: {name}", make=make, words=words, says=says, is_refused=is_refused)


def packed(data):
    return gzip.compress(data, mtime=0)


WHOLE = packed(MODULE + END)
PLACES = {
    "up": "../marker",
    "far up": "variables/../../../outside/marker",
    "absolute": "/tmp/zoo-hostile-marker",
    "a backslash": "..\\outside\\marker",
    "a drive": "C:marker",
    "a stream": "saved_model.pb:hidden",
}
LINKS = {"a link": tarfile.SYMTYPE, "a hard link": tarfile.LNKTYPE}
KINDS = {"a pipe": tarfile.FIFOTYPE, "a device": tarfile.CHRTYPE, "a disk": tarfile.BLKTYPE, "a strange kind": b"Q"}
MODULES = (
    fetched("whole", lambda: WHOLE, suffix="tar.gz", is_refused=False),
    fetched("whole, not packed", lambda: MODULE + END, is_refused=False),
    fetched("zeros behind it", lambda: WHOLE + bytes(9_000), suffix="tgz", is_refused=False),
    *(
        fetched(f"flipped {n}", lambda n=n: flipped(WHOLE[:-10], n) + WHOLE[-10:], suffix="tar.gz", is_refused=None)
        for n in range(12)
    ),
    *(
        fetched(
            f"a flipped sum {n}",
            lambda n=n: WHOLE[:-8] + flipped(bytes(10) + WHOLE[-8:], n)[10:],
            "module.tar.gz",
            suffix="tar.gz",
        )
        for n in range(4)
    ),
    *(
        fetched(f"cut at {n} %", lambda n=n: WHOLE[: len(WHOLE) * n // 100], "module.tar.gz", suffix="tar.gz")
        for n in (0, 5, 30, 60, 90, 99)
    ),
    fetched("a text behind it", lambda: WHOLE + b"more", "is damaged", suffix="tar.gz"),
    fetched("an archive behind it", lambda: packed(MODULE + END + MODULE + END), "behind its end", suffix="tar.gz"),
    fetched("no end", lambda: MODULE, "no end"),
    fetched("a page", lambda: b"<html>" * 99, "module.tar.gz", suffix="tar.gz"),
    fetched(
        "8 GB of zeros",
        lambda: packed(MODULE + member("variables/v", bytes(400_000_000))),
        "unpacks to more than",
        suffix="tar.gz",
    ),
    fetched("many packed parts", lambda: packed(b"") * 100_000, "module.tar.gz", suffix="tar.gz"),
    fetched(
        "a long name of the pack",
        lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 30_000_000,
        "module.tar.gz",
        suffix="tar.gz",
    ),
    fetched(
        "a size of 8 TB", lambda: MODULE + size_field("v", b"\x80" + (8 << 40).to_bytes(11)) + END, "holds more than"
    ),
    fetched(
        "a negative size",
        lambda: MODULE + size_field("v", b"\xff" + (-512).to_bytes(11, signed=True)) + END,
        "module.tar",
    ),
    fetched("a size beyond all", lambda: MODULE + size_field("v", b"\x80" + b"\xff" * 11) + END, "module.tar"),
    fetched("a size that is a word", lambda: MODULE + size_field("v", b"words words!") + END, "module.tar"),
    fetched("a header of 4 GB", lambda: pax(b"", said=4 << 30) + bytes(1 << 20), "headers"),
    fetched(
        "a header of 900 kB",
        lambda: pax(b"900000 comment=".ljust(899_999, b"a") + b"\n") + MODULE + END,
        is_refused=False,
    ),
    fetched(
        "many headers",
        lambda: (
            b"".join(pax(b"900000 comment=".ljust(899_999, b"a") + b"\n") + member(f"{n}") for n in range(20)) + END
        ),
        "headers",
    ),
    fetched("short headers", lambda: pax(b"6 a=b\n" * 150_000) + MODULE + END, is_refused=None),
    fetched("headers of no length", lambda: pax(b"0 a=b\n" * 100) + MODULE + END, "module.tar"),
    fetched("a long name of GNU", lambda: gnu_long_name(300) + member("a") + MODULE + END, "too long"),
    fetched("a longer name of GNU", lambda: gnu_long_name(2_000_000) + member("a") + MODULE + END, "headers"),
    fetched("names of names", lambda: gnu_long_name(10) * 3_000 + member("a") + MODULE + END, is_refused=None),
    fetched("a name of 300", lambda: pax(b"313 path=" + b"a" * 303 + b"\n") + member("a") + MODULE + END, "too long"),
    fetched(
        "folders in folders", lambda: pax(b"1212 path=" + b"a/" * 600 + b"b\n") + member("a") + MODULE + END, "too long"
    ),
    fetched(
        "a name with a zero", lambda: pax(b"16 path=a\0../b/c\n"[:17]) + member("a") + MODULE + END, is_refused=None
    ),
    fetched("a name of escapes", lambda: MODULE + member("../\x1b]0;title\x07\nzoo: ok") + END, "leads out"),
    fetched("an empty name", lambda: MODULE + member("") + END, is_refused=None),
    fetched("a dot", lambda: MODULE + member(".") + END, "twice"),
    fetched("a file and a folder", lambda: MODULE + member("a", b"1") + member("a/b", b"2") + END, "twice"),
    fetched("a folder and a file", lambda: MODULE + member("a/b", b"2") + member("a", b"1") + END, "twice"),
    fetched("a member twice", lambda: MODULE + member("saved_model.pb", b"other") + END, "twice"),
    fetched(
        "20,000 files",
        lambda: packed(MODULE + b"".join(member(f"{n}") for n in range(20_000)) + END),
        "10,000 files",
        suffix="tar.gz",
    ),
    fetched(
        "20,000 folders",
        lambda: packed(MODULE + member("d", type=tarfile.DIRTYPE) * 20_000 + END),
        "10,000 files",
        suffix="tar.gz",
    ),
    fetched("sparse", lambda: MODULE + member("s", type=tarfile.GNUTYPE_SPARSE) + END, "module.tar"),
    fetched(
        "sparse by header",
        lambda: (
            pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")
            + member("s", b"1\n0\n9999999\n".ljust(512, b"\0"))
            + END
        ),
        "module.tar",
    ),
    fetched("no module", lambda: member("readme", b"nothing") + END, "no SavedModel"),
    fetched("a damaged header", lambda: MODULE + flipped(member("v" * 90, b"1"), 5)[:100] + bytes(924), "module.tar"),
    *(
        fetched(f"a place {name}", lambda n=name: MODULE + member(PLACES[n], b"x") + END, "leads out")
        for name in PLACES
    ),
    *(
        fetched(
            f"{name} out",
            lambda n=name: (
                MODULE + member("l", type=LINKS[n], linkname="../../outside/precious") + member("l", b"x") + END
            ),
            "a link",
        )
        for name in LINKS
    ),
    *(
        fetched(
            name,
            lambda n=name: MODULE + member("k", type=KINDS[n]) + END,
            "module.tar",
            is_refused=None if name == "a strange kind" else True,
        )
        for name in KINDS
    ),
)


def special_module(place: Place) -> None:
    os.mkfifo(place.inside / "module.tar.gz")


# Arrays


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


X, Y = np.zeros((4, 40, 40), np.uint8), np.array([0, 1, 0, 1])
X[:] = np.random.default_rng(1).integers(0, 255, X.shape)
GOOD = {"x_train": X, "y_train": Y}


def zipped(packing=zipfile.ZIP_DEFLATED, **members):
    """An archive of members that are bytes, beside a good y_train."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
        label = io.BytesIO()
        np.save(label, Y)
        archive.writestr("y_train.npy", label.getvalue())
    return buffer.getvalue()


def npy(header, data=b"", version=1):
    text = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def described(shape, descr="'|u1'", order=False):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def with_field(content, place, kind, value, *, mark=b"PK\1\2"):
    """Changes a field of the first entry of an archive's directory."""
    data = bytearray(content)
    struct.pack_into(kind, data, data.find(mark) + place, value)
    return bytes(data)


def of_many_members(count):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.npy", b"")
    return buffer.getvalue()


def directory_of(size):
    """The directory of an archive of so many bytes, over and over the same entry."""
    entry = b"PK\1\2" + bytes(42)
    body = entry * (size // len(entry))
    return body + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65_535, 65_535, len(body), 0, 0)


class Marks:
    """What a pickle calls: it makes the marker."""

    def __reduce__(self):
        return (os.system, ("touch ../outside/marker",))


def arrays(name, data: Callable[[], bytes], says="x.npz", *, is_refused: bool | None = True):
    def make(place: Place) -> None:
        content = data()
        (place.inside / "x.npz").write_bytes(content)

    return Case(name=f"npz: {name}", make=make, words=("data", "check", "x.npz"), says=says, is_refused=is_refused)


OBJECTS = np.array([Marks()] * 4, dtype=object)
NPZ = (
    arrays("good", lambda: saved(**GOOD), "", is_refused=False),
    arrays(
        "2 GB of zeros",
        lambda: zipped(x_train=npy(described((50_000, 100, 100)), bytes(500_000_000))),
        "unpacks to more than",
    ),
    arrays(
        "a claim of 8 TB",
        lambda: zipped(x_train=npy(described((1 << 43, 1, 1)), b"1234")),
        "says 8,796,093,022,208 bytes",
    ),
    arrays("a claim beyond all", lambda: zipped(x_train=npy(described((10**30, 10**30, 3)))), "damaged header"),
    arrays("a negative side", lambda: zipped(x_train=npy(described((-4, -40, 40)), X.tobytes())), "damaged header"),
    arrays("no images of a huge size", lambda: zipped(x_train=npy(described((0, 1 << 40, 1 << 40)))), "damaged header"),
    arrays("no images of an endless size", lambda: zipped(x_train=npy(described((0, 10**30, 3)))), "damaged header"),
    arrays("a side of true", lambda: zipped(x_train=npy(described((True, 40, 40)), bytes(1600))), is_refused=None),
    arrays(
        "too few numbers",
        lambda: zipped(x_train=npy(described((4, 40, 40)), X.tobytes()[:-1])),
        "says 6,400 bytes and holds 6,399",
    ),
    arrays("too many numbers", lambda: zipped(x_train=npy(described((4, 40, 40)), X.tobytes() + b"1")), "holds 6,401"),
    arrays("objects", lambda: saved(x_train=OBJECTS, y_train=Y), "holds Python objects"),
    arrays("objects as labels", lambda: saved(x_train=X, y_train=OBJECTS), "holds Python objects"),
    arrays("objects as classes", lambda: saved(**GOOD, classes=OBJECTS[:2]), "holds Python objects"),
    arrays(
        "objects in a record",
        lambda: zipped(x_train=npy(described((4, 40, 40), "[('a', '|O')]"))),
        "holds Python objects",
    ),
    arrays("a pickle", lambda: zipped(x_train=b"cposix\nsystem\n(S'touch ../outside/marker'\ntR."), "not an array"),
    arrays("a text", lambda: zipped(x_train=b"hello"), "not an array"),
    arrays("nothing", lambda: zipped(x_train=b""), "not an array"),
    arrays(
        "a header of 4 GB",
        lambda: zipped(x_train=b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(100_000_000)),
        "a header of 4,294,967,295 bytes",
    ),
    arrays(
        "a header of 1 MB",
        lambda: zipped(x_train=npy(described((4, 40, 40)).ljust(1_000_000), X.tobytes(), 2)),
        "a header of 1,000,000 bytes",
    ),
    arrays("a nested header", lambda: zipped(x_train=npy("(" * 9_000)), "damaged header"),
    arrays(
        "a program as header",
        lambda: zipped(x_train=npy("__import__('os').system('touch ../outside/marker')\n")),
        "damaged header",
    ),
    arrays("a program as type", lambda: zipped(x_train=npy(described((4,), "__import__('os')"))), "damaged header"),
    arrays("an odd type", lambda: zipped(x_train=npy(described((4, 40, 40), "'q9'"), X.tobytes())), "damaged header"),
    arrays("a type of no size", lambda: zipped(x_train=npy(described((4, 40, 40), "'|S0'"))), "x.npz"),
    arrays("dates", lambda: saved(x_train=np.zeros((4, 40, 40), "M8[s]"), y_train=Y), "x_train"),
    arrays("complex", lambda: saved(x_train=X.astype("c8"), y_train=Y), "x_train"),
    arrays("infinite", lambda: saved(x_train=np.full(X.shape, np.inf), y_train=Y), "x_train"),
    arrays("NaN as labels", lambda: saved(x_train=X, y_train=np.full(4, np.nan)), "y_train"),
    arrays("version 3", lambda: zipped(x_train=npy(described((4, 40, 40)), X.tobytes(), 3)), "not an array"),
    arrays("version 9", lambda: zipped(x_train=npy(described((4, 40, 40)), X.tobytes(), 9)), "not an array"),
    arrays("encrypted", lambda: with_field(saved(**GOOD), 8, "<H", 1), "is encrypted"),
    arrays("method 99", lambda: with_field(saved(**GOOD), 10, "<H", 99), "method 99"),
    arrays("LZMA", lambda: zipped(zipfile.ZIP_LZMA, x_train=npy(described((4, 40, 40)), X.tobytes())), "method 14"),
    arrays("bzip2", lambda: zipped(zipfile.ZIP_BZIP2, x_train=npy(described((4, 40, 40)), X.tobytes())), "method 12"),
    arrays("a wrong sum", lambda: with_field(saved(**GOOD), 16, "<I", 7), "Bad CRC"),
    arrays("a larger size", lambda: with_field(saved(**GOOD), 24, "<I", 1 << 30), "is cut off"),
    arrays("a far place", lambda: with_field(saved(**GOOD), 42, "<I", 1 << 30)),
    arrays("100,000 members", lambda: of_many_members(100_000), "a directory of more than"),
    arrays("a directory of 30 MB", lambda: directory_of(30_000_000), "a directory of more than"),
    arrays("an archive in it", lambda: zipped(x_train=saved(**GOOD)), "not an array"),
    arrays("a gap", lambda: (w := saved(**GOOD))[:100] + w[400:]),
    arrays("no archive", lambda: b"PK" * 5_000, "not an .npz archive"),
    arrays("empty", bytes, "not an .npz archive"),
    arrays("other keys", lambda: saved(a=X, b=Y), "has no 'x_train'"),
    arrays(
        "a long text as a label",
        lambda: zipped(
            x_train=npy(described((4, 40, 40)), X.tobytes()),
            classes=npy(described((1,), "'<U25000000'"), bytes(100_000_000)),
        ),
        is_refused=None,
    ),
    *(arrays(f"cut at {n} %", lambda n=n: (w := saved(**GOOD))[: len(w) * n // 100]) for n in (10, 50, 90, 99)),
    *(arrays(f"flipped {n}", lambda n=n: flipped(saved(**GOOD), n), "", is_refused=None) for n in range(10)),
)


def idx(shape, data, kind=8):
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + data


IMAGES, LABELS = idx((4, 40, 40), X.tobytes()), idx((4,), bytes([0, 1, 0, 1]))


def mnist(name, images: Callable[[], bytes], says="train-images", *, suffix=".gz", is_refused: bool | None = True):
    def make(place: Place) -> None:
        folder = place.inside / "mnist"
        folder.mkdir()
        (folder / "train-labels-idx1-ubyte").write_bytes(LABELS)
        (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(images())

    return Case(name=f"idx: {name}", make=make, words=("data", "check", "mnist"), says=says, is_refused=is_refused)


def broken_sum():
    whole = bytearray(gzip.compress(IMAGES))
    whole[-6] ^= 1
    return bytes(whole)


IDX = (
    mnist("good", lambda: gzip.compress(IMAGES), "", is_refused=False),
    mnist("a wrong sum", broken_sum, "incorrect data check"),
    mnist("a text behind it", lambda: gzip.compress(IMAGES) + b"more", "is damaged"),
    mnist("cut off", lambda: gzip.compress(IMAGES)[:-4], "cut off"),
    mnist("more numbers", lambda: gzip.compress(IMAGES + b"1"), "more follow it"),
    mnist("far more numbers", lambda: gzip.compress(IMAGES + bytes(600_000_000)), "more follow it"),
    mnist("a claim", lambda: gzip.compress(idx((1 << 31, 1 << 31, 9), b"")), "too short"),
    mnist("a claim of 300 MB", lambda: gzip.compress(idx((300, 1000, 1000), bytes(300_000_000))), "train-images"),
    mnist("another type", lambda: gzip.compress(idx((4, 40, 40), bytes(51_200), 13)), "begins with 00000d03"),
    mnist("no images of a huge size", lambda: gzip.compress(idx((0, 0xFC0876F8, 0xFFFA8700), b"")), "too short"),
    mnist("no pack", lambda: IMAGES, "is damaged"),
    mnist("a claim, not packed", lambda: idx((1 << 31, 1 << 31, 9), b""), "too short", suffix=""),
    mnist("empty", bytes, "is empty"),
    mnist("a long name of the pack", lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 30_000_000),
    mnist("nothing packed", lambda: gzip.compress(b""), "begins with nothing"),
    *(
        mnist(f"flipped {n}", lambda n=n: flipped(gzip.compress(IMAGES, mtime=0), n), "", is_refused=None)
        for n in range(6)
    ),
)

SPECIAL = (
    Case(name="module: a pipe itself", make=special_module, words=MODULES[0].words, says="a named pipe"),
    Case(
        name="npz: a pipe itself",
        make=lambda place: os.mkfifo(place.inside / "x.npz"),
        words=("data", "check", "x.npz"),
    ),
    Case(
        name="npz: a device itself",
        make=lambda place: (place.inside / "x.npz").symlink_to("/dev/zero"),
        words=("data", "check", "x.npz"),
    ),
)
CASES = (*MODULES, *NPZ, *IDX, *SPECIAL)
QUICK = ("module: whole", "module: a flipped sum 0", "npz: objects", "npz: a claim of 8 TB", "idx: a wrong sum")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in QUICK], ids=name_of)
def test_hostile_archives_are_refused_or_rightly_taken(case, tried):
    assert tried(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.name not in QUICK], ids=name_of)
def test_more_hostile_archives_are_refused_or_rightly_taken(case, tried):
    assert tried(case) == []


def test_no_case_is_there_twice():
    assert len({case.name for case in CASES}) == len(CASES)
