"""What a power cut would leave: each name is given to data that is on disk, and lasts."""

from pathlib import Path

import pytest

from tests.survival import syscalls
from tests.survival.driver import Job
from tests.survival.starting import FreshProcess
from tests.survival.syscalls import Order
from tests.survival.trainings import TRAININGS, write_images

WHOLE = [
    '7 write(3</r/.a.x>, ""..., 5) = 5',
    "7 fsync(3</r/.a.x>) = 0",
    '7 rename("/r/.a.x", "/r/a") = 0',
    "8 fsync(4</r>) = 0",
]


def read(lines):
    order = Order((Path("/r"),)).read(lines)
    return [str(path) for path in order.visible], order.violations


def test_data_then_name_then_folder_is_right():
    assert read(WHOLE) == (["/r/a"], [])
    assert read(line.replace("/r", "/elsewhere") for line in WHOLE) == ([], [])


@pytest.mark.parametrize(
    ("order", "violation"),
    [
        ([0, 2, 3], "/r/a: /r/.a.x is renamed before its data is synced"),
        ([0, 2, 1, 3], "/r/a: /r/.a.x is renamed before its data is synced"),
        ([1, 0, 2, 3], "/r/a: /r/.a.x is renamed before its data is synced"),
        ([0, 1, 2], "/r/a: its folder /r is not synced after the rename"),
        ([0, 1, 3, 2], "/r/a: its folder /r is not synced after the rename"),
    ],
)
def test_another_order_is_found(order, violation):
    assert read(WHOLE[number] for number in order) == (["/r/a"], [violation])


def test_a_folder_takes_its_name_with_all_its_files_and_loses_it_before_them():
    written = ['7 pwrite64(3</r/.s/m>, ""..., 5, 0) = 5', "7 fdatasync(3</r/.s/m> <unfinished ...>"]
    named = ['7 renameat2(AT_FDCWD, "/r/.s", AT_FDCWD, "/r/s", 0) = 0', "7 fsync(4</r>) = 0"]
    emptied, hidden = '7 unlinkat(5</r/s>, "m", 0) = 0', '7 rename("/r/s", "/r/.s") = 0'
    assert read([*written, *named]) == (["/r/s"], [])
    assert read([written[0], *named])[1] == ["/r/s: /r/.s/m is renamed before its data is synced"]
    assert read([*written, *named, emptied])[1] == ["/r/s: is emptied under its name"]
    assert read([*written, *named, hidden, emptied.replace("/r/s", "/r/.s")])[1] == []


def test_a_new_folder_lasts_before_what_it_holds():
    made, synced = '7 mkdir("/r", 0777) = 0', "7 fsync(5</>) = 0"
    failed = '7 mkdir("/r", 0777) = -1 EEXIST (File exists)'

    def violations(lines):
        return Order((Path("/r"),), lasting=(Path("/r"),)).read(lines).violations

    assert violations([made, synced, *WHOLE]) == []
    assert violations([failed, *WHOLE]) == []
    assert violations([made, *WHOLE]) == ["/r/a: /r is new and not synced into its parent"]


@pytest.mark.slow
@pytest.mark.skipif(syscalls.strace() is None, reason="strace is missing")
def test_a_run_syncs_before_it_renames(tmp_path):
    images = write_images(tmp_path / "images", count=80)
    settings = ["checkpoint.every=3 steps", "phases.all.epochs=2"]
    recipe = TRAININGS["cached"].write(tmp_path)
    job = Job(training="cached", recipe=recipe, images=images, folder=tmp_path / "job", settings=settings)
    job.folder.mkdir()
    traced = FreshProcess(through=[*syscalls.strace(), str(tmp_path / "trace")]).start(job.command(0)).wait(500)
    said = (job.folder / "output-0").read_text(encoding="utf-8")
    if "ptrace" in said:
        pytest.skip("no process can be traced here")
    assert traced == 0, said
    order = Order((job.run, job.cache / "zoo"), lasting=(job.run,))
    with (tmp_path / "trace").open(encoding="utf-8", errors="replace") as lines:
        order.read(lines)
    found = [path.relative_to(job.folder).as_posix() for path in order.visible]
    assert {"run/run.json", "run/manifest.json", "run/model/card.json", "run/model/model.safetensors"} <= set(found)
    assert any(path.startswith("run/checkpoints/step-") for path in found)
    assert any(path.startswith("cache/zoo/activations/") for path in found)
    # Not of packs: each of their parts is compared with its checksum when it is read, and made anew.
    assert [one for one in order.violations if not one.startswith(str(job.cache / "zoo" / "packs"))] == []
