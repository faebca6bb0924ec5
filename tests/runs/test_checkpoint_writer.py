"""What the writer does where there is no room: on a small disk of its own, and under a limit on a file's size."""

import contextlib
import os
import re
import resource
import shutil
import subprocess

import numpy as np
import pytest

from zoo.runs import checkpoint
from zoo.runs.checkpoint import Snapshot
from zoo.runs.checkpoint_writer import CheckpointWriter, SaveErrors
from zoo.runs.folder import RunFolder
from zoo.runs.progress import PartialEpoch, Progress

SIZE = 80_000


def snapshot(epoch, *, batches=None):
    inside = None if batches is None else PartialEpoch(batches=batches)
    return Snapshot(
        model={"kernel": np.full(SIZE // 8, float(epoch))},
        state={"momentum": np.full(SIZE // 8, float(epoch))},
        progress=Progress(epoch=epoch, step=epoch * 10, batch=epoch * 10 + (batches or 0), partial_epoch=inside),
        history=[{"epoch": number} for number in range(1, epoch + 1)],
    )


def writer(folder, said, on_save_error="warn"):
    return CheckpointWriter(folder, keep=2, history=[], errors=SaveErrors(on_save_error, said.append))


def write(one, epoch, **options):
    made = snapshot(epoch, **options)
    if not options:
        one.add_line(made.history[-1])
    one.write(made, cost=0.0)
    one.wait()


@contextlib.contextmanager
def files_of_at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB: room for two checkpoints."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("cannot mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk, *, leaving):
    (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leaving)))


def loads(folder, epoch):
    newest = checkpoint.latest(folder.checkpoints)
    return newest.progress.epoch == epoch == newest.model_arrays()["kernel"][0] == newest.state_arrays()["momentum"][0]


@pytest.mark.parametrize("leaving", [0, 4_096, 20_480, 40_960, 61_440, 81_920, 102_400, 122_880, 143_360, 163_840])
def test_a_full_disk_leaves_the_checkpoint_before_and_says_how_much_is_needed(small_disk, leaving):
    folder = RunFolder(small_disk)
    with pytest.raises(OSError, match="No space left on device") as raised, writer(folder, [], "stop") as one:
        write(one, 1)
        fill(small_disk, leaving=leaving)
        write(one, 2)
    assert re.fullmatch(r"No space left on device \(160,000 bytes needed, [\d,]+ free\)", raised.value.strerror)
    free = int(re.search(r"needed, ([\d,]+) free", raised.value.strerror)[1].replace(",", ""))
    assert leaving <= free <= leaving + 8_192
    assert raised.value.filename == str(folder.checkpoints / "step-00000020")
    assert loads(folder, 1)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000010"]


def test_a_fault_is_said_once_for_its_kind_and_the_next_checkpoint_tries_again(small_disk):
    folder, said = RunFolder(small_disk), []
    with writer(folder, said) as one:
        write(one, 1)
        fill(small_disk, leaving=0)
        for epoch in (2, 3):
            write(one, epoch)
        write(one, 3, batches=4)
        (warning,) = said
        assert re.fullmatch(
            re.escape(
                f"warning: {folder.checkpoints / 'step-00000020'}: No space left on device (160,000 bytes needed, "
            )
            + r"[\d,]+ free\); training goes on and tries again at the next checkpoint; free some space meanwhile",
            warning,
        )
        with files_of_at_most(10_000):
            write(one, 4)
        assert len(said) == 1  # the disk is still full, which comes first
        (small_disk / "filler").unlink()
        with files_of_at_most(10_000):
            write(one, 5)
        assert said[1].startswith(
            f"warning: {folder.checkpoints / 'step-00000050'}: File too large (160,000 bytes needed"
        )
        assert said[1].endswith("; raise the limit on a file's size (ulimit -f) meanwhile")
        assert loads(folder, 1)
        write(one, 6)
    assert loads(folder, 6)
    assert folder.metrics() == [{"epoch": number} for number in range(1, 7)]
    assert (one.unsaved_epochs, len(said)) == ([2, 3, 4, 5], 2)


def test_what_could_not_be_written_last_is_tried_once_more_at_the_end(small_disk):
    folder, said = RunFolder(small_disk), []
    with writer(folder, said) as one:
        write(one, 1)
        fill(small_disk, leaving=0)
        write(one, 2)
        (small_disk / "filler").unlink()
    assert loads(folder, 2)
    assert (one.unsaved_epochs, len(said)) == ([], 1)


def test_a_line_of_metrics_that_was_cut_is_written_anew(tmp_path):
    folder, said = RunFolder(tmp_path), []
    append = RunFolder.append_metrics

    def cut(folder, row):
        with folder.metrics_path.open("a") as file:
            file.write('{"epo')
        with files_of_at_most(folder.metrics_path.stat().st_size):
            append(folder, row)

    with writer(folder, said) as one:
        write(one, 1)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(RunFolder, "append_metrics", cut)
            write(one, 2)
        (warning,) = said
        assert warning.startswith(f"warning: {folder.metrics_path}: File too large (13 bytes needed, ")
        assert loads(folder, 2)
        write(one, 3)
    assert folder.metrics() == [{"epoch": number} for number in range(1, 4)]
    assert one.unsaved_epochs == []


def test_a_disk_that_can_only_be_read_is_said_and_the_checkpoint_before_loads(small_disk):
    folder, said = RunFolder(small_disk), []
    with writer(folder, said) as one:
        write(one, 1)
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        write(one, 2)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert said == [
        f"warning: {folder.checkpoints / 'step-00000020'}: Read-only file system; training goes on and tries again at "
        "the next checkpoint; make it writable meanwhile"
    ]
    assert loads(folder, 2)


def test_the_same_batch_saved_again_stays_until_there_is_another(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(OSError, match="File too large"), writer(folder, [], "stop") as one:
        write(one, 1)
        with files_of_at_most(10_000):
            write(one, 1)
    assert loads(folder, 1)
