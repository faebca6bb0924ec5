"""Recipes that extend one on a shelf."""

from pathlib import Path

import pytest

from tests.recipe.conftest import VALID
from zoo.errors import RecipeError
from zoo.recipe.loading import load_by_key, load_recipe
from zoo.shelves.configured import add_shelf
from zoo.shelves.places.opening import checked_url
from zoo.shelves.shelf import open_shelf


@pytest.fixture
def vision(tmp_path, monkeypatch):
    """The shelf `vision`, in a folder, with two versions of the recipe `base`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    Path("shelf").mkdir()
    add_shelf("vision", checked_url("shelf"))
    shelf = open_shelf("vision")
    for epochs in (2, 3):
        shelf.publish("base", {"recipe.toml": f"{VALID}epochs = {epochs}\n".encode()}, {})
    return shelf


def child(extends):
    Path("child.toml").write_text(f'extends = "{extends}"\nname = "child"\n')
    return "child.toml"


def message_of(reference):
    with pytest.raises(RecipeError) as caught:
        load_recipe(reference)
    return str(caught.value)


def test_a_recipe_extends_the_newest_version_or_the_one_that_it_names(vision):
    first = vision.versions("base")[0]
    assert load_recipe(child("vision/base")).phases[0].epochs == 3
    assert load_recipe(child("vision/base@1")).phases[0].epochs == 2
    assert load_recipe(child(f"vision/base@sha256:{first.sha256}")).phases[0].epochs == 2


def test_where_a_value_comes_from_is_said_by_the_version(vision):
    _, keys = load_by_key(child("vision/base@1"))
    assert {one.key: str(one.location) for one in keys if one.location} == {
        "name": "child.toml:2",
        "model.name": "base@1/recipe.toml:3",
        "phases.head.name": "base@1/recipe.toml:5",
        "phases.head.train": "base@1/recipe.toml:6",
        "phases.head.epochs": "base@1/recipe.toml:7",
    }


def test_what_is_not_on_the_shelf_is_a_fault_with_its_line(vision):
    assert message_of(child("vision/bose")) == (
        "child.toml:1: extends \"vision/bose\": Shelf 'vision' has no recipe 'bose'. Did you mean 'base'? "
        "See 'zoo recipe ls --shelf vision'."
    )
    assert message_of(child("vision/base@7")) == (
        "child.toml:1: extends \"vision/base@7\": vision/base@7: shelf 'vision' has no such version; "
        "the newest is base@2"
    )


def test_a_shelf_that_is_gone_is_a_fault_with_its_line_and_what_was_pulled_still_works(vision, capsys):
    load_recipe(child("vision/base@1"))
    Path("shelf").rename("unplugged")
    assert load_recipe("child.toml").phases[0].epochs == 2
    assert "offline" in capsys.readouterr().err
    assert message_of(child("vision/base@2")).startswith('child.toml:1: extends "vision/base@2": ')


@pytest.mark.parametrize("extends", ["vision/base", "finetune/default", "quickstart"])
def test_a_published_recipe_may_not_extend_what_can_change(vision, extends):
    vision.publish("loose", {"recipe.toml": f'extends = "{extends}"\nname = "loose"\n'.encode()}, {})
    assert message_of("vision/loose") == (
        f'loose@1/recipe.toml:1: extends "{extends}": a published recipe may not extend what can change; '
        "expected a version on a shelf, such as vision/base@3"
    )


def test_a_published_recipe_may_extend_a_version_and_its_own_files(vision):
    files = {
        "recipe.toml": b'extends = ["vision/base@1", "source/more.toml"]\nname = "pinned"\n',
        "source/more.toml": b"[train]\nseed = 7\n",
    }
    vision.publish("pinned", files, {})
    recipe = load_recipe("vision/pinned")
    assert (recipe.name, recipe.phases[0].epochs, recipe.train.seed) == ("pinned", 2, 7)
