"""A bundle in the cache: by its hash, whole, and found again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.shelves.bundles.made import FILES, entries, write, zipped
from zoo.errors import RecipeError
from zoo.jobs.verifying import verify
from zoo.recipe.finding import find_recipe
from zoo.recipe.loading import load_recipe
from zoo.shelves.bundles.opened import bundle_of, open_bundle

pytestmark = pytest.mark.usefixtures("fresh_cache")


@pytest.fixture
def path(tmp_path):
    files = {**FILES, "wheels/pets-1-py3-none-any.whl": b"a wheel"}
    return write(tmp_path / "pets.zip", zipped(entries(files)))


def test_the_files_lie_in_the_cache_but_for_the_wheels(path, fresh_cache):
    opened = open_bundle(path)
    assert opened.path == fresh_cache / "bundles" / opened.sha256[:40] / "files"
    assert {one.relative_to(opened.path).as_posix() for one in opened.path.rglob("*")} == set(FILES)
    assert (opened.path / "recipe.toml").read_bytes() == FILES["recipe.toml"]


def test_a_file_that_was_changed_in_the_cache_is_put_back(path):
    opened = open_bundle(path)
    (opened.path / "recipe.toml").write_bytes(b"changed")
    assert not verify(opened.path.parent).is_whole
    assert (open_bundle(path).path / "recipe.toml").read_bytes() == FILES["recipe.toml"]
    assert verify(opened.path.parent).is_whole


def test_many_that_open_it_at_once_find_it_whole(path):
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_bundle, [path] * 8))
    assert opened == opened[:1] * 8
    assert verify(opened[0].path.parent).is_whole
    assert not [one for one in opened[0].path.parents[1].iterdir() if one.name.startswith((".part-", ".gone-"))]


def test_a_file_in_the_cache_leads_to_its_bundle(path, tmp_path):
    opened = open_bundle(path)
    assert bundle_of(opened.path / "recipe.toml") == opened
    assert bundle_of(path) is None
    assert bundle_of(tmp_path) is None


def test_a_recipe_is_found_in_a_bundle(path):
    assert find_recipe(path) == open_bundle(path).path / "recipe.toml"
    assert load_recipe(path).phases[0].epochs == 2


def test_a_recipe_in_a_bundle_extends_nothing(tmp_path):
    files = {**FILES, "recipe.toml": b'extends = "finetune/default"\nname = "pets"\n[model]\nname = "mnist_conv"\n'}
    path = write(tmp_path / "pets.zip", zipped(entries(files)))
    with pytest.raises(RecipeError, match=r"^bundle pets/recipe.toml:1: extends .*a bundle extends nothing"):
        load_recipe(path)


def test_a_bundle_without_a_recipe_is_refused(tmp_path):
    path = write(tmp_path / "pets.zip", zipped(entries({"README.md": b"# pets\n"})))
    with pytest.raises(Exception, match=r"pets.zip: holds no recipe.toml; expected a bundle of a recipe"):
        find_recipe(path)
