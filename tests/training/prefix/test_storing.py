"""A first pass that ends anywhere is taken up where it ended, and finished to the very bytes of one that did not."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import zoo
from tests.tiny import stopping_bar
from zoo.freezing.plans import train_only
from zoo.recipe.schema import AugmentSection
from zoo.system import cache
from zoo.training.prefix import caching, storing
from zoo.training.prefix.splitting import frozen_prefix
from zoo.training.prefix.storing import find_entry, verify_entry
from zoo.training.prefix.views import fixed_views

pytestmark = pytest.mark.usefixtures("fresh_cache")

ROTATED = fixed_views(AugmentSection(rotation=30.0, views=2), seed=5)
FLIPPED = fixed_views(AugmentSection(flip="horizontal", views=2), seed=0)


@pytest.fixture(scope="module")
def prefix():
    model = zoo.build("mnist_conv_tiny", classes=2)
    train_only(model, "head", batchnorm="frozen")
    return frozen_prefix(model)


def images(count=200):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype("uint8")


def keep(prefix, pixels, views=(), *, stop_at=None):
    """Computes and keeps activations; Ctrl-C comes when so many are done."""

    bar = stopping_bar(stop_at)
    folder = caching.folder_of(prefix, pixels, views)
    return caching.get_or_compute(prefix.prefix, pixels, [folder], views=views, bar=bar, what="train")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def undisturbed(prefix, pixels, views=()):
    """Returns the files of an entry that was computed in one go, and removes it."""
    keep(prefix, pixels, views)
    (entry,) = cache.entries("activations")
    found = contents(entry.path)
    cache.remove(entry.path)
    return entry.path, found


@pytest.mark.parametrize("views", [(), ROTATED, FLIPPED])
def test_an_interrupted_first_pass_goes_on_and_gives_the_same_bytes(prefix, views):
    pixels = images()
    entry, whole = undisturbed(prefix, pixels, views)
    total = 200 * max(1, len(views))
    # In the middle of a chunk of a view, at its end, at the end of a view, and again and again.
    done = 0
    for stop_at in [stop for stop in (32, 128, 160, 200, 260, 328) if stop < total]:
        with pytest.raises(KeyboardInterrupt):
            keep(prefix, pixels, views, stop_at=stop_at)
        assert cache.entries("activations") == []
        done = storing.UnfinishedEntry(storing_place(entry), total).done
        assert done >= stop_at
    kept = keep(prefix, pixels, views)
    assert kept.computed == total - done
    assert contents(entry) == whole
    assert sorted(path.name for path in entry.parent.iterdir()) == [entry.name]


def storing_place(entry):
    return entry.with_name(f".part-{entry.name}")


def flip(path, place, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("file", "place", "computed"),
    [
        ("activations.npy", 128 + 5000, 200),  # before the first note
        ("activations.npy", -1, 100),  # of rows that were to come: nothing is lost
        ("activations.npy", 90, 200),  # the header
        ("parts.jsonl", 5, 200),  # the first line
        ("parts.jsonl", -20, 200),  # the last one
        ("parts.jsonl", None, 200),
    ],
)
def test_what_is_damaged_of_it_is_computed_anew(prefix, monkeypatch, file, place, computed):
    pixels = images()
    entry, whole = undisturbed(prefix, pixels)
    with pytest.raises(KeyboardInterrupt):
        keep(prefix, pixels, stop_at=96)
    damaged = storing_place(entry) / file
    if place is None:
        damaged.unlink()
    else:
        flip(damaged, place)
    (storing_place(entry) / ".manifest.json.abcdefgh").write_text("cut")
    kept = keep(prefix, pixels)
    assert kept.computed == (200 - 96 if computed == 100 else computed)
    assert contents(entry) == whole


def test_of_several_notes_the_last_that_holds_counts(prefix, monkeypatch):
    pixels = images()
    entry, whole = undisturbed(prefix, pixels)
    monkeypatch.setattr(storing, "NOTE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        keep(prefix, pixels, stop_at=160)
    row_bytes = (len(whole["activations.npy"]) - 128) // 200
    flip(storing_place(entry) / "activations.npy", 128 + 70 * row_bytes)
    assert keep(prefix, pixels).computed == 200 - 64
    assert contents(entry) == whole


def test_any_flipped_bit_is_found_when_an_entry_is_read(prefix):
    pixels = images(40)
    entry, whole = undisturbed(prefix, pixels)
    random = np.random.default_rng(1)
    for name, content in whole.items():
        for place in random.integers(len(content), size=60):
            entry.mkdir(parents=True)
            for other, kept in whole.items():
                (entry / other).write_bytes(kept)
            flip(entry / name, place, random.integers(8))
            (fault,) = verify_entry(entry)
            assert fault.startswith(str(entry / name))
            assert find_entry(entry) is None
            assert not entry.exists()
    entry.mkdir()
    for other, kept in whole.items():
        (entry / other).write_bytes(kept)
    assert verify_entry(entry) == []
    entry.rename(entry.with_name("0" * 40))
    assert "expected 0000" in verify_entry(entry.with_name("0" * 40))[0]


def test_an_entry_of_an_earlier_zoo_is_read(prefix):
    import hashlib
    import json

    pixels = images(40)
    entry, whole = undisturbed(prefix, pixels)
    entry.mkdir()
    (entry / "activations.npy").write_bytes(whole["activations.npy"])
    digest = hashlib.sha256(whole["activations.npy"]).hexdigest()
    before = {"schema": 1, "kind": "activations", "dtype": "float32", "sha256": digest}
    (entry / "manifest.json").write_text(json.dumps(before, indent=2) + "\n")
    assert keep(prefix, pixels).computed == 0
    flip(entry / "activations.npy", 4000)
    assert keep(prefix, pixels).computed == 40


def test_two_that_need_the_same_compute_it_once(prefix):
    pixels = images()
    found = []
    threads = [threading.Thread(target=lambda: found.append(keep(prefix, pixels).computed)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 200]


def test_a_disk_that_fills_up_leaves_what_was_done(prefix, monkeypatch):
    pixels = images()
    entry, whole = undisturbed(prefix, pixels)
    real = storing.write_at

    def full(file, content, position):
        if position > len(whole["activations.npy"]) // 2:
            raise OSError(28, "No space left on device")
        real(file, content, position)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "write_at", full)
        with pytest.raises(OSError, match="No space left"):
            keep(prefix, pixels)
    assert 0 < keep(prefix, pixels).computed < 200
    assert contents(entry) == whole

    def none_left(*_):
        raise OSError(28, "No space left on device")

    cache.remove(entry)
    monkeypatch.setattr(os, "posix_fallocate", none_left)
    with pytest.raises(OSError, match="No space left"):
        keep(prefix, pixels)
    (left,) = cache.unfinished_entries("activations")
    assert left.bytes < 100  # no part of the file that had no room


@pytest.mark.slow
def test_a_killed_first_pass_costs_a_few_seconds_at_most(prefix, tmp_path, fresh_cache):
    """A real kill -9, at four instants; what comes after a prefix that takes 25 s."""
    code = (
        "import contextlib, sys, time; import numpy as np; import zoo\n"
        "from zoo.freezing.plans import train_only; from zoo.training.prefix import caching\n"
        "from zoo.training.prefix.splitting import frozen_prefix; from zoo.inference import batches\n"
        "model = zoo.build('mnist_conv_tiny', classes=2); train_only(model, 'head', batchnorm='frozen')\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (3200, 28, 28, 1)).astype('uint8')\n"
        "@contextlib.contextmanager\n"
        "def bar(description, total):\n"
        "    def move(done, detail):\n"
        "        time.sleep(0.2); print(done, flush=True)\n"
        "    yield move\n"
        "prefix = frozen_prefix(model); folder = caching.folder_of(prefix, pixels)\n"
        "kept = caching.get_or_compute(prefix.prefix, pixels, [folder], bar=bar, what='train')\n"
        "print('computed', kept.computed, flush=True)"
    )
    pixels = np.random.default_rng(0).integers(0, 256, (3200, 28, 28, 1)).astype("uint8")
    entry, whole = undisturbed(prefix, pixels)
    reached = 0
    for seconds in (1.0, 3.5, 5.0, 2.7):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            began_at = int(process.stdout.readline())
            assert began_at >= reached - 5 * 32 * 5  # at most 5 s of 5 batches each are lost
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            reached = int(process.stdout.read().splitlines()[-1])
    assert reached > 500
    process = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    computed = int(process.stdout.split()[-1])
    assert computed <= 3200 - reached + 5 * 32 * 5
    assert contents(entry) == whole
