"""A run notes the files that its recipe was written in when it began, and what goes on from it notes the same."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest

import zoo
from tests.tiny import rewrite
from zoo.errors import RunError
from zoo.jobs.resolving import make_job
from zoo.jobs.resuming import Request, decide
from zoo.runs.folder import RunFolder
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf


def digest(content):
    return hashlib.sha256(content).hexdigest()


def noted(path):
    return json.loads((path / "run.json").read_text(encoding="utf-8")).get("recipe_files")


@pytest.fixture
def vision(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    return open_shelf("vision")


def test_run_json_has_each_file_with_its_hash_the_recipes_own_first(trained_child):
    own = trained_child.recipe.read_bytes()
    files = noted(trained_child.run)
    assert [one["name"] for one in files] == ["child.toml", "finetune/linear-probe", "base.toml", "finetune/default"]
    assert files[0] == {"name": "child.toml", "sha256": digest(own), "text": own.decode()}
    base = trained_child.recipe.with_name("base.toml").read_bytes()
    assert files[2] == {"name": "base.toml", "sha256": digest(base), "text": base.decode()}
    assert all(one["sha256"] == digest(one["text"].encode()) for one in files)


def test_a_run_whose_recipe_extends_nothing_notes_no_files(trained):
    assert noted(trained.run) is None
    assert make_job(trained.recipe, trained.data).recipe_files is None
    assert make_job("mnist_conv_tiny", trained.data).recipe_files is None  # a model, not a recipe


def test_a_run_that_goes_on_or_is_repeated_keeps_what_its_recipe_was_when_it_began(trained_child, tmp_path):
    run = shutil.copytree(trained_child.run, tmp_path / "run")
    (tmp_path / "child.toml").write_bytes(trained_child.recipe.read_bytes())
    (tmp_path / "base.toml").write_bytes(b"# newer\n" + trained_child.recipe.with_name("base.toml").read_bytes())
    begun = RunFolder(run).record()
    repeated = zoo.finetune(run, run=tmp_path / "again", verbose=0)
    assert noted(repeated.path) == noted(run)
    (run / "manifest.json").unlink()
    RunFolder(run).write_record(replace(begun.without_result(), status="interrupted"))
    resumed = zoo.finetune(tmp_path / "child.toml", trained_child.data, run=run, resume=True, verbose=0)
    assert noted(resumed.path) == noted(trained_child.run)
    assert decide(Request(recipe=repeated.path, more_epochs=1)).job.recipe_files == begun.recipe_files


def test_bytes_that_an_editor_wrote_otherwise_are_noted_as_they_are(trained, tmp_path):
    (tmp_path / "base.toml").write_bytes(trained.recipe.read_bytes().replace(b"\n", b"\r\n"))
    own = b'\xef\xbb\xbfextends = "./base.toml"  # K\xc3\xa4se\nname = "child"\n'
    (tmp_path / "child.toml").write_bytes(own)
    files = make_job(tmp_path / "child.toml", trained.data).recipe_files
    assert files[0].text.encode() == own
    assert [(one.name, one.sha256) for one in files] == [
        ("child.toml", digest(own)),
        ("base.toml", digest((tmp_path / "base.toml").read_bytes())),
    ]


def test_a_parent_from_a_shelf_is_noted_with_its_version(trained, vision, tmp_path):
    version = vision.publish("base", {"recipe.toml": trained.recipe.read_bytes()}, {"model": "mnist_conv_tiny"})
    (tmp_path / "child.toml").write_text('extends = "vision/base"\nname = "child"\n')
    _, parent = make_job(tmp_path / "child.toml", trained.data).recipe_files
    assert (parent.name, parent.version) == ("vision/base", f"base@sha256:{version.sha256}")
    assert parent.sha256 == digest(trained.recipe.read_bytes())


def test_a_run_of_an_earlier_zoo_repeats_without_them(trained_child, tmp_path):
    run = shutil.copytree(trained_child.run, tmp_path / "run")
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    del document["recipe_files"]
    rewrite(run / "run.json", document)
    assert make_job(run).recipe_files is None


def test_a_list_of_files_that_is_not_one_is_refused_by_its_key(trained_child, tmp_path):
    run = shutil.copytree(trained_child.run, tmp_path / "run")
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    document["recipe_files"][1]["text"] = 3
    rewrite(run / "run.json", document)
    with pytest.raises(RunError, match=r"recipe_files\[1\]\.text is 3; expected text"):
        make_job(run)
