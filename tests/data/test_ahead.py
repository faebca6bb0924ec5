"""Images are read beside the start of Keras: the run finds what was read, and reads what was not."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.tiny import environment, phase, recipe, write_npz, write_photos
from zoo.data import Packing, Settings, open_dataset, pack
from zoo.data.ahead import reading_ahead
from zoo.data.packs.finding import KIND
from zoo.errors import DataError
from zoo.system.cache import cache_folder

pytestmark = pytest.mark.usefixtures("fresh_cache")
SETTINGS, PLAN = Settings(height=28, width=28, channels=1), recipe(phase("head", "head"))
# In a process that has not imported Keras.
PROGRAM = """
import sys
from pathlib import Path
from zoo.cli.training.finetune import _start_beside_reading
from zoo.jobs.resuming import Request, decide
from zoo.recipe.schema import Recipe

decided = decide(Request(recipe=Recipe.load("tiny.toml"), data=Path("photos"), run=Path("run")))
assert "keras" not in sys.modules
_start_beside_reading(decided)
assert "keras" in sys.modules
"""

# Begins a pack of a folder, and waits for a line.
PACKING = """
import sys
from pathlib import Path
from zoo.data import Packing, Settings, open_dataset, pack

def wait(done, total):
    print("packs", flush=True)
    sys.stdin.readline()

split = open_dataset("folder", Path(sys.argv[1])).train
pack(split, Settings(height=28, width=28, channels=1), Packing(keep=True, on_progress=wait))
"""


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", count=100)


def is_packed():
    packs = cache_folder() / KIND
    return any((path / "manifest.json").exists() for path in packs.glob("*") if not path.name.startswith("."))


def packed(photos):
    return pack(open_dataset("folder", photos).train, SETTINGS, Packing(keep=True))


def wait_for(there):
    end = time.monotonic() + 60
    while not there() and time.monotonic() < end:
        time.sleep(0.01)


def reader():
    return [thread for thread in threading.enumerate() if thread.name == "zoo-ahead"]


def test_the_run_finds_what_was_read_ahead(photos, decoded):
    with reading_ahead(PLAN, photos):
        wait_for(is_packed)
    found = packed(photos)
    assert set(decoded.values()) == {1}
    expected = pack(open_dataset("folder", photos).train, SETTINGS)
    np.testing.assert_array_equal(found.images[:], expected.images)


@pytest.mark.parametrize("waits", [False, True])
def test_what_is_not_read_when_the_block_ends_is_read_by_the_run_and_nothing_twice(photos, decoded, waits):
    with reading_ahead(PLAN, photos):
        wait_for(lambda: decoded or not waits)
    assert reader() == []
    found = packed(photos)
    assert len(decoded) == len(found.labels) == 200
    assert set(decoded.values()) == {1}


def test_an_interruption_of_the_block_ends_the_reading(photos):
    with pytest.raises(KeyboardInterrupt), reading_ahead(PLAN, photos):
        raise KeyboardInterrupt
    assert reader() == []


def test_who_interrupts_the_block_does_not_wait_for_another_process_that_packs_the_same(photos):
    packs = [sys.executable, "-c", PACKING, str(photos)]
    with subprocess.Popen(packs, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "packs\n"
        with pytest.raises(KeyboardInterrupt), reading_ahead(PLAN, photos):
            wait_for(lambda: sys._current_frames()[reader()[0].ident].f_code.co_name == "lock")
            raise KeyboardInterrupt
        assert other.poll() is None
        other.kill()


def test_images_that_cannot_be_read_are_the_runs_business(photos, capfd):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"no image")
    with reading_ahead(PLAN, photos):
        wait_for(lambda: not reader())
    assert capfd.readouterr() == ("", "")
    with pytest.raises(DataError, match="200 of 200 files cannot be read"):
        packed(photos)


def test_nothing_is_begun_for_what_is_no_list_of_files(tmp_path):
    archive = write_npz(tmp_path / "images.npz")
    arrays = recipe(phase("head", "head"), data={"source": "npz"})
    for plan, images in ((arrays, archive), (PLAN, None), (PLAN, {"train": ()})):
        with reading_ahead(plan, images):
            assert reader() == []


def test_the_command_reads_while_it_imports_keras(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    (photos.parent / "tiny.toml").write_text(PLAN.to_toml())
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment(), check=True, timeout=400)
    assert is_packed()
