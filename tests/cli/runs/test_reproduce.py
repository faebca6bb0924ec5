"""`zoo reproduce` as it is typed: the verdict on stdout, the exit code, JSON."""

import json
import shutil

import pytest

from zoo.sharing.locks.making import lock_runs


@pytest.fixture
def recipe(trained, tmp_path):
    file = shutil.copyfile(trained.recipe, tmp_path / "tiny.toml")
    (tmp_path / "tiny.lock").write_text(lock_runs(trained.run).to_text())
    return file


def test_a_run_is_repeated_and_the_last_line_is_its_path(typed, trained, tmp_path):
    code, out, _ = typed("reproduce", trained.run, "--run", tmp_path / "again")
    assert (code, out.splitlines()[0], out.splitlines()[-1]) == (0, "verdict    bitwise equal", str(tmp_path / "again"))
    assert (tmp_path / "again" / "model" / "model.safetensors").is_file()


def test_what_does_not_hold_ends_with_3_and_names_the_cause(typed, trained, recipe):
    recipe.write_text(recipe.read_text().replace("seed = 0", "seed = 1"))
    code, out, err = typed("reproduce", recipe, "--data", trained.data, "--quick")
    assert code == 3
    assert out.startswith("verdict    does not hold\n")
    assert "\ncause      recipe train.seed: 0, now 1\n" in out
    assert "trial 1 of about 1: as it was: recipe train.seed" in err
    assert out.endswith("found      in 1 trial; with the causes put back a run came to what is locked\n")


def test_json_says_the_same_and_nothing_else(typed, trained, recipe):
    code, out, _ = typed("reproduce", recipe, "--data", trained.data, "--quick", "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["verdict"], found["quick"], found["run"]) == (
        0,
        "reproduce",
        "bitwise equal",
        True,
        None,
    )
    assert (found["differences"], found["causes"], found["trials"]) == ([], [], 0)
    assert found["losses"] == {"batches": 4, "equal": 4, "gap": 0.0}


def test_a_model_has_no_lock(typed):
    code, _, err = typed("reproduce", "mnist_conv")
    assert (code, err) == (
        1,
        "zoo: 'mnist_conv' is a model, which has no lock; expected a RUN, or a RECIPE with its lock\n",
    )
