"""A disk that fills up: what was saved loads, a line says so, and the run goes on once there is room."""

import contextlib
import subprocess

import numpy as np
import pytest

from tests.survival.driver import outcome_of
from zoo.runs import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Shares of what a finished run takes.
LEVELS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)], capture_output=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def bytes_of(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


@pytest.mark.parametrize("level", LEVELS)
def test_a_disk_that_fills_up_leaves_what_was_saved_and_a_line(bench, tmp_path, level):
    expected, _ = bench.expected("mixed")
    finished = bytes_of(bench.folder / "mixed-straight" / "run")
    job = bench.job("mixed", f"full-{level}", ["checkpoint.every=10 steps"])
    job.folder.mkdir()
    with small_disk(tmp_path / "disk", int(finished * level) // 4096 * 4096) as disk:
        job = type(job)(**{**vars(job), "disk": disk})
        assert bench.starters[0].start(job.command(0)).wait(600) == 1
        said = (job.folder / "output-0").read_text(encoding="utf-8")
        (line,) = [line for line in said.splitlines() if line.startswith("zoo: ")]
        assert "No space left on device" in line
        assert "free some space" in line
        assert "Traceback" not in said
        for saved in checkpoint.checkpoints(job.run / "checkpoints"):
            assert all(np.isfinite(array).all() for array in saved.model_arrays().values())
            saved.state_arrays()
        subprocess.run(["mount", "-o", f"remount,size={10 * finished}", str(disk)], check=True)
        assert bench.starters[0].start(job.command(1)).wait(600) == 0
        assert outcome_of(job, bench.starters[0]) == expected
