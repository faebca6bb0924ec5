"""`zoo bundle`, and the verbs that take one."""

import json
import re
import shlex
import shutil
import sys
import zipfile

import pytest

from tests.tiny import HERE, write_photos
from zoo.shelves.bundles.manifest import (
    MANIFEST,
    MODEL,
    MODULE,
    SIGNATURE,
    VERSION,
    VERSION_SIGNATURE,
    WEIGHTS,
    WHEELS,
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bundled(typed, reference, *options, out="tiny.zip"):
    return typed("bundle", reference, out, "--no-hashes", *options)


def test_it_says_what_is_in_it_and_where_it_is(typed, desk, trained):
    code, out, err = bundled(typed, trained.run)
    lines = out.splitlines()
    size = (desk / "tiny.zip").stat().st_size
    assert (code, err) == (0, "")
    assert lines[0].startswith("files    8, ")
    assert lines[1] == "weights  'none' of mnist_conv_tiny: random"
    assert lines[2].startswith("model    ")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert lines[3].startswith("wheels   0 of ")
    assert f"0 bytes; hashes of 0; for Python {version} on " in lines[3]
    assert lines[4] == "signed   no"
    assert lines[5].startswith(f"bundled  {size:,} bytes, sha256:")
    assert lines[6] == "tiny.zip"


def test_as_json(typed, desk, trained):
    code, out, _ = bundled(typed, trained.run, "--no-model", "--json")
    document = json.loads(out)
    assert (code, document["kind"], document["path"]) == (0, "bundle", "tiny.zip")
    assert document["bytes"] == (desk / "tiny.zip").stat().st_size
    with zipfile.ZipFile("tiny.zip") as archive:
        assert set(document["files"]) == set(archive.namelist()) - {"bundle.json"}
        manifest = json.loads(archive.read("bundle.json"))
    assert document["files"] == manifest["files"]
    assert document["wheels"] == manifest["wheels"]
    assert (document["name"], document["origin"], document["signed_by"], document["needs"]) == ("tiny", None, None, [])


def test_a_signed_one_is_verified(typed, desk, trained):
    assert typed("shelf", "key", "team.key")[0] == 0
    code, out, _ = bundled(typed, trained.run, "--sign", "team.key")
    name = next(line for line in out.splitlines() if line.startswith("signed   by key ")).split()[-1]
    code, out, _ = typed("verify", "tiny.zip", "--key", "team.key.pub")
    assert code == 0
    assert out.startswith(f"tiny.zip: whole; signed by key {name} (team.key.pub); ")


def test_an_unsigned_one_in_place_of_a_signed_one_is_noted(typed, desk, trained):
    typed("shelf", "key", "team.key")
    bundled(typed, trained.run, "--sign", "team.key")
    assert bundled(typed, trained.run, "--sign", "team.key")[2] == ""
    note = "the bundle that tiny.zip was before is signed, and this one is not; --sign KEY signs it"
    code, _, err = bundled(typed, trained.run)
    assert (code, err) == (0, f"note: {note}\n")
    assert bundled(typed, trained.run)[2] == ""
    bundled(typed, trained.run, "--sign", "team.key")
    assert json.loads(bundled(typed, trained.run, "--json")[1])["notes"] == [note]


def test_what_is_required_and_not_installed_is_noted(typed, desk, monkeypatch):
    monkeypatch.setattr("zoo.sharing.bundles.packages.OF_BACKENDS", {"tensorflow": ("acme-nowhere",)})
    said = "required and not installed here, so neither in requirements.txt nor among the wheels: acme-nowhere"
    code, _, err = bundled(typed, "quickstart")
    assert (code, err) == (0, f"note: {said}\n")
    document = json.loads(bundled(typed, "quickstart", "--json")[1])
    assert (document["not_installed"], document["notes"]) == (["acme-nowhere"], [said])


def test_a_damaged_one_ends_every_verb_in_one_line(typed, desk, trained):
    bundled(typed, trained.run)
    content = bytearray((desk / "tiny.zip").read_bytes())
    content[len(content) // 2] ^= 4
    (desk / "tiny.zip").write_bytes(content)
    for verb in (
        ("finetune", "tiny.zip", "--data", trained.data),
        ("recipe", "show", "tiny.zip"),
        ("recipe", "diff", "tiny.zip", trained.recipe),
    ):
        code, out, err = typed(*verb)
        assert (code, out) == (3, "")
        assert err == (
            "zoo: tiny.zip: is damaged or was changed: its SHA-256 is not the one at its end; expected a bundle as "
            "'zoo bundle' wrote it; get it again\n"
        )
    code, out, _ = typed("verify", "tiny.zip")
    assert (code, out.splitlines()[0]) == (3, err.removeprefix("zoo: ").rstrip())


def test_show_check_diff_and_finetune_take_one(typed, desk, trained):
    bundled(typed, trained.run)
    assert typed("recipe", "show", "tiny.zip")[1].encode() == (trained.run / "recipe.toml").read_bytes()
    assert typed("recipe", "check", "tiny.zip")[:2] == (0, "ok tiny\n")
    code, out, _ = typed("recipe", "diff", "tiny.zip", trained.run)
    assert code == 0
    assert "A  tiny.zip  (receipt)" in out
    assert "no difference: every key has the same value, run on the same data, versions and machine" in out
    code, out, _ = typed("finetune", "tiny.zip", "--data", trained.data, "--run", "again")
    assert (code, out.splitlines()[-1]) == (0, "again")
    again = (desk / "again" / "model" / "model.safetensors").read_bytes()
    assert again == (trained.run / "model" / "model.safetensors").read_bytes()


def test_it_never_replaces_what_is_no_file_and_takes_only_zip(typed, desk, trained):
    (desk / "folder.zip").mkdir()
    code, _, err = bundled(typed, trained.run, out="folder.zip")
    assert code == 2
    code, _, err = bundled(typed, trained.run, out="tiny")
    assert (code, err.splitlines()[-1]) == (2, "Error: tiny: expected a name that ends in .zip")
    assert not (desk / "tiny").exists()


def test_a_name_that_leads_nowhere_is_one_line(typed, desk):
    code, out, err = bundled(typed, "finetune/defualt")
    assert (code, out) == (1, "")
    assert err == "zoo: Unknown recipe 'finetune/defualt'. Did you mean 'finetune/default'? See 'zoo recipe ls'.\n"


def test_what_it_leaves_behind_is_the_bundle_alone(typed, desk, trained):
    before = {path.name for path in desk.iterdir()}
    bundled(typed, trained.run)
    assert {path.name for path in desk.iterdir()} - before == {"tiny.zip"}


PAGE = (HERE / "docs" / "bundles.md").read_text(encoding="utf-8")


def test_the_page_shows_commands_that_work(typed, desk, trained):
    for name in ("runs", "photos"):
        (desk / name).mkdir()
    shutil.copytree(trained.run, "runs/pets")
    shutil.copy(trained.recipe, "pets.toml")
    shutil.copy(trained.recipe, "mine.toml")
    write_photos(desk / "photos")
    assert typed("shelf", "add", "vision", "runs")[0] == 0  # an empty shelf may lie anywhere
    for number in range(3):
        assert typed("recipe", "push", "runs/pets", "vision/pets", "--describe", f"Take {number}")[0] == 0
    assert typed("shelf", "key", "team.key")[0] == 0
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    shown = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in shown if line.startswith("zoo ")]
    assert {words[0] for words in commands} == {"bundle", "verify", "recipe", "finetune"}
    for words in commands:
        # Wheels are fetched over a network; their test has an index of its own.
        words = [one for one in words if one != "--wheels"]
        code, _, err = typed(*words, *(["--no-hashes"] if words[0] == "bundle" else []))
        assert (code, words) == (0, words), err


def test_the_page_names_every_file_that_may_be_in_one(typed, desk, trained):
    bundled(typed, trained.run)
    with zipfile.ZipFile("tiny.zip") as archive:
        there = archive.namelist()
    rows = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    folders = tuple(name for name in named if name.endswith("/"))
    assert [name for name in there if name not in named and not name.startswith(folders)] == []
    ours = {MANIFEST, SIGNATURE, VERSION, VERSION_SIGNATURE, WEIGHTS, WHEELS, MODULE, MODEL}
    assert ours <= named


def test_another_file_of_the_name_is_not_replaced(typed, desk, trained):
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.writestr("cat/1.png", "not a bundle")
    before = (desk / "photos.zip").read_bytes()
    code, out, err = bundled(typed, trained.run, out="photos.zip")
    assert (code, out, err) == (1, "", "zoo: photos.zip: is there already, and is not a bundle; give another name\n")
    assert (desk / "photos.zip").read_bytes() == before
