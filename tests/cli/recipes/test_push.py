"""A run and a recipe go onto a shelf, come back, and are verified on the way."""

import io
import json
import stat
import subprocess
from pathlib import Path

import pytest

import zoo
from tests.tiny import write_npz
from zoo.sharing.locks import data
from zoo.sharing.locks.lock import parse_lock
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf


@pytest.fixture
def desk(tmp_path, monkeypatch, typed):
    """A shelf of the name vision, and a key."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()
    assert typed("shelf", "add", "vision", "shared")[0] == 0
    assert typed("shelf", "key", "team.key")[0] == 0
    return tmp_path


def test_a_key_is_for_its_owner_only_and_never_replaced(typed, desk):
    assert stat.S_IMODE((desk / "team.key").stat().st_mode) == 0o600
    before = (desk / "team.key").read_bytes()
    code, _, err = typed("shelf", "key", "team.key")
    assert (code, err) == (1, "zoo: team.key: is there already, and a key is never replaced; give another PATH\n")
    assert (desk / "team.key").read_bytes() == before


def test_a_run_is_pushed_pulled_and_verified(typed, desk, trained):
    code, out, err = typed("recipe", "push", trained.run, "vision/bands", "--describe", "Two bands")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "files    recipe.toml, lock.json, receipt.json, metrics.jsonl"
    assert lines[1] == "weights  not pushed"
    assert lines[2] == "signed   no"
    assert lines[-1] == "vision/bands@1"
    assert typed("recipe", "pull", "vision/bands", "--to", "pulled")[0] == 0
    code, out, _ = typed("verify", "pulled")
    lines = out.splitlines()
    assert lines[0] == "note: pulled/model/model.safetensors: is not here; receipt.json has its SHA-256"
    assert (code, lines[1].startswith("pulled: whole; unsigned; 4 files compared, ")) == (0, True)
    assert (desk / "pulled" / "recipe.toml").read_bytes() == (trained.run / "recipe.toml").read_bytes()


@pytest.mark.parametrize("pushed", ["a run", "a recipe"])
def test_a_lock_that_cannot_name_images_may_be_pushed_and_that_is_said(typed, desk, trained, monkeypatch, pushed):
    reference = trained.run if pushed == "a run" else desk / "tiny.toml"
    note = "note     the lock has no key of each image: zoo reproduce will see that images differ, not which"
    for most, names_images in ((1_000, True), (2, False)):  # the run has 16 images
        monkeypatch.setattr(data, "MOST_KEYS", most)
        (desk / "tiny.toml").write_bytes((trained.run / "recipe.toml").read_bytes())
        code, out, _ = typed("recipe", "lock", trained.run, "--out", "tiny.lock", "--force")
        assert (code, note in out.splitlines()) == (0, not names_images)
        _, out, _ = typed("recipe", "lock", trained.run, "--out", "tiny.lock", "--force", "--json")
        assert json.loads(out)["names_images"] is names_images
        code, out, _ = typed("recipe", "push", reference, "vision/bands")
        assert (code, note in out.splitlines()) == (0, not names_images)
        _, out, _ = typed("recipe", "push", reference, "vision/bands", "--json")
        assert json.loads(out)["names_images"] is names_images
    assert open_shelf("vision").versions("bands")[-1].number == 2
    published = parse_lock((pull("vision/bands").path / "lock.json").read_bytes(), "it")
    assert "keys" not in published.data.to_json()["splits"]["train"]["cat"]


def test_weights_are_said_with_their_size(typed, desk, trained):
    code, out, _ = typed("recipe", "push", trained.run, "vision/bands", "--weights", "--json")
    document = json.loads(out)
    size = (trained.run / "model" / "model.safetensors").stat().st_size
    assert (code, document["kind"], document["weights_bytes"]) == (0, "recipe-push", size)
    _, out, _ = typed("recipe", "push", trained.run, "vision/other", "--weights")
    assert f"weights  {size / 1e3:.1f} kB" in out.splitlines()
    assert out.splitlines()[-1] == "vision/other@1"


def test_a_signed_version_says_by_whom_and_another_key_is_refused(typed, desk, trained):
    typed("shelf", "key", "other.key")
    code, out, _ = typed("recipe", "push", trained.run, "vision/bands", "--sign", "team.key", "--json")
    key = json.loads(out)["signed_by"]
    assert (code, len(key)) == (0, 16)
    typed("recipe", "pull", "vision/bands", "--to", "pulled")
    code, out, _ = typed("verify", "vision/bands@1")
    assert (code, f": whole; signed by key {key}; 5 files compared" in out) == (0, True)
    code, out, _ = typed("verify", "pulled", "--key", "team.key.pub")
    assert (code, f"signed by key {key} (team.key.pub)" in out) == (0, True)
    code, out, _ = typed("verify", "pulled/receipt.json", "--key", "other.key.pub")
    assert code == 3
    assert f"is signed by key {key}; expected key" in out


def test_a_shelf_is_verified_with_every_file_and_signature(typed, desk, trained):
    typed("recipe", "push", trained.run, "vision/bands", "--sign", "team.key")
    typed("recipe", "push", trained.recipe, "vision/plain")
    found = zoo.verify("shared")
    assert (found.what, found.is_whole) == ("shelf", True)
    assert found.signature.startswith("2 versions: 1 signed by key ")
    assert found.signature.endswith(", 1 unsigned")
    assert typed("verify", "shared", "--key", "team.key.pub")[0] == 3
    files = [path for path in Path("shared").rglob("*") if path.is_file() and ".incoming" not in path.parts]
    assert found.files == len(files)
    for path in files:
        before = path.read_bytes()
        path.write_bytes(before[:-2] + bytes([before[-2] ^ 1]) + before[-1:])
        code, out, _ = typed("verify", "shared")
        assert (code, str(path) in out) == (3, True), path
        path.write_bytes(before)


def test_a_recipe_alone_is_verified_as_far_as_anything_lists_its_hash(typed, desk, trained):
    typed("recipe", "push", trained.recipe, "vision/plain")
    pulled = json.loads(typed("recipe", "pull", "vision/plain", "--json")[1])["path"]
    found = zoo.verify(pulled)
    assert (found.what, found.is_whole, found.notes) == ("version", True, ())
    typed("recipe", "pull", "vision/plain", "--to", "copied")
    found = zoo.verify("copied")
    assert found.notes == ("copied/recipe.toml: cannot be compared: nothing beside it lists its SHA-256",)
    (Path(pulled) / "recipe.toml").write_text("another")
    (fault,) = zoo.verify(pulled).faults
    assert fault.reason == "is damaged or was changed: its SHA-256 is not the one in version.json"


def test_what_was_pushed_is_trained_by_its_name(typed, desk, trained):
    typed("recipe", "push", trained.run, "vision/bands")
    data = write_npz(desk / "ours.npz", count=16)
    assert typed("finetune", "vision/bands", "--data", data, "--run", "ours")[0] == 0
    assert (desk / "ours" / "recipe.toml").read_bytes() == (trained.run / "recipe.toml").read_bytes()


def test_a_recipe_that_extends_one_on_a_shelf_says_which_version(typed, desk, trained):
    _, out, _ = typed("recipe", "push", trained.run, "vision/bands", "--json")
    identity = json.loads(out)["identity"]
    (desk / "child.toml").write_text('extends = "vision/bands"\nname = "child"\n[train]\nseed = 4\n')
    assert typed("recipe", "push", "child.toml", "vision/child")[0] == 0
    listed = json.loads(typed("recipe", "ls", "--shelf", "vision", "--json")[1])["recipes"]
    assert {one["name"]: one["parent"] for one in listed} == {"vision/bands": None, "vision/child": identity}
    path = Path(json.loads(typed("recipe", "pull", "vision/child", "--json")[1])["path"])
    kept = path / "source" / "named" / "vision" / "bands.toml"
    assert kept.read_bytes() == (trained.run / "recipe.toml").read_bytes()


def test_a_version_is_copied_to_another_shelf_with_receipt_model_and_signature(typed, desk, trained):
    (desk / "ours").mkdir()
    typed("shelf", "add", "ours", "ours")
    _, out, _ = typed("recipe", "push", trained.run, "vision/bands", "--weights", "--sign", "team.key", "--json")
    first = json.loads(out)
    code, out, _ = typed("recipe", "push", "vision/bands", "ours/copied", "--json")
    copied = json.loads(out)
    assert (code, copied["version"]) == (0, "ours/copied@1")
    for key in ("files", "weights_bytes", "signed_by"):
        assert copied[key] == first[key]
    typed("recipe", "pull", "ours/copied", "--to", "pulled")
    assert typed("verify", "pulled", "--key", "team.key.pub")[0] == 0
    typed("shelf", "key", "other.key")
    _, out, _ = typed("recipe", "push", "vision/bands", "ours/copied", "--sign", "other.key", "--json")
    signed_anew = json.loads(out)
    assert signed_anew["signed_by"] not in (None, first["signed_by"])
    assert set(signed_anew["files"]) == set(first["files"])


def test_who_pulls_is_told_what_has_to_be_trusted(typed, desk):
    handle = f"sha256:{'a' * 64}"
    model = f'[model]\nname = "tfhub"\nhandle = "{handle}"\n'
    (desk / "hub.toml").write_text(f'name = "hub"\n{model}[[phases]]\nname = "head"\ntrain = "head"\n')
    needs = f"module {handle} (a program: it has to be trusted)"
    assert f"needs    {needs}" in typed("recipe", "push", "hub.toml", "vision/hub")[1].splitlines()
    assert f"needs {needs}" in typed("recipe", "pull", "vision/hub")[1].splitlines()
    assert json.loads(typed("recipe", "pull", "vision/hub", "--json")[1])["needs"] == [needs]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vision/bands@1"], "names a version; a push makes the next one"),
        (["visoin/bands"], "Unknown shelf 'visoin'. Did you mean 'vision'?"),
        (["bands"], "'bands' does not name a recipe on a shelf"),
        (["vision/bands", "--sign", "gone.key"], "gone.key: there is no such file; expected a private key"),
        (["vision/bands", "--sign", "team.key.pub"], "team.key.pub: does not hold a private key"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_anything_is_written(typed, desk, trained, words, said):
    code, out, err = typed("recipe", "push", trained.run, *words)
    assert (code in (1, 2), out) == (True, "")
    assert said in err
    assert list((desk / "shared").iterdir()) == []


def test_a_key_with_a_passphrase_takes_it_from_the_environment(typed, desk, trained, monkeypatch):
    from zoo.shelves.signatures import generate_key

    name = generate_key(desk / "locked.key", passphrase=b"open sesame")
    monkeypatch.setenv("ZOO_KEY_PASSPHRASE", "open sesame")
    _, out, _ = typed("recipe", "push", trained.run, "vision/bands", "--sign", "locked.key", "--json")
    assert json.loads(out)["signed_by"] == name
    monkeypatch.setenv("ZOO_KEY_PASSPHRASE", "wrong")
    code, _, err = typed("recipe", "push", trained.run, "vision/bands", "--sign", "locked.key")
    assert (code, "the passphrase is wrong" in err) == (1, True)


def test_a_push_into_a_checkout_of_git_says_what_to_commit(typed, desk):
    assert "commit" not in typed("recipe", "push", "quickstart", "vision/first")[1]
    subprocess.run(["git", "init", "-q", "shared"], check=True)
    git = f"git -C {desk / 'shared'}"
    said = typed("recipe", "push", "quickstart", "vision/second")[1].splitlines()
    assert said[-2:] == [f"commit   {git} add index.json objects recipes && {git} commit", "vision/second@1"]


def test_a_push_onto_a_shelf_that_lost_a_version_says_that_nobody_here_can_take_it(typed, desk, monkeypatch):
    monkeypatch.setattr("zoo.shelves.shelf.AGAIN_SECONDS", 0.0)
    for said in ("one", "two"):
        assert typed("recipe", "push", "quickstart", "vision/first", "--describe", said)[2] == ""
    (desk / "shared/recipes/first/2.json").unlink()
    code, out, err = typed("recipe", "push", "quickstart", "vision/first")
    assert (code, out.splitlines()[-1]) == (0, "vision/first@3")
    assert err.startswith("note: vision/first@3 is on the shelf, and cannot be taken from here yet: ")
    assert "first@2 was seen before and is gone" in err
    _, out, _ = typed("recipe", "push", "quickstart", "vision/first", "--json")
    assert "first@2 was seen before and is gone" in json.loads(out)["note"]


def test_a_push_that_cannot_be_noted_here_leaves_the_shelf_as_it_was(typed, desk, monkeypatch):
    (desk / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk / "a file"))
    code, _, err = typed("recipe", "push", "quickstart", "vision/first")
    assert (code, err.count("\n")) == (1, 1)
    assert list((desk / "shared").iterdir()) == []


def test_an_unsigned_push_where_a_key_is_required_says_how_to_sign(typed, desk):
    assert typed("shelf", "add", "strict", "shared", "--require-key", "team.key.pub")[0] == 0
    assert typed("recipe", "push", "quickstart", "strict/first", "--sign", "team.key")[0] == 0
    code, _, err = typed("recipe", "push", "quickstart", "strict/first")
    assert (code, err.startswith("zoo: strict/first: is not signed; you require a signature of key ")) == (3, True)
    assert err.endswith("; sign what you push: --sign KEY\n")


def test_a_description_is_one_line(typed, desk):
    code, out, err = typed("recipe", "push", "quickstart", "vision/first", "--describe", "two\nlines")
    assert (code, out, "expected one line" in err) == (2, "", True)


def test_a_key_whose_passphrase_nobody_can_type_is_one_line(typed, desk, monkeypatch):
    monkeypatch.setenv("ZOO_KEY_PASSPHRASE", "open sesame")
    assert typed("shelf", "key", "locked.key", "--passphrase")[0] == 0  # from the environment too
    monkeypatch.delenv("ZOO_KEY_PASSPHRASE")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    needs = "needs a passphrase, and there is no terminal to ask on; set ZOO_KEY_PASSPHRASE"
    code, _, err = typed("recipe", "push", "quickstart", "vision/first", "--sign", "locked.key")
    assert (code, err) == (1, f"zoo: locked.key: {needs}\n")
    assert typed("shelf", "key", "other.key", "--passphrase")[2] == f"zoo: other.key: {needs}\n"
    assert not (desk / "other.key").exists()


def test_a_bundle_of_a_run_is_pushed_with_its_lock_receipt_and_curves(typed, desk, trained):
    assert typed("bundle", trained.run, "tiny.zip", "--no-hashes")[0] == 0
    code, out, err = typed("recipe", "push", "tiny.zip", "vision/bands", "--weights", "--json")
    files = json.loads(out)["files"]
    assert (code, err) == (0, "")
    assert set(files) == {
        *("recipe.toml", "lock.json", "receipt.json", "metrics.jsonl", "model/card.json", "model/model.safetensors")
    }
    assert typed("recipe", "pull", "vision/bands", "--to", "pulled")[0] == 0
    assert typed("verify", "pulled")[0] == 0
    assert typed("recipe", "push", trained.run, "vision/direct")[0] == 0
    _, out, _ = typed("recipe", "ls", "--shelf", "vision", "--json")
    of_bundle, of_run = (one["metrics"] for one in json.loads(out)["recipes"])
    assert of_bundle == of_run != {}


@pytest.mark.parametrize(
    "verb",
    [
        *(["recipe", "show", "{}"], ["recipe", "diff", "{}", "quickstart"], ["recipe", "push", "{}", "vision/other"]),
        *(["finetune", "{}"], ["reproduce", "{}"], ["bundle", "{}", "it.zip", "--no-hashes"]),
        ["recipe", "push", "{}", "vision/other", "--weights"],
    ],
)
def test_a_folder_comes_before_a_version_of_its_name_in_every_verb(typed, desk, verb):
    typed("recipe", "push", "quickstart", "vision/first")
    (desk / "vision/first").mkdir(parents=True)
    code, out, err = typed(*(word.format("vision/first") for word in verb))
    expected = "expected a .toml file or the name of a recipe; vision/first@VERSION is the recipe on the shelf"
    assert (code, out, err) == (1, "", f"zoo: 'vision/first' is a folder; {expected}\n")
    assert typed("recipe", "show", "vision/first@1")[0] == 0


def test_what_the_newest_version_has_is_not_published_again(typed, desk, trained):
    typed("recipe", "push", trained.run, "vision/kid")
    (desk / "vision/kid").mkdir(parents=True)
    note = "note: the same recipe and results as vision/kid@1; nothing is published\n"
    for again in (trained.run, "vision/kid@1"):
        assert typed("recipe", "push", again, "vision/kid") == (0, "vision/kid@1\n", note)
    document = json.loads(typed("recipe", "push", trained.run, "vision/kid", "--json")[1])
    assert (document["version"], document["published"]) == ("vision/kid@1", False)
    assert [path.name for path in (desk / "shared/recipes/kid").iterdir()] == ["1.json"]
    typed("recipe", "push", "quickstart", "vision/first")
    note = "note: the same recipe as vision/first@1; nothing is published\n"
    assert typed("recipe", "push", "quickstart", "vision/first") == (0, "vision/first@1\n", note)


def test_a_signature_weights_and_a_description_make_a_new_version_and_so_does_going_back(typed, desk, trained):
    typed("shelf", "key", "other.key")
    same = ("recipe", "push", trained.run, "vision/kid")
    for number, words in enumerate(
        ([], ["--sign", "team.key"], ["--sign", "other.key"], ["--sign", "other.key", "--weights"]), start=1
    ):
        assert typed(*same, *words)[1].splitlines()[-1] == f"vision/kid@{number}"
    assert typed(*same)[1] == "vision/kid@4\n"  # which has all that this would have
    assert typed(*same, "--describe", "Better said")[1].splitlines()[-1] == "vision/kid@5"
    code, out, err = typed(*same)
    assert (code, out.splitlines()[-1]) == (0, "vision/kid@6")
    assert err == "note: the same recipe and results as vision/kid@4, which is not the newest\n"
