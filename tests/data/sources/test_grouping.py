import re

import numpy as np
import pytest

from tests.data.sources.test_opening import touch
from zoo.data import open_dataset
from zoo.data.inputs import open_source
from zoo.errors import DataError
from zoo.recipe.schema import DataSection


def test_a_pattern_finds_the_group_in_a_path(tmp_path):
    names = ("cat/p1_1.jpg", "cat/p1_2.jpg", "dog/p2_1.jpg", "dog/other.jpg")
    touch(tmp_path, *names)
    for pattern in (r"(p\d+)_", r"p\d+", r"/(?:(p\d+)_)"):
        groups = open_dataset("folder", tmp_path, group=pattern).train.groups
        # In the order of the files: cat, then dog.
        assert groups[:2] == ("p1", "p1")
        assert groups[3] == "p2"
        assert len(set(groups)) == 3
    # Of an optional part that is not there, as of no match, a file is a group of its own.
    groups = open_dataset("folder", tmp_path, group=r"^cat|dog/(p\d)?").train.groups
    assert len(set(groups)) == 4
    by_folder = open_dataset("folder", tmp_path, group=r"^(\w+)/").train.groups
    assert by_folder == ("cat", "cat", "dog", "dog")


def test_a_group_in_two_splits_is_said(tmp_path):
    touch(tmp_path, "train/a/p1_1.jpg", "train/b/p2_1.jpg", "val/a/p1_2.jpg", "val/b/p3_1.jpg", "test/b/p3_2.jpg")
    dataset = open_dataset("folder", tmp_path, group=r"p\d")
    assert dataset.warnings[1:] == (
        f"{tmp_path}: train and validation both have images of the groups 'p1': what is measured on validation is too "
        "good",
        f"{tmp_path}: validation and test both have images of the groups 'p3': what is measured on test is too good",
    )
    assert dataset.fingerprint() != open_dataset("folder", tmp_path).fingerprint()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            "p(\\d",
            r"data.group is 'p(\d'; expected a regular expression (missing ): p(\d), such as",
        ),
        ("patient", "data.group is 'patient'; it is found in no file's path, such as 'b/2.jpg'; expected a regular"),
    ],
)
def test_patterns_that_do_not_hold(tmp_path, pattern, text):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    with pytest.raises(DataError, match="^" + re.escape(text)):
        open_dataset("folder", tmp_path, group=pattern)


@pytest.mark.parametrize(
    ("source", "what"),
    [("npz", "{path}, an archive of arrays"), ("folder", "{path}, an archive of arrays"), ("builtin:mnist", None)],
)
def test_data_without_groups(tmp_path, source, what):
    path = tmp_path / "x.npz"
    np.savez(path, x_train=np.zeros((2, 2, 2), np.uint8), y_train=[0, 1])
    with pytest.raises(DataError) as raised:
        open_dataset(source, path, group="x")
    found = f"'{source}'" if what is None else what.format(path=path)
    assert str(raised.value) == (
        f"data.group is set, and the data is {found}, which has no groups; expected class folders, a .csv or a .jsonl. "
        "Leave data.group out."
    )


# In a recipe


def test_a_share_takes_whole_groups(tmp_path):
    # Ten groups of three cats and three dogs.
    touch(tmp_path, *(f"{kind}/p{number // 3}_{number}.jpg" for kind in ("cat", "dog") for number in range(30)))
    data = DataSection(validation=0.2, group=r"p\d+")
    source, again, other = (open_source(data, tmp_path, seed=seed) for seed in (0, 0, 1))
    sides = [{path.name.partition("_")[0] for path in split.images} for split in (source.train, source.validation)]
    assert sides[0].isdisjoint(sides[1])
    assert [len(side) for side in sides] == [8, 2]
    assert (len(source.train), len(source.validation)) == (48, 12)
    assert list(again.validation.images) == list(source.validation.images) != list(other.validation.images)


def test_one_group_cannot_be_divided(tmp_path):
    touch(tmp_path, "cat/p1_1.jpg", "cat/p1_2.jpg", "dog/p1_3.jpg", "dog/p1_4.jpg")
    with pytest.raises(DataError) as raised:
        open_source(DataSection(validation=0.25, group=r"p\d+"), tmp_path, seed=0)
    assert str(raised.value) == (
        "data.validation = 0.25 of 4 images in 1 groups leaves none to validate on; expected more groups, or "
        "validation = 0 to train without"
    )
