import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import zoo
from tests.modules import module
from tests.recipe.conftest import VALID
from zoo.cli.recipe import recipe
from zoo.errors import ContractError, NotFoundError
from zoo.foreign import saved_models
from zoo.recipe.finding import shipped_recipes
from zoo.recipe.loading import load_recipe


def run(*arguments):
    return CliRunner().invoke(recipe, arguments)


def test_ls_prints_a_line_per_recipe():
    result = run("ls")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == shipped_recipes()


def test_ls_as_json():
    document = json.loads(run("ls", "--json").stdout)
    assert list(document) == ["schema", "kind", "recipes"]
    assert (document["schema"], document["kind"]) == (1, "recipes")
    assert [one["name"] for one in document["recipes"]] == shipped_recipes()
    assert all(set(one) == {"name", "description"} for one in document["recipes"])


def test_show_prints_the_resolved_recipe():
    result = run("show", "quickstart", "--set", "phases.head.epochs=1", "--set", "train.seed=7")
    assert result.exit_code == 0
    expected = load_recipe("quickstart", ["phases.head.epochs=1", "train.seed=7"])
    assert tomllib.loads(result.stdout) == expected.to_dict()


def test_show_as_json():
    document = json.loads(run("show", "quickstart", "--json").stdout)
    assert document == {"schema": 1, "kind": "recipe", "recipe": load_recipe("quickstart").to_dict()}


def test_show_draws_the_rates(tmp_path):
    picture = tmp_path / "rates.png"
    result = run("show", "finetune/gradual", "--plot", str(picture))
    assert result.exit_code == 0
    assert tomllib.loads(result.stdout)["name"] == "gradual"
    assert f"learning rates  {picture}\n" in result.stderr
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_show_draws_the_rates_of_a_graph_that_brings_its_own_weights_by_stage(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    zoo.trust(module())
    handle = f"model.handle={saved_models.fetch(str(module())).handle}"
    options = ("--set", "model.name=tfhub", "--set", handle, "--set", "phases.all.layer_decay=0.5")
    result = run("show", "finetune/gradual", *options, "--plot", str(tmp_path / "rates.png"))
    assert result.exit_code == 0, result.output
    assert "no rates by stage" not in result.stderr


def test_show_lets_the_error_through():
    error = run("show", "quickstrat").exception
    assert isinstance(error, NotFoundError)


def test_check_says_ok_and_prints_every_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(VALID)
    Path("bad.toml").write_text(VALID + "epochs = 0\nwarmup = 1\n")
    result = run("check", "good.toml", "bad.toml", "gone.toml")
    assert result.stdout == "ok pets\n"
    assert result.stderr.splitlines() == [
        "bad.toml:7: phases[0].epochs is 0; expected >= 1",
        "bad.toml:8: phases[0].warmup is 1; expected <= 0.999",
        "gone.toml: there is no such file. See 'zoo recipe ls'.",
    ]
    assert isinstance(result.exception, ContractError)
    assert result.exception.exit_code == 3
    assert str(result.exception) == "2 of 3 recipes failed the check: bad.toml, gone.toml"


def test_check_as_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(VALID)
    Path("bad.toml").write_text(VALID + "epochs = 0\n")
    result = run("check", "good.toml", "bad.toml", "--json")
    assert json.loads(result.stdout) == {
        "schema": 1,
        "kind": "recipe-check",
        "recipes": [
            {"recipe": "good.toml", "name": "pets", "ok": True, "errors": []},
            {
                "recipe": "bad.toml",
                "name": None,
                "ok": False,
                "errors": ["bad.toml:7: phases[0].epochs is 0; expected >= 1"],
            },
        ],
    }
    assert isinstance(result.exception, ContractError)


def test_check_of_all_that_ships_is_ok():
    result = run("check", *shipped_recipes())
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(shipped_recipes()) > 0


def test_schema_prints_the_json_schema():
    schema = json.loads(run("schema").stdout)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Phase"]["properties"]["learning_rate"] == {
        "default": 0.001,
        "description": "The highest learning rate of the phase; `zoo lr-find` suggests one.",
        "exclusiveMinimum": 0,
        "maximum": 100,
        "title": "Learning Rate",
        "type": "number",
    }


@pytest.mark.parametrize("command", ["ls", "show", "check", "schema"])
def test_every_command_has_help_with_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"zoo recipe {command}" in result.stdout
