import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from zoo.data import Packing, Split, fit_image, pack
from zoo.errors import DataError

# Packs of files


def files(folder: Path, count: int, bad: tuple[int, ...] = (), classes: int = 2) -> Split:
    """PNG files of one pixel each, whose red is their number; `bad` ones are not images."""
    paths = []
    for number in range(count):
        path = folder / f"{number}.png"
        if number in bad:
            path.write_text("no image")
        else:
            Image.new("RGB", (1, 1), (number, 0, 0)).save(path)
        paths.append(path)
    return Split(images=paths, labels=np.arange(count, dtype=np.int64) % classes)


def test_pack_keeps_the_order_and_reports(tmp_path):
    split = files(tmp_path, 70)
    calls: list[tuple[int, int, int]] = []
    packed = pack(
        split,
        sized(height=2, width=3, channels=3),
        Packing(on_progress=lambda done, total: calls.append((done, total, threading.get_ident()))),
    )
    assert packed.images.shape == (70, 2, 3, 3)
    assert packed.images.dtype == np.uint8
    np.testing.assert_array_equal(packed.images[:, 0, 0, 0], np.arange(70))
    np.testing.assert_array_equal(packed.labels, split.labels)
    assert packed.skipped == ()
    assert calls[-1][:2] == (70, 70)
    assert [call[0] for call in calls] == sorted({call[0] for call in calls})
    assert {call[2] for call in calls} == {threading.get_ident()}


def test_bad_files_are_skipped_up_to_one_in_a_hundred(tmp_path):
    packed = pack(files(tmp_path, 200, bad=(0, 150)), sized(height=1, width=1, channels=3))
    kept = [number for number in range(200) if number not in (0, 150)]
    np.testing.assert_array_equal(packed.images[:][:, 0, 0, 0], kept)
    np.testing.assert_array_equal(packed.labels, np.array(kept) % 2)
    assert [(bad.path.name, bad.reason) for bad in packed.skipped] == [
        ("0.png", "is a text, not an image"),
        ("150.png", "is a text, not an image"),
    ]


def test_one_bad_file_of_few_is_skipped_and_two_are_not(tmp_path):
    assert len(pack(files(tmp_path, 20, bad=(3,)), sized(height=1, width=1, channels=1)).labels) == 19
    with pytest.raises(DataError) as raised:
        pack(
            files(tmp_path, 20, bad=(3, 4, 7, 9)),
            sized(height=1, width=1, channels=1),
            Packing(check="zoo data check photos"),
        )
    reason = "is a text, not an image"
    assert str(raised.value) == (
        f"4 of 20 files cannot be read, more than 1 %: {tmp_path}/3.png {reason}; {tmp_path}/4.png {reason}; "
        f"{tmp_path}/7.png {reason}. Repair or remove them ('zoo data check photos --fix-list out.txt' lists all), or "
        "check that --data is the folder you mean."
    )


def test_a_class_may_not_lose_all_its_images(tmp_path):
    split = files(tmp_path, 20, bad=(5,))
    labels = np.zeros(20, np.int64)
    labels[5] = 1
    with pytest.raises(DataError, match=r"5.png: of its class no image can be read \(1 found\); expected one or more"):
        pack(Split(images=split.images, labels=labels), sized(height=1, width=1, channels=1))


def test_on_bad_stop_names_the_first(tmp_path):
    with pytest.raises(DataError) as raised:
        pack(files(tmp_path, 200, bad=(90, 150)), sized(height=1, width=1, channels=3), Packing(on_bad="stop"))
    assert str(raised.value) == (
        f'{tmp_path}/90.png: is a text, not an image. Repair or remove the file, or set data.on_bad = "skip".'
    )


def test_another_word_for_on_bad_is_refused():
    split = Split(images=(), labels=np.array([], np.int64))
    with pytest.raises(DataError, match=r"data.on_bad is 'ignore'; expected 'skip' or 'stop'"):
        pack(split, sized(height=2, width=2, channels=3), Packing(on_bad="ignore"))


def test_pillows_warnings_stay_inside_and_others_do_not(tmp_path):
    split = files(tmp_path, 4)
    palette = Image.new("P", (1, 1))
    palette.putpalette([255, 0, 0])
    palette.save(split.images[1], transparency=b"\x00")
    pack(split, sized(height=1, width=1, channels=3))  # pytest turns a warning into an error
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


def test_ctrl_c_stops_the_threads(tmp_path):
    split = files(tmp_path, 100)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(split, sized(height=1, width=1, channels=3), Packing(on_progress=interrupt))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("zoo-data")]


def is_mapped(array: np.ndarray | None) -> bool:
    array = getattr(array, "whole", array)
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


def test_a_large_pack_lies_in_an_unlinked_file(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    split = files(tmp_path, 200, bad=(7,))
    in_memory = pack(split, sized(height=4, width=4, channels=3))
    assert not cache.exists()
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 4 * 200 * 4 * 4 * 3)
    on_disk = pack(split, sized(height=4, width=4, channels=3))
    assert is_mapped(on_disk.images)
    assert not is_mapped(in_memory.images)
    assert (cache / "zoo").is_dir()
    assert os.listdir(cache / "zoo") == []  # noqa: PTH208 -- the names alone
    np.testing.assert_array_equal(on_disk.images[:], in_memory.images[:])
    np.testing.assert_array_equal(on_disk.labels, in_memory.labels)


def test_a_pack_larger_than_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    split = Split(images=np.zeros((2, 1, 1), np.uint8), labels=np.array([0, 1]))
    with pytest.raises(DataError) as raised:
        pack(split, sized(height=10**7, width=10**7, channels=3))
    assert f"{tmp_path}/zoo: " in str(raised.value)
    assert "GB are free; the packed images need 600000.0 GB. Free some space" in str(raised.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "zoo").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: None)
    with pytest.raises(DataError, match=r"zoo: the packed images cannot be written there \(File exists\)"):
        pack(files(tmp_path, 2), sized(height=1, width=1, channels=3))


# Packs of arrays


def array_split(*shape: int) -> Split:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Split(images=images, labels=np.arange(len(images), dtype=np.int64))


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 7, 1)])
def test_an_array_that_fits_is_not_copied(shape):
    split = array_split(*shape)
    packed = pack(split, sized(height=6, width=7, channels=1))
    assert packed.images.shape == (5, 6, 7, 1)
    assert np.shares_memory(packed.images, split.images)


def test_array_channels():
    grey, colour = array_split(1500, 3, 2), array_split(1500, 3, 2, 3)
    np.testing.assert_array_equal(
        pack(grey, sized(height=3, width=2, channels=3)).images, np.stack([grey.images] * 3, axis=-1)
    )
    expected = [np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis] for image in colour.images]
    np.testing.assert_array_equal(pack(colour, sized(height=3, width=2, channels=1)).images, expected)
    clear = Split(images=np.array([[[[9, 9, 9, 0]]]], np.uint8), labels=np.array([0]))
    assert pack(clear, sized(height=1, width=1, channels=3)).images.tolist() == [[[[255, 255, 255]]]]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(40, 6, 8), (40, 6, 8, 3)])
def test_arrays_are_resized_as_files_are(tmp_path, shape, channels):
    split = array_split(*shape)
    paths = [tmp_path / f"{row}.png" for row in range(len(split))]
    for path, image in zip(paths, split.images, strict=True):
        Image.fromarray(image).save(path)
    for resize in ("crop", "pad", "stretch"):
        size = {"height": 4, "width": 4, "channels": channels, "resize": resize}
        from_files = pack(Split(images=paths, labels=split.labels), sized(**size))
        np.testing.assert_array_equal(pack(split, sized(**size)).images, from_files.images)


@dataclass
class Given:
    """Arrays that are read one at a time."""

    arrays: np.ndarray
    identity: str = "given"

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.arrays[row]


def test_a_share_of_an_array_is_that_of_its_file_and_one_of_the_size_is_taken_as_it_is(tmp_path):
    split = array_split(4, 12, 10, 3)
    paths = [tmp_path / f"{row}.png" for row in range(len(split))]
    for path, image in zip(paths, split.images, strict=True):
        Image.fromarray(image).save(path)
    files, items = Split(images=paths, labels=split.labels), Split(images=Given(split.images), labels=split.labels)
    fit = {"channels": 3, "crop_share": 0.5, "interpolation": "bicubic"}
    expected = pack(files, sized(height=4, width=4, **fit)).images
    assert not np.array_equal(expected, pack(files, sized(height=4, width=4, channels=3)).images)
    for given in (split, items):
        np.testing.assert_array_equal(pack(given, sized(height=4, width=4, **fit)).images, expected)
        # Pixels of the model's own size have been cut out by whoever made them.
        np.testing.assert_array_equal(pack(given, sized(height=12, width=10, **fit)).images, split.images)
    assert not np.array_equal(pack(files, sized(height=12, width=10, **fit)).images, split.images)


@pytest.mark.parametrize(
    "given",
    [
        np.full((9, 9), 200, np.int32),  # Pillow takes it for a deep grey, of which 200 is black
        np.full((9, 9), 200, np.int64),
        np.full((9, 9, 3), 0.5),
        np.full((3, 9, 7), 200, np.uint8),
        np.full((9, 9, 2), 200, np.uint8),
        np.full(9, 200, np.uint8),
        np.full((1, 9, 9, 3), 200, np.uint8),
        [[1, 2], [3, 4]],
        None,
        "a.png",
    ],
    ids=lambda given: f"{np.asarray(given).dtype}{list(np.shape(given))}",
)
def test_an_item_that_is_not_an_image_is_refused_by_its_shape(given):
    with pytest.raises(DataError) as raised:
        pack(Split(images=Given([given] * 4), labels=np.arange(4) % 2), sized(height=4, width=4, channels=3))
    array = np.asarray(given)
    assert f"{array.dtype}{list(array.shape)} is not an image; expected uint8[height, width] or" in str(raised.value)
    with pytest.raises(ValueError, match="is not an image; expected uint8"):
        fit_image(given, sized(height=4, width=4, channels=3))


@pytest.mark.parametrize("given", [np.full((9, 9), 200, np.uint8), np.full((9, 9, 1), 200, np.uint8)])
def test_an_array_is_fitted_as_a_pillow_image(given):
    assert np.unique(fit_image(given, sized(height=4, width=4, channels=3))).tolist() == [200]
    split = Split(images=Given([given, np.full((9, 9), 200 * 257, np.uint16)]), labels=np.array([0, 1]))
    assert np.unique(pack(split, sized(height=4, width=4, channels=1)).images).tolist() == [200]


def test_arrays_of_another_type_are_refused():
    split = Split(images=np.zeros((2, 3, 3), np.float32), labels=np.array([0, 1]))
    with pytest.raises(DataError, match=r"The images are float32\[2, 3, 3\]; expected uint8\[n, height, width\] or"):
        pack(split, sized(height=3, width=3, channels=1))


# Items in code


class Failing:
    """Two hundred grey images; what `faults` names raises instead."""

    identity = "failing"

    def __init__(self, faults):
        self.faults = faults

    def __len__(self):
        return 200

    def __getitem__(self, index):
        if index in self.faults:
            raise self.faults[index]
        return np.full((2, 2), index, np.uint8)


@pytest.mark.parametrize(
    "fault",
    [
        *(
            MemoryError(),
            RecursionError("too deep"),
            KeyError("image"),
            OverflowError("large"),
            SystemError("null"),
        ),
        *(StopIteration(), AssertionError(), DataError("the image is float32[3]"), EOFError(), ZeroDivisionError("0")),
        *(FileNotFoundError(2, "No such file or directory"), Image.DecompressionBombError("bomb")),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_no_error_of_one_item_ends_a_pack_or_a_check(fault):
    from zoo.data.check.inspection import inspect
    from zoo.data.dataset import Dataset

    split = Split(images=Failing({7: fault}), labels=np.arange(200, dtype=np.int64) % 2)
    packed = pack(split, sized(height=2, width=2, channels=1))
    assert packed.images[:].max() == 199
    assert [str(one.path) for one in packed.skipped] == ["image 7"]
    dataset = Dataset(classes=("a", "b"), train=split, validation=None, test=None)
    report = inspect(dataset, on_progress=lambda *_: None)
    assert [one.images for one in report.findings if one.kind == "unreadable"] == [("train[7]",)]


def test_too_many_bad_items_are_called_images():
    split = Split(images=Failing(dict.fromkeys(range(5), KeyError("x"))), labels=np.arange(200, dtype=np.int64) % 2)
    with pytest.raises(DataError) as raised:
        pack(split, sized(height=2, width=2, channels=1))
    reason = "cannot be decoded ('x')"
    assert str(raised.value) == (
        f"5 of 200 images cannot be read, more than 1 %: image 0 {reason}; image 1 {reason}; image 2 {reason}. "
        "Correct what gives them."
    )


def test_a_file_that_takes_too_much_memory_is_left_out(tmp_path, fresh_cache, monkeypatch):
    split = files(tmp_path, 150)
    from zoo.data.images import decoding

    real = decoding.flatten

    def short_of_memory(image, **options):
        if image.size == (1, 1) and np.asarray(image)[0, 0, 0] == 9:
            raise MemoryError
        return real(image, **options)

    said = []
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "flatten", short_of_memory)
        packed = pack(split, sized(height=1, width=1, channels=3), Packing(keep=True, say=said.append))
    assert [(one.path.name, one.reason) for one in packed.skipped] == [
        ("9.png", "cannot be decoded (it takes more memory than there is)")
    ]
    assert "it takes more memory than there is" in said[-1]
    # Where there is enough it is read: nothing was remembered.
    assert pack(split, sized(height=1, width=1, channels=3), Packing(keep=True)).skipped == ()


def test_files_that_go_or_become_folders_while_they_are_packed_are_named(tmp_path, fresh_cache, monkeypatch):
    split = files(tmp_path, 200)
    from zoo.data.images import index

    real = index.contents

    def then_gone(paths):
        found = real(paths)
        for path in paths:
            if path.name == "7.png":
                path.unlink(missing_ok=True)
            if path.name == "8.png" and path.is_file():
                path.unlink()
                path.mkdir()
        return found

    monkeypatch.setattr(index, "contents", then_gone)
    packed = pack(split, sized(height=1, width=1, channels=3), Packing(keep=True))
    assert [(one.path.name, one.reason) for one in packed.skipped] == [
        ("7.png", "cannot be decoded (No such file or directory)"),
        ("8.png", "is a folder, not an image"),
    ]
    # What was found at the place is not remembered of the bytes that lay there.
    monkeypatch.setattr(index, "contents", real)
    (tmp_path / "8.png").rmdir()
    again = pack(files(tmp_path, 200), sized(height=1, width=1, channels=3), Packing(keep=True))
    assert (again.skipped, again.images[:][8].ravel().tolist()) == ((), [8, 0, 0])
