import hashlib
import json

import numpy as np
import pytest

from tests.tiny import write_photos
from zoo.data import Split
from zoo.data.membership import image_keys
from zoo.errors import RunError
from zoo.runs.images import RunImages, read_images


def test_what_is_written_is_read_whatever_classes_are_called(tmp_path):
    classes = {'":{"': ("a" * 24,), '],"': ("b" * 24, "b" * 24), "猫\n": (), "train": ("c" * 24,)}
    names = {
        "train": {name: tuple("0123abcd" for _ in keys) for name, keys in classes.items()},
        "validation": {"x": ()},
    }
    images = RunImages({"train": classes, "validation": {"x": ()}}, names)
    images.write(tmp_path)
    assert read_images(tmp_path) == images
    assert images.count("train") == 4
    assert images.count("test") == 0
    assert images.known["train"]["b" * 24] == 2


def test_100_000_images_take_under_3_mb_and_no_place_is_named(tmp_path):
    keys = tuple(hashlib.sha256(str(number).encode()).hexdigest()[:24] for number in range(100_000))
    RunImages({"train": {"cat": keys[:90_000]}, "validation": {"cat": keys[90_000:]}}).write(tmp_path)
    assert (tmp_path / "images.json").stat().st_size < 3_000_000
    assert read_images(tmp_path).known["validation"].keys() == set(keys[90_000:])


def test_a_run_of_an_earlier_zoo_has_none_and_damage_is_named(tmp_path):
    assert read_images(tmp_path) is None
    for content in ("", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "splits": {"train": ["a"]}}'):
        (tmp_path / "images.json").write_text(content)
        with pytest.raises(RunError, match=r"images\.json: cannot be read"):
            read_images(tmp_path)
    (tmp_path / "images.json").write_text(json.dumps({"schema": 2, "splits": {}}))
    with pytest.raises(RunError, match="schema is 2; expected 1; use a newer zoo"):
        read_images(tmp_path)


def test_a_file_is_known_by_the_hash_of_its_bytes_and_an_unreadable_one_by_nothing(tmp_path):
    photos = write_photos(tmp_path, count=1)
    files = [*sorted(photos.rglob("*.png")), tmp_path / "gone.png"]
    keys = image_keys(Split(images=files, labels=np.zeros(3, np.int64)))
    assert keys == [*(hashlib.sha256(file.read_bytes()).hexdigest()[:24] for file in files[:2]), ""]


def test_an_array_is_known_by_pixels_and_shape_and_a_librarys_image_by_its_number():
    flat = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    keys = image_keys(Split(images=flat, labels=np.zeros(2, np.int64)))
    turned = image_keys(Split(images=flat.reshape(2, 4, 3)[::-1], labels=np.zeros(2, np.int64)))
    assert len({*keys, *turned}) == 4
    assert image_keys(Split(images=flat[::-1], labels=np.zeros(2, np.int64))) == keys[::-1]

    class Library:
        identity = "0123456789abcdef"

        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise AssertionError("no image is read")

    assert image_keys(Split(images=Library(), labels=np.zeros(2, np.int64))) == ["0123456789ab:0", "0123456789ab:1"]
