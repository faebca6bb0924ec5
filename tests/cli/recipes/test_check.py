import json
from pathlib import Path

from tests.cli.recipes.conftest import run
from tests.recipe.conftest import VALID
from tests.sharing.made import make_lock, recipe_lock
from zoo.errors import ContractError
from zoo.recipe.finding import shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.sharing.locks.making import weights_of


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
            {"recipe": "good.toml", "name": "pets", "ok": True, "errors": [], "faults": []},
            {
                "recipe": "bad.toml",
                "name": None,
                "ok": False,
                "errors": ["bad.toml:7: phases[0].epochs is 0; expected >= 1"],
                "faults": [
                    {
                        "file": "bad.toml",
                        "line": 7,
                        "key": "phases[0].epochs",
                        "text": "phases[0].epochs is 0; expected >= 1",
                        "suggestion": "expected >= 1",
                    }
                ],
            },
        ],
    }
    assert isinstance(result.exception, ContractError)


def test_check_of_all_that_ships_is_ok():
    result = run("check", *shipped_recipes())
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(shipped_recipes()) > 0


SEVEN = """\
extends = "finetune/defalt"
name = "seven"
[model]
name = "mnist_conv"
weights = "mnits"
[train]
batch_sise = 16
deterministic = True
[augment]
flip = "horizontl"
[set]
"trian.seed" = 1
[[phases]]
name = "head"
train = "stage22"
"""


def test_faults_of_seven_kinds_are_found_at_once_each_with_line_and_suggestion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("seven.toml").write_text(SEVEN)
    (checked,) = json.loads(run("check", "seven.toml", "--json").stdout)["recipes"]
    found = [(fault["line"], fault["key"], fault["suggestion"]) for fault in checked["faults"]]
    assert [(line, key) for line, key, _ in found] == [
        (1, "extends"),  # a reference that leads nowhere
        (5, "model.weights"),  # weights that the model does not have
        (7, "train.batch_sise"),  # an unknown key
        (8, "train.deterministic"),  # not TOML
        (10, "augment.flip"),  # a wrong value
        (12, "trian"),  # a tweak of what is not there
        (15, "phases[0].train"),  # a stage that the model does not have
    ]
    suggested = [
        "Did you mean 'finetune/default'?",
        "Did you mean 'mnist'?",
        "Did you mean 'batch_size'?",
        "write deterministic = true",
        "Did you mean 'horizontal'?",
        "Did you mean 'train'?",
        "Did you mean 'stage2'?",
    ]
    assert all(part in suggestion for part, (_, _, suggestion) in zip(suggested, found, strict=True))
    assert [fault["file"] for fault in checked["faults"]] == ["seven.toml"] * 7
    assert checked["errors"] == [f"{one['file']}:{one['line']}: {one['text']}" for one in checked["faults"]]


def test_what_a_parent_that_cannot_be_read_would_have_said_is_not_missed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("parent.toml").write_text(VALID.replace("[model]", "[model]]]"))
    Path("child.toml").write_text('extends = "parent.toml"\n[train]\nseed = -1\n[set]\n"phases.head.epochs" = 1\n')
    Path("binary.toml").write_bytes(b"\xff\xfe")
    Path("other.toml").write_text('extends = "binary.toml"\n[train]\nseed = -1\n')
    assert run("check", "child.toml", "other.toml").stderr.splitlines() == [
        "child.toml:3: train.seed is -1; expected >= 0",
        "parent.toml:2: not TOML at column 8: Expected newline or end of document after a statement; expected "
        "[SECTION], [[phases]] or KEY = VALUE",
        'other.toml:1: extends "binary.toml": binary.toml:1: byte 0 is not UTF-8; expected text in UTF-8',
        "other.toml:3: train.seed is -1; expected >= 0",
    ]


def test_what_a_line_of_extends_that_is_not_toml_would_have_said_is_not_missed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("child.toml").write_text("extends = finetune/default\n[train]\nseed = -1\n")
    assert run("check", "child.toml").stderr.splitlines() == [
        'child.toml:1: not TOML at column 11: Invalid value; write extends = "finetune/default"',
        "child.toml:3: train.seed is -1; expected >= 0",
    ]


def test_a_key_of_another_section_is_answered_with_its_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pets.toml").write_text("epochs = 3\n" + VALID + "seed = 1\n")
    assert run("check", "pets.toml").stderr.splitlines() == [
        "pets.toml:1: unknown key 'epochs'. Did you mean 'epochs' in [[phases]]?",
        "pets.toml:8: unknown key 'seed' in phases[0]. Did you mean 'seed' in [train]?",
    ]


def test_a_missing_key_is_answered_with_what_could_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bare.toml").write_text("[expect]\n[[phases]]\n")
    (checked,) = json.loads(run("check", "bare.toml", "--json").stdout)["recipes"]
    assert {fault["key"]: fault["suggestion"] for fault in checked["faults"]} == {
        "name": 'write name = "my-recipe"',
        "model": 'write [model] and below it name = "efficientnet_lite0"',
        "phases[0].name": 'write name = "head"',
        "phases[0].train": 'write train = "head"',
        "expect.value": "write value = 0.9",
    }


def test_a_reference_that_leads_nowhere_is_a_fault_without_a_line():
    (checked,) = json.loads(run("check", "quickstrat", "--json").stdout)["recipes"]
    assert checked["faults"] == [
        {
            "file": "quickstrat",
            "line": None,
            "key": None,
            "text": "Unknown recipe 'quickstrat'. Did you mean 'quickstart'? See 'zoo recipe ls'.",
            "suggestion": "Did you mean 'quickstart'? See 'zoo recipe ls'.",
        }
    ]


def test_check_compares_a_recipe_with_the_lock_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pets.toml").write_text(VALID)
    recipe = load_recipe("pets.toml")
    lock = make_lock(recipe=recipe_lock(recipe.to_toml(), ()), weights=weights_of(recipe))
    Path("pets.lock").write_text(lock.to_text())
    assert run("check", "pets.toml").stdout == "ok pets\n"
    Path("pets.toml").write_text(VALID + "epochs = 9\n")
    result = run("check", "pets.toml")
    assert result.stderr == (
        "pets.toml:7: phases.head.epochs is 9, and 5 in pets.lock; write what it says, or lock the recipe anew\n"
    )
    assert result.exception.exit_code == 3
