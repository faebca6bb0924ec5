"""`zoo.verify` of a bundle: every hash, who signed, and every flipped bit."""

import hashlib
import json
import zipfile

import pytest

import zoo
from tests.sharing.made import flips
from tests.shelves.bundles.made import FILES, entries, write, zipped
from zoo.sharing.bundles.composing import bundle_of_contents, contents_of, signed_bundle
from zoo.sharing.publishing import compose, signed
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key, load_private_key


@pytest.fixture
def keys(tmp_path):
    for name in ("team", "other"):
        generate_key(tmp_path / f"{name}.key")
    return tmp_path


@pytest.fixture
def path(tmp_path, trained):
    bundle_of_contents(contents_of(trained.run)).write(tmp_path / "tiny.zip")
    return tmp_path / "tiny.zip"


def test_a_whole_bundle_is_whole_and_unsigned(path):
    found = zoo.verify(path)
    assert (found.is_whole, found.what, found.path, found.signature) == (True, "bundle", path, "unsigned")
    with zipfile.ZipFile(path) as archive:
        assert found.files == len(archive.namelist())
        assert found.bytes == sum(one.file_size for one in archive.infolist())


def test_a_signed_one_says_by_whom_and_another_key_is_a_fault(keys, trained):
    key = load_private_key(keys / "team.key")
    ours = signed_bundle(bundle_of_contents(contents_of(trained.run)), key)
    ours.write(keys / "a.zip")
    assert zoo.verify(keys / "a.zip").signature == f"signed by key {ours.signed_by}"
    found = zoo.verify(keys / "a.zip", keys=[keys / "team.key.pub"])
    assert (found.is_whole, found.signature) == (True, f"signed by key {ours.signed_by} ({keys / 'team.key.pub'})")
    found = zoo.verify(keys / "a.zip", keys=[keys / "other.key.pub"])
    assert found.signature == "altered, or signed by another key"
    assert "is signed by key" in found.faults[0].reason


def test_an_unsigned_one_is_a_fault_where_a_key_is_demanded(path, keys):
    (fault,) = zoo.verify(path, keys=[keys / "team.key.pub"]).faults
    assert fault.reason == f"is unsigned; expected a signature by {keys / 'team.key.pub'}"


def test_a_file_that_was_replaced_and_sealed_anew_is_not_what_was_signed(keys, trained):
    ours = signed_bundle(bundle_of_contents(contents_of(trained.run)), load_private_key(keys / "team.key"))
    ours.write(keys / "a.zip")
    with zipfile.ZipFile(keys / "a.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["README.md"] = b"# another\n"
    values = json.loads(files["bundle.json"])
    values.pop("seal")
    values["files"]["README.md"] = {"sha256": hashlib.sha256(b"# another\n").hexdigest(), "size": 10}
    text = json.dumps(values | {"seal": "0" * 64})
    files["bundle.json"] = text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest())
    write(keys / "b.zip", zipped(files.items()))
    (fault,) = zoo.verify(keys / "b.zip").faults
    assert "the signature of key" in fault.reason
    assert "does not hold; a file was altered, added or removed" in fault.reason


def test_who_signed_the_version_in_it_is_said(keys, trained, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(keys / name))
    (keys / "shelf").mkdir()
    add_shelf("vision", str(keys / "shelf"))
    made = signed(compose(trained.run), load_private_key(keys / "team.key"))
    open_shelf("vision").publish("bands", made.files, made.metadata)
    bundle_of_contents(contents_of("vision/bands")).write(keys / "a.zip")
    by = made.metadata["signed_by"]
    assert zoo.verify(keys / "a.zip").signature == f"unsigned; in it, bands@1 is signed by key {by}"
    assert not zoo.verify(keys / "a.zip", keys=[keys / "team.key.pub"]).is_whole  # weights and packages are not


def test_a_receipt_of_another_recipe_is_a_fault(trained, tmp_path):
    made = bundle_of_contents(contents_of(trained.run))
    files = {name: one if isinstance(one, bytes) else one.read_bytes() for name, one in made.files.items()}
    files["recipe.toml"] = FILES["recipe.toml"]
    (fault,) = zoo.verify(write(tmp_path / "a.zip", zipped(entries(files)))).faults
    assert fault.reason == "recipe.toml is not the one that lock.json lists; get it again"


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_flipped_bit_of_a_bundle_of_a_run_is_noticed(path, tmp_path, count):
    content = path.read_bytes()
    assert zoo.verify(path).is_whole
    missed = [
        place
        for place, changed in flips(content, count)
        if zoo.verify(write(tmp_path / "flipped.zip", changed)).is_whole
    ]
    assert missed == []


def test_the_cut_end_of_a_bundle_is_noticed(path, tmp_path):
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 100):
        (fault,) = zoo.verify(write(tmp_path / "cut.zip", content[:length])).faults
        assert "expected a bundle as 'zoo bundle' wrote it; get it again" in fault.reason
