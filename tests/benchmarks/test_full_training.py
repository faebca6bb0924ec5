"""Images a second of training: how workers are led, and how their answers are summed up."""

import sys

import pytest

COUNTS = {"parameters": 1_000, "multiply_adds": 50}


@pytest.fixture
def net(script):
    return script("full_training").Net(size=8, channels=1, batch=2, images=60)


def test_a_row_has_the_median_speed_and_how_many_times_as_fast_the_toolkit_is(script, net):
    found = {"zoo": {"seconds": [1.0, 2.0, 3.0], **COUNTS}, "keras": {"seconds": [6.0, 3.0, 4.0], **COUNTS}}
    ours, theirs = script("full_training").rows_of("tiny", net, found)
    assert (ours["images a second"], ours["least"], ours["most"]) == (30.0, 20.0, 60.0)
    assert ours["the toolkit is times as fast"] == 1.0
    assert (theirs["images a second"], theirs["the toolkit is times as fast"]) == (15.0, 2.0)
    assert theirs["runs"] == [10.0, 20.0, 15.0]


def test_a_side_that_cannot_run_is_listed_with_the_reason(script, net):
    found = {"zoo": {"seconds": [1.0], **COUNTS}, "pytorch": {"reason": "No module named 'torch'"}}
    row = script("full_training").rows_of("tiny", net, found)[1]
    assert row["note"] == "No module named 'torch'"
    assert row["images a second"] is None and row["runs"] == []


def test_nets_that_differ_are_said_to(script, net):
    found = {"zoo": {"seconds": [1.0], **COUNTS}, "pytorch": {"seconds": [1.0], "parameters": 990, "multiply_adds": 50}}
    ours, theirs = script("full_training").rows_of("tiny", net, found)
    assert ours["note"] is None
    assert theirs["note"] == "-10 parameters"


def test_each_side_comes_first_in_turn(script):
    in_turn = script("full_training").in_turn
    assert [in_turn(["a", "b", "c"], turn) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


WORKER = """
import json, sys
from driver import Driver

driver = Driver()
print("a library says something")
driver.answer(epoch=0)
for epoch in range(1, json.loads(sys.argv[1])["rounds"] + 1):
    driver.wait()
    if epoch == 2:
        raise ValueError("out of memory")
    driver.answer(epoch=epoch)
driver.answer(seconds=[0.5])
"""


@pytest.fixture
def start(script, tmp_path, monkeypatch):
    """Starts a worker in the place of one that trains."""
    module = script("full_training")
    file = module.HERE / "training_rounds"
    (tmp_path / "worker.py").write_text(f"import sys\nsys.path.insert(0, {str(file)!r})\n{WORKER}")
    side = module.Side(worker=str(tmp_path / "worker.py"))
    return lambda rounds: module.Worker(sys.executable, side, {"rounds": rounds, "threads": 1}, tmp_path / "worker.log")


def test_a_worker_answers_when_it_is_told_to_train(start, tmp_path):
    worker = start(1)
    assert worker.answer() == {"epoch": 0}
    worker.train()
    assert worker.answer() == {"seconds": [0.5]}
    worker.end()
    assert (tmp_path / "worker.log").read_text() == "a library says something\n"


def test_a_worker_that_fails_gives_the_last_line_of_its_log(start, script):
    worker = start(2)
    worker.answer()
    worker.train()
    with pytest.raises(script("full_training").WorkerError, match=r"^ValueError: out of memory$"):
        worker.train()
    worker.end()
