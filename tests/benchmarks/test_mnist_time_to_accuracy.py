"""Time to an accuracy: how runs are summed up, and what stops the clock."""

import json
import sys

import pytest


def run(*epochs, whole=9.0):
    return {"epochs": [{"seconds": seconds, "accuracy": accuracy} for seconds, accuracy in epochs], "whole": whole}


def test_a_row_has_the_median_of_those_that_reached_the_target_and_says_how_many_did(script):
    runs = {
        "fast": [run((2.0, 0.991), whole=6.0), run((3.0, 0.989), whole=7.0), run((4.0, 0.99), whole=8.0)],
        "keras": [run((10.0, 0.98), (21.0, 0.995), whole=30.0)],
    }
    fast, keras = script("mnist_time_to_accuracy").rows_of(runs, 0.99)
    assert (fast["median seconds"], fast["least"], fast["most"], fast["reached"]) == (3.0, 2.0, 4.0, "2 of 3")
    assert (fast["whole command, median"], fast["mean accuracy"]) == (7.0, 0.99)
    assert (keras["median seconds"], keras["median epochs"], keras["times fast"]) == (21.0, 2, 7.0)
    assert list(fast)[-1] == "runs"


def test_the_accuracy_is_the_last_epochs_and_not_the_best_ones(script):
    (row,) = script("mnist_time_to_accuracy").rows_of({"fast": [run((1.0, 0.995), (2.0, 0.985))]}, 0.99)
    assert (row["reached"], row["median seconds"], row["mean accuracy"]) == ("0 of 1", None, 0.985)


SIDE = """
from stopwatch import Stopwatch, answer, task

asked = task()
watch = Stopwatch(asked["target"])
for epoch in range(asked["epochs"]):
    watch.start()
    watch.stop()
    if watch.reached(0.97 + epoch / 100 + asked["seed"]):
        break
if asked["net"] == "broken":
    raise ValueError("no such net")
answer(asked, watch)
"""


@pytest.fixture
def side(script, monkeypatch, tmp_path):
    """A side that is 1 % better at each epoch, and the module that times it."""
    module = script("mnist_time_to_accuracy")
    (tmp_path / "accuracy_sides").mkdir()
    (tmp_path / "accuracy_sides" / "side.py").write_text(SIDE)
    stopwatch = module.HERE / "accuracy_sides" / "stopwatch.py"
    (tmp_path / "accuracy_sides" / "stopwatch.py").write_text(stopwatch.read_text(encoding="utf-8"))
    monkeypatch.setattr(module, "HERE", tmp_path)
    for net in ("small", "broken"):
        monkeypatch.setitem(module.CONTESTANTS, net, module.Contestant(side="side.py", asked={"net": net}))
    return module


def test_a_side_ends_where_it_reaches_the_target_and_its_whole_process_is_timed(side, tmp_path):
    found = side.measure("small", sys.executable, tmp_path, target=0.99, seed=0)
    assert [round(epoch["accuracy"], 2) for epoch in found["epochs"]] == [0.97, 0.98, 0.99]
    assert found["whole"] > found["epochs"][-1]["seconds"]
    assert json.dumps(found)


def test_a_side_that_fails_says_why(side, tmp_path):
    with pytest.raises(side.SideError, match=r"^ValueError: no such net$"):
        side.measure("broken", sys.executable, tmp_path, target=0.99, seed=0)
