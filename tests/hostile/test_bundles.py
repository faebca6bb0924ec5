"""Bundles that somebody built to harm who opens them, through the commands that take one."""

import io
import json
import os
import stat
import zipfile
from collections.abc import Callable

import pytest

from tests.hostile.cases import Case, Place, name_of
from tests.shelves.bundles.made import FILES, MARK, entries, zipped
from zoo.recipe.loading import load_recipe
from zoo.shelves.bundles.archive import MOST_BYTES

FINETUNE = ("finetune", "a.zip", "--data", "photos")
VERIFY = ("verify", "a.zip")
SHOW = ("recipe", "show", "a.zip")
WEIGHTS = "weights/net.h5"


def warm_up():
    load_recipe("quickstart", against_card=True)


def archive(content: Callable[[Place], bytes]) -> Callable[[Place], None]:
    """Writes `a.zip`, and a folder of photos."""

    def write(place: Place) -> None:
        (place.inside / "photos").mkdir()
        (place.inside / "a.zip").write_bytes(content(place))

    return write


def named(name: str, *, mode: int = 0) -> Callable[[Place], bytes]:
    """A bundle with one more entry, whose name is written as it is."""

    def content(place: Place) -> bytes:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name.replace("OUTSIDE", str(place.outside))
        entry.create_system, entry.external_attr = 3, mode << 16
        return zipped([*entries(), (entry, str(place.marker).encode())])

    return content


def packed(_: Place) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made, made.open("bundle.json", "w") as file:
        for _piece in range(100):
            file.write(bytes(1_000_000))
    return buffer.getvalue()


def with_file(name: str, content: bytes) -> Callable[[Place], bytes]:
    """A bundle that is whole, with this file in place of another."""
    return lambda _: zipped(entries(FILES | {name: content}))


def sparse(place: Place) -> None:
    """A file as large as no bundle, that begins and ends as one and takes no room."""
    (place.inside / "photos").mkdir()
    with (place.inside / "a.zip").open("wb") as file:
        file.write(zipped(entries())[:60])
        file.truncate(MOST_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(MARK + b"0" * 64)


def pipe(place: Place) -> None:
    (place.inside / "photos").mkdir()
    os.mkfifo(place.inside / "a.zip")


def refused(name: str, make: Callable[[Place], bytes], says: str) -> tuple[Case, ...]:
    """A case for each command that opens a bundle."""
    verbs = (FINETUNE, VERIFY, SHOW)
    return tuple(Case(name=f"{name}: {words[0]}", make=archive(make), words=words, says=says) for words in verbs)


DEEP = b'{"schema": 1, "kind": "receipt", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
MANY = json.dumps({"files": dict.fromkeys(map(str, range(300_000)), 1)}).encode()
CASES = (
    *refused("a name that leads up", named("../outside/marker"), "file name '../outside/marker' is not allowed"),
    *refused("an absolute name", named("OUTSIDE/marker"), "is not allowed; expected letters"),
    *refused("a name that moves the cursor", named("a\x1b[2J\x1b]0;title\x07"), "is not allowed; expected letters"),
    *refused("a link", named(WEIGHTS, mode=stat.S_IFLNK | 0o777), "is a link, a folder or a device"),
    *refused("a device", named(WEIGHTS, mode=stat.S_IFCHR | 0o666), "is a link, a folder or a device"),
    *refused("a bomb of 100 MB", packed, "its entry 'bundle.json' is packed; expected all of them stored"),
    *refused(
        "100,000 entries",
        lambda _: zipped([*entries(), *((f"f{number:06d}", b"") for number in range(100_000))]),
        "has a directory of more than 1,048,576 bytes",
    ),
    *refused(
        "a recipe of 15 MB",
        with_file("recipe.toml", b"a = 1\n" * 2_500_000),
        "",
    )[::2],
    *refused("a manifest of brackets", lambda _: zipped([("bundle.json", b"[" * 3_000_000)]), "nested too deeply"),
    Case(
        name="a receipt of brackets", make=archive(with_file("receipt.json", DEEP)), words=VERIFY, says="receipt.json: "
    ),
    Case(name="a sparse file", make=sparse, words=VERIFY, says="expected at most 42,949,672,960"),
    Case(name="a sparse file to train on", make=sparse, words=FINETUNE, says="expected at most 42,949,672,960"),
    Case(name="a pipe", make=pipe, words=SHOW),
    Case(name="a pipe to train on", make=pipe, words=FINETUNE),
    Case(
        name="a manifest of 300,000 files",
        make=archive(
            lambda _: zipped(
                [("bundle.json", json.dumps({"files": dict.fromkeys(map(str, range(300_000)), 1)}).encode())]
            )
        ),
        words=SHOW,
        says="bundle.json",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_hostile_bundles_are_refused(case, tried):
    assert tried(case) == []
