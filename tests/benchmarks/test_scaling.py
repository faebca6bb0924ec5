"""Two processes beside one: the figures of a table, by hand; and a rehearsal, which trains for seconds only."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tests.tiny import HERE


def test_a_line_has_the_ratio_of_medians_and_what_the_engine_costs(script):
    module = script("scaling")
    seconds = {"one": [0.4, 0.5, 0.9], "two": [0.2, 0.3, 0.3], "apart": [0.2, 0.25, 0.26]}
    row = module.row_of(module.CASES[0], seconds)
    assert (row["one process, s"], row["two, s"], row["ratio"]) == (0.5, 0.3, 1.667)
    assert (row["lowest"], row["highest"], row["apart"]) == (1.667, 3.0, 2.0)
    assert row["overhead, ms"] == 50.0  # 300 less 250


def test_the_first_epoch_is_left_out_and_a_pass_is_read_in_the_record(script, tmp_path):
    module = script("scaling")
    rows = [{"images_per_second": speed} for speed in (1.0, 64.0, 32.0, 128.0)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "run.json").write_text(json.dumps({"seconds": {"first_pass": 7.5}}))
    steps, _, first_pass = module.CASES
    steps = dataclasses.replace(steps, batch=512)
    assert module.seconds_of(steps, tmp_path) == 8.0  # 512 images, 64 a second
    assert module.seconds_of(first_pass, tmp_path) == 7.5


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not shutil.which("taskset") or (os.cpu_count() or 1) < 2, reason="needs taskset and two cores")
def test_a_rehearsal_measures_each_case():
    command = [sys.executable, str(BENCHMARKS / "scaling.py"), "--rehearse"]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=1700)
    assert done.returncode == 0, done.stderr
    cells = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in cells] == ["compute-bound", "engine", "first pass"]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in cells)
