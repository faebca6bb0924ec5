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
    "train": {"batch_size": 8},
    "phases": [{"name": "all", "train": "all", "epochs": 12, "learning_rate": 0.03}],
})
first, again = (zoo.finetune(recipe, run=f"{sys.argv[1]}/{name}") for name in ("first", "again"))
print(json.dumps({
    "classes": first.classifier.classes,
    "accuracy": first.metrics["accuracy"],
    "same": all((a.numpy() == b.numpy()).all() for a, b in zip(first.model.weights, again.model.weights)),
    "kept": Recipe.load(f"{sys.argv[1]}/first/recipe.toml") == recipe,
}))
"""


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(OUTSIDE), *filter(None, sys.path)])}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def zoo(*arguments):
    ended = run("-c", "from zoo.cli import main; main()", *arguments)
    return ended.returncode, ended.stdout, ended.stderr


def test_a_recipe_of_their_rows_is_trained_the_same_in_every_repetition(tmp_path):
    ended = run("-c", TRAIN, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["classes"] == ["LYING", "STANDING"]
    assert told["accuracy"] == 1.0
    assert told["same"] and told["kept"]


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


def test_a_path_is_refused_where_their_row_takes_none(tmp_path):
    code, _, err = zoo("data", "check", str(tmp_path), "--source", "stripes:plain")
    assert code == 3
    assert "stripes:plain has its own images and takes no path. Leave PATH out" in err
