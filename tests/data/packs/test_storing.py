import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from zoo.data import Batches, Packing, Split, pack
from zoo.data.images import decoding, index
from zoo.data.images.settings import Settings
from zoo.data.packs import storing
from zoo.data.packs.finding import find_pack, verify_entry
from zoo.data.packs.pixels import Decoded, Rows, Streamed, identity, identity_of
from zoo.errors import DataError
from zoo.registry.fitting import ImageFit
from zoo.system import cache

pytestmark = pytest.mark.usefixtures("fresh_cache")

SIZE = sized(height=6, width=6, channels=3)


def photos(folder, count=40, bad=()):
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        paths.append(folder / f"{number}.png")
        if number in bad:
            paths[-1].write_bytes(b"no image")
        else:
            Image.new("RGB", (9, 8), (number % 256, number // 2, 3)).save(paths[-1])
    return Split(images=paths, labels=np.arange(count) % 2)


def test_it_holds_what_is_decoded_without_it(tmp_path):
    split = photos(tmp_path / "photos", 300, bad=(7, 299))
    kept, plain = pack(split, SIZE, Packing(keep=True)), pack(split, SIZE)
    np.testing.assert_array_equal(kept.images[:], plain.images[:])
    np.testing.assert_array_equal(kept.labels, plain.labels)
    assert kept.skipped == plain.skipped
    assert kept.rows.tolist() == [row for row in range(300) if row not in (7, 299)]


def test_each_file_is_decoded_once(tmp_path, decoded):
    split = photos(tmp_path / "photos", bad=(3,))
    first = pack(split, SIZE, Packing(keep=True))
    again = pack(split, SIZE, Packing(keep=True))
    assert decoded == {f"{number}.png": 1 for number in range(40)}
    np.testing.assert_array_equal(first.images[:], again.images[:])
    assert again.skipped == first.skipped
    # Another size is another pack; what is not an image is known to be none.
    pack(split, replace(SIZE, height=5), Packing(keep=True))
    assert decoded == {f"{number}.png": 1 if number == 3 else 2 for number in range(40)}


def test_a_copy_elsewhere_is_the_same_pack_and_a_duplicate_is_one_image(tmp_path, decoded):
    first = photos(tmp_path / "photos")
    pack(first, SIZE, Packing(keep=True))
    copies = photos(tmp_path / "copies")
    assert pack(copies, SIZE, Packing(keep=True)).contents == pack(first, SIZE, Packing(keep=True)).contents
    assert decoded.total() == 40
    copied = Split(images=[*first.images[:3], *copies.images[:3]], labels=np.arange(6) % 2)
    packed = pack(copied, SIZE, Packing(keep=True))
    assert decoded.total() == 43
    np.testing.assert_array_equal(packed.images[:3], packed.images[3:])
    assert [int(image[0, 0, 0]) for image in packed.images[:]] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("change", ["a file", "the order", "the size", "resize", "channels", "share", "interpolation"])
def test_a_change_is_another_pack(tmp_path, change):
    split = photos(tmp_path / "photos")
    pack(split, SIZE, Packing(keep=True))
    settings = {"height": 6, "width": 6, "channels": 3}
    if change == "a file":
        # As long as before, and within the second.
        Image.new("RGB", (9, 8), (200, 0, 3)).save(split.images[0])
    elif change == "the order":
        split = split.subset(np.arange(40)[::-1])
    else:
        settings |= {
            "the size": {"width": 7},
            "resize": {"resize": "pad"},
            "channels": {"channels": 1},
            "share": {"crop_share": 0.5},
            "interpolation": {"interpolation": "bicubic"},
        }[change]
    kept, plain = pack(split, sized(**settings), Packing(keep=True)), pack(split, sized(**settings))
    np.testing.assert_array_equal(kept.images[:], plain.images[:])
    assert len(cache.entries("packs")) == 2


def test_a_pack_of_before_shares_and_interpolations_is_found_by_its_key():
    settings = Settings(height=6, width=5, channels=3)
    spelt = json.dumps([decoding.READER, {"height": 6, "width": 5, "channels": 3, "resize": "crop"}])
    before = hashlib.blake2b(f"{spelt}\nabc".encode(), digest_size=20).hexdigest()
    assert identity_of(["abc"], settings) == before
    fits = [
        ImageFit(crop_share=share, interpolation=interpolation)
        for share in (1.0, 0.875, 0.9)
        for interpolation in ("bilinear", "bicubic")
    ]
    keys = {identity_of(["abc"], replace(settings, fit=fit)) for fit in fits}
    assert len(keys) == len(fits)
    assert before in keys


def test_a_damaged_pack_is_made_anew(tmp_path, decoded):
    split = photos(tmp_path / "photos")
    whole = pack(split, SIZE, Packing(keep=True)).images[:].copy()
    (entry,) = cache.entries("packs")
    with (entry.path / "images.npy").open("r+b") as file:
        file.seek(500)
        file.write(b"damage")
    np.testing.assert_array_equal(pack(split, SIZE, Packing(keep=True)).images[:], whole)
    assert decoded.total() == 80
    (entry.path / "manifest.json").write_text("{}")
    np.testing.assert_array_equal(pack(split, SIZE, Packing(keep=True)).images[:], whole)


def test_an_interrupted_pack_goes_on(tmp_path, decoded):
    split = photos(tmp_path / "photos", 400, bad=(1,))

    def interrupt(done, total):
        if done >= 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(split, SIZE, Packing(keep=True, on_progress=interrupt))
    assert cache.entries("packs") == []
    (log,) = (tmp_path / "cache/zoo/packs").glob(".part-*/parts.jsonl")
    parts = sorted((json.loads(line) for line in log.read_text().splitlines()), key=itemgetter("start"))
    kept = sum(part["stop"] - part["start"] for part in parts[1:])
    assert 0 < kept < 400
    # A part that the crash left damaged, and lines that it cut or spoilt, are done again.
    with (log.parent / "images.npy").open("r+b") as file:
        file.seek(128 + parts[0]["start"] * 6 * 6 * 3)
        file.write(b"damage")
    damaged = [*parts, {}, 7, {**parts[0], "start": -5}]
    log.write_text("\n".join(map(json.dumps, damaged)) + '\n{"start": 3')
    (log.parent / ".manifest.json.abcdefgh").write_text("cut")
    decoded.clear()
    seen = []
    packed = pack(split, SIZE, Packing(keep=True, on_progress=lambda done, total: seen.append(done)))
    assert decoded.total() == 400 - kept - 1  # what is not an image is known
    assert seen[0] == kept
    np.testing.assert_array_equal(packed.images[:], pack(split, SIZE).images[:])
    assert not list((tmp_path / "cache/zoo/packs").glob(".*"))


def test_what_goes_on_after_an_interruption_ends_in_the_same_bytes(tmp_path):
    split = photos(tmp_path / "photos", 400, bad=(1,))
    pack(split, SIZE, Packing(keep=True))
    (entry,) = cache.entries("packs")
    whole = {path.name: path.read_bytes() for path in entry.path.iterdir()}
    cache.remove(entry.path)
    leave_unfinished(split)
    pack(split, SIZE, Packing(keep=True))
    assert {path.name: path.read_bytes() for path in entry.path.iterdir()} == whole
    assert set(whole) == {"images.npy", "manifest.json"}


def test_any_flipped_bit_of_a_pack_is_found(tmp_path):
    split = photos(tmp_path / "photos", bad=(3,))
    pack(split, SIZE, Packing(keep=True))
    (entry,) = cache.entries("packs")
    whole = {path.name: path.read_bytes() for path in entry.path.iterdir()}
    contents = index.contents(list(split.images))
    random = np.random.default_rng(0)
    for name, content in whole.items():
        # The header of the images too, which says what the bytes are.
        for place in [*random.integers(len(content), size=60), *range(8, 128, 7)]:
            entry.path.mkdir(exist_ok=True)
            for other, kept in whole.items():
                (entry.path / other).write_bytes(kept)
            assert verify_entry(entry.path) == []
            flipped = bytearray(content)
            flipped[place] ^= 1 << random.integers(8)
            (entry.path / name).write_bytes(flipped)
            assert len(verify_entry(entry.path)) == 1
            assert find_pack(contents, SIZE) is None
            assert not entry.path.exists()


def test_a_part_that_takes_long_keeps_no_other_from_being_noted(tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    split = photos(tmp_path / "photos", 300)
    real = storing.read_pixels
    others = []

    def waiting(path, settings):
        if path.name == "0.png":
            while len(others) < 200:
                time.sleep(0.001)
            raise KeyboardInterrupt
        others.append(path)
        return real(path, settings)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "read_pixels", waiting)
        with pytest.raises(KeyboardInterrupt):
            pack(split, SIZE, Packing(keep=True))
    decoded.clear()
    pack(split, SIZE, Packing(keep=True))
    assert decoded.total() <= 300 - 200 + 16


@pytest.mark.slow
def test_after_a_kill_at_most_seconds_of_images_are_decoded_again(tmp_path):
    """A real kill -9 when 60 % are decoded, 25 images a second on each of two threads."""
    split = photos(tmp_path / "photos", 400)
    code = (
        "import os, sys, time; os.cpu_count = lambda: 2; import numpy as np; from pathlib import Path\n"
        "from zoo.data import Packing, Settings, Split, pack; from zoo.data.images import reading\n"
        "paths = sorted(Path(sys.argv[1]).iterdir(), key=lambda path: int(path.stem)); real = reading.decode\n"
        "def counting(path, **options):\n"
        "    time.sleep(0.04); print(path.name, flush=True)\n"
        "    return real(path, **options)\n"
        "reading.decode = counting\n"
        "size = Settings(height=6, width=6, channels=3)\n"
        "pack(Split(images=paths, labels=np.arange(len(paths)) % 2), size, Packing(keep=True))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "photos"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(240):
            process.stdout.readline()
        process.kill()
        more = len(process.stdout.read().splitlines())
    again = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    twice = 240 + more + len(again) - 400
    assert 0 <= twice <= 2 * 16 + 2  # the part in hand of each thread: 1.3 s
    np.testing.assert_array_equal(pack(split, SIZE, Packing(keep=True)).images[:], pack(split, SIZE).images[:])


def leave_unfinished(split):
    """Begins a pack and interrupts it."""

    def interrupt(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(split, SIZE, Packing(keep=True, on_progress=interrupt))


def test_an_interrupted_pack_has_the_room_that_it_took(tmp_path, monkeypatch):
    split = photos(tmp_path / "photos")
    leave_unfinished(split)
    size = 40 * 6 * 6 * 3
    # Without what it has taken there would be room for less than half of it.
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=size + 10))
    pack(split, SIZE, Packing(keep=True))
    assert len(cache.entries("packs")) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=2 * size - 10))
    pack(photos(tmp_path / "others", 41).subset(np.arange(1, 41)), SIZE, Packing(keep=True))
    assert len(cache.entries("packs")) == 1


def test_what_an_interruption_left_goes_when_the_cache_is_full(tmp_path, monkeypatch, fresh_cache):
    split = photos(tmp_path / "photos")
    leave_unfinished(split)
    (left,) = cache.unfinished_entries("packs")
    assert left.bytes > 40 * 6 * 6 * 3
    yesterday = int(time.time()) - 86400
    for path in (left.path, *left.path.iterdir()):
        os.utime(path, (yesterday, yesterday))
    pack(split.subset(np.arange(30)), SIZE, Packing(keep=True))
    assert cache.unfinished_entries("packs") == [dataclasses.replace(left, used=yesterday)]  # there is room
    # Room for one pack, and all but a byte of another, however many parts were written before the interruption.
    (whole,) = cache.entries("packs")
    monkeypatch.setattr(cache, "MAX_BYTES", whole.bytes + 30 * 6 * 6 * 3 - 1)
    pack(split.subset(np.arange(1, 31)), SIZE, Packing(keep=True))
    assert cache.unfinished_entries("packs") == []
    assert len(cache.entries("packs")) == 1


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, monkeypatch, fresh_cache):
    split = photos(tmp_path / "photos")
    real = storing.read_pixels

    def changing(path, settings):
        if path.name == "7.png":
            Image.new("RGB", (9, 8), (200, 0, 3)).save(path)
        return real(path, settings)

    monkeypatch.setattr(storing, "read_pixels", changing)
    with pytest.raises(DataError, match=r"7.png: changed while it was read; begin again"):
        pack(split, SIZE, Packing(keep=True))
    assert list((fresh_cache / "packs").iterdir()) == []


def test_two_processes_pack_once(tmp_path):
    photos(tmp_path / "photos", 200)
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from zoo.data import Packing, Settings, Split, pack; from zoo.data.images import reading\n"
        "paths = sorted(Path(sys.argv[1]).iterdir()); real = reading.decode; count = [0]\n"
        "def counting(path, **options):\n    count[0] += 1\n    return real(path, **options)\n"
        "reading.decode = counting\n"
        "size = Settings(height=6, width=6, channels=3)\n"
        "pack(Split(images=paths, labels=np.zeros(len(paths), int)), size, Packing(keep=True))\n"
        "print(count[0])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path / "photos"], stdout=subprocess.PIPE, env=os.environ)
        for _ in range(2)
    ]
    counts = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(counts) == 200
    assert len(cache.entries("packs")) == 1


def test_it_stops_at_the_first_file_that_cannot_be_read_where_it_is_to(tmp_path, decoded):
    split = photos(tmp_path / "photos", 2000, bad=(0,))
    with pytest.raises(DataError, match=r"0.png: is a text.* set data.on_bad = \"skip\""):
        pack(split, SIZE, Packing(keep=True, on_bad="stop"))
    assert decoded.total() < 1500
    decoded.clear()
    with pytest.raises(DataError, match=r"0.png: is a text"):
        pack(split, SIZE, Packing(keep=True, on_bad="stop"))
    assert decoded.total() == 0  # known
    pack(split, SIZE, Packing(keep=True))  # goes on
    assert decoded.total() < 2000


def test_workers_share_an_epoch_by_the_numbers_of_batches_alone(tmp_path):
    split = photos(tmp_path / "photos", 50)
    pack(split, SIZE, Packing(keep=True))
    # Each opens the pack by itself, and takes every third batch of epoch 2: none needs those before.
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from zoo.data import Batches, Packing, Settings, Split, pack\n"
        "paths = sorted(Path(sys.argv[1]).iterdir(), key=lambda path: int(path.stem))\n"
        "size = Settings(height=6, width=6, channels=3)\n"
        "packed = pack(Split(images=paths, labels=np.arange(50) % 2), size, Packing(keep=True))\n"
        "batches = Batches(images=packed.images, labels=packed.labels, classes=2, batch_size=4, seed=7, shuffle=True)\n"
        "for number in range(int(sys.argv[2]), batches.batches_per_epoch, 3):\n"
        "    print(number, *batches.batch(2, number)[0][:, 0, 0, 0])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "photos", str(worker)], stdout=subprocess.PIPE, text=True
        )
        for worker in range(3)
    ]
    seen = sorted(
        [int(word) for word in line.split()] for each in running for line in each.communicate()[0].splitlines()
    )
    assert [number for number, *_ in seen] == list(range(13))
    order = Batches(
        images=pack(split, SIZE).images, labels=split.labels, classes=2, batch_size=4, seed=7, shuffle=True
    ).order(2)
    # A photo's red is its number.
    assert [red for _, *reds in seen for red in reds] == order.tolist()


def test_the_least_recently_used_goes_when_it_is_full(tmp_path, monkeypatch):
    splits = [photos(tmp_path / "photos").subset(np.arange(30) + first) for first in range(4)]
    for age, split in enumerate(splits[:3]):
        pack(split, SIZE, Packing(keep=True))
        used = cache.entries("packs")[-1]
        os.utime(used.path, (1000 + age, 1000 + age))
    monkeypatch.setattr(cache, "MAX_BYTES", int(2.2 * cache.entries("packs")[0].bytes))
    pack(splits[0], SIZE, Packing(keep=True))  # used again
    pack(splits[3], SIZE, Packing(keep=True))
    images = [entry.path for entry in cache.entries("packs")]
    assert [int(np.load(path / "images.npy")[0, 0, 0, 0]) for path in images] == [0, 3]


def test_without_room_it_is_in_memory_and_without_memory_streamed(tmp_path, monkeypatch, decoded):
    split = photos(tmp_path / "photos", bad=(5,))
    plain = pack(split, SIZE)
    said = []
    monkeypatch.setattr(cache, "MAX_BYTES", 100)
    in_memory = pack(split, SIZE, Packing(keep=True, say=said.append))
    assert isinstance(in_memory.images, Rows)
    assert isinstance(in_memory.images.whole, Decoded)
    assert said[-1].startswith("packs 40 images of 6x6x3: 0.0 MB in memory, as ")
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 1000)
    decoded.clear()
    streamed = pack(split, SIZE, Packing(keep=True, say=said.append))
    assert said[-1].startswith("decodes images in each epoch: 40 images of 6x6x3: 0.0 MB fit neither in ")
    assert isinstance(streamed.images.whole, Streamed)
    assert decoded.total() == 40  # to know which can be
    assert streamed.images.shape == (39, 6, 6, 3)
    np.testing.assert_array_equal(streamed.images[:], plain.images[:])
    np.testing.assert_array_equal(streamed.images[np.array([8, 3])], plain.images[np.array([8, 3])])
    assert streamed.skipped == plain.skipped
    decoded.clear()
    assert pack(split, SIZE, Packing(keep=True)).images.shape == (39, 6, 6, 3)
    assert decoded.total() == 0  # known by content
    # Touched, it is what it was; another, or gone, it is not.
    os.utime(split.images[9], (1000, 1000))
    np.testing.assert_array_equal(streamed.images[8], plain.images[8])
    split.images[9].write_bytes(split.images[10].read_bytes())
    with pytest.raises(DataError, match=r"9.png: is no longer what it was when the run began"):
        streamed.images[8]
    split.images[9].unlink()
    with pytest.raises(DataError, match=r"9.png: is no longer what it was"):
        streamed.images[8]


def test_a_cache_that_cannot_be_made_does_not_stop_the_run(tmp_path, monkeypatch):
    split = photos(tmp_path / "photos")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said = []
    packed = pack(split, SIZE, Packing(keep=True, say=said.append))
    assert said[-1].startswith("packs 40 images of 6x6x3: 0.0 MB in memory, as ")
    assert said[-1].endswith("cannot be used: Not a directory")
    np.testing.assert_array_equal(packed.images[:], pack(split, SIZE).images[:])
    with pytest.raises(DataError, match=r"cannot be kept there: Not a directory. Free some space"):
        pack(split, SIZE, Packing(keep=True, keep_only=True))


def test_a_fault_of_the_system_does_not_condemn_the_file(tmp_path, monkeypatch):
    paths = [*photos(tmp_path / "photos", 300, bad=(3,)).images, tmp_path / "nowhere.png"]
    split = Split(images=paths, labels=np.arange(301) % 2)
    real = decoding.check_content

    def failing(file):
        if file.name.endswith("/7.png"):
            raise OSError(24, "Too many open files")
        return real(file)

    said = []
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "check_content", failing)
        packed = pack(split, SIZE, Packing(keep=True, say=said.append))
    assert said[-1].endswith("7.png cannot be decoded (Too many open files)")
    assert [bad.path.name for bad in packed.skipped] == ["3.png", "7.png", "nowhere.png"]
    assert cache.entries("packs") == []
    packed = pack(split, SIZE, Packing(keep=True))
    assert [bad.path.name for bad in packed.skipped] == ["3.png", "nowhere.png"]
    assert len(cache.entries("packs")) == 1


def test_a_full_disk_falls_back_to_memory(tmp_path, monkeypatch):
    split = photos(tmp_path / "photos")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    said = []
    packed = pack(split, SIZE, Packing(keep=True, say=said.append))
    assert said[-1].endswith("cannot be used: No space left on device")
    np.testing.assert_array_equal(packed.images[:], pack(split, SIZE).images[:])


def digest(images):
    return hashlib.sha256(b"".join(identity(images))).hexdigest()


def test_what_tells_images_apart_needs_no_decoding_and_not_where_they_lie(tmp_path, monkeypatch, decoded):
    split = photos(tmp_path / "photos", bad=(5,))
    stored = pack(split, SIZE, Packing(keep=True))
    monkeypatch.setattr(cache, "MAX_BYTES", 100)
    cache.make_room("packs", 0)
    in_memory = pack(split, SIZE, Packing(keep=True))
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 1000)
    streamed = pack(split, SIZE, Packing(keep=True))
    decoded.clear()
    assert digest(stored.images) == digest(in_memory.images) == digest(streamed.images)
    some = np.array([3, 1, 2])
    assert digest(streamed.subset(some).images) == digest(stored.subset(some).images) != digest(stored.images)
    assert decoded.total() == 0
    # Images that are not files are known by their pixels alone.
    pixels = stored.images[:].copy()
    before = digest(pixels)
    pixels[-1, -1, -1, -1] ^= 1
    assert len({digest(stored.images), before, digest(pixels)}) == 3


def test_parts_are_divided_without_gaps():
    settings = Settings(height=224, width=224, channels=3)
    ranges = storing._ranges(1000, set(range(100, 130)), settings)
    assert sorted(row for rows in ranges for row in rows) == [*range(100), *range(130, 1000)]
    assert max(len(rows) for rows in ranges) <= 8 * 2**20 // (224 * 224 * 3)
