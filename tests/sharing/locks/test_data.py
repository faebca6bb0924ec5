"""The hashes of a lock by hand, and which images differ."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from zoo.data.dataset import Split
from zoo.data.membership import image_keys
from zoo.runs.images import RunImages
from zoo.sharing.locks import data as data_lock
from zoo.sharing.locks.data import ClassLock, DataLock, class_differences


def digest(content):
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def locked(**splits):
    return DataLock.of_images(RunImages(splits), "f" * 64)


def test_a_class_is_known_by_the_contents_of_its_files_in_any_order(tmp_path):
    contents = [b"four", b"three", b"two", b"one"]
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.png"
        path.write_bytes(content)
        paths.append(path)
    keys = image_keys(Split(images=paths, labels=np.zeros(4, np.int64)))
    expected = " ".join(sorted(digest(content)[:24] for content in contents))
    for order in (keys, keys[::-1]):
        lock = locked(train={"cat": tuple(order)})
        one = lock.splits["train"]["cat"]
        assert (one.images, one.keys, one.sha256) == (4, expected, digest(expected))
        assert lock.sha256 == digest(json.dumps({"train": {"cat": [4, digest(expected)]}}, separators=(",", ":")))


def test_an_image_more_or_another_or_twice_changes_the_hash():
    first = locked(train={"cat": ("a", "b"), "dog": ("c",)})
    others = [
        locked(train={"cat": ("a", "b", "b"), "dog": ("c",)}),
        locked(train={"cat": ("a", "x"), "dog": ("c",)}),
        locked(train={"cat": ("a",), "dog": ("b", "c")}),
        locked(train={"cat": ("a", "b")}, validation={"dog": ("c",)}),
        locked(train={"cat": ("a", "b"), "Dog": ("c",)}),
    ]
    assert len({one.sha256 for one in (first, *others)}) == 6


def test_differences_name_the_images_by_class_and_split():
    then = locked(train={"cat": ("a", "b", "c"), "dog": ("d", "e")}, validation={"cat": ("v",), "dog": ("w",)})
    now = locked(train={"cat": ("a", "b", "d"), "dog": ("e", "new")}, validation={"cat": ("v",), "dog": ("w",)})
    cat, dog = class_differences(then, now)
    assert (cat.split, cat.name, cat.removed, cat.added, cat.relabelled) == ("train", "cat", ("c",), ("d",), ("d",))
    assert (dog.removed, dog.added, dog.relabelled) == (("d",), ("new",), ())
    assert str(cat) == "data train/cat: 3 images, now 3 (1 of another class before, 1 gone)"
    assert str(dog) == "data train/dog: 2 images, now 2 (1 added, 1 gone)"


def test_files_that_came_are_named_as_far_as_they_have_names():
    then = locked(train={"cat: black": ("a", "b"), "dog": ("c",)})
    now = locked(train={"cat: black": ("b", "c", "1", "2", "3", "4"), "dog": ()})
    cat, dog = class_differences(then, now)
    names = {"c": ["cat/c.png"], "1": ["cat/1.png", "cat/copy.png"], "2": ["cat/2.png"], "3": ["cat/3.png"]}
    assert cat.place == "data train/cat: black"
    assert cat.now_with(names) == (
        "6 (4 added: cat/1.png cat/copy.png cat/2.png and 1 more, 1 of another class before: cat/c.png, 1 gone)"
    )
    assert dog.now_with({}) == "0 (1 gone)"


def test_the_same_images_differ_in_nothing():
    assert class_differences(locked(train={"cat": ("a", "b")}), locked(train={"cat": ("b", "a")})) == []


def test_a_class_or_a_split_that_is_gone_is_a_difference():
    then = locked(train={"cat": ("a",), "dog": ("b",)}, test={"cat": ("c",)})
    now = locked(train={"cat": ("a",)})
    assert [str(one) for one in class_differences(then, now)] == [
        "data train/dog: 1 image, now 0 (1 gone)",
        "data test/cat: 1 image, now 0 (1 gone)",
    ]


def test_of_very_many_images_there_are_hashes_only(monkeypatch):
    monkeypatch.setattr(data_lock, "MOST_KEYS", 2)
    few, many = locked(train={"cat": ("a", "b")}), locked(train={"cat": ("a", "b", "c")})
    assert few.has_keys
    assert not many.has_keys
    assert many.splits["train"]["cat"] == ClassLock(images=3, sha256=digest("a b c"), keys=None)
    (one,) = class_differences(few, many)
    assert (one.then, one.now, one.added) == (2, 3, ())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"images": 5}, "data.splits.train.cat.images is 5; expected 2, as many as keys"),
        ({"images": -1}, "data.splits.train.cat.images is -1; expected 0 or more"),
        ({"keys": "a c"}, "data.splits.train.cat.sha256 is not that of its keys"),
        ({"sha256": "0" * 64, "keys": None}, "data.sha256 is not that of its splits"),
    ],
)
def test_what_contradicts_itself_is_said(change, fault):
    lock = locked(train={"cat": ("a", "b")})
    assert lock.fault() is None
    changed = replace(lock, splits={"train": {"cat": replace(lock.splits["train"]["cat"], **change)}})
    assert changed.fault() == fault
