import os
import time

import numpy as np
import pytest

from zoo.data.images import index
from zoo.data.images.facts import Facts

pytestmark = pytest.mark.usefixtures("fresh_cache")


def files(folder):
    """Five files, each of another content."""
    paths = [folder / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number)
    return paths


def make_old(paths):
    """Makes files old enough to be known by their times."""
    for path in paths:
        os.utime(path, (1000, 1000))
    time.sleep(2.1)  # the time of the last change of an inode cannot be set


def test_a_known_file_is_not_read_again(tmp_path, monkeypatch):
    paths = files(tmp_path)
    make_old(paths)
    read = []
    real = index._hash
    monkeypatch.setattr(index, "_hash", lambda path: read.append(path.name) or real(path))
    first = index.contents(paths)
    assert index.contents(paths) == first
    assert sorted(read) == [path.name for path in paths]
    # Put back to the old time after a change: the inode tells.
    paths[2].write_bytes(paths[3].read_bytes())
    os.utime(paths[2], (1000, 1000))
    assert index.contents(paths)[2] == first[3]


def test_an_index_that_is_damaged_or_cannot_be_kept_is_made_anew(tmp_path, fresh_cache):
    paths = files(tmp_path)
    first = index.contents(paths)
    (fresh_cache / "files" / index.FILE).write_bytes(b"damage" * 1000)
    assert index.contents(paths) == first
    for file in (fresh_cache / "files").iterdir():
        file.unlink()
    (fresh_cache / "files" / index.FILE).mkdir()
    assert index.contents(paths) == first


def test_a_flipped_bit_of_the_index_tells_no_file_for_another(tmp_path, fresh_cache):
    paths = files(tmp_path)
    make_old(paths)
    first = index.contents(paths)
    index.store({content: index.IndexedImage(Facts(reason="lost")) for content in first})
    place = fresh_cache / "files" / index.FILE
    whole = place.read_bytes()
    # Where the rows lie, and anywhere.
    rows = [start + step for content in first for start in [whole.find(content.encode())] for step in range(-60, 60, 9)]
    random = np.random.default_rng(0)
    for number in [*rows, *random.integers(len(whole), size=60)]:
        flipped = bytearray(whole)
        flipped[number] ^= 1 << random.integers(8)
        place.write_bytes(bytes(flipped))
        assert index.contents(paths) == first
        assert set(index.recall(first)) <= set(first)
        for file in place.parent.iterdir():
            file.unlink()


def test_a_file_that_cannot_be_opened_is_not_remembered(tmp_path):
    missing = tmp_path / "nowhere.png"
    (content,) = index.contents([missing])
    assert content.startswith("!")
    index.store({content: index.IndexedImage(Facts(reason="lost"))})
    assert index.recall([content]) == {}
