"""Which images differ, file by file, beside folders whose every file was changed by hand."""

from dataclasses import replace

import pytest

from tests.tiny import write_photos
from zoo.data import open_dataset
from zoo.data.images import index
from zoo.data.membership import file_names, image_keys, name_key
from zoo.runs.images import RunImages
from zoo.sharing.locks.data import DataLock
from zoo.sharing.reproduction.image_changes import image_changes, with_files_known_here


def locked(folder, *, with_names=True):
    """Locks all images of a folder as train."""
    dataset = open_dataset("folder", folder)
    split = dataset.train
    rows = list(zip(image_keys(split), file_names(split, dataset.root), split.labels.tolist(), strict=True))
    classes = dict(enumerate(dataset.classes))
    keys = {name: tuple(key for key, _, label in rows if classes[label] == name) for name in classes.values()}
    names = {
        name: tuple(name_key(file) for _, file, label in rows if classes[label] == name) for name in classes.values()
    }
    return DataLock.of_images(RunImages({"train": keys}, {"train": names} if with_names else None), "f" * 64)


@pytest.fixture
def photos(tmp_path, fresh_cache, monkeypatch):
    monkeypatch.setattr(index, "_MIN_AGE_NS", 0)  # what is new is remembered too
    return write_photos(tmp_path / "photos", count=4)


def changes(lock, photos, known=False):
    dataset = open_dataset("folder", photos)
    found = image_changes(lock, dataset, is_shared=True)
    found = with_files_known_here(found, dataset.root) if known else found
    return [(one.what, one.name) for one in found], found


def spoil(path):
    path.write_bytes(path.read_bytes() + b" ")


def test_nothing_differs_where_nothing_was_changed_or_the_folder_was_moved(photos, tmp_path):
    lock = locked(photos)
    photos.rename(tmp_path / "elsewhere")
    assert changes(lock, tmp_path / "elsewhere")[0] == []


def test_each_change_is_told_from_the_others_by_name_in_one_class(photos):
    lock = locked(photos)
    spoil(photos / "cat" / "000.png")
    (photos / "cat" / "new.png").write_bytes((photos / "cat" / "002.png").read_bytes() + b"  ")
    (photos / "cat" / "004.png").rename(photos / "dog" / "004.png")
    (photos / "cat" / "006.png").rename(photos / "cat" / "six.png")
    (photos / "dog" / "001.png").unlink()
    listed, found = changes(lock, photos, known=True)
    assert sorted(listed) == [
        ("added", "cat/new.png"),
        ("changed", "cat/000.png"),
        ("relabelled", "dog/004.png"),
        ("removed", "dog/001.png"),
        ("renamed", "cat/six.png"),
    ]
    then = {one.what: one.name_then for one in found}
    # This machine has read the folder before, so that it knows the names of then.
    assert then["relabelled"] == "cat/004.png"
    assert then["renamed"] == "cat/006.png"


def test_what_has_changed_can_be_put_back_where_a_copy_of_it_was_read(photos, tmp_path):
    lock = locked(photos)
    copy = write_photos(tmp_path / "copy", count=4)
    locked(copy)
    spoil(photos / "cat" / "000.png")
    _, (found,) = changes(lock, photos, known=True)
    assert (found.is_revertible, found.name_then, found.content) == (True, "cat/000.png", copy / "cat" / "000.png")
    spoil(copy / "cat" / "000.png")
    _, (found,) = changes(lock, photos, known=True)
    assert not found.is_revertible


def test_an_old_lock_without_names_knows_contents_only(photos):
    lock = locked(photos, with_names=False)
    spoil(photos / "cat" / "000.png")
    (photos / "cat" / "004.png").rename(photos / "dog" / "004.png")
    assert sorted(what for what, _ in changes(lock, photos)[0]) == ["added", "relabelled", "removed"]


def test_an_image_that_is_twice_and_once_less_is_removed_once(photos):
    twin = photos / "cat" / "twin.png"
    twin.write_bytes((photos / "cat" / "000.png").read_bytes())
    lock = locked(photos)
    twin.unlink()
    assert [what for what, _ in changes(lock, photos)[0]] == ["removed"]


def test_a_class_that_a_lock_calls_a_way_out_leads_nowhere(photos):
    lock = locked(photos)
    classes = lock.splits["train"]
    (photos / "cat" / "000.png").rename(photos / "dog" / "000.png")
    hostile = replace(lock, splits={"train": {"../../out": replace(classes["cat"], names=None), "dog": classes["dog"]}})
    _, found = changes(hostile, photos, known=True)
    moved = [one for one in found if one.what == "relabelled"]
    assert moved
    assert all(".." not in one.name_then for one in moved)
