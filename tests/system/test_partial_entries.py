"""What dead processes left in the cache goes at the next start; what a live one holds or a run can take up stays."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from zoo.system import cache, partial_entries
from zoo.system.partial_entries import JOURNAL, complete, discard, held, is_held, remove_litter, removed_after

LONG_AGO = (1000, 1000)


@pytest.fixture
def packs(fresh_cache):
    folder = fresh_cache / "packs"
    folder.mkdir(parents=True)
    return folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def make(folder, *files, age=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_text("x")
    for path in (*folder.iterdir(), folder) if age else ():
        os.utime(path, age)
    return folder


def test_what_the_dead_left_goes_and_nothing_else(packs, fresh_cache):
    whole = "1-" + "a" * 40
    make(packs / whole, "images.npy", "manifest.json")
    make(packs / ".part-resumable", JOURNAL, "images.npy")
    before = names(fresh_cache)
    make(packs / ".part-without-a-journal", "images.npy")
    (packs / ".lock-without-a-journal").touch()
    make(packs / ".part-too-old", JOURNAL, age=LONG_AGO)
    make(packs / ".part-xk2_ab3d", "entry", age=LONG_AGO)  # an earlier zoo's, without a lock
    make(packs / ("1-" + "b" * 40), "images.npy")  # half removed: without a manifest
    make(packs / ".gone-c.123456", "images.npy")
    (packs / ".lock-nothing").touch()
    make(fresh_cache / "weights" / "host" / "deep" / ".part-net.h5", "content")
    (fresh_cache / "weights" / "host" / "deep" / ".lock-net.h5").touch()
    make(fresh_cache / "modules" / "addresses", ".abc.json.k3_4x2aa", age=LONG_AGO)
    cache.remove_litter()
    assert sorted({*names(fresh_cache)} - {*before}) == [
        "modules",
        "modules/addresses",
        "weights",
        "weights/host",
        "weights/host/deep",
    ]
    assert set(before) <= set(names(fresh_cache))


def test_what_may_be_written_at_the_moment_stays(packs, fresh_cache):
    make(packs / ".part-xk2_ab3d", "entry")  # an earlier zoo's, just now
    make(packs, ".manifest.json.k3_4x2aa")
    make(packs / "yours", "notes.txt")
    make(fresh_cache / "modules" / ("d" * 64), ".part-of-a-module")
    entry = packs / ("1-" + "e" * 40)
    with held(entry) as partial:
        make(partial, "images.npy", age=LONG_AGO)
        before = names(fresh_cache)
        cache.remove_litter()
        assert names(fresh_cache) == before


@pytest.mark.parametrize("code", ["raise SystemExit", "os.kill(os.getpid(), 9)"])
def test_a_lock_goes_with_its_process(packs, code):
    entry = packs / ("1-" + "f" * 40)
    held_elsewhere = (
        "import os, sys; from pathlib import Path; from zoo.system.partial_entries import held\n"
        "with held(Path(sys.argv[1])) as partial:\n"
        f"    partial.mkdir(); print('held', flush=True); sys.stdin.readline(); {code}"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held_elsewhere, entry], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        partial = partial_entries.partial_of(entry)
        assert is_held(partial)
        remove_litter(packs)
        assert partial.is_dir()
        process.communicate("\n")
    assert not is_held(partial)
    if code.startswith("os.kill"):  # else the lock is gone, and it could be an earlier zoo's
        remove_litter(packs)
        assert names(packs) == []


def test_a_second_writer_waits_and_finds_what_the_first_wrote(packs):
    entry = packs / ("1-" + "a" * 40)
    order = []

    def write(name):
        with held(entry) as partial:
            order.append(f"{name} {'finds it' if entry.is_dir() else 'writes'}")
            if not entry.is_dir():
                make(partial, JOURNAL, "manifest.json")
                time.sleep(0.05)
                complete(partial, entry)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line.split(" ", 1)[1] for line in order) == ["finds it", "writes"]
    assert names(packs) == [entry.name, f"{entry.name}/manifest.json"]


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt], ids=["done", "interrupted"])
def test_what_a_block_began_goes_with_it_and_what_was_there_stays(packs, fresh_cache, fault):
    weights = fresh_cache / "weights"
    weights.mkdir()
    make(packs / "there", "manifest.json")
    make(packs / ".part-begun", JOURNAL)
    with contextlib.suppress(KeyboardInterrupt), removed_after("packs"):
        for folder in (packs / "there", packs / "begun", packs / "new", weights / "new"):
            with held(folder) as partial:
                complete(make(partial, "manifest.json"), folder)
        with held(packs / "half") as partial:
            make(partial, JOURNAL)
            if fault:
                raise fault
    assert [name for name in names(packs) if "/" not in name] == ["begun", "there"]
    with held(packs / "later") as partial:
        complete(make(partial, "manifest.json"), packs / "later")
    assert (names(weights), (packs / "later").is_dir()) == (["new", "new/manifest.json"], True)


def test_a_half_removed_entry_keeps_no_whole_one_from_its_place(packs):
    entry = make(packs / ("1-" + "a" * 40), "images.npy")
    with held(entry) as partial:
        make(partial, JOURNAL, "images.npy", "manifest.json")
        complete(partial, entry)
    assert names(packs) == [entry.name, f"{entry.name}/images.npy", f"{entry.name}/manifest.json"]


def test_what_is_removed_has_another_name_meanwhile(packs, monkeypatch):
    entry = make(packs / ("1-" + "a" * 40), "images.npy", "manifest.json")

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(partial_entries, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            discard(entry)
    assert not entry.exists()
    assert len(names(packs)) == 3
    remove_litter(packs)
    assert names(packs) == []


def test_room_is_never_made_by_removing_what_is_being_written(packs, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 10)
    make(packs / ".part-left", JOURNAL)
    with held(packs / "mine") as partial:
        make(partial, JOURNAL, age=LONG_AGO)
        cache.make_room("packs", 1000)
        assert [entry.path for entry in cache.unfinished_entries("packs")] == [partial]
        removed = cache.remove(packs)
        assert removed.fault is None
        assert names(packs) == [".lock-mine", partial.name, f"{partial.name}/{JOURNAL}"]
    cache.remove(packs)
    assert not packs.exists()
