import errno
import hashlib
import os

import pytest

from tests.shelves.conftest import FILES, METADATA, RECIPE
from zoo.errors import ContractError, NotFoundError, RecipeError
from zoo.recipe.finding import find_recipe, is_on_shelf
from zoo.shelves.configured import add_shelf, remove_shelf
from zoo.shelves.faults import ShelfError
from zoo.shelves.pulling import pull
from zoo.shelves.seen import forget
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key, load_private_key, load_public_key, public_pem, sign, signature_document


def numbered(number):
    return {**FILES, "recipe.toml": RECIPE + f"description = '{number}'\n".encode()}


def object_of(root, content):
    sha256 = hashlib.sha256(content).hexdigest()
    return root / f"objects/sha256/{sha256[:2]}/{sha256}"


def cached_files(user):
    return sorted(path for path in (user / "cache").rglob("*") if path.is_file() and "shelves" not in path.parts)


def test_a_pull_gives_the_files_as_they_were_published(vision):
    published = vision.publish("pets", FILES, METADATA)
    found = pull("vision/pets")
    assert {path.relative_to(found.path).as_posix(): path.read_bytes() for path in found.path.rglob("*.*")} == FILES
    assert (found.version.text, found.is_offline, found.note, found.signed_by) == (published.text, False, "", None)


def test_the_newest_is_pulled_or_the_one_that_is_asked_for(vision):
    first, second = (vision.publish("pets", numbered(number), {}) for number in (1, 2))
    assert pull("vision/pets").version.number == 2
    assert pull("vision/pets@1").version.text == first.text
    assert pull(f"vision/pets@sha256:{second.sha256}").version.text == second.text


def test_what_is_not_there_is_said_with_what_is(vision):
    vision.publish("pets", FILES, METADATA)
    with pytest.raises(NotFoundError, match=r"Unknown shelf 'visoin'. Did you mean 'vision'\?"):
        pull("visoin/pets")
    with pytest.raises(NotFoundError, match=r"has no recipe 'petz'. Did you mean 'pets'\?"):
        pull("vision/petz")
    with pytest.raises(NotFoundError, match=r"vision/pets@7: shelf 'vision' has no such version; the newest is pets@1"):
        pull("vision/pets@7")
    with pytest.raises(NotFoundError, match="has no such version"):
        pull(f"vision/pets@sha256:{'0' * 64}")


def test_what_was_pulled_is_used_offline_and_said(vision, root):
    vision.publish("pets", numbered(1), {})
    pull("vision/pets")
    vision.publish("pets", numbered(2), {})
    root.rename(root.with_name("unplugged"))
    found = pull("vision/pets")
    assert (found.is_offline, found.version.number) == (True, 1)
    assert found.note.startswith("offline: vision/pets@1 is from the cache, pulled on 20")
    assert "version 2 was seen and not pulled" in found.note
    with pytest.raises(ShelfError, match=r"there is no such folder.*; vision/pets@2 is not in the cache"):
        pull("vision/pets@2")


@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "gone", "a link", "a pipe"])
def test_a_damaged_file_is_named_and_leaves_nothing_in_the_cache(damage, vision, root, user, tmp_path):
    vision.publish("pets", FILES, METADATA)
    path = object_of(root, RECIPE)
    content = path.read_bytes()
    path.unlink()
    if damage == "a link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "a pipe":
        os.mkfifo(path)
    elif damage != "gone":
        path.write_bytes({"cut": content[:-1], "longer": content + b"!", "flipped": b"S" + content[1:]}[damage])
    with pytest.raises((ContractError, ShelfError), match=path.name):
        pull("vision/pets")
    assert cached_files(user) == []


def test_an_altered_version_is_noticed_by_who_saw_it(vision, root):
    vision.publish("pets", numbered(1), {})
    pull("vision/pets")
    (root / "recipes/pets/1.json").unlink()
    vision.place.create("recipes/pets/1.json", _rewritten(root, vision))
    with pytest.raises(ContractError, match=r"pets@1 was altered: its SHA-256 is \w{16}\.\.\., and was"):
        pull("vision/pets")


def _rewritten(root, vision):
    """Gives the document of version 1 that whoever owns the shelf could put in its place, sealed."""
    from zoo.shelves.publishing import draft_version
    from zoo.shelves.versions import VersionMetadata

    return draft_version("vision", "pets", FILES, VersionMetadata(description="another")).text


def test_a_deleted_version_is_noticed_by_who_saw_it(vision, root):
    for number in (1, 2):
        vision.publish("pets", numbered(number), {})
    pull("vision/pets")
    (root / "recipes/pets/2.json").unlink()
    with pytest.raises(ContractError, match="pets@2 was seen before and is gone; the newest is now 1: an older state"):
        pull("vision/pets")
    forget(vision.url)
    assert pull("vision/pets").version.number == 1


def test_a_damaged_entry_of_the_cache_is_fetched_again(vision):
    vision.publish("pets", FILES, METADATA)
    (pull("vision/pets").path / "recipe.toml").write_bytes(b"rotten")
    assert (pull("vision/pets").path / "recipe.toml").read_bytes() == RECIPE


def test_a_document_that_differs_from_the_index_is_noticed(vision, root, server):
    vision.publish("pets", FILES, METADATA)
    add_shelf("web", server.url)
    (root / "recipes/pets/1.json").write_bytes(_rewritten(root, vision))
    with pytest.raises(ContractError, match=r"pets@1 is another in index\.json than in its own document"):
        pull("web/pets")


def signed(files, key):
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**files, "signature.json": signature_document(sign(hashes, load_private_key(key))).encode()}


def test_only_what_a_required_key_signed_is_pulled(vision, root, user, tmp_path):
    ours, theirs = (generate_key(tmp_path / name) for name in ("ours", "theirs"))
    vision.publish("unsigned", FILES, {})
    vision.publish("theirs", signed(FILES, tmp_path / "theirs"), {})
    vision.publish("ours", signed(FILES, tmp_path / "ours"), {})
    add_shelf("strict", str(root), [public_pem(load_public_key(tmp_path / "ours.pub"))])
    assert pull("strict/ours").signed_by == ours
    with pytest.raises(ContractError, match=f"strict/unsigned@1: is not signed; you require a signature of key {ours}"):
        pull("strict/unsigned")
    with pytest.raises(ContractError, match=f"is signed by key {theirs}; expected key {ours}"):
        pull("strict/theirs")
    # What was pulled without the requirement, and is in the cache, does not pass it either.
    assert pull("vision/theirs").signed_by == theirs
    remove_shelf("vision")
    with pytest.raises(ContractError, match=f"is signed by key {theirs}; expected key {ours}"):
        pull("strict/theirs")


def test_a_version_larger_than_the_room_is_refused_before_a_byte_is_taken(vision, root, monkeypatch):
    vision.publish("pets", FILES, METADATA)
    monkeypatch.setattr("zoo.system.cache.MAX_BYTES", 10)
    with pytest.raises(ShelfError, match=r"vision/pets@1: has 42 bytes; the cache has room for 10"):
        pull("vision/pets")


def test_a_recipe_is_found_by_its_shelf(vision):
    vision.publish("pets", FILES, METADATA)
    assert find_recipe("vision/pets").read_bytes() == RECIPE
    assert is_on_shelf("vision/pets@1")
    assert not is_on_shelf("finetune/default")
    assert not is_on_shelf("nowhere/pets")
    assert find_recipe("finetune/default").name == "default.toml"


def test_a_recipe_found_offline_says_so(vision, root, capsys):
    vision.publish("pets", FILES, METADATA)
    find_recipe("vision/pets")
    assert capsys.readouterr().err == ""
    root.rename(root.with_name("unplugged"))
    find_recipe("vision/pets")
    assert capsys.readouterr().err.startswith("offline: vision/pets@1 is from the cache, pulled on 20")


def test_a_version_without_a_recipe_is_refused(vision):
    vision.publish("pets", {"notes.txt": b"none"}, {})
    with pytest.raises(NotFoundError, match=r"vision/pets@1: holds no recipe\.toml"):
        find_recipe("vision/pets")


def test_two_shelves_of_one_version_share_the_entry(vision, root, user):
    vision.publish("pets", FILES, METADATA)
    add_shelf("again", str(root))
    assert pull("again/pets").path == pull("vision/pets").path
    assert open_shelf("again").versions()[0].reference == "again/pets@1"


def test_a_folder_of_the_name_of_a_recipe_on_a_shelf_says_how_the_shelf_is_asked(vision, tmp_path, monkeypatch):
    vision.publish("pets", FILES, METADATA)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vision/pets").mkdir(parents=True)
    with pytest.raises(
        RecipeError, match=r"'vision/pets' is a folder; .*; vision/pets@VERSION is the recipe on the shelf"
    ):
        find_recipe("vision/pets")
    assert find_recipe("vision/pets@1").read_bytes() == RECIPE


def test_a_shelf_that_is_mistyped_is_answered_with_the_nearest(vision):
    with pytest.raises(
        NotFoundError, match=r"'visio/pets'\. Did you mean 'vision/pets'\? See 'zoo recipe ls' and 'zoo shelf"
    ):
        find_recipe("visio/pets")


def test_a_shelf_that_may_not_be_read_is_not_to_be_made_writable(vision, root, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(ShelfError) as raised:
        vision.versions("pets")
    assert str(raised.value) == f"{root}/recipes/pets: Permission denied; ask who keeps the shelf"


def test_a_shelf_that_may_not_be_written_is_named_and_not_a_file_of_ours(vision, root, monkeypatch):
    def denied(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("zoo.shelves.places.folder.make_folder", denied)
    with pytest.raises(ShelfError) as raised:
        vision.publish("pets", FILES, METADATA)
    assert str(raised.value) == f"{root}: Permission denied; make it writable"


def test_a_version_is_pulled_where_only_another_is_damaged_and_that_is_said(vision, root):
    first, second, _ = (vision.publish("pets", numbered(number), {}) for number in (1, 2, 3))
    document = root / "recipes/pets/2.json"
    document.write_bytes(document.read_bytes().replace(b"pets", b"pest", 1))
    for asked in ("vision/pets@1", f"vision/pets@sha256:{first.sha256}"):
        found = pull(asked)
        assert (found.version.text, found.is_offline) == (first.text, False)
    assert pull("vision/pets@3").note.startswith("note: vision/pets@3 holds; another version does not: ")
    assert str(document) in pull("vision/pets@1").note
    for asked in ("vision/pets", "vision/pets@2", "vision/pets@4", f"vision/pets@sha256:{second.sha256}"):
        with pytest.raises(ContractError, match=r"recipes/pets/2\.json"):
            pull(asked)


def test_a_version_that_was_altered_since_is_refused_where_another_is_gone_too(vision, root):
    for number in (1, 2):
        vision.publish("pets", numbered(number), {})
    (root / "recipes/pets/2.json").unlink()
    assert "pets@2 was seen before and is gone" in pull("vision/pets@1").note
    (root / "recipes/pets/1.json").unlink()
    vision.place.create("recipes/pets/1.json", open_shelf("vision").publish("other", numbered(3), {}).text)
    with pytest.raises(ContractError, match="is that of other@1"):
        pull("vision/pets@1")
