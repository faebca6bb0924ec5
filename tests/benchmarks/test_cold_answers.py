"""Cold commands are measured in fresh processes, and one that does something else is no measurement."""

import os
import sys

import pytest


@pytest.fixture
def desk(script, tmp_path):
    return script("cold_answers").Desk(folder=tmp_path, variables=dict(os.environ))


def test_a_side_that_fails_or_prints_something_else_is_refused(script, desk):
    refused = script("cold_answers").SideError
    python = [sys.executable, "-S", "-c"]
    assert desk.cost("floor", [*python, "print('note: litert 2')"], printing="note: litert ").code == 0
    with pytest.raises(refused, match=r"predict: exit code 0; it said: note: keras 3"):
        desk.cost("predict", [*python, "print('note: keras 3')"], printing="note: litert ")
    with pytest.raises(refused, match="cache ls: exit code 3"):
        desk.cost("cache ls", [*python, "raise SystemExit(3)"])


def test_a_row_has_the_median_of_its_rounds(script):
    module = script("cold_answers")
    costs = [module.Cost(seconds=one, cpu_seconds=one / 2, peak_bytes=1, code=0) for one in (0.3, 0.1, 0.8)]
    (row,) = module.rows_of({"predict": costs})
    assert (row["seconds"], row["fastest"], row["slowest"], row["CPU seconds"]) == (0.3, 0.1, 0.8, 0.15)


def test_the_verbs_are_verbs_and_the_model_is_predicted_by_each_side(script, desk, tmp_path):
    from zoo.cli import VERBS

    module = script("cold_answers")
    assert {verb.split()[0] for verb in module.VERBS} - {"--help"} <= set(VERBS)
    measured = module.sides("mnist_conv", tmp_path / "7.png", desk)
    assert measured["predict"][0][1:] == ["-m", "zoo", "predict", "mnist_conv", str(tmp_path / "7.png")]
    assert measured["keras"][0][-1] == "grayscale"
