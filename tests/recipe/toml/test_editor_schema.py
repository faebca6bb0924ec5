"""The schema for editors, by a validator of JSON schema's draft 7 as far as the schema uses it."""

import re
import tomllib

import pytest

from tests.recipe.conftest import VALID
from zoo.recipe.finding import describe_shipped_recipes
from zoo.recipe.toml.editor_schema import editor_schema

SCHEMA = editor_schema()
ANNOTATIONS = {"title", "description", "default", "examples", "$comment", "$schema", "$defs", "x-taplo"}
TYPES = {"string": str, "boolean": bool, "object": dict, "array": list, "integer": int, "number": (int, float)}


def is_of_type(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def within(schema, value):
    return isinstance(value, int | float) and not isinstance(value, bool)


# Keyword -> whether a value holds, as https://json-schema.org/draft-07/json-schema-validation says.
KEYWORDS = {
    "type": lambda schema, value: is_of_type(value, schema["type"]),
    "enum": lambda schema, value: value in schema["enum"],
    "const": lambda schema, value: value == schema["const"],
    "pattern": lambda schema, value: not isinstance(value, str) or bool(re.search(schema["pattern"], value)),
    "minLength": lambda schema, value: not isinstance(value, str) or len(value) >= schema["minLength"],
    "maxLength": lambda schema, value: not isinstance(value, str) or len(value) <= schema["maxLength"],
    "minimum": lambda schema, value: not within(schema, value) or value >= schema["minimum"],
    "maximum": lambda schema, value: not within(schema, value) or value <= schema["maximum"],
    "exclusiveMinimum": lambda schema, value: not within(schema, value) or value > schema["exclusiveMinimum"],
    "exclusiveMaximum": lambda schema, value: not within(schema, value) or value < schema["exclusiveMaximum"],
    "minItems": lambda schema, value: not isinstance(value, list) or len(value) >= schema["minItems"],
    "maxItems": lambda schema, value: not isinstance(value, list) or len(value) <= schema["maxItems"],
    "uniqueItems": lambda schema, value: not isinstance(value, list) or len(set(map(str, value))) == len(value),
    "maxProperties": lambda schema, value: not isinstance(value, dict) or len(value) <= schema["maxProperties"],
    "required": lambda schema, value: not isinstance(value, dict) or set(schema["required"]) <= set(value),
    "items": lambda schema, value: not isinstance(value, list) or all(holds(schema["items"], one) for one in value),
    "anyOf": lambda schema, value: any(holds(one, value) for one in schema["anyOf"]),
    "allOf": lambda schema, value: all(holds(one, value) for one in schema["allOf"]),
    "not": lambda schema, value: not holds(schema["not"], value),
    "if": lambda schema, value: not holds(schema["if"], value) or holds(schema["then"], value),
    "then": lambda schema, value: True,
    "$ref": lambda schema, value: holds(referred(schema["$ref"]), value),
    "properties": lambda schema, value: holds_by_key(schema, value),
    "patternProperties": lambda schema, value: True,  # with the properties
    "additionalProperties": lambda schema, value: holds_by_key(schema, value),
}


def referred(reference):
    found = SCHEMA
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def holds_by_key(schema, value):
    if not isinstance(value, dict):
        return True
    for key, inside in value.items():
        asked = [schema["properties"][key]] if key in schema.get("properties", {}) else []
        asked += [one for pattern, one in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        if not all(holds(one, inside) for one in asked or [schema.get("additionalProperties", True)]):
            return False
    return True


def holds(schema, value):
    if isinstance(schema, bool):
        return schema
    return all(KEYWORDS[keyword](schema, value) for keyword in schema if keyword not in ANNOTATIONS)


def schemas(schema):
    """Gives a schema and all within it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword in ("properties", "patternProperties", "$defs"):
        for one in schema.get(keyword, {}).values():
            yield from schemas(one)
    for keyword in ("additionalProperties", "items", "not", "if", "then"):
        yield from schemas(schema.get(keyword))
    for keyword in ("anyOf", "allOf"):
        for one in schema.get(keyword, ()):
            yield from schemas(one)


def test_it_is_of_draft_7_and_every_reference_leads_somewhere():
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    every = list(schemas(SCHEMA))
    assert {keyword for one in every for keyword in one} <= {*KEYWORDS, *ANNOTATIONS}
    assert all(isinstance(referred(one["$ref"]), dict) for one in every if "$ref" in one)
    assert all(re.compile(one["pattern"]) for one in every if "pattern" in one)


def test_every_key_says_what_it_is_and_what_it_is_by_default():
    parts = SCHEMA["$defs"]
    required = {("ModelSection", "name"), ("Phase", "name"), ("Phase", "train"), ("Expectation", "value")}
    keys = {(part, key): entry for part in parts for key, entry in parts[part]["properties"].items()}
    assert len(keys) > 60
    assert [at for at, entry in keys.items() if not entry.get("description")] == []
    assert {at for at, entry in keys.items() if "default" not in entry} == required


@pytest.mark.parametrize("recipe", describe_shipped_recipes(), ids=lambda one: one.name)
def test_every_recipe_that_ships_holds(recipe):
    assert holds(SCHEMA, tomllib.loads(recipe.path.read_text("utf-8")))


CHILD = 'extends = "finetune/default"\nname = "child"\n'


@pytest.mark.parametrize(
    "text",
    [
        VALID,
        CHILD,
        'extends = ["finetune/default", "parts/smooth.toml"]\n',
        f'extends = "vision/base@sha256:{"0f" * 32}"\n',
        'extends = "vision/base@3"\n',
        'extends = "vision/base"\n',
        CHILD + '[set]\n"phases.head.epochs" = 3\n"train.batch_size" = "auto"\n"model.options.alpha" = 0.5\n',
        CHILD + "[set]\nphases.head.epochs = 3\ntrain.seed = 7\n[set.data]\nvalidation = 0.2\n",
        CHILD + '[data]\nsource = "hf:user/cats"\n[train]\nloss = "focal"\nloss_options = {gamma = 1.5}\n',
        VALID + "optimizer_options = {beta_2 = 0.98}\n",  # of the optimizer by default
        VALID + 'optimizer = "sgd"\n[expect]\nvalue = 0.9\n',
        CHILD + "[augment.layers]\nsolarize = {threshold = 0.5}\n",
    ],
)
def test_what_a_recipe_may_say_holds(text):
    assert holds(SCHEMA, tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALID.replace('name = "pets"', ""),
        VALID.replace("mnist_conv", "resnet5"),
        VALID.replace('"mnist_conv"', '"mnist_conv"\nweights = "imagenet"'),
        VALID.replace('"mnist_conv"', '"mnist_conv"\noptions = {alfa = 1}'),
        VALID.replace('"mnist_conv"', '"mnist_conv"\nhandle = "modules/x"'),
        VALID.replace('train = "head"', ""),
        VALID + "epochs = 0\n",
        VALID + "learning_rate = true\n",
        VALID + 'optimizer = "adamx"\n',
        VALID + "optimizer_options = {momentum = 0.9}\n",  # of sgd
        VALID + 'schedule = "step"\nschedule_options = {milestones = ["half"]}\n',
        CHILD + "epoch = 3\n",
        CHILD + "[train]\nbatch_sise = 3\n",
        CHILD + '[train]\nbatch_size = "all"\n',
        CHILD + '[augment]\nflip = "horizontl"\n',
        CHILD + "[augment.layers]\nsolarise = {}\n",
        CHILD + '[data]\nsource = "builtin:fashion_sampl"\n',
        CHILD + '[set]\n"trian.seed" = 3\n',
        CHILD + '[set]\n"phases.head.epochs" = "many"\n',
        CHILD + '[set]\n"phases.head.epoch" = 3\n',
        CHILD + "[set]\nphases.head.epoch = 3\n",
        'extends = "finetune/defalt"\n',
        'extends = "../base.toml"\n',
        'extends = "vision/base@0"\n',
        'extends = "vision/base@sha256:0f"\n',
        'extends = "https://x/base.toml"\n',
        'extends = ["quickstart", "quickstart"]\n',
        "extends = 3\n",
    ],
)
def test_what_a_recipe_may_not_say_does_not_hold(text):
    assert not holds(SCHEMA, tomllib.loads(text))
