import json
from pathlib import Path

from tests.cli.recipes.conftest import run
from tests.recipe.conftest import VALID
from zoo.errors import ContractError
from zoo.recipe.finding import shipped_recipes


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
