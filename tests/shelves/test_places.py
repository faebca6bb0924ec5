"""What every place of a shelf does, on the file systems that need no server; and shelves of packages."""

import hashlib
import sys
import uuid

import pytest

from tests.shelves.conftest import FILES, METADATA, RECIPE
from zoo.errors import NotFoundError
from zoo.shelves.configured import add_shelf
from zoo.shelves.faults import ShelfError
from zoo.shelves.places.filesystem import FileSystemPlace
from zoo.shelves.places.folder import FolderPlace
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf, shelf_names


@pytest.fixture(params=["folder", "memory"])
def place(request, root):
    return FolderPlace(root) if request.param == "folder" else FileSystemPlace(f"memory://{uuid.uuid4().hex}/shelf")


def test_a_file_is_made_once_and_never_changed(place):
    assert place.create("recipes/pets/1.json", b"one")
    assert not place.create("recipes/pets/1.json", b"two")
    assert place.read("recipes/pets/1.json", limit=10) == b"one"


def test_documents_are_listed_by_number_and_nothing_else_is(place):
    for path in ("2.json", "10.json", "01.json", "x.json", "3.txt", "-4.json", "5.json.tmp"):
        place.create(f"recipes/pets/{path}", b"")
    place.create("recipes/birds/1.json", b"")
    assert place.documents() == [("birds", 1), ("pets", 2), ("pets", 10)]
    assert place.documents("pets") == [("pets", 2), ("pets", 10)]
    assert place.documents("cats") == []


def test_a_file_by_its_content_is_put_once(place):
    sha256 = hashlib.sha256(RECIPE).hexdigest()
    for _ in range(2):
        place.put(f"objects/sha256/{sha256[:2]}/{sha256}", RECIPE, sha256=sha256)
    assert b"".join(place.stream(f"objects/sha256/{sha256[:2]}/{sha256}", size=len(RECIPE))) == RECIPE


def test_a_file_is_replaced_whole(place):
    for content in (b"one", b"two"):
        place.replace("index.json", content)
        assert place.read("index.json", limit=3) == content


def test_more_than_the_limit_is_refused(place):
    place.create("recipes/pets/1.json", b"12345")
    with pytest.raises(ShelfError, match="holds 5 bytes; expected at most 4"):
        place.read("recipes/pets/1.json", limit=4)


def test_what_is_not_there_is_not_found(place):
    with pytest.raises(FileNotFoundError):
        place.read("recipes/pets/1.json", limit=4)


def test_a_folder_without_hard_links_has_each_name_once_too(root, monkeypatch):
    def refused(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    place = FolderPlace(root)
    assert place.create("recipes/pets/1.json", b"one")
    assert not place.create("recipes/pets/1.json", b"two")
    assert place.read("recipes/pets/1.json", limit=10) == b"one"


def test_what_a_killed_push_left_goes_after_an_hour(root):
    import os
    import time

    place = FolderPlace(root)
    place.create("recipes/pets/1.json", b"one")
    (root / ".incoming/old").write_bytes(b"half")
    (root / ".incoming/new").write_bytes(b"half")
    os.utime(root / ".incoming/old", (time.time() - 3700,) * 2)
    place.create("recipes/pets/2.json", b"two")
    assert [path.name for path in (root / ".incoming").glob("[!l]*")] == ["new"]


def test_a_shelf_in_memory_is_pushed_to_and_pulled_from(user):
    add_shelf("scratch", f"memory://{uuid.uuid4().hex}/shelf")
    for _ in range(2):
        open_shelf("scratch").publish("pets", FILES, METADATA)
    found = pull("scratch/pets")
    assert (found.version.number, (found.path / "recipe.toml").read_bytes()) == (2, RECIPE)


def install(site, name, recipes):
    """Makes an installed package that brings a shelf; running any of it would fail."""
    package = site / f"{name}_recipes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('a recipe is data')")
    for file, content in recipes.items():
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_bytes(content)
    info = site / f"{name}_recipes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-recipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo.recipes]\n{name} = {name}_recipes\n")


def test_a_package_of_plain_files_is_a_shelf(user, tmp_path, monkeypatch):
    install(tmp_path / "site", "acme", {"pets.toml": RECIPE + b'description = "Of Acme."\n', "README.md": b""})
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert "acme" in shelf_names()
    (version,) = open_shelf("acme").versions()
    assert (version.reference, version.metadata.description) == ("acme/pets@1", "Of Acme.")
    assert (pull("acme/pets").path / "recipe.toml").read_bytes().startswith(RECIPE)
    with pytest.raises(ShelfError, match="package acme_recipes: a package is only read"):
        open_shelf("acme").publish("pets", FILES, METADATA)
    # A later release of the package may say something else.
    (tmp_path / "site/acme_recipes/pets.toml").write_bytes(RECIPE)
    assert (pull("acme/pets").path / "recipe.toml").read_bytes() == RECIPE


def test_a_plain_file_that_is_beyond_a_recipe_is_listed_without_what_it_says(user, tmp_path, monkeypatch):
    said = b'description = "Of Acme."\n'
    deep = said + b"a." * 5_000 + b"a = 1\n"
    install(tmp_path / "site", "acme", {"deep.toml": deep, "nested.toml": said + b"a = " + b"[" * 100_000})
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    listed = [(one.reference, one.metadata.description) for one in open_shelf("acme").versions()]
    assert listed == [("acme/deep@1", ""), ("acme/nested@1", "")]


def test_a_package_of_versions_is_a_shelf(vision, root, tmp_path, monkeypatch):
    for _ in range(2):
        vision.publish("pets", FILES, METADATA)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    install(tmp_path / "site", "acme", files)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert [one.reference for one in open_shelf("acme").versions()] == ["acme/pets@1", "acme/pets@2"]
    assert (pull("acme/pets@1").path / "recipe.toml").read_bytes() == RECIPE
    with pytest.raises(ShelfError, match="a package is only read"):
        open_shelf("acme").publish("pets", FILES, METADATA)


def test_a_package_that_is_gone_is_named(user, tmp_path, monkeypatch):
    install(tmp_path / "site", "acme", {})
    (tmp_path / "site/acme_recipes/__init__.py").unlink()
    (tmp_path / "site/acme_recipes").rmdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    with pytest.raises((ShelfError, NotFoundError), match="shelf 'acme': package acme_recipes has no folder"):
        open_shelf("acme")
