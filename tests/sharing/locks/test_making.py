"""Locks of a recipe before training and of its run say the same of what decides, and the run's also what came."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import zoo
from tests.tiny import tiny_recipe, write_photos
from zoo.errors import ContractError, RunError
from zoo.sharing.locks.files import default_lock_path, write_lock
from zoo.sharing.locks.image_files import image_files
from zoo.sharing.locks.lock import ParentLock, lock_differences, read_lock
from zoo.sharing.locks.making import is_run_or_runs, lock_recipe, lock_runs


@pytest.fixture(scope="module")
def lock(trained):
    return lock_runs(trained.run)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_the_lock_of_a_run_has_the_hashes_of_its_files(trained, lock):
    assert lock.recipe.sha256 == digest((trained.run / "recipe.toml").read_bytes())
    assert lock.recipe.resolved == (trained.run / "recipe.toml").read_text()
    assert lock.expected.model_sha256 == digest((trained.run / "model" / "model.safetensors").read_bytes())


def test_the_lock_of_a_run_says_what_run_json_says(trained, lock):
    record = json.loads((trained.run / "run.json").read_text())
    assert lock.classes == tuple(record["classes"])
    assert lock.data.fingerprint == record["data"]["fingerprint"]
    assert lock.environment.to_json() == record["environment"]
    assert lock.versions == {
        name: record["versions"][name] for name in ("zoo", "keras", "tensorflow", "numpy", "pillow")
    }
    assert (lock.seeds, lock.precision) == ((record["seed"],), record["precision"])
    assert lock.expected.metrics["accuracy"].value == record["metrics"]["accuracy"]
    assert list(lock.expected.metrics["accuracy"].interval) == record["intervals"]["accuracy"]
    assert lock.expected.exactness.claim == "bitwise"


def test_the_lock_of_a_run_lists_the_images_of_images_json(trained, lock):
    listed = json.loads((trained.run / "images.json").read_text())["splits"]
    assert set(lock.data.splits) == set(listed) == {"train", "validation"}
    for split, classes in listed.items():
        for name, keys in classes.items():
            assert lock.data.splits[split][name].keys == " ".join(sorted(keys))


def test_a_lock_without_training_says_the_same_of_all_that_decides(trained, lock):
    before = lock_recipe(trained.recipe, trained.data, verbose=0)
    assert before.expected is None
    assert [str(one) for one in lock_differences(before, lock)] == ["expected none, now known"]
    assert replace(lock, expected=None).to_text() == before.to_text()


def test_a_lock_names_no_place_on_the_machine(trained, lock):
    text = lock.to_text()
    assert str(trained.run) not in text
    assert str(trained.data) not in text


def test_the_classes_of_a_folder_are_hashed_by_the_contents_of_its_files(tmp_path, fresh_cache, decoded):
    photos = write_photos(tmp_path / "photos", count=4)
    written = tmp_path / "tiny.toml"
    written.write_text(tiny_recipe().to_toml())
    lock = lock_recipe(written, photos, verbose=0)
    for name in ("cat", "dog"):
        listed = [one for split in lock.data.splits.values() for one in split[name].keys.split()]
        assert sorted(listed) == sorted(digest(file.read_bytes())[:24] for file in (photos / name).iterdir())
    assert set(decoded.values()) == {1}
    lock_recipe(written, photos, verbose=0)
    assert set(decoded.values()) == {1}


def test_an_image_under_another_class_is_named_where_it_was_and_where_it_is(tmp_path):
    written = tmp_path / "tiny.toml"
    written.write_text(tiny_recipe().to_toml().replace("validation = 0.25", "validation = 0.0"))
    photos = write_photos(tmp_path / "photos", count=4)
    before = lock_recipe(written, photos, verbose=0)
    (photos / "cat" / "000.png").rename(photos / "dog" / "moved.png")
    assert [str(one) for one in lock_differences(before, lock_recipe(written, photos, verbose=0))] == [
        "data train/cat 4 images, now 3 (1 gone)",
        "data train/dog 4 images, now 5 (1 of another class before)",
    ]


def test_a_file_that_came_is_named_where_a_lock_is_replaced(tmp_path):
    written = tmp_path / "tiny.toml"
    written.write_text(tiny_recipe().to_toml().replace("validation = 0.25", "validation = 0.0"))
    photos = write_photos(tmp_path / "photos", count=4)
    lock = lock_recipe(written, photos, verbose=0)
    write_lock(lock, tmp_path / "tiny.lock")
    (photos / "cat" / "more.png").write_bytes((photos / "cat" / "000.png").read_bytes() + b" ")
    now = lock_recipe(written, photos, verbose=0)
    names = image_files(written, photos)
    assert names[digest((photos / "cat" / "more.png").read_bytes())[:24]] == ["cat/more.png"]
    with pytest.raises(ContractError, match=r"data train/cat 4 images, now 5 \(1 added: cat/more\.png\)"):
        write_lock(now, tmp_path / "tiny.lock", names=lambda: names)


def test_images_of_an_archive_have_no_names(trained):
    assert image_files(trained.recipe, trained.data) == {}


def test_parents_are_hashed_file_by_file(tmp_path, trained):
    (tmp_path / "base.toml").write_text(trained.recipe.read_text())
    child = tmp_path / "child.toml"
    child.write_text('extends = "base.toml"\nname = "child"\n[train]\nseed = 3\n')
    lock = lock_recipe(child, trained.data, verbose=0)
    (parent,) = lock.recipe.parents
    assert (parent.name, parent.sha256) == ("base.toml", digest((tmp_path / "base.toml").read_bytes()))
    assert lock.seeds == (3,)


def test_a_lock_of_a_run_has_the_parents_that_a_lock_of_its_recipe_has(trained_child):
    before = lock_recipe(trained_child.recipe, trained_child.data, verbose=0)
    lock = lock_runs(trained_child.run)
    assert [one.name for one in lock.recipe.parents] == ["finetune/linear-probe", "base.toml", "finetune/default"]
    assert replace(lock, expected=None).to_text() == before.to_text()


def test_runs_of_seeds_give_mean_and_deviation(trained_seeds):
    assert is_run_or_runs(trained_seeds)
    lock = lock_runs(trained_seeds)
    losses = [
        json.loads((trained_seeds / f"seed-{seed}" / "run.json").read_text())["metrics"]["loss"] for seed in (0, 1)
    ]
    found = lock.expected.metrics["loss"]
    assert (lock.seeds, lock.expected.runs, found.value) == ((0, 1), 2, losses[0])
    assert found.mean == pytest.approx(np.mean(losses))
    assert found.deviation == pytest.approx(np.std(losses, ddof=1))


def test_runs_that_differ_by_more_than_their_seed_are_refused(trained, tmp_path):
    around = tmp_path / "around"
    shutil.copytree(trained.run, around / "seed-0")
    zoo.finetune(tiny_recipe(batch_size=4), trained.data, run=around / "seed-1", verbose=0)
    with pytest.raises(RunError, match=r"more than its seed \(train.batch_size 8, now 4\)"):
        lock_runs(around)


def test_a_damaged_run_is_refused_in_one_line(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    content = bytearray((run / "metrics.jsonl").read_bytes())
    content[3] ^= 1
    (run / "metrics.jsonl").write_bytes(content)
    with pytest.raises(ContractError, match=r"is damaged: its SHA-256 is not the one in manifest\.json") as raised:
        lock_runs(run)
    assert "\n" not in str(raised.value)


def test_a_lock_that_says_the_same_is_left_as_it_is(lock, tmp_path):
    path = tmp_path / "tiny.lock"
    assert write_lock(lock, path).state == "written"
    assert write_lock(lock, path).state == "unchanged"
    assert read_lock(path) == lock


def test_a_lock_that_differs_is_replaced_by_force_only_and_the_change_is_said(lock, tmp_path):
    path = tmp_path / "tiny.lock"
    other = replace(lock, seeds=(4,))
    write_lock(other, path)
    before = path.read_bytes()
    with pytest.raises(ContractError, match=r"locks something else: seeds \[4\], now \[0\]; replace it with --force"):
        write_lock(lock, path)
    assert path.read_bytes() == before
    written = write_lock(lock, path, force=True)
    assert (written.state, [str(one) for one in written.differences]) == ("replaced", ["seeds [4], now [0]"])
    assert read_lock(path) == lock


def test_a_damaged_lock_is_replaced_by_force_only(lock, tmp_path):
    path = tmp_path / "tiny.lock"
    path.write_text("{}")
    with pytest.raises(ContractError, match="replace it with --force"):
        write_lock(lock, path)
    assert write_lock(lock, path, force=True).state == "replaced"


def test_a_lock_lies_beside_the_recipes_file_else_here(lock):
    assert str(default_lock_path("recipes/pets.toml", lock)) == "recipes/pets.lock"
    assert str(default_lock_path("runs/pets", lock)) == "tiny.lock"


def test_what_a_run_came_to_is_added_to_the_lock_of_its_recipe(lock, tmp_path):
    path = tmp_path / "tiny.lock"
    parents = (ParentLock(name="base.toml", sha256="a" * 64),)
    write_lock(replace(lock, expected=None, recipe=replace(lock.recipe, parents=parents)), path)
    assert write_lock(lock, path).state == "replaced"
    assert (read_lock(path).expected, read_lock(path).recipe.parents) == (lock.expected, parents)


def test_what_a_run_of_another_seed_came_to_is_not_added(lock, tmp_path):
    path = tmp_path / "tiny.lock"
    write_lock(replace(lock, expected=None, seeds=(4,)), path)
    with pytest.raises(ContractError, match=r"seeds \[4\], now \[0\]; expected none, now known"):
        write_lock(lock, path)
