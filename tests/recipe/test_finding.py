import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import NotFoundError, RecipeError
from zoo.recipe import finding
from zoo.recipe.finding import describe_shipped_recipes, find_recipe, recipes_folder, shipped_recipes


def test_shipped_recipes_are_sorted_names():
    names = shipped_recipes()
    assert names == sorted(names)
    assert {"quickstart", "finetune/default", "finetune/full", "finetune/linear-probe"} <= set(names)


def test_every_shipped_recipe_has_a_description():
    described = describe_shipped_recipes()
    assert [one.name for one in described] == shipped_recipes()
    assert all(one.description for one in described)


def test_a_shipped_name_leads_to_its_file():
    assert find_recipe("finetune/default") == recipes_folder() / "finetune" / "default.toml"


def test_an_existing_file_is_taken_as_it_was_given(write):
    assert find_recipe(write("")) == Path("pets.toml")


def test_a_shipped_name_wins_over_a_folder_of_that_name(write):
    write("", "quickstart/notes.txt")
    assert find_recipe("quickstart") == recipes_folder() / "quickstart.toml"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFoundError) as caught:
        find_recipe("quickstrat")
    assert str(caught.value) == "Unknown recipe 'quickstrat'. Did you mean 'quickstart'? See 'zoo recipe ls'."


@pytest.mark.parametrize("name", ["../secret", "finetune/../quickstart", "/etc/passwd.toml", ""])
def test_a_name_cannot_leave_the_folder_of_recipes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((NotFoundError, RecipeError)):
        find_recipe(name)


@pytest.mark.parametrize(
    ("made", "reference", "message"),
    [
        ("photos.toml/a.txt", "photos.toml", "'photos.toml' is a folder"),
        ("notes.txt", "notes.txt", "'notes.txt' is not a recipe"),
    ],
)
def test_what_is_not_a_recipe_is_refused(write, made, reference, message):
    write("", made)
    with pytest.raises(RecipeError) as caught:
        find_recipe(reference)
    assert str(caught.value) == f"{message}; expected a .toml file or the name of a recipe"


def test_the_packaged_folder_comes_before_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "zoo"
    package.mkdir(parents=True)
    monkeypatch.setattr(finding, "_PACKAGE_FOLDER", package)
    assert recipes_folder() == tmp_path / "site-packages" / "recipes"
    (package / "recipes").mkdir()
    assert recipes_folder() == package / "recipes"


def test_finding_imports_the_standard_library_only():
    code = (
        "import sys; from zoo.recipe.finding import describe_shipped_recipes; describe_shipped_recipes(); "
        "print(sorted({'pydantic', 'numpy', 'keras', 'tensorflow', 'jax', 'tomlkit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_whose_ending_was_left_out_is_hinted_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets.toml").touch()
    with pytest.raises(NotFoundError) as raised:
        find_recipe("pets")
    assert str(raised.value) == "Unknown recipe 'pets'. There is a file 'pets.toml': type its ending too."


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(NotFoundError, match=r"the recipe is empty; expected the path of a \.toml file or a name"):
        find_recipe("")
