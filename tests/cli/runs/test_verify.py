import hashlib
import json
import shutil

import pytest

import zoo
from tests.tiny import HERE, write_photos
from zoo.errors import NotFoundError
from zoo.jobs.verifying import verify

ASSETS = HERE / "zoo" / "assets"
OLD = HERE / "tests" / "runs" / "made_before"


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished.run.path, tmp_path / "run")


def flip(path, place=-2):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_whole_run(typed, run):
    code, out, err = typed("verify", run)
    files = [file for file in run.rglob("*") if file.is_file()]
    found = zoo.verify(run)
    assert (code, err) == (0, "")
    assert out.startswith(f"{run}: whole; {found.files} files compared, ")
    assert found.files >= len(files)


def test_a_damaged_file_is_named_with_exit_code_3(typed, run):
    flip(run / "history.png")
    code, out, err = typed("verify", run)
    assert code == 3
    assert out == f"{run / 'history.png'}: is damaged: its SHA-256 is not the one in manifest.json\n"
    assert err.startswith(f"zoo: verify: {run}: 1 fault in history.png; ")
    assert len(err.splitlines()) == 1


def test_a_damaged_file_as_json(typed, run):
    flip(run / "model" / "card.json")
    code, out, _ = typed("verify", run, "--json")
    document = json.loads(out)
    assert (code, document["kind"], document["what"], document["whole"]) == (3, "verify", "run", False)
    assert {fault["path"] for fault in document["faults"]} == {str(run / "model" / "card.json")}


def test_the_runs_of_seeds(typed, run):
    around = run.parent / "around"
    for seed in (0, 1):
        shutil.copytree(run, around / f"seed-{seed}")
    assert typed("verify", around)[0] == 0
    flip(around / "seed-1" / "recipe.toml")
    code, out, _ = typed("verify", around)
    assert code == 3
    assert str(around / "seed-1" / "recipe.toml") in out
    assert "seed-0" not in out


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_a_run_that_an_earlier_zoo_made_is_whole_and_said_to_be_unverified(typed, tmp_path, name):
    run = shutil.copytree(OLD / name, tmp_path / name)
    code, out, err = typed("verify", run)
    assert (code, err) == (0, "")
    assert f"note: {run / 'run.json'}: is unverified: an earlier zoo wrote it without a seal" in out.splitlines()


def test_weights_that_a_card_knows(typed, tmp_path):
    file = shutil.copy(ASSETS / "mnist_conv.safetensors", tmp_path / "renamed.safetensors")
    assert typed("verify", file)[0] == 0
    flip(tmp_path / "renamed.safetensors")
    found = hashlib.sha256((tmp_path / "renamed.safetensors").read_bytes()).hexdigest()
    code, _, err = typed("verify", file)
    assert code == 1
    assert f"nothing says what it should be; its SHA-256 is {found}" in err


def test_a_downloads_note_says_what_its_file_should_be(tmp_path):
    file = tmp_path / "net.h5"
    file.write_bytes(b"weights")
    pin = {"url": "https://host/net.h5", "sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7}
    (tmp_path / "net.h5.pin.json").write_text(json.dumps(pin))
    assert verify(file).is_whole
    flip(file)
    (fault,) = verify(file).faults
    assert fault.path == file


def test_the_model_folder_of_a_run(run, tmp_path):
    model = shutil.copytree(run / "model", tmp_path / "model")
    assert verify(model).is_whole
    flip(model / "model.safetensors")
    (fault,) = verify(model).faults
    assert str(fault) == f"{model / 'model.safetensors'}: is damaged: its SHA-256 is not the one in card.json"


def test_a_recipe(typed, tmp_path):
    shipped = HERE / "recipes" / "quickstart.toml"
    assert typed("verify", shipped)[0] == 0
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(shipped.read_text().replace("epochs", "epoch"))
    code, out, _ = typed("verify", wrong)
    assert code == 3
    assert str(wrong) in out


def test_a_cache_with_a_pack(typed, fresh_cache, tmp_path):
    photos = write_photos(tmp_path / "photos", count=3)
    assert typed("data", "pack", "mnist_conv", "--data", photos)[0] == 0
    code, out, _ = typed("verify", fresh_cache)
    assert (code, "whole; " in out) == (0, True)
    (pack,) = fresh_cache.glob("packs/*/images.npy")
    flip(pack)
    code, out, _ = typed("verify", fresh_cache)
    assert code == 3
    assert str(pack) in out


def test_what_is_not_there_or_cannot_be_verified(typed, tmp_path):
    assert typed("verify", tmp_path / "gone")[0] == 1
    (tmp_path / "a.txt").write_text("text")
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(NotFoundError, match="expected a run"):
            verify(path)
