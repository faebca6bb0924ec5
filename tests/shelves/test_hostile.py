"""A shelf that somebody made to do harm: each is refused or bounded, in one line, with nothing left behind."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.memory import peak, peak_from_now
from tests.shelves.conftest import FILES, METADATA
from zoo.errors import ContractError, ZooError
from zoo.shelves.faults import ShelfError
from zoo.shelves.index import write_index
from zoo.shelves.pulling import pull
from zoo.shelves.versions import FileRecord, VersionDocument, read_version
from zoo.system.sealing import sealed

ROOT = Path(__file__).parents[2]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def document(**changed):
    whole = VersionDocument(
        name="pets",
        version=1,
        published="2026-01-01T00:00:00Z",
        files={"recipe.toml": FileRecord(sha256=EMPTY, size=0)},
    ).to_json()
    return {"schema": 1, "kind": "version", **whole, **changed}


def test_a_whole_document_is_read():
    assert read_version("vision", sealed(document()).encode(), "here").identity.startswith("pets@sha256:")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"files": {"../../.bashrc": {"sha256": EMPTY, "size": 0}}}, r"file name '\.\./\.\./\.bashrc' is not allowed"),
        ({"files": {"/etc/passwd": {"sha256": EMPTY, "size": 0}}}, "file name '/etc/passwd' is not allowed"),
        ({"files": {"a\\..\\b": {"sha256": EMPTY, "size": 0}}}, "is not allowed"),
        ({"files": {"\x1b[2J": {"sha256": EMPTY, "size": 0}}}, r"file name '\\x1b\[2J' is not allowed"),
        ({"files": {"x": {"sha256": "../../x", "size": 0}}}, r"files\.x has no SHA-256 or size"),
        ({"files": {"x": {"sha256": EMPTY, "size": -1}}}, r"files\.x has no SHA-256 or size"),
        ({"files": {"x": {"sha256": EMPTY, "size": 10**13}}}, "its files have 10,000,000,000,000 bytes; expected at"),
        ({"files": {"x": {"sha256": EMPTY, "size": "0"}}}, r"files\.x\.size is '0'; expected a whole number"),
        ({"files": {}}, "lists 0 files"),
        ({"files": {f"{n}": {"sha256": EMPTY, "size": 0} for n in range(1001)}}, "lists 1,001 files"),
        ({"name": "../pets"}, "name '../pets' is not allowed"),
        ({"version": 0}, "version is 0; expected a number from 1"),
        ({"version": True}, "version is True; expected a whole number"),
        ({"schema": 2}, "schema is 2; expected 1; use a newer zoo"),
        ({"kind": "lock"}, "is not a sealed document of a version"),
        ({"metadata": {"description": 3}}, r"metadata\.description is 3; expected text"),
        ({"metadata": {"description": "x" * 300_000}}, "expected at most 256,000"),
    ],
)
def test_a_hostile_document_is_refused_by_what_is_wrong_with_it(changed, said):
    with pytest.raises(ContractError, match=said) as refused:
        read_version("vision", sealed(document(**changed)).encode(), "here")
    assert str(refused.value).startswith("here: ")
    assert "\n" not in str(refused.value)


def test_a_document_without_its_seal_is_refused():
    with pytest.raises(ContractError, match="is not a sealed document of a version"):
        read_version("vision", json.dumps(document()).encode(), "here")
    with pytest.raises(ContractError, match="was changed after it was written"):
        read_version("vision", sealed(document()).replace('"pets"', '"cats"').encode(), "here")


def test_a_document_in_anothers_place_is_refused(vision, root):
    vision.publish("pets", FILES, METADATA)
    (root / "recipes/pets/2.json").write_bytes((root / "recipes/pets/1.json").read_bytes())
    with pytest.raises(ContractError, match=r"recipes/pets/2\.json: is that of pets@1"):
        pull("vision/pets")


def test_an_endless_index_is_refused_before_it_is_read(vision, server, root):
    from zoo.shelves.configured import add_shelf
    from zoo.shelves.shelf import open_shelf

    with (root / "index.json").open("wb") as file:
        file.truncate(10**12)
    add_shelf("web", server.url)
    with pytest.raises(ShelfError, match=r"index\.json: sends 1,000,000,000,000 bytes; expected at most 48,000,000"):
        open_shelf("web").versions()


MEASURED = """
import sys
from tests.memory import peak
from zoo.errors import ZooError
from zoo.shelves.index import list_versions
from zoo.shelves.places.http import HttpPlace
try:
    list_versions(HttpPlace(sys.argv[1]), "web")
except ZooError as fault:
    print(fault)
print(peak())
"""


@pytest.mark.parametrize("value", ["[],", "[" * 500 + "]" * 500 + ","], ids=["flat", "deep"])
def test_an_index_of_small_values_does_not_fill_the_memory(value, vision, server, root):
    nested = "[" + value * (200_000 // len(value)) + "0]"
    one = sealed(document(metadata={"more": json.loads(nested)}), indent=None)
    count = 45_000_000 // len(one)
    (root / "index.json").write_text(
        sealed({"schema": 1, "kind": "index", "versions": [one] * count}, indent=None), encoding="utf-8"
    )
    told = subprocess.run(
        [sys.executable, "-c", MEASURED, server.url], capture_output=True, text=True, check=True, timeout=300, cwd=ROOT
    )
    said, most = told.stdout.splitlines()
    assert said == f"{server.url}: its documents hold more than 3,000,000 values; part the shelf"
    assert int(most) < 500_000_000


def test_a_link_out_of_the_shelf_is_not_followed(vision, root, tmp_path):
    vision.publish("pets", FILES, METADATA)
    (root / "recipes/pets").rename(tmp_path / "elsewhere")
    (root / "recipes/pets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ShelfError, match="recipes/pets: is a symbolic link; expected a folder"):
        pull("vision/pets")


def make_versions(vision, root, count):
    first = vision.publish("pets", FILES, METADATA)
    for number in range(2, count + 1):
        text = sealed({"schema": 1, "kind": "version", **dataclasses.replace(first.document, version=number).to_json()})
        (root / f"recipes/pets/{number}.json").write_text(text)


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_versions_are_listed_in_bounded_time(count, vision, root, server):
    from zoo.shelves.configured import add_shelf
    from zoo.shelves.shelf import open_shelf

    make_versions(vision, root, count)
    write_index(vision.place, "vision")
    add_shelf("web", server.url)
    before = peak_from_now()
    for name in ("vision", "web"):
        began = time.process_time()
        assert len(open_shelf(name).versions()) == count
        assert time.process_time() - began < 10
        assert pull(f"{name}/pets").version.number == count
    assert peak() - before < 500_000_000


def test_more_versions_than_are_listed_are_refused(vision, root, monkeypatch):
    monkeypatch.setattr("zoo.shelves.places.place.MOST_VERSIONS", 20)
    make_versions(vision, root, 21)
    with pytest.raises(ShelfError, match="holds more than 20 versions, which are not listed; part the shelf"):
        vision.versions()


def test_every_fault_is_one_that_zoo_explains(vision, root):
    vision.publish("pets", FILES, METADATA)
    path = root / "recipes/pets/1.json"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 331):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        with pytest.raises(ZooError, match=r"recipes/pets/1\.json"):
            vision.versions("pets")
