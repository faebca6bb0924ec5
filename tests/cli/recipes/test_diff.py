import json
from pathlib import Path

import pytest

from tests.cli.recipes.conftest import run
from tests.tiny import phase, recipe, result, write_run
from zoo.errors import ContractError
from zoo.runs.record import DataRecord


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_diff_prints_both_values_of_each_key_that_differs(here):
    one = write_run("one", recipe(phase("head", "head"), phase("all", "all")), result=result(accuracy=0.5))
    other = write_run(
        "other",
        recipe(phase("all", "all"), phase("head", "head", epochs=3), phase("cool", "head"), train={"ema": 0.5}),
        result=result(accuracy=0.75),
        data=DataRecord(fingerprint="ab" * 32, train=3000, validation=341),
    )
    found = run("diff", one, other)
    assert (found.exit_code, found.stdout.splitlines()) == (
        0,
        [
            "A  one  (run, done)",
            "B  other  (run, done)",
            "",
            "key                 A    B",
            "train.ema           0.0  0.5",
            "phases.head.epochs  2    3",
            "",
            'phase cool is only in B: train "head", 2 epochs',
            "phases are in another order: A head, all; B all, head, cool",
            "",
            "run   A                                  B",
            "data  3f0c3f0c3f0c (3,068 + 341 images)  abababababab (3,000 + 341 images)",
            "",
            "metric    A                          B                          B - A",
            "accuracy  0.5000 (0.4000 to 0.6000)  0.7500 (0.6500 to 0.8500)  +0.2500, intervals apart",
            "measured on other images: the figures cannot be compared closely",
        ],
    )


def test_diff_says_that_there_is_no_difference(here):
    one, other = write_run("one", recipe()), write_run("other", recipe())
    assert run("diff", one, other).stdout.splitlines()[-1] == (
        "no difference: every key has the same value, run on the same data, versions and machine"
    )
    assert run("diff", "quickstart", "quickstart").stdout.splitlines()[-1] == (
        "no difference: every key has the same value"
    )


def test_diff_as_json(here):
    one = write_run("one", recipe(phase("head", "head"), train={"seed": 1}), result=result(accuracy=0.5))
    other = write_run("other", recipe(phase("head", "head"), phase("all", "all"), expect={"value": 0.9}))
    document = json.loads(run("diff", one, other, "--json").stdout)
    assert list(document)[:4] == ["schema", "kind", "a", "b"]
    assert document["kind"] == "recipe-diff"
    assert document["a"] == {"reference": "one", "name": "tiny", "runs": ["done"]}
    assert document["same"] is False
    assert document["keys"][0] == {"key": "train.seed", "a": 1, "b": 0}
    assert {"key": "expect.value", "a": None, "b": 0.9} in document["keys"]
    assert document["phases"] == {"only_a": [], "only_b": ["all"], "order": None}
    assert document["circumstances"] == []
    figure = {"value": 0.5, "interval": [0.4, 0.6], "deviation": None, "runs": 1}
    assert document["metrics"] == [{"name": "accuracy", "a": figure, "b": None}]
    assert json.loads(run("diff", one, one, "--json").stdout)["same"] is True


def test_diff_fits_a_narrow_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("diff", "quickstart", "finetune/default").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("description  ") and line.count("...") == 2 for line in lines)


def test_a_damaged_run_is_refused_as_by_whatever_shares_one(here):
    one = write_run("one", recipe(phase("head", "head")))
    path = Path(one) / "run.json"
    path.write_bytes(path.read_bytes() + b"{")
    refused = run("diff", one, "quickstart").exception
    assert isinstance(refused, ContractError)
    assert str(path) in str(refused)
