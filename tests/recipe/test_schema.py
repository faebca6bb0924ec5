import tomllib

import pytest
from pydantic import ValidationError

from zoo.recipe.finding import recipes_folder, shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import Phase, Recipe, recipe_file_schema

# The Recipe block of the design, value by value; what is required there is filled with an example.
DESIGN = """\
schema = 1
name = "example"
description = ""
[model]
name = "mnist_conv"
handle = ""
weights = "default"
dropout = "auto"
options = {}
[data]
source = "folder"
path = ""
image_size = 0
resize = "crop"
crop_share = 1.0
interpolation = "bilinear"
white = 0
validation = 0.1
options = {}
columns = {}
group = ""
on_bad = "skip"
balance = "none"
[augment]
flip = "none"
rotation = 0.0
translation = 0.0
zoom = 0.0
crop = 0.0
color = 0.0
erasing = 0.0
policy = "none"
layers = {}
mixup = 0.0
cutmix = 0.0
views = 0
[train]
batch_size = 32
precision = "auto"
seed = 0
deterministic = false
xla = "auto"
loss = "crossentropy"
loss_options = {}
label_smoothing = 0.0
ema = 0.0
accumulate = 1
clip_norm = 0.0
prefix_cache = "auto"
on_save_error = "stop"
early_stopping = 0
hyperrule = "none"
[[phases]]
name = "head"
train = "head"
epochs = 5
optimizer = "adamw"
optimizer_options = {}
learning_rate = 1e-3
weight_decay = 0.0
layer_decay = 1.0
schedule = "cosine"
schedule_options = {}
warmup = 0.0
batchnorm = "auto"
[checkpoint]
every = "epoch"
keep = 2
monitor = "val_accuracy"
"""

REQUIRED = {"name": "example", "model": {"name": "mnist_conv"}, "phases": [{"name": "head", "train": "head"}]}


def test_the_defaults_are_those_of_the_design():
    assert Recipe.model_validate(REQUIRED).to_dict() == tomllib.loads(DESIGN)


def test_the_resolved_recipe_writes_every_key():
    assert tomllib.loads(Recipe.model_validate(REQUIRED).to_toml()) == tomllib.loads(DESIGN)


def test_an_expectation_defaults_as_in_the_design():
    recipe = Recipe.model_validate({**REQUIRED, "expect": {"value": 0.85}})
    assert recipe.to_dict()["expect"] == {"metric": "val_accuracy", "value": 0.85, "tolerance": 0.02}


def test_a_recipe_is_frozen():
    recipe = Recipe.model_validate(REQUIRED)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.train.seed = 1


def test_all_the_schema_is_valid_even_where_it_is_not_there_yet():
    phase = {"name": "all", "train": "all", "schedule": "one_cycle", "layer_decay": 0.65}
    later = {
        "data": {"source": "hf:user/name_1.0", "validation": "validation", "balance": "sampler", "group": "patient"},
        "augment": {"flip": "both", "rotation": 15, "mixup": 0.2, "policy": "trivial", "views": 4},
        "train": {"batch_size": "auto", "loss": "focal", "ema": 0.999, "prefix_cache": "required"},
        "phases": [phase],
        "checkpoint": {"every": "200 steps"},
    }
    recipe = Recipe.model_validate({**REQUIRED, **later})
    assert (recipe.train.batch_size, recipe.augment.rotation) == ("auto", 15.0)
    assert recipe.phases == (Phase(name="all", train="all", schedule="one_cycle", layer_decay=0.65),)


def test_the_json_schema_has_the_patterns():
    phase = recipe_file_schema()["$defs"]["Phase"]["properties"]
    assert phase["name"]["pattern"] == "^([a-z][a-z0-9_]*)$"


def test_the_json_schema_lists_the_policies_of_augmentation_for_editors():
    policy = recipe_file_schema()["$defs"]["AugmentSection"]["properties"]["policy"]
    assert policy["enum"] == ["none", "randaugment", "augmix", "trivial"]


def test_the_file_schema_requires_less_of_a_recipe_that_extends():
    schema = recipe_file_schema()
    assert {"schema", "extends", "set", "phases"} <= schema["properties"].keys()
    assert schema["anyOf"] == [
        {"required": ["extends"]},
        {"required": ["name", "model", "phases"], "properties": {"model": {"required": ["name"]}}},
    ]
    assert schema["$defs"]["Phase"]["required"] == ["name", "train"]
    assert schema["$defs"]["Phase"]["additionalProperties"] is False


def test_some_recipes_ship():
    assert len(shipped_recipes()) >= 5


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_valid_and_its_resolved_text_means_the_same(name, tmp_path):
    recipe = load_recipe(name)
    resolved = tmp_path / "recipe.toml"
    resolved.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(resolved) == recipe


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_headed_by_its_launch_command(name):
    first = (recipes_folder() / f"{name}.toml").read_text("utf-8").splitlines()[0]
    assert first.startswith(f"# zoo finetune {name}")


def test_quickstart_is_what_it_says():
    recipe = Recipe.load("quickstart")
    head, everything = recipe.phases
    assert (recipe.model.name, recipe.model.weights) == ("mnist_conv", "mnist")
    assert (recipe.data.source, recipe.train.batch_size) == ("builtin:fashion_sample", 64)
    assert head == Phase(name="head", train="head", epochs=2, learning_rate=3e-3)
    assert everything == Phase(
        name="all",
        train="all",
        epochs=8,
        learning_rate=2e-3,
        weight_decay=1e-4,
        warmup=0.1,
        batchnorm="train",
    )


def test_options_and_a_float_that_needs_an_exponent_survive_the_resolved_text(tmp_path):
    values = {"model": {"name": "mobilenet", "options": {"alpha": 0.25, "se": True, "act": 'a"\n'}}}
    phases = [{"name": "head", "train": "re:^a\\d", "learning_rate": 3e-05}]
    recipe = Recipe.model_validate({**REQUIRED, **values, "phases": phases, "description": "naïve – “x”"})
    resolved = tmp_path / "recipe.toml"
    resolved.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(resolved) == recipe


def numbers_in(entry, place=""):
    """Gives every entry of a JSON schema that may be a number, by its place."""
    if isinstance(entry, dict):
        if entry.get("type") in ("integer", "number"):
            yield place, entry
        for key, inside in entry.items():
            yield from numbers_in(inside, f"{place}.{key}")
    elif isinstance(entry, list):
        for number, inside in enumerate(entry):
            yield from numbers_in(inside, f"{place}.{number}")


def test_every_number_has_a_largest_value():
    found = dict(numbers_in(Recipe.model_json_schema(by_alias=True)))
    options = ".options.additionalProperties."  # of an architecture, whose builder knows what they may be
    open_ended = [place for place, entry in found.items() if not {"maximum", "exclusiveMaximum", "const"} & set(entry)]
    assert len(found) > 30
    assert [place for place in open_ended if options not in place] == []
