import json
import shutil

import pytest

from tests.cli.recipes.conftest import run
from zoo.errors import ContractError
from zoo.recipe.finding import shipped_recipes
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf


def test_ls_prints_a_line_per_recipe():
    result = run("ls")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == shipped_recipes()


def test_ls_as_json():
    document = json.loads(run("ls", "--json").stdout)
    assert list(document) == ["schema", "kind", "recipes", "faults"]
    assert (document["schema"], document["kind"]) == (1, "recipes")
    assert [one["name"] for one in document["recipes"]] == shipped_recipes()
    assert all(set(one) == {"name", "description"} for one in document["recipes"])


@pytest.fixture
def vision(tmp_path, monkeypatch):
    """A shelf of two recipes, one of them in two versions."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    shelf = open_shelf("vision")
    for accuracy in (0.85, 0.95):
        said = {"model": "resnet50", "classes": 37, "metrics": {"accuracy": accuracy}, "description": "Cats and dogs."}
        shelf.publish("pets", {"recipe.toml": b""}, said)
    shelf.publish("birds", {"recipe.toml": b""}, {"model": "mobilenet", "metrics": {"accuracy": 0.9, "f1": 0.8}})
    return shelf


def listed(*arguments):
    return [line.split()[0] for line in run("ls", "--shelf", "vision", *arguments).stdout.splitlines()[1:]]


def test_ls_of_a_shelf_lists_the_newest_version_of_each(vision):
    assert listed() == ["vision/birds@1", "vision/pets@2"]
    assert listed("--versions") == ["vision/birds@1", "vision/pets@1", "vision/pets@2"]
    assert "resnet50        37  accuracy 0.95" in run("ls", "--shelf", "vision").stdout


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("accuracy>0.9", ["vision/pets@2"]),
        ("accuracy>=0.9 and model=mobilenet", ["vision/birds@1"]),
        ("f1>0", ["vision/birds@1"]),
        ("model=res*", ["vision/pets@2"]),
        ("classes<100", ["vision/pets@2"]),
        ("version=1", ["vision/birds@1"]),
        ("accuracy>0.99", []),
    ],
)
def test_ls_of_a_shelf_keeps_those_for_which_all_comparisons_hold(where, kept, vision):
    assert listed("--where", where) == kept


def test_a_figure_that_no_version_has_is_answered_with_what_there_is(vision):
    refused = run("ls", "--shelf", "vision", "--where", "acuracy>0.9")
    assert refused.exit_code == 2
    assert "unknown key 'acuracy'. Did you mean 'accuracy'? Known: accuracy, f1, version" in refused.stderr


def test_where_without_a_shelf_is_refused():
    assert "add --shelf NAME" in run("ls", "--where", "accuracy>0.9").stderr


def test_ls_of_a_shelf_as_json(vision):
    (birds, pets) = json.loads(run("ls", "--shelf", "vision", "--json").stdout)["recipes"]
    newest = vision.versions("pets")[-1]
    assert (pets["name"], pets["version"], pets["sha256"]) == ("vision/pets", 2, newest.sha256)
    assert (birds["metrics"], birds["classes"]) == ({"accuracy": 0.9, "f1": 0.8}, None)


def test_a_damaged_recipe_is_named_and_the_others_are_listed(vision, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.shelves.shelf.AGAIN_SECONDS", 0.0)
    (tmp_path / "shelf/recipes/pets/2.json").write_text("{}")
    result = run("ls", "--shelf", "vision")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["recipe", "vision/birds@1"]
    assert f"{tmp_path}/shelf/recipes/pets/2.json: " in result.stderr
    assert (type(result.exception), str(result.exception)) == (ContractError, "1 recipe on 'vision' cannot be used")
    document = json.loads(run("ls", "--shelf", "vision", "--json").stdout)
    assert ([one["name"] for one in document["recipes"]], len(document["faults"])) == (["vision/birds"], 1)


def test_a_recipe_that_is_gone_is_named_and_the_others_are_listed(vision, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.shelves.shelf.AGAIN_SECONDS", 0.0)
    shutil.rmtree(tmp_path / "shelf/recipes/birds")
    result = run("ls", "--shelf", "vision", "--versions")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["recipe", "vision/pets@1", "vision/pets@2"]
    assert "birds@1 was seen before and is gone" in result.stderr
