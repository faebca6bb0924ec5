import json
import tomllib
from pathlib import Path

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
    result = run("show", "finetune/gradual", "--set", "model.name=mnist_conv", "--plot", str(picture))
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


def test_show_resolved_says_where_each_value_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('extends = "quickstart"\nname = "mine"\n')
    lines = run("show", "mine.toml", "--resolved", "--set", "train.seed=7").stdout.splitlines()
    rows = {row[0]: row[1:] for row in (line.split() for line in lines)}
    assert rows["key"] == ["value", "from"]
    assert rows["name"] == ['"mine"', "mine.toml:2"]
    assert rows["train.seed"] == ["7", "--set"]
    assert rows["train.ema"] == ["0.0", "default"]
    assert rows["expect"] == ["none", "default"]
    value, place = rows["model.name"]
    assert value == '"mnist_conv"'
    file, _, line = place.rpartition(":")
    assert Path(file).read_text("utf-8").splitlines()[int(line) - 1] == 'name = "mnist_conv"'
    assert len({line.rindex("  ") for line in lines}) == 1  # aligned


def test_show_resolved_fits_a_narrow_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("show", "quickstart", "--resolved").stdout.splitlines()
    assert any(line.startswith("description") and "..." in line for line in lines)
    assert [line for line in lines if "recipes/quickstart.toml:9" in line]


def test_show_resolved_as_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('extends = "quickstart"\nname = "mine"\n')
    document = json.loads(run("show", "mine.toml", "--resolved", "--set", "train.seed=7", "--json").stdout)
    assert document["recipe"]["train"]["seed"] == 7
    keys = {one["key"]: one for one in document["keys"]}
    assert keys["name"] == {"key": "name", "value": "mine", "from": "file", "file": "mine.toml", "line": 2}
    assert keys["train.seed"] == {"key": "train.seed", "value": 7, "from": "--set", "file": None, "line": None}
    assert keys["train.ema"] == {"key": "train.ema", "value": 0.0, "from": "default", "file": None, "line": None}
