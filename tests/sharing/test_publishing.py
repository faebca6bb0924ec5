"""Which files go into a version, and what is said of it before anything of it is loaded."""

import hashlib
import json
from pathlib import Path

import pytest

import zoo
from tests.tiny import tiny_recipe
from zoo.errors import ContractError, RecipeError, RunError
from zoo.recipe.loading import load_recipe
from zoo.sharing.locks.files import write_lock
from zoo.sharing.locks.making import lock_recipe, lock_runs
from zoo.sharing.publishing import compose
from zoo.shelves.versions import read_metadata


def content(publication, name):
    one = publication.files[name]
    return one.read_bytes() if isinstance(one, Path) else one


def test_of_a_run_go_recipe_lock_receipt_and_curves(trained):
    made = compose(trained.run)
    assert set(made.files) == {"recipe.toml", "lock.json", "receipt.json", "metrics.jsonl"}
    assert content(made, "recipe.toml") == (trained.run / "recipe.toml").read_bytes()
    assert content(made, "metrics.jsonl") == (trained.run / "metrics.jsonl").read_bytes()
    assert content(made, "lock.json").decode() == lock_runs(trained.run).to_text()
    receipt = json.loads(content(made, "receipt.json"))
    for name in ("recipe.toml", "lock.json", "metrics.jsonl"):
        assert receipt["sha256"][name] == hashlib.sha256(content(made, name)).hexdigest()


def test_weights_go_where_they_are_asked_for(trained):
    made = compose(trained.run, weights=True)
    numbers = trained.run / "model" / "model.safetensors"
    assert set(made.files) - set(compose(trained.run).files) == {"model/model.safetensors", "model/card.json"}
    assert made.weights_bytes == made.metadata["weights_bytes"] == numbers.stat().st_size
    assert compose(trained.run).weights_bytes == 0
    assert "weights_bytes" not in compose(trained.run).metadata


def test_metadata_say_what_a_listing_shows(trained):
    record = json.loads((trained.run / "run.json").read_text())
    metadata = compose(trained.run, description="Two bands").metadata
    assert metadata["description"] == "Two bands"
    assert (metadata["model"], metadata["recipe"]) == ("mnist_conv_tiny", "tiny")
    assert (metadata["classes"], metadata["class_names"], metadata["images"]) == (2, ["cat", "dog"], 12)
    assert metadata["metrics"] == record["metrics"]
    assert metadata["intervals"] == record["intervals"]
    assert read_metadata(metadata).needs == ()
    assert json.loads(json.dumps(metadata)) == metadata


def test_nothing_of_a_version_names_a_place_on_the_machine(trained):
    made = compose(trained.run, weights=True)
    for name in made.files:
        for place in (trained.run, trained.data, Path.home() / "x"):
            assert str(place).encode() not in content(made, name)
    assert str(trained.run) not in json.dumps(made.metadata)


def test_of_a_recipe_goes_the_resolved_recipe_alone(trained):
    made = compose(trained.recipe)
    assert set(made.files) == {"recipe.toml"}
    assert content(made, "recipe.toml").decode() == load_recipe(trained.recipe).to_toml()
    assert made.metadata["model"] == "mnist_conv_tiny"
    assert "classes" not in made.metadata


def test_a_recipe_that_extends_others_goes_with_all_of_them_as_they_were_written(tmp_path):
    (tmp_path / "parts").mkdir()
    base = 'extends = "finetune/linear-probe"\nname = "base"\n'
    (tmp_path / "parts" / "base.toml").write_text(base)
    written = 'extends = "parts/base.toml"\nname = "my-pets"  # mine\n[model]\nname = "mnist_conv_tiny"\n'
    (tmp_path / "my pets.toml").write_text(written)
    made = compose(tmp_path / "my pets.toml")
    assert content(made, "source/my_pets.toml").decode() == written
    assert content(made, "source/parts/base.toml").decode() == base
    assert "source/named/finetune/linear-probe.toml" in made.files
    assert "extends" not in content(made, "recipe.toml").decode()


def test_of_a_run_goes_what_its_recipe_extends_as_of_the_recipe(trained_child):
    of_run, of_recipe = compose(trained_child.run), compose(trained_child.recipe)
    names = {name for name in of_recipe.files if name.startswith("source/")}
    assert len(names) == 4
    assert names == {name for name in of_run.files if name.startswith("source/")}
    for name in (*names, "recipe.toml"):
        assert content(of_run, name) == content(of_recipe, name)
    assert of_run.metadata["parent"] is of_recipe.metadata["parent"] is None


def test_the_lock_beside_a_recipe_goes_with_it(tmp_path, trained):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe().to_toml())
    lock = lock_recipe(path, trained.data, verbose=0)
    write_lock(lock, tmp_path / "tiny.lock")
    made = compose(path)
    assert content(made, "lock.json").decode() == lock.to_text()
    assert made.metadata["class_names"] == ["cat", "dog"]


def test_a_lock_of_another_recipe_is_refused(tmp_path, trained):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe().to_toml())
    write_lock(lock_recipe(path, trained.data, verbose=0), tmp_path / "tiny.lock")
    path.write_text(tiny_recipe(seed=7).to_toml())
    with pytest.raises(ContractError, match=r"is not of .* as it is now \(recipe train.seed 0, now 7\)"):
        compose(path)


def test_the_licence_of_the_weights_that_it_begins_with_is_said(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe().to_toml().replace('weights = "none"', 'weights = "mnist"'))
    (known,) = (one.licence for one in zoo.info("mnist_conv_tiny").weights)
    assert compose(path).metadata["licence"] == known


def test_of_the_runs_of_seeds_the_first_goes_with_the_spread_of_all(trained, trained_seeds):
    made = compose(trained_seeds)
    lock = json.loads(content(made, "lock.json"))
    assert (lock["seeds"], lock["expected"]["runs"]) == ([0, 1], 2)
    assert content(made, "recipe.toml") == (trained.run / "recipe.toml").read_bytes()


def test_a_recipe_has_no_weights(trained):
    with pytest.raises(RunError, match="is a recipe, which has no weights of its own"):
        compose(trained.recipe, weights=True)


def test_a_module_beside_a_recipe_is_not_carried(tmp_path):
    path = tmp_path / "hub.toml"
    path.write_text(
        'name = "hub"\n[model]\nname = "tfhub"\nhandle = "modules/net"\n[[phases]]\nname = "head"\ntrain = "head"\n'
    )
    with pytest.raises(RecipeError, match="a module beside the recipe, which a version does not carry"):
        compose(path)


def test_a_module_by_its_hash_is_said_to_need_trust(tmp_path):
    path, handle = tmp_path / "hub.toml", f"sha256:{'a' * 64}"
    path.write_text(
        f'name = "hub"\n[model]\nname = "tfhub"\nhandle = "{handle}"\n[[phases]]\nname = "head"\ntrain = "head"\n'
    )
    assert read_metadata(compose(path).metadata).needs == (f"module {handle} (a program: it has to be trusted)",)
