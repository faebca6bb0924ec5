"""A run on a small disk that fills up while it trains."""

import errno
import os
import re
import shutil
import subprocess
import time

import keras
import pytest

import zoo
from tests.tiny import as_typed, phase, recipe, write_npz
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder


@pytest.fixture
def disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode:
        pytest.skip("cannot mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
def data(tmp_path):
    return write_npz(tmp_path / "data.npz")


class Fill(keras.callbacks.Callback):
    """Fills the disk before an epoch, and frees it before another; epochs count from 0."""

    def __init__(self, disk, full, free=None):
        super().__init__()
        self.filler, self.full, self.free = disk / "filler", full, free

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.full:
            self.wait_for_checkpoint(epoch)
            self.filler.write_bytes(bytes(shutil.disk_usage(self.filler.parent).free))
        if epoch == self.free:
            time.sleep(3)  # until the epoch before has found no room
            self.filler.unlink()

    def wait_for_checkpoint(self, epoch):
        """Waits for the thread that writes, so that it is known which checkpoint finds no room."""
        until = time.monotonic() + 30
        metrics = self.filler.with_name("run") / "metrics.jsonl"
        while time.monotonic() < until and metrics.read_text().count("\n") < epoch:
            time.sleep(0.01)


def plan(on_save_error):
    return recipe(phase("head", "head", epochs=4), train={"on_save_error": on_save_error})


def test_a_full_disk_stops_the_run_with_what_is_needed_and_what_to_type(disk, data):
    with pytest.raises(OSError, match="No space left on device") as raised:
        zoo.finetune(plan("stop"), data, run=disk / "run", callbacks=[Fill(disk, 2)])
    assert re.fullmatch(r"No space left on device \([\d,]+ bytes needed, 0 free\)", raised.value.strerror)
    assert raised.value.filename.startswith(f"{disk / 'run' / 'checkpoints' / 'step-'}")
    command = f"zoo finetune --run {as_typed(disk / 'run')} --resume"
    assert raised.value.__notes__ == [f"free some space and go on with it: {command}"]
    newest = checkpoint.latest(disk / "run" / "checkpoints")
    assert newest.progress.epoch == 2
    assert newest.model_arrays()
    (disk / "filler").unlink()
    assert len(zoo.finetune(None, run=disk / "run", resume=True).history) == 4


def test_where_the_recipe_says_warn_training_goes_on_and_the_end_says_what_is_missing(disk, data, capsys):
    run = zoo.finetune(plan("warn"), data, run=disk / "run", callbacks=[Fill(disk, 1, free=3)])
    warnings = [line for line in capsys.readouterr().err.splitlines() if "could not" in line or "No space" in line]
    assert len(warnings) == 2
    assert re.fullmatch(
        r"warning: .+: No space left on device \([\d,]+ bytes needed, 0 free\); training goes on and tries again at "
        "the next checkpoint; free some space meanwhile",
        warnings[0],
    )
    assert warnings[1] == (
        f"warning: {run.path / 'checkpoints'}: the checkpoints of 2 epochs could not be written: 2, 3"
    )
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert run.record["status"] == "done"


@pytest.mark.slow
def test_a_final_model_that_cannot_be_written_is_an_error_all_the_same(disk, data, tmp_path):
    with pytest.raises(OSError, match="No space left on device") as raised:
        zoo.finetune(plan("warn"), data, run=disk / "run", callbacks=[Fill(disk, 1)])
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(disk / "run" / "model" / "model.safetensors")
    assert RunFolder(disk / "run").record().status == "running"  # there was no room to say more
    assert checkpoint.latest(disk / "run" / "checkpoints").progress.epoch == 1
    (disk / "filler").unlink()
    run = zoo.finetune(None, run=disk / "run", resume=True)
    whole = zoo.finetune(plan("warn"), data, run=tmp_path / "whole")
    model = "model/model.safetensors"
    assert (run.path / model).read_bytes() == (whole.path / model).read_bytes()
