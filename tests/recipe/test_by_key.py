from zoo.recipe.by_key import ABSENT, value_differences, values_by_key
from zoo.recipe.loading import load_by_key, load_recipe
from zoo.recipe.reference import recipe_keys

CHILD = """\
extends = "base.toml"
name = "child"
model.options = {alpha = 0.5}
[train]
batch_size = 8
[set]
"phases.head.epochs" = 3
"""
BASE = """\
name = "base"
[model]
name = "mnist_conv"
[train]
batch_size = 16
seed = 1
[[phases]]
name = "head"
train = "head"
epochs = 1
"""


def test_each_key_comes_with_the_place_that_its_value_was_written(write):
    write(BASE, "base.toml")
    recipe, keys = load_by_key(write(CHILD, "child.toml"), ["train.ema=0.5", "phases.head.warmup=0.1"])
    assert recipe == load_recipe("child.toml", ["train.ema=0.5", "phases.head.warmup=0.1"])
    written = {one.key: (one.value, str(one.location)) for one in keys if one.location}
    assert written == {
        "name": ("child", "child.toml:2"),
        "model.name": ("mnist_conv", "base.toml:3"),
        "model.options.alpha": (0.5, "child.toml:3"),
        "train.batch_size": (8, "child.toml:5"),
        "train.seed": (1, "base.toml:6"),
        "train.ema": (0.5, "--set train.ema"),
        "phases.head.name": ("head", "base.toml:8"),
        "phases.head.train": ("head", "base.toml:9"),
        "phases.head.epochs": (3, "child.toml:7"),
        "phases.head.warmup": (0.1, "--set phases.head.warmup"),
    }


def test_all_keys_of_the_schema_are_there(write):
    write(BASE, "base.toml")
    _, keys = load_by_key(write(CHILD, "child.toml"))
    listed = {one.key.replace("phases.head.", "phases.NAME.") for one in keys}
    # `extends` and `[set]` are resolved away; options and expectations are tables of their own.
    expected = {key.name for key in recipe_keys()} - {"extends", "set", "model.options"}
    expected = {key for key in expected if not key.startswith("expect.")}
    assert listed == {*expected, "model.options.alpha", "expect"}


def test_values_differ_by_key_and_phases_by_name(write):
    one = load_recipe(write(BASE, "base.toml")).to_dict()
    other = load_recipe(write(CHILD, "child.toml"), ["train.batch_size=16"]).to_dict()
    assert {one.key: one.values for one in value_differences(one, other)} == {
        "name": ("base", "child"),
        "model.options.alpha": (ABSENT, 0.5),
        "phases.head.epochs": (1, 3),
    }
    assert values_by_key(one)["phases.head.train"] == "head"
