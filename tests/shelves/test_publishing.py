import hashlib
import json
import os
import subprocess

import pytest

from tests.shelves.conftest import FILES, METADATA, RECIPE
from zoo.errors import ContractError, DataError
from zoo.shelves.configured import add_shelf
from zoo.shelves.faults import ShelfError
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key, load_private_key, load_public_key, public_pem, sign, signature_document


def files_below(root, *, but=".incoming"):
    """Lists the files of a shelf, but for those of who writes to it."""
    found = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith((f"{but}/", ".incoming/lock")))


def test_a_version_is_its_document_and_files_named_by_their_content(vision, root):
    version = vision.publish("pets", FILES, METADATA)
    recipe, card = (hashlib.sha256(FILES[name]).hexdigest() for name in ("recipe.toml", "model/card.json"))
    expected = [f"objects/sha256/{one[:2]}/{one}" for one in (recipe, card)]
    assert files_below(root) == sorted(["index.json", *expected, "recipes/pets/1.json"])
    assert (root / expected[0]).read_bytes() == RECIPE
    document = json.loads((root / "recipes/pets/1.json").read_bytes())
    assert (document["schema"], document["kind"], document["name"], document["version"]) == (1, "version", "pets", 1)
    assert document["files"]["recipe.toml"] == {"sha256": recipe, "size": len(RECIPE)}
    assert document["metadata"]["metrics"] == {"accuracy": 0.93}
    assert version.identity == "pets@sha256:" + hashlib.sha256((root / "recipes/pets/1.json").read_bytes()).hexdigest()
    assert version.reference == "vision/pets@1"


def test_versions_count_up_by_recipe_and_share_what_is_the_same(vision, root):
    for _ in range(2):
        vision.publish("pets", FILES, METADATA)
    vision.publish("birds", FILES, {})
    assert [one.reference for one in vision.versions()] == ["vision/birds@1", "vision/pets@1", "vision/pets@2"]
    assert [one.reference for one in vision.versions("pets")] == ["vision/pets@1", "vision/pets@2"]
    assert len(list((root / "objects").rglob("*/*/*"))) == 2


def test_the_index_holds_every_document(vision, root):
    vision.publish("pets", FILES, METADATA)
    vision.publish("birds", FILES, METADATA)
    held = json.loads((root / "index.json").read_bytes())["versions"]
    assert held == [(root / f"recipes/{name}/1.json").read_text() for name in ("birds", "pets")]


def test_a_lost_or_damaged_index_is_made_anew_by_the_next_push(vision, root):
    vision.publish("pets", FILES, METADATA)
    (root / "index.json").write_text("{")
    vision.publish("pets", FILES, METADATA)
    assert len(json.loads((root / "index.json").read_bytes())["versions"]) == 2


def test_a_document_that_somebody_damaged_keeps_nobody_from_pushing(vision, root):
    vision.publish("pets", FILES, METADATA)
    (root / "recipes/pets/1.json").write_text("{")
    vision.publish("birds", FILES, METADATA)
    assert json.loads((root / "index.json").read_bytes())["versions"] == [(root / "recipes/birds/1.json").read_text()]


def test_the_number_of_a_version_that_is_gone_is_not_given_again(vision, root):
    for _ in range(3):
        vision.publish("pets", FILES, METADATA)
    (root / "recipes/pets/3.json").unlink()
    assert vision.publish("pets", FILES, METADATA).number == 4


def test_a_damaged_file_on_the_shelf_is_written_again(vision, root):
    vision.publish("pets", FILES, METADATA)
    sha256 = hashlib.sha256(RECIPE).hexdigest()
    (root / f"objects/sha256/{sha256[:2]}/{sha256}").write_bytes(b"rotten")
    vision.publish("pets", FILES, METADATA)
    assert (root / f"objects/sha256/{sha256[:2]}/{sha256}").read_bytes() == RECIPE


def test_files_are_pushed_from_paths(vision, root, tmp_path):
    (tmp_path / "weights").write_bytes(b"\x00" * 3_000_000)
    version = vision.publish("pets", {**FILES, "model/model.safetensors": tmp_path / "weights"}, METADATA)
    assert version.files["model/model.safetensors"].size == 3_000_000
    assert version.hashes["model/model.safetensors"] == hashlib.sha256(b"\x00" * 3_000_000).hexdigest()


def test_a_file_that_changes_while_it_is_pushed_is_noticed(vision, root, tmp_path):
    (tmp_path / "weights").write_bytes(b"one")
    sha256 = hashlib.sha256(b"one").hexdigest()
    (tmp_path / "weights").write_bytes(b"two")
    with pytest.raises(ContractError, match="weights: has changed while it was pushed"):
        vision.place.put(f"objects/sha256/{sha256[:2]}/{sha256}", tmp_path / "weights", sha256=sha256)
    assert files_below(root) == []


@pytest.mark.parametrize(
    ("name", "files", "metadata", "said"),
    [
        ("../pets", FILES, {}, r"'\.\./pets' cannot be the name of a recipe on a shelf"),
        ("pets", {"../x": b""}, {}, r"pets: file name '\.\./x' is not allowed"),
        ("pets", FILES, {"classes": "many"}, r"metadata\.classes is 'many'; expected a whole number"),
        ("pets", FILES, {"metrics": {"accuracy": "high"}}, r"metadata\.metrics\.accuracy is 'high'; expected a number"),
    ],
)
def test_what_no_reader_would_take_is_refused_before_anything_is_written(name, files, metadata, said, vision, root):
    with pytest.raises(DataError, match=said):
        vision.publish(name, files, metadata)
    assert files_below(root) == []


def test_a_file_that_is_not_there_is_named(vision, tmp_path):
    with pytest.raises(DataError, match=r"gone: No such file or directory; expected a file to publish"):
        vision.publish("pets", {"recipe.toml": tmp_path / "gone"}, {})


def test_who_signed_stands_in_the_document_and_a_wrong_signature_is_not_published(vision, tmp_path):
    key = generate_key(tmp_path / "team.key")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    signature = signature_document(sign(hashes, load_private_key(tmp_path / "team.key"))).encode()
    version = vision.publish("pets", {**FILES, "signature.json": signature}, {**METADATA, "signed_by": "somebody"})
    assert version.metadata.signed_by == key
    with pytest.raises(ContractError, match="does not hold; a file was altered"):
        vision.publish("pets", {**FILES, "recipe.toml": b"another", "signature.json": signature}, METADATA)


def test_an_unsigned_version_is_not_published_where_a_key_is_required(user, root, tmp_path):
    key = generate_key(tmp_path / "team.key")
    add_shelf("strict", str(root), [public_pem(load_public_key(tmp_path / "team.key.pub"))])
    with pytest.raises(ContractError, match=f"is not signed; you require a signature of key {key}"):
        open_shelf("strict").publish("pets", FILES, METADATA)


def test_what_to_commit_is_said_in_a_checkout_of_git(vision, root):
    assert vision.place.after_writing == ""
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    vision.publish("pets", FILES, METADATA)
    who = {f"GIT_{one}_{what}": "a@b" for one in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    said = vision.place.after_writing
    subprocess.run(f"{said} -qm pets", shell=True, check=True, env={**os.environ, **who})
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=True).stdout
    assert listed.splitlines() == files_below(root, but=".git")


def test_a_folder_that_is_gone_is_not_made_anew(vision, root):
    root.rmdir()
    with pytest.raises(ShelfError, match=f"{root}: there is no such folder"):
        vision.publish("pets", FILES, METADATA)
    assert not root.exists()
