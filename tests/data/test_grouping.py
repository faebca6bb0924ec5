import re
from collections import Counter

import numpy as np
import pytest

from tests.data.test_sources import touch
from zoo.data import open_dataset, split_share
from zoo.errors import DataError
from zoo.recipe.schema import DataSection
from zoo.training.inputs import open_source


def sides(labels, groups, share=0.2, seed=0):
    """Divides and checks that no group is on both sides; returns what each class gives to validation."""
    labels = np.asarray(labels)
    train, validation = split_share(labels, share, seed, groups=groups)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert {groups[row] for row in train}.isdisjoint(groups[row] for row in validation)
    return np.bincount(labels[validation], minlength=labels.max() + 1)


# Shares


@pytest.mark.parametrize("seed", range(40))
def test_random_layouts(seed):
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 6))
    is_pure = seed % 2 == 0
    labels, groups = [], []
    for number in range(int(random.integers(2, 60))):
        own = int(random.integers(classes))
        for _ in range(int(random.integers(1, 12))):
            labels.append(own if is_pure else int(random.integers(classes)))
            groups.append(f"group {number}")
    labels = np.unique(labels, return_inverse=True)[1]
    share = float(random.uniform(0.05, 0.5))
    held = sides(labels, groups, share, seed)
    totals = np.bincount(labels)
    assert (held < totals).all()
    targets = np.bincount(labels[split_share(labels, share, seed)[1]], minlength=len(totals))
    largest = [
        max(Counter(g for g, at in zip(groups, labels, strict=True) if at == label).values())
        for label in range(len(totals))
    ]
    number_of = [len({g for g, at in zip(groups, labels, strict=True) if at == label}) for label in range(len(totals))]
    for label in range(len(totals)):
        if is_pure:
            # A group may be cut off at most, or run over by as much.
            assert abs(held[label] - targets[label]) <= largest[label], (label, held, targets)
            assert (held[label] > 0) == (number_of[label] > 1)
    if not is_pure and min(number_of) > 20:
        assert (np.abs(held - targets) <= np.maximum(largest, 0.5 * targets)).all(), (held, targets)


def test_groups_of_one_give_what_no_groups_give():
    labels = np.repeat([0, 1, 2, 3], [100, 50, 4, 1])
    held = sides(labels, [f"image {row}" for row in range(155)], 0.1)
    assert held.tolist() == [10, 5, 1, 0]


def test_equal_groups_are_taken_until_the_share_is_there():
    assert sides(np.zeros(100, int) + np.arange(100) // 50, [f"{row // 5}" for row in range(100)]).tolist() == [10, 10]


def test_a_class_in_two_large_groups_gives_one_and_in_one_none():
    labels = [0] * 20 + [1] * 10
    groups = ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    assert sides(labels, groups, 0.1).tolist() == [10, 0]


def test_the_smaller_of_two_groups_is_taken_where_both_are_large():
    labels = [0] * 100 + [1] * 100
    groups = ["a"] * 60 + ["b"] * 40 + [f"{row}" for row in range(100)]
    assert sides(labels, groups, 0.1).tolist() == [40, 10]


def test_a_group_with_the_last_of_a_class_stays_in_train():
    # The only image of class 2 is in group a, which could otherwise be taken.
    labels, groups = [0, 0, 2, 0, 1, 1], ["a", "a", "a", "b", "c", "d"]
    for seed in range(20):
        held = sides(labels, groups, 0.4, seed)
        assert held[2] == 0
        assert held[0] == 1


def test_it_depends_on_seed_and_names_and_not_on_the_order():
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 200)
    groups = np.array([f"patient {number}" for number in random.integers(0, 40, 200)])
    chosen = {seed: frozenset(groups[split_share(labels, 0.2, seed, groups=list(groups))[1]]) for seed in range(10)}
    assert len(set(chosen.values())) > 5
    shuffled = random.permutation(200)
    again = split_share(labels[shuffled], 0.2, 4, groups=list(groups[shuffled]))[1]
    assert frozenset(groups[shuffled][again]) == chosen[4]


# Names


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
            r"data.group is 'p(\d'; expected a regular expression (missing ), unterminated subpattern at position",
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
