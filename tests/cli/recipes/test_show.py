import json
import tomllib

from PIL import Image

import zoo
from tests.cli.recipes.conftest import run
from tests.modules import module
from zoo.errors import NotFoundError
from zoo.foreign import saved_models
from zoo.recipe.loading import load_recipe


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
