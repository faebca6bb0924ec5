"""`zoo.verify` of locks, receipts and versions: whole, damaged, and signed by whom."""

import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import zoo
from tests.sharing.made import flips
from zoo.errors import NotFoundError
from zoo.sharing.locks.making import lock_recipe, lock_runs
from zoo.sharing.publishing import compose, signed
from zoo.shelves.signatures import key_name, public_pem

OURS, OTHERS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def write(publication, folder):
    for name, one in publication.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one if isinstance(one, bytes) else one.read_bytes())
    return folder


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """The same version unsigned and signed."""
    folder = tmp_path_factory.mktemp("made")
    publication = compose(trained.run, weights=True)
    write(publication, folder / "unsigned")
    write(signed(publication, OURS), folder / "signed")
    return folder


@pytest.fixture(params=["signed", "unsigned"])
def version(request, made, tmp_path):
    return shutil.copytree(made / request.param, tmp_path / request.param)


@pytest.fixture
def vouched(made, tmp_path):
    return shutil.copytree(made / "signed", tmp_path / "version")


def public(key, path):
    path.write_text(public_pem(key.public_key()))
    return path


def named(path, **keys):
    return {fault.path.name for fault in zoo.verify(path, **keys).faults}


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_version_as_it_was_written_is_whole_and_says_who_signed(version):
    found = zoo.verify(version)
    assert (found.what, found.is_whole, found.faults) == ("version", True, ())
    assert found.files == len(files_of(version))
    assert found.signature == (f"signed by key {key_name(OURS)}" if version.name == "signed" else "unsigned")


def unnoticed(folder, count):
    accepted = []
    for number, path in enumerate(files_of(folder)):
        before = path.read_bytes()
        for place, changed in flips(before, count, seed=number):
            path.write_bytes(changed)
            if zoo.verify(folder).is_whole:
                accepted.append((path.name, place))
        path.write_bytes(before)
    return accepted


@pytest.mark.parametrize("each", [20, pytest.param(1500, marks=pytest.mark.slow)])
def test_every_bit_that_is_changed_in_a_version_is_noticed(version, each):
    assert unnoticed(version, each) == []


def test_a_damaged_file_is_named(vouched):
    for path in files_of(vouched):
        before = path.read_bytes()
        path.write_bytes(before[:-2] + bytes([before[-2] ^ 1]) + before[-1:])
        assert path.name in named(vouched), path.name
        path.write_bytes(before)


def test_a_file_that_is_gone_or_added_breaks_the_signature(vouched):
    (vouched / "notes.txt").write_text("mine")
    assert named(vouched) == {"signature.json"}
    (vouched / "notes.txt").unlink()
    (vouched / "metrics.jsonl").unlink()
    assert named(vouched) == {"signature.json", "metrics.jsonl"}


def test_a_model_may_be_left_out_of_what_is_not_signed(made, tmp_path):
    version = shutil.copytree(made / "unsigned", tmp_path / "version")
    shutil.rmtree(version / "model")
    found = zoo.verify(version)
    assert found.is_whole
    assert f"{version / 'model' / 'model.safetensors'}: is not here; receipt.json has its SHA-256" in found.notes


def test_a_version_by_the_expected_key_is_whole(vouched, tmp_path):
    key = public(OURS, tmp_path / "ours.pub")
    found = zoo.verify(vouched, keys=[key])
    assert found.is_whole
    assert found.signature == f"signed by key {key_name(OURS)} ({key})"


def test_a_version_by_another_key_is_a_fault_that_names_both(vouched, tmp_path):
    found = zoo.verify(vouched, keys=[public(OTHERS, tmp_path / "others.pub")])
    (fault,) = found.faults
    assert fault.reason == f"is signed by key {key_name(OURS)}; expected key {key_name(OTHERS)}"


def test_a_receipt_that_was_signed_anew_is_by_another_key(vouched, trained, tmp_path):
    shutil.rmtree(vouched)
    write(signed(compose(trained.run, weights=True), OTHERS), vouched)
    assert zoo.verify(vouched).signature == f"signed by key {key_name(OTHERS)}"
    assert named(vouched, keys=[public(OURS, tmp_path / "ours.pub")]) == {"signature.json"}


def test_what_is_unsigned_is_a_fault_where_a_key_is_expected(made, tmp_path):
    key = public(OURS, tmp_path / "ours.pub")
    assert named(made / "unsigned", keys=[key]) == {"signature.json"}
    assert named(made / "unsigned" / "receipt.json", keys=[key]) == {"signature.json"}


def test_a_receipt_is_verified_with_the_files_beside_it(version):
    found = zoo.verify(version / "receipt.json")
    assert (found.what, found.is_whole, found.path) == ("receipt", True, version / "receipt.json")
    content = bytearray((version / "metrics.jsonl").read_bytes())
    content[0] ^= 1
    (version / "metrics.jsonl").write_bytes(content)
    assert "metrics.jsonl" in named(version / "receipt.json")


def test_a_receipt_under_another_name_is_verified_alone(version, tmp_path):
    alone = shutil.copy(version / "receipt.json", tmp_path / "pets.json")
    found = zoo.verify(alone)
    assert (found.what, found.is_whole, found.signature) == ("receipt", True, "unsigned")


def test_links_and_many_files_are_faults(vouched):
    (vouched / "link").symlink_to(vouched / "recipe.toml")
    assert "link" in named(vouched)


def test_more_files_than_a_version_has_are_not_looked_at(made, tmp_path, monkeypatch):
    version = shutil.copytree(made / "unsigned", tmp_path / "version")
    monkeypatch.setattr("zoo.sharing.verification.shared.MOST_FILES", 10)
    for number in range(20):
        (version / f"{number:03d}").write_text("")
    (fault,) = (one for one in zoo.verify(version).faults if "more than" in one.reason)
    assert fault.reason == "is one of more than 10 files; expected those of a version"


@pytest.fixture
def locked(trained, tmp_path):
    path = shutil.copy(trained.recipe, tmp_path / "tiny.toml")
    (tmp_path / "tiny.lock").write_text(lock_recipe(path, trained.data, verbose=0).to_text())
    return tmp_path


def test_a_lock_is_compared_with_the_recipe_beside_it(locked):
    assert zoo.verify(locked / "tiny.lock").is_whole
    recipe = locked / "tiny.toml"
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 5"))
    (fault,) = zoo.verify(locked / "tiny.lock").faults
    assert str(fault) == f"{recipe}: is not the recipe that tiny.lock locks: recipe train.seed 0, now 5"


def test_a_lock_whose_bit_was_changed_is_named(locked):
    path = locked / "tiny.lock"
    for _, changed in flips(path.read_bytes(), 20):
        path.write_bytes(changed)
        assert named(path) == {"tiny.lock"}


def test_a_lock_alone_is_verified(trained, tmp_path):
    path = tmp_path / "any.lock"
    path.write_text(lock_runs(trained.run).to_text())
    assert zoo.verify(path).is_whole


def test_a_key_is_of_no_use_where_nothing_is_signed(trained, tmp_path):
    with pytest.raises(NotFoundError, match="only versions, bundles, locks and receipts are; leave out --key"):
        zoo.verify(trained.run, keys=[public(OURS, tmp_path / "ours.pub")])


def test_a_run_is_verified_as_before(trained):
    found = zoo.verify(trained.run)
    assert (found.what, found.is_whole, found.signature) == ("run", True, None)
    assert json.loads(json.dumps(found.to_json()))["signature"] is None
