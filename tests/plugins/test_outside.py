"""A package outside adds rows to the open tables: each is used in a recipe, trained, and found in messages and help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = Path(__file__).parent / "outside"

TRAIN = """
import json, sys
import zoo
from zoo.recipe.schema import Recipe

recipe = Recipe.model_validate({
    "name": "striped",
    "model": {"name": "outside_net", "weights": "none"},
    "data": {"source": "stripes:loud", "options": {"count": 48}, "validation": 0.25},
    "augment": {"policy": "speckled", "layers": {"speckle": {"amount": 5.0}, "solarize": {"probability": 0.0}}},
    "train": {"batch_size": 8, "loss": "distance", "loss_options": {"power": 1.5}},
    "phases": [
        {"name": "all", "train": "all", "epochs": 12, "learning_rate": 0.03, "schedule": "stairs",
         "schedule_options": {"steps": 3}, "optimizer": "sign_descent", "optimizer_options": {"power": 0.5}},
    ],
})
first, again = (zoo.finetune(recipe, run=f"{sys.argv[1]}/{name}") for name in ("first", "again"))
print(json.dumps({
    "classes": first.classifier.classes,
    "accuracy": first.metrics["accuracy"],
    "same": all((a.numpy() == b.numpy()).all() for a, b in zip(first.model.weights, again.model.weights)),
    "rates": sorted({round(row["learning_rate"], 6) for row in first.history}),
    "kept": Recipe.load(f"{sys.argv[1]}/first/recipe.toml") == recipe,
}))
"""


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(OUTSIDE), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def zoo(*arguments):
    ended = run("-c", "from zoo.cli import main; main()", *arguments)
    return ended.returncode, ended.stdout, ended.stderr


PACKAGES = """
import json
from zoo.recipe.schema import Recipe
from zoo.runs.packages import installed_versions, plug_in_packages

phases = [{"name": "all", "train": "all"}]
plain = {"name": "plain", "model": {"name": "mnist_conv", "weights": "none"}, "phases": phases}
changes = [
    {},
    {"model": {"name": "outside_net", "weights": "none"}},
    {"data": {"source": "stripes:loud", "options": {"count": 48}}},
    {"augment": {"policy": "speckled"}},
    {"augment": {"layers": {"speckle": {}}}},
    {"train": {"loss": "distance"}},
    {"phases": [{**phases[0], "optimizer": "sign_descent"}]},
    {"phases": [{**phases[0], "schedule": "stairs"}]},
]
recipes = [Recipe.model_validate({**plain, **change}) for change in changes]
print(json.dumps([[plug_in_packages(one), installed_versions(one).get("zoo-outside")] for one in recipes]))
"""


def test_the_package_of_each_row_that_a_recipe_names_is_recorded_with_its_version():
    ended = run("-c", PACKAGES)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [[[], None], *[[["zoo-outside"], "1.0"]] * 7]


def test_a_recipe_of_their_rows_is_trained_the_same_in_every_repetition(tmp_path):
    ended = run("-c", TRAIN, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["classes"] == ["LYING", "STANDING"]
    assert told["accuracy"] == 1.0
    assert told["same"] and told["kept"]
    # 0.03 in the first third of the 60 steps, then less by a quarter of it in each.
    assert told["rates"] == [0.015, 0.0225, 0.03]


RECIPE = """
name = "striped"
[model]
name = "outside_net"
weights = "none"
{}
[[phases]]
name = "all"
train = "all"
"""


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            '[data]\nsource = "strips:plain"',
            'data.source is "strips:plain"; expected "folder", "csv", "jsonl", "npz", "idx", "builtin:NAME", '
            '"hf:NAME", "tfds:NAME" or "stripes:NAME"',
        ),
        (
            '[data]\nsource = "stripes:plain"\noptions = {cuont = 3}',
            "data.options.cuont: source 'stripes' has no such option. Did you mean 'count'? It has: side, count.",
        ),
        (
            '[data]\nsource = "stripes:plain"\noptions = {side = 3}',
            "data.options.side is 3; expected a whole number >= 4",
        ),
        (
            '[train]\nloss = "distanse"',
            'train.loss is "distanse"; expected "crossentropy", "focal", "kl_divergence", "mean_squared_error" or '
            "\"distance\". Did you mean 'distance'?",
        ),
        (
            '[train]\nloss = "distance"\nloss_options = {pwoer = 2.0}',
            "train.loss_options.pwoer: loss 'distance' has no such option. Did you mean 'power'? It has: power.",
        ),
        (
            '[train]\n[set]\n"phases.all.optimizer" = "sign_decent"',
            'phases.all.optimizer is "sign_decent"; expected',
        ),
        (
            '[augment]\npolicy = "speckeld"',
            'augment.policy is "speckeld"; expected "none", "randaugment", "augmix", "trivial" or "speckled"',
        ),
        (
            "[augment]\nlayers = {speckel = {}}",
            "augment.layers.speckel: unknown augmentation. Did you mean 'speckle'? There are: flip, ",
        ),
        (
            "[augment]\nlayers = {speckle = {amuont = 3.0}}",
            "augment.layers.speckle.amuont: augmentation 'speckle' has no such option. Did you mean 'amount'? "
            "It has: amount.",
        ),
    ],
)
def test_their_rows_and_options_stand_in_messages(written, says, tmp_path):
    path = tmp_path / "striped.toml"
    path.write_text(RECIPE.format(written))
    code, _, err = zoo("recipe", "check", str(path))
    assert code == 3
    line = path.read_text().splitlines().index(written.splitlines()[-1]) + 1
    assert f"{path}:{line}: {says}" in err, err


def test_their_rows_stand_in_help():
    assert '"tfds:NAME" or "stripes:NAME"' in " ".join(zoo("recipe", "keys", "data.source")[1].split())
    assert '"trivial" or "speckled"' in " ".join(zoo("recipe", "keys", "augment.policy")[1].split())
    assert "outside_net" in zoo("list")[1]
    told = zoo("recipe", "keys", "phases.*")[1]
    assert "sign_descent: The sign of the gradient. Options: power = 0.0 (a number >= 0 and <= 1)." in told
    assert "stairs: Equal steps. Options: steps = 4 (a whole number >= 1)." in told
    schema = json.loads(zoo("recipe", "schema")[1])["$defs"]
    assert "distance" in schema["TrainSection"]["properties"]["loss"]["enum"]
    assert "stairs" in schema["Phase"]["properties"]["schedule"]["enum"]


def test_their_format_stands_in_help_and_is_offered():
    assert "safetensors, names." in " ".join(zoo("export", "--help")[1].split())
    code, _, err = zoo("export", "runs/pets", "--to", "nams")
    assert code == 1
    assert "Unknown export format 'nams'. Did you mean 'names'? There are: " in err


def test_their_schedule_is_drawn(tmp_path):
    path = tmp_path / "striped.toml"
    path.write_text(RECIPE.format("") + 'schedule = "stairs"\n')
    code, _, err = zoo("recipe", "show", str(path), "--plot", str(tmp_path / "rates.png"))
    assert code == 0, err
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_their_source_is_checked_with_its_options():
    code, out, _ = zoo("data", "check", "--source", "stripes:plain", "--option", "count=6", "--option", "side=8")
    assert code == 0
    assert "lying         3" in out and "all of 8 x 8 pixels" in out
    assert zoo("data", "check", "--source", "stripes:plain", "--option", "count")[0] == 2


def test_a_path_is_refused_where_their_row_takes_none(tmp_path):
    code, _, err = zoo("data", "check", str(tmp_path), "--source", "stripes:plain")
    assert code == 3
    assert "stripes:plain has its own images and takes no path. Leave PATH out" in err
