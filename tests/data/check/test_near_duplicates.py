"""What is alike is reported once, however many there are, and the list of what to leave out stays sane."""

import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from tests.data.check.odd_files import encoded, photo
from zoo.data import open_dataset
from zoo.data.check.alike import clusters, touching
from zoo.data.check.inspection import inspect
from zoo.data.check.perceptual_hash import colour_of, perceptual_hash_of
from zoo.data.dataset import Dataset, Split

pytestmark = pytest.mark.usefixtures("fresh_cache")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def checked(folder):
    return inspect(open_dataset("folder", folder), on_progress=lambda *_: None)


def kinds(report):
    return [finding.kind for finding in report.findings if finding.kind.removeprefix("near_") in DUPLICATES]


DUPLICATES = ("leak", "conflict", "duplicate", "flat")


def test_flat_images_of_all_sizes_are_one_finding(tmp_path):
    for number in range(600):
        path = tmp_path / f"{'ab'[number % 2]}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (64 + number % 80, 64 + number // 80)).save(path)
    tracemalloc.start()
    start = time.process_time()
    report = checked(tmp_path)
    assert time.process_time() - start < 40
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()
    assert kinds(report) == ["flat"]
    (flat,) = [finding for finding in report.findings if finding.kind == "flat"]
    assert len(flat.images) == 600
    assert flat.detail == "one colour, #000000, as a and b"
    assert (report.faults, report.exclude) == (0, ())


def test_flat_images_in_two_splits_remove_nothing(tmp_path):
    for number in range(4):
        for split in ("train", "val"):
            size = (64 + number, 64 + 5 * (split == "val"))
            write(
                tmp_path / split / "ab"[number % 2] / f"{number}.png", encoded(Image.new("RGB", size, "white"), "PNG")
            )
    report = checked(tmp_path)
    assert kinds(report) == ["flat"]
    assert (report.faults, report.exclude) == (0, ())
    assert "one colour, #ffffff, in train and validation, as a and b" in [one.detail for one in report.findings]


def test_empty_pages_are_flat_with_all_their_noise(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        page = 250 + rng.integers(-3, 4, (90 + number % 3, 80)).astype(np.uint8)
        split = "train" if number % 4 else "val"
        write(tmp_path / split / "ab"[number // 2 % 2] / f"{number}.png", encoded(Image.fromarray(page), "PNG"))
        black = Image.new("L", (70 + number, 64), number % 3)
        write(tmp_path / split / "ab"[number // 2 % 2] / f"black{number}.png", encoded(black, "PNG"))
    report = checked(tmp_path)
    assert kinds(report) == ["flat", "flat"]
    details = sorted(finding.detail for finding in report.findings if finding.kind == "flat")
    assert details == [
        "one colour, #fafafa, in train and validation, as a and b",
        "one colour, near #010101, in train and validation, as a and b",
    ]
    assert report.exclude == ()


def test_a_fine_pattern_is_not_flat():
    board = np.indices((256, 256)).sum(0) % 2 * 255
    assert colour_of(perceptual_hash_of(Image.fromarray(board.astype(np.uint8)))) == ""
    assert colour_of(perceptual_hash_of(Image.new("RGB", (300, 40), (1, 2, 3)))) == "#010203"
    nearly = np.full((64, 64), 7, np.uint8)
    nearly[::3] = 8
    assert colour_of(perceptual_hash_of(Image.fromarray(nearly))) != ""


def test_a_picture_in_many_copies_is_one_finding(tmp_path):
    for number in range(12):
        split, label = ("val" if number == 11 else "train"), "ab"[number % 2]
        write(tmp_path / split / label / f"{number}.png", encoded(photo(5, 100 + number, 90), "PNG"))
    for number in range(100, 104):
        for split in ("train", "val"):
            write(
                tmp_path / split / "ab"[number % 2] / f"{split}{number}.png",
                encoded(photo(number + (split == "val") * 50), "PNG"),
            )
    report = checked(tmp_path)
    assert sorted(kinds(report)) == ["near_conflict", "near_leak"]
    assert {len(one.images) for one in report.findings if one.kind.startswith("near")} == {12}
    assert len(report.exclude) == 11
    assert report.faults == 1


def test_many_alike_are_grouped_in_little_time():
    rng = np.random.default_rng(0)
    base = perceptual_hash_of(photo(3, 80, 80))
    pixels = np.frombuffer(bytes.fromhex(base), np.uint8)
    hashes = []
    for _ in range(4000):
        changed = pixels.copy()
        changed[8 + rng.integers(0, 192, 5)] ^= 1  # of the thumbnail: alike, and no two the same
        hashes.append(changed.tobytes().hex())
    start = time.process_time()
    assert [len(one) for one in clusters(hashes)] == [4000]
    assert time.process_time() - start < 40


def test_only_what_itself_looks_like_a_measuring_image_is_left_out():
    pixels = np.zeros(200, np.uint8)
    chain = []
    for step in range(4):  # each 2 of 255 off the one before: the first and the last are 6 apart
        changed = pixels.copy()
        changed[8:] += 2 * step
        chain.append(changed.tobytes().hex())
    assert clusters(chain) == [[0, 1, 2, 3]]
    assert touching(chain[:3], chain[3:]) == [False, False, True]


def test_items_with_one_palette_index_and_two_colours_are_two_pictures():
    def palette(*colours):
        image = Image.new("P", (40, 40))
        image.putpalette([value for colour in colours for value in colour])
        image.paste(1, (0, 0, 20, 40))
        return image

    class Items(list):
        identity = "x"

    class One:
        identity = "x"

        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            if self.images[index] is None:
                raise RuntimeError("lost")
            return self.images[index]

    images = One(
        [palette((0, 0, 0), (9, 9, 99)), palette((200, 0, 0), (0, 200, 0)), None, Image.new("LAB", (300, 300))]
    )
    train = Split(images=images, labels=np.array([0, 1, 0, 1]))
    report = inspect(Dataset(classes=("a", "b"), train=train, validation=None, test=None), on_progress=lambda *_: None)
    assert not [one for one in report.findings if one.kind == "conflict"]
    (unreadable,) = [one for one in report.findings if one.kind == "unreadable"]
    assert (unreadable.images, unreadable.detail) == (("train[2]",), "cannot be decoded (lost)")
