import json
from pathlib import Path

import pytest

from tests.tiny import tiny_recipe, write_npz, write_photos
from zoo.recipe.schema import Recipe


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe().to_toml())
    return path, write_npz(tmp_path / "images.npz", count=16)


def test_a_lock_lies_beside_the_recipe_and_is_said(typed, written):
    path, data = written
    code, out, _ = typed("recipe", "lock", path, "--data", data)
    lines = out.splitlines()
    lock = json.loads((path.parent / "tiny.lock").read_text())
    assert code == 0
    assert "images   train 12, validation 4 of 2 classes" in lines
    assert f"{path.parent / 'tiny.lock'}  written" in lines
    assert (lock["kind"], lock["recipe"]["name"], lock["expected"]) == ("lock", "tiny", None)
    assert typed("recipe", "lock", path, "--data", data)[1].splitlines()[-2].endswith("tiny.lock  unchanged")


def test_another_lock_is_replaced_by_force_only_and_what_changed_is_said(typed, written):
    path, data = written
    typed("recipe", "lock", path, "--data", data)
    path.write_text(path.read_text().replace("seed = 0", "seed = 1"))
    code, out, err = typed("recipe", "lock", path, "--data", data)
    assert (code, out) == (3, "")
    assert "tiny.lock: locks something else: recipe train.seed 0, now 1" in err
    code, out, _ = typed("recipe", "lock", path, "--data", data, "--force")
    assert code == 0
    assert "changed  recipe train.seed 0, now 1" in out.splitlines()


def test_the_image_that_came_is_named_by_its_file(typed, written, tmp_path):
    path, _ = written
    photos = write_photos(tmp_path / "photos", count=4)
    typed("recipe", "lock", path, "--data", photos)
    (photos / "dog" / "more.png").write_bytes((photos / "dog" / "001.png").read_bytes() + b" ")
    code, _, err = typed("recipe", "lock", path, "--data", photos)
    assert (code, "dog/more.png" in err) == (3, True)


def test_a_lock_that_cannot_be_written_is_refused_before_an_image_is_read(typed, tmp_path, decoded):
    path, photos = tmp_path / "tiny.toml", write_photos(tmp_path / "photos", count=4)
    path.write_text(tiny_recipe().to_toml())
    (tmp_path / "tiny.lock").mkdir()
    code, _, err = typed("recipe", "lock", path, "--data", photos)
    assert (code, "tiny.lock' is a directory" in err, sum(decoded.values())) == (2, True, 0)


def test_a_lock_as_json(typed, written):
    path, data = written
    code, out, _ = typed("recipe", "lock", path, "--data", data, "--out", path.parent / "other.lock", "--json")
    document = json.loads(out)
    assert (code, document["kind"], document["state"]) == (0, "recipe-lock", "written")
    assert document["lock"] == str(path.parent / "other.lock")


def test_a_run_knows_its_images(typed, trained, tmp_path):
    code, out, _ = typed("recipe", "lock", trained.run, "--out", tmp_path / "a.lock")
    assert code == 0
    assert any(line.startswith("expected accuracy ") for line in out.splitlines())
    code, _, err = typed("recipe", "lock", trained.run, "--data", trained.data)
    assert code == 2
    assert "a RUN knows its images" in err


def test_a_run_is_not_locked_beside_a_recipe_that_says_something_else(typed, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    resolved = (trained.run / "recipe.toml").read_text()
    recipe = Path(f"{Recipe.load(trained.run / 'recipe.toml').name}.toml")
    recipe.write_text(resolved.replace("seed = 0", "seed = 5"))
    code, _, err = typed("recipe", "lock", trained.run)
    lock = recipe.with_suffix(".lock")
    other = f"{recipe.stem}-of-run.lock"
    said = f"{lock}: lies beside {recipe}, which differs from the run's recipe in train.seed; type zoo recipe lock "
    assert (code, err.splitlines()) == (3, [f"zoo: {said}{trained.run} --out {other}"])
    assert not lock.exists()
    assert typed("recipe", "lock", trained.run, "--out", other)[0] == 0
    recipe.write_text(resolved)
    assert typed("recipe", "lock", trained.run)[0] == 0
