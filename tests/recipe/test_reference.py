import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.cli.recipes import recipe
from zoo.cli.shell.completion import complete_key
from zoo.errors import NotFoundError
from zoo.recipe import reference
from zoo.recipe.loading import load_recipe
from zoo.recipe.reference import recipe_keys
from zoo.recipe.schema import recipe_file_schema

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_every_key_has_a_meaning_in_the_schema():
    schema = recipe_file_schema()
    tables = {"": schema, **schema["$defs"]}
    sections = {"model", "data", "augment", "train", "phases", "checkpoint", "expect"}
    dumb = [
        f"{name}.{key}"
        for name, table in tables.items()
        for key, entry in table["properties"].items()
        if not entry.get("description") and not (name == "" and key in sections)
    ]
    assert dumb == []


def test_the_page_is_what_the_schema_says():
    """After a change of the schema: python -m zoo.recipe.reference > docs/recipe.md."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


def test_every_key_of_a_resolved_recipe_is_in_the_reference():
    resolved = load_recipe("quickstart").to_dict()
    listed = {key.name for key in recipe_keys()}
    for section, values in resolved.items():
        if section == "phases":
            assert {f"phases.NAME.{key}" for key in values[0]} <= listed
        elif isinstance(values, dict):
            assert {f"{section}.{key}" for key in values} <= listed
        else:
            assert section in listed


def test_the_defaults_are_those_of_a_recipe_that_says_nothing(tmp_path):
    (tmp_path / "bare.toml").write_text(
        'name = "bare"\n[model]\nname = "mnist_conv"\n[[phases]]\nname = "head"\ntrain = "head"\n'
    )
    resolved = load_recipe(tmp_path / "bare.toml").to_dict()
    compared = 0
    for key in recipe_keys():
        section, _, name = key.name.replace("phases.NAME", "phases").rpartition(".")
        table = resolved["phases"][0] if section == "phases" else resolved.get(section, {}) if section else resolved
        if key.default not in (None, "none") and name in table:
            assert json.loads(key.default) == table[name], key.name
            compared += 1
    assert compared > 45


def test_keys_are_found_by_name_meaning_and_wildcard():
    def names(pattern):
        return [key.name for key in recipe_keys(pattern)]

    assert names("flip") == ["augment.flip"]
    assert "augment.flip" in names("mirror")
    assert names("phases.head.warmup") == ["phases.NAME.warmup"]
    assert {name.split(".")[0] for name in names("train.*")} == {"train"}
    assert "phases.NAME.optimizer" in names("OPTIMIZER")
    with pytest.raises(NotFoundError, match=r"No recipe key matches 'rotaton'\. Did you mean 'rotation'\?"):
        recipe_keys("rotaton")


def test_what_a_key_may_be_is_said_in_words():
    expected = {key.name: key.expected for key in recipe_keys()}
    assert expected["augment.flip"] == '"none", "horizontal", "vertical" or "both"'
    assert expected["train.batch_size"] == '"auto" or a whole number >= 1 and <= 1000000'
    assert expected["phases.NAME.learning_rate"] == "a number > 0 and <= 100"
    assert expected["data.validation"] == 'a number >= 0 and <= 0.999 or the name of a split, such as "validation"'
    assert expected["train.deterministic"] == "true or false"


def test_the_command_prints_key_default_and_meaning():
    found = CliRunner().invoke(recipe, ["keys", "augment.flip"])
    assert (found.exit_code, found.stdout) == (
        0,
        'augment.flip = "none"\n    expected: "none", "horizontal", "vertical" or "both"\n'
        "    Which way images are mirrored, each with a probability of a half.\n",
    )
    document = json.loads(CliRunner().invoke(recipe, ["keys", "--json"]).stdout)
    assert (document["kind"], len(document["keys"])) == ("recipe-keys", len(recipe_keys()))


def test_what_has_options_is_listed_with_them():
    (loss,) = [key for key in recipe_keys() if key.name == "train.loss"]
    assert loss.choices[:2] == (
        "crossentropy: Categorical cross-entropy.",
        "focal: Cross-entropy that looks away from what is easy (Lin et al. 2017, arXiv:1708.02002). "
        "Options: gamma = 2.0 (a number >= 0 and <= 100), alpha = 0.25 (a number > 0 and <= 100).",
    )
    found = CliRunner().invoke(recipe, ["keys", "train.loss"])
    assert f"\n      {loss.choices[1]}\n" in found.stdout


def test_keys_are_completed():
    assert [item.value for item in complete_key(None, None, "train.batch")] == ["train.batch_size="]
