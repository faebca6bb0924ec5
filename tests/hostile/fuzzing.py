"""Coverage-guided fuzzing of the readers of our own: what a reader may raise is listed, anything else is a fault.

    python -m tests.hostile.fuzzing checkpoint --seconds 600

With `pip install 'zoo[fuzz]'` it is atheris that finds new inputs by what they reach; without it, inputs that are known
are changed at random. A fault is written down as a file `crash-...` in the current folder.
"""

import argparse
import gzip
import io
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 1 << 16


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        read: Is given bytes; raises only what a caller expects.
        seeds: Gives inputs to begin with.
        modules: Whose branches count.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    modules: list[str] = field(default_factory=list[str])


def read_checkpoint(data: bytes) -> None:
    from zoo.errors import WeightsError
    from zoo.foreign.torch_checkpoint import read_checkpoint

    with suppress(WeightsError):
        read_checkpoint(data, "x.pth")


def checkpoints() -> list[bytes]:
    from tests.foreign.test_torch_checkpoint import checkpoint, state_dict, tensor

    return [checkpoint(state_dict(w=tensor())), checkpoint(state_dict(a=tensor((3, 2), (1, 3)), b=tensor((), ())))]


def read_gzip(data: bytes) -> None:
    from zoo.foreign.gzip_stream import GzipError, unpacked

    with suppress(GzipError):
        for _ in unpacked(io.BytesIO(data), limit=1 << 22):
            pass


def read_tar(data: bytes) -> None:
    from zoo.errors import WeightsError
    from zoo.foreign import archives

    folder = Path(tempfile.mkdtemp(dir=SHARED))
    try:
        (folder / "x.tar").write_bytes(data)
        before = set(SHARED.iterdir())
        with suppress(WeightsError):
            archives.unpack(folder / "x.tar", folder / "inside")
        assert {path.name for path in folder.iterdir()} <= {"x.tar", "inside"}
        assert set(SHARED.iterdir()) == before
    finally:
        shutil.rmtree(folder)


SHARED = Path(tempfile.gettempdir())


def tars() -> list[bytes]:
    from tests.hostile.test_archives import END, MODULE, gnu_long_name, member, pax

    return [MODULE + END, pax(b"12 path=a/b\n") + member("c") + END, gnu_long_name(99) + member("a", b"1") + END]


def read_image(data: bytes) -> None:
    from zoo.data.images.decoding import decode
    from zoo.data.images.facts import BadImageError
    from zoo.data.images.pillow import quiet_pillow

    with quiet_pillow():
        for white in (0, 4095):
            try:
                image, facts = decode(data, side=16, white=white)
            except BadImageError as fault:
                assert str(fault)
            else:
                assert image.mode in ("L", "RGB") and facts.format and not facts.reason


def images() -> list[bytes]:
    from tests.hostile.image_files import DAMAGED, ODD

    return [content for file in (*ODD, *DAMAGED) if len(content := file.content()) < LARGEST]


def check_image(data: bytes) -> None:
    from zoo.data.images.content import check_content, name_content
    from zoo.data.images.pillow import quiet_pillow
    from zoo.data.images.structure import NoPixelsError

    file = io.BytesIO(data)
    with quiet_pillow(), suppress(NoPixelsError):
        assert name_content(check_content(file), file)


def read_npz(data: bytes) -> None:
    from zoo.foreign.npz_archives import NpzArchive
    from zoo.foreign.zip_archives import ZipError, open_zip

    with suppress(ZipError):
        archive = NpzArchive(open_zip(io.BytesIO(data)), 1 << 20)
        for name in archive:
            with suppress(ZipError):
                assert archive[name].nbytes <= 1 << 20


def archives_of_arrays() -> list[bytes]:
    from tests.hostile.test_archives import GOOD, X, Y, saved

    small = {"x_train": X[:, :5, :5], "y_train": Y}
    return [saved(**small), saved(**small, classes=["a", "b"]), saved(**{**GOOD, "x_train": X[:2].astype("f4")})]


def read_idx(data: bytes) -> None:
    from zoo.data.sources.arrays import read_idx
    from zoo.errors import DataError

    folder = Path(tempfile.mkdtemp(dir=SHARED))
    try:
        is_packed = data[:1] == b"\x1f"
        (folder / f"train-images-idx3-ubyte{'.gz' if is_packed else ''}").write_bytes(data)
        (folder / "train-labels-idx1-ubyte").write_bytes(LABELS)
        with suppress(DataError):
            read_idx(folder)
    finally:
        shutil.rmtree(folder)


LABELS = bytes((0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1))


def idx_files() -> list[bytes]:
    from tests.hostile.test_archives import X, idx

    whole = idx((4, 5, 5), X[:, :5, :5].tobytes())
    return [whole, gzip.compress(whole)]


def read_recipe(data: bytes) -> None:
    from zoo.errors import ZooError
    from zoo.recipe.loading import load_recipe

    path = SHARED / f"fuzzed-{id(SHARED)}.toml"
    path.write_bytes(data)
    with suppress(ZooError):
        load_recipe(path)


def recipes() -> list[bytes]:
    folder = Path(__file__).parents[2] / "recipes"
    return [path.read_bytes() for path in sorted(folder.rglob("*.toml"))]


def locate_keys(data: bytes) -> None:
    import tomllib

    from zoo.foreign.toml_documents import TooMuchError, refuse_too_much
    from zoo.recipe.toml.line_numbers import key_lines

    text = data.decode("utf-8", "replace")
    try:
        refuse_too_much(text)
        tomllib.loads(text)
    except (TooMuchError, ValueError):
        return  # the locator is given valid documents within the limits
    assert all(line >= 1 for line in key_lines(text).values())


def read_document(data: bytes) -> None:
    from zoo.errors import ZooError
    from zoo.system.integrity.manifests import read_manifest
    from zoo.system.sealing import DamagedDocumentError, parse_document

    with suppress(DamagedDocumentError):
        parse_document(data)
    folder = Path(tempfile.mkdtemp(dir=SHARED))
    try:
        (folder / "manifest.json").write_bytes(data)
        with suppress(ZooError):
            read_manifest(folder)
    finally:
        shutil.rmtree(folder)


def documents() -> list[bytes]:
    import json

    from zoo.system.sealing import sealed

    document = {"schema": 1, "kind": "manifest", "sha256": {"a/b": "0" * 64}, "bytes": {"a/b": 7}}
    return [sealed(document).encode(), json.dumps(document).encode(), b'{"schema": [[[1e400, NaN, "\\ud800"]]]}']


TARGETS = {
    "checkpoint": Target(read_checkpoint, checkpoints, ["zoo.foreign.torch_checkpoint", "pickletools"]),
    "gzip": Target(read_gzip, lambda: [gzip.compress(b"abc" * 9), *tars()], ["zoo.foreign.gzip_stream"]),
    "tar": Target(read_tar, tars, ["zoo.foreign.archives", "tarfile"]),
    "image": Target(read_image, images, ["zoo.data.images"]),
    "structure": Target(check_image, images, ["zoo.data.images.structure", "zoo.data.images.content"]),
    "npz": Target(read_npz, archives_of_arrays, ["zoo.foreign.npz_archives", "zoo.foreign.zip_archives", "zipfile"]),
    "idx": Target(read_idx, idx_files, ["zoo.data.sources.arrays", "zoo.foreign.gzip_stream"]),
    "recipe": Target(read_recipe, recipes, ["zoo.recipe"]),
    "toml": Target(locate_keys, recipes, ["zoo.recipe.toml"]),
    "document": Target(read_document, documents, ["zoo.system.sealing", "zoo.system.integrity.manifests"]),
}


def changed(data: bytes, chance: random.Random) -> bytes:
    """Changes an input here and there."""
    found = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place, kind = chance.randrange(len(found) or 1), chance.randrange(5)
        if kind == 0 and found:
            found[place % len(found)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            found[place:place] = chance.randbytes(chance.choice((1, 2, 4, 8)))
        elif kind == 2:
            del found[place : place + chance.choice((1, 2, 4, 64))]
        elif kind == 3 and found:
            found[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\x80")
            )
        else:
            found += found[place : place + chance.randrange(64)]
    return bytes(found[:LARGEST])


def at_random(target: Target, seconds: float) -> int:
    """Tries inputs that are changed at random; returns how many."""
    chance, seeds, tried = random.Random(1), target.seeds(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = chance.choice(seeds)
        data = data if tried < len(seeds) else changed(data, chance)
        try:
            target.read(data)
        except BaseException:
            Path("crash-at-random").write_bytes(data)
            raise
        tried += 1
    return tried


def by_coverage(name: str, seconds: float) -> None:
    """Lets atheris look for inputs; ends the process, with an exit code other than 0 where there is a fault."""
    import atheris

    target = TARGETS[name]
    with atheris.instrument_imports(include=target.modules):
        target.read(b"")
    seeds = Path(tempfile.mkdtemp())
    for number, seed in enumerate(target.seeds()):
        (seeds / str(number)).write_bytes(seed)
    limits = [f"-max_total_time={seconds:.0f}", f"-max_len={LARGEST}", "-timeout=20", "-rss_limit_mb=2500"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(seeds)], target.read)
    atheris.Fuzz()


def main() -> None:
    """Runs a target for a while."""
    asked = argparse.ArgumentParser(prog="python -m tests.hostile.fuzzing", description=__doc__)
    asked.add_argument("target", choices=TARGETS)
    asked.add_argument("--seconds", type=float, default=60)
    found = asked.parse_args()
    try:
        import atheris as _  # noqa: F401
    except ImportError:
        print(f"{found.target}: tried {at_random(TARGETS[found.target], found.seconds):,} inputs at random")
    else:
        by_coverage(found.target, found.seconds)


if __name__ == "__main__":
    main()
