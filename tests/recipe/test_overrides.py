from pathlib import PurePosixPath

import numpy as np
import pytest

from tests.recipe.conftest import VALID
from zoo.errors import RecipeError
from zoo.recipe.loading import load_recipe
from zoo.recipe.toml.values import toml_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("true", True),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("mixed_float16", "mixed_float16"),
        ("last:2,!stem", "last:2,!stem"),
        ("re:^conv#2", "re:^conv#2"),
        ("", ""),
        ("[x", "[x"),
        ("1\nother = 2", "1\nother = 2"),
        ("1" * 5_000, "1" * 5_000),
    ],
)
def test_a_value_is_toml_or_else_a_bare_string(text, value):
    assert toml_value(text) == value


@pytest.mark.parametrize(
    ("override", "section", "expected"),
    [
        ("train.batch_size=64", "train", {"batch_size": 64}),
        (" train.precision = float32 ", "train", {"precision": "float32"}),
        ("train={seed = 3, batch_size = 8}", "train", {"seed": 3, "batch_size": 8}),
        ("phases.head.epochs=1", "phases", {"epochs": 1}),
        ("phases.0.train=last:2", "phases", {"train": "last:2"}),
        ("model.options.alpha=0.5", "model", {"options": {"alpha": 0.5}}),
        ("data.path=photos/a=b", "data", {"path": "photos/a=b"}),
        ("expect.value=0.9", "expect", {"metric": "val_accuracy", "value": 0.9}),
    ],
)
def test_an_override_sets_one_value(write, override, section, expected):
    values = load_recipe(write(VALID), [override]).to_dict()[section]
    values = values[0] if section == "phases" else values
    assert {key: values[key] for key in expected} == expected


def test_the_last_override_of_a_key_wins(write):
    assert load_recipe(write(VALID), ["train.seed=1", "train.seed=2"]).train.seed == 2


def test_a_mapping_gives_values_and_its_tables_merge(write):
    overrides = {"train": {"seed": 3}, "phases.head.epochs": 9, "model.weights": "none"}
    recipe = load_recipe(write(VALID), overrides)
    assert (recipe.train.seed, recipe.train.batch_size) == (3, 32)
    assert (recipe.phases[0].epochs, recipe.model.weights) == (9, "none")


def test_an_empty_table_empties(write):
    path = write(VALID.replace("[[phases]]", "options = {alpha = 1}\n[[phases]]"))
    assert load_recipe(path, ["model.options={}"]).model.options == {}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.seed", "--set train.seed: has no '='; expected KEY=VALUE, such as train.batch_size=64"),
        ("=3", "--set =3: has no key before '='; expected KEY=VALUE, such as train.batch_size=64"),
        ("train.sed=1", "--set train.sed: unknown key 'sed' in train. Did you mean 'seed'?"),
        ("trian.seed=1", "--set trian.seed: unknown key 'trian'. Did you mean 'train'?"),
        ("train.seed=x", '--set train.seed: train.seed is "x"; expected a whole number'),
        ("phases.0.epochs=0", "--set phases.0.epochs: phases[0].epochs is 0; expected >= 1"),
        (
            "phases.hed.epochs=1",
            "--set phases.hed.epochs: no phase 'hed'; phases are head. Did you mean 'head'?",
        ),
        ("phases.1.epochs=1", "--set phases.1.epochs: no phase '1'; phases are head."),
        ("phases.*.epochs=1", "--set phases.*.epochs: no phase '*'; phases are head."),
        ("name.first=x", "--set name.first: 'name' is not a table"),
        ("extends=x", "--set extends: 'extends' cannot be overridden; write it in a recipe file"),
        (
            "data.path=/photos",
            '--set data.path: data.path is "/photos"; expected a relative path; '
            "a recipe names no place on a machine: pass it as --data",
        ),
    ],
)
def test_an_override_that_does_not_hold_is_reported(write, override, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(VALID), [override])
    assert str(caught.value) == message


def test_an_override_repairs_the_value_in_the_file(write):
    path = write(VALID + "epochs = 0\n")
    assert load_recipe(path, ["phases.head.epochs=2"]).phases[0].epochs == 2


def test_numbers_of_numpy_are_numbers():
    found = load_recipe(
        "quickstart",
        {
            "train.batch_size": np.int64(16),
            "phases.head.epochs": np.uint8(3),
            "phases": {"all": {"learning_rate": np.float32(0.5)}},
            "train.deterministic": np.bool_(False),
            "model.name": np.str_("mnist_conv"),
            "data.path": PurePosixPath("photos"),
            "data.validation": np.array(0.25),
        },
    )
    assert (found.train.batch_size, found.phases[0].epochs, found.phases[1].learning_rate) == (16, 3, 0.5)
    assert (found.train.deterministic, found.data.path, found.data.validation) == (False, "photos", 0.25)
    with pytest.raises(RecipeError, match="phases"):
        load_recipe("quickstart", {"phases.head.epochs": np.array([1, 2])})


def test_faults_come_as_they_were_typed_and_call_a_phase_by_its_name(tmp_path):
    (tmp_path / "pets.toml").write_text(
        'name = "pets"\nextends = "finetune/default"\nmodel.name = "mnist_conv"\n'
        '[set]\n"phases.top.warmup" = 2\n[train]\nseed = -1\n'
    )
    typed = ["train.batch_size=0", "phases.head.epochs=0", "nothing", "augment.rotation=x", "phases.0.learning_rate=0"]
    with pytest.raises(RecipeError) as raised:
        load_recipe(tmp_path / "pets.toml", typed)
    lines = [line.replace(f"{tmp_path}/", "") for line in str(raised.value).splitlines()]
    assert [line.partition("; ")[0] for line in lines] == [
        "--set train.batch_size: train.batch_size is 0",
        "--set phases.head.epochs: phases.head.epochs is 0",
        "--set nothing: has no '='",
        '--set augment.rotation: augment.rotation is "x"',
        "--set phases.0.learning_rate: phases[0].learning_rate is 0",
        "pets.toml:5: phases.top.warmup is 2",
        "pets.toml:7: train.seed is -1",
    ]


def test_an_unknown_key_of_a_phase_is_looked_for_in_the_phase_that_was_typed():
    with pytest.raises(RecipeError) as raised:
        load_recipe("finetune/default", {"phases": {"top": {"epoch": 3}}})
    assert str(raised.value) == ("--set phases.top.epoch: unknown key 'epoch' in phases.top. Did you mean 'epochs'?")
