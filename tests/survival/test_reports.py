"""What a kill cost, by hand: 3 batches an epoch of a second each, and 2 seconds of validation."""

import json

import pytest

from tests.survival.reports import Report, Taken, newest_checkpoint, place_of, work_lost

LINES = """\
90.0 start-up 0
100.0 compiling 0
107.0 step 1
108.0 step 2
109.0 step 3
109.0 validation 3
111.0 epoch's end 3
112.0 step 4
113.0 step 5
"""


@pytest.fixture
def report(tmp_path):
    (tmp_path / "report").write_text(LINES)
    return Report.read(tmp_path / "report")


@pytest.mark.parametrize(
    ("durable", "killed", "lost"),
    [
        (Taken(), 113.5, 6.5),  # all but compiling, which the next process has to do too
        (Taken(2), 113.5, 5.5),
        (Taken(3, validated=False), 113.5, 4.5),
        (Taken(3), 113.5, 2.5),
        (Taken(4), 113.5, 1.5),
        (Taken(5), 113.5, 0.5),
    ],
)
def test_work_is_lost_from_the_newest_checkpoint_on(report, durable, killed, lost):
    assert work_lost(report, durable, killed) == pytest.approx(lost)


def test_compiling_amid_an_epoch_is_no_work_either(tmp_path):
    (tmp_path / "report").write_text(LINES + "114.0 compiling 5\n122.0 step 5\n122.5 step 6\n123.0 compiling 6\n")
    assert work_lost(Report.read(tmp_path / "report"), Taken(4), 130.0) == pytest.approx(2 + 0.5 + 0.5)


def test_a_process_that_trained_nothing_lost_nothing(tmp_path):
    assert work_lost(Report.read(tmp_path / "none"), Taken(), 1e9) == 0


def test_where_a_process_was_is_read_from_what_it_left(report, tmp_path):
    run, cache = tmp_path / "run", tmp_path / "cache"
    (run / "checkpoints" / ".step-00000001").mkdir(parents=True)
    (cache / "zoo" / "packs" / ".part-1-a").mkdir(parents=True)
    began = (run / "checkpoints").stat().st_mtime
    killed, ended = -9, 143
    assert place_of(run, cache, report, since=began - 60, code=killed) == "save"
    assert place_of(run, cache, report, since=began + 60, code=killed) == "step"  # another process left them
    assert place_of(run, cache, report, since=began - 60, code=ended) == "step"
    (run / "checkpoints" / ".step-00000001").rmdir()
    assert place_of(run, cache, report, since=began - 60, code=killed) == "packing"


def test_the_newest_checkpoint_is_the_one_after_most_batches_and_validation(tmp_path):
    assert newest_checkpoint(tmp_path) == Taken()
    for name, batches in {"step-00000002": 2, "step-00000003-before-validation": 3}.items():
        folder = tmp_path / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"progress": {"batch": batches}}))
    (tmp_path / "checkpoints" / "step-00000009").mkdir()
    assert newest_checkpoint(tmp_path) == Taken(3, validated=False)
    (tmp_path / "checkpoints" / "step-00000003-before-validation").rename(tmp_path / "checkpoints" / "step-00000003")
    assert newest_checkpoint(tmp_path) == Taken(3)
