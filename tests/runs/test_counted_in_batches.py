"""Runs of zoo 0.1 called batches steps: what they come to in steps, by hand."""

import json
import shutil

import numpy as np

from tests.runs.made_before.make import HERE
from zoo.runs import checkpoint
from zoo.runs.counted_in_batches import lines_anew, steps_of
from zoo.runs.folder import RunFolder
from zoo.runs.progress import Best, Progress


def lines(*phases):
    """Makes what zoo 0.1 wrote of phases of so many epochs, of three batches each."""
    epochs = [(f"phase{number}", epoch) for number, count in enumerate(phases) for epoch in range(1, count + 1)]
    return [
        {"phase": name, "epoch": total, "epoch_in_phase": epoch, "step": 3 * total}
        for total, (name, epoch) in enumerate(epochs, start=1)
    ]


def test_what_a_phase_leaves_over_is_not_a_step():
    assert steps_of(lines(1, 1, 1), batches_per_epoch=3, accumulate=2) == [1, 2, 3]
    assert steps_of(lines(3), batches_per_epoch=3, accumulate=2) == [1, 3, 4]
    assert steps_of(lines(1, 2), batches_per_epoch=3, accumulate=2) == [1, 2, 4]
    assert steps_of(lines(2), batches_per_epoch=3, accumulate=7) == [0, 0]


def test_lines_are_counted_anew_once():
    progress = Progress(phase=1, epoch_in_phase=2, epoch=3, step=4, batch=9)
    once = lines_anew(lines(1, 2), progress, accumulate=2)
    assert [line["step"] for line in once] == [1, 2, 4]
    assert lines_anew(once, progress, accumulate=2) == once
    assert lines_anew([], Progress(), accumulate=2) == []


def test_a_checkpoint_of_before_is_read_in_steps(tmp_path):
    # Six batches an epoch, two to a step: six epochs of the first phase and two of the second.
    run = shutil.copytree(HERE / "interrupted", tmp_path / "run")
    found = checkpoint.latest(run / "checkpoints")
    assert found.path.name == "step-00000048"
    assert found.progress == Progress(
        phase=1,
        epoch_in_phase=2,
        epoch=8,
        step=24,
        batch=48,
        best=(best := Best(value=0.9956429600715637, step=24, batch=48, loss=0.9956429600715637)),
        phase_best=best,
        stale_epochs=0,
    )
    assert checkpoint.best(run / "checkpoints").path == found.path


def test_a_checkpoint_of_before_counts_phases_one_by_one(tmp_path):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(HERE / "interrupted", folder.path, ignore=shutil.ignore_patterns("checkpoints", "metrics.jsonl"))
    folder.write_metrics(lines(1, 1, 2))
    progress = Progress(phase=2, epoch_in_phase=1, epoch=3, step=9, batch=9, best=Best(value=0.5, step=6, batch=6))
    snapshot = checkpoint.Snapshot(model={"a": np.zeros(1)}, state={"b": np.zeros(1)}, progress=progress)
    saved = checkpoint.save(folder.checkpoints, snapshot, keep=1)
    manifest = saved.path / "manifest.json"
    document = json.loads(manifest.read_text(encoding="utf-8"))
    for key in ("batch", "best_batch", "phase_best_batch"):
        del document["progress"][key]
    del document["sealed"], document["seal"]
    manifest.write_text(json.dumps(document), encoding="utf-8")
    found = checkpoint.latest(folder.checkpoints).progress
    assert (found.step, found.batch) == (3, 9)
    assert (found.best.step, found.best.batch) == (2, 6)
    folder.metrics_path.unlink()
    assert checkpoint.latest(folder.checkpoints).progress.step == 4  # of nine batches, as if all were of one phase
