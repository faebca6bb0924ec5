from collections import Counter

import numpy as np
import pytest

from zoo.data import split_share
from zoo.data.splitting import share_warnings
from zoo.errors import DataError


def test_shares_are_kept_in_every_class():
    labels = np.repeat([0, 1, 2, 3, 4], [100, 50, 4, 2, 1])
    train, validation = split_share(labels, 0.1, seed=0)
    assert np.bincount(labels[validation], minlength=5).tolist() == [10, 5, 1, 1, 0]
    assert np.bincount(labels[train], minlength=5).tolist() == [90, 45, 3, 1, 1]
    assert sorted([*train, *validation]) == list(range(157))
    for chosen in (train, validation):
        assert chosen.dtype == np.int64
        assert (np.diff(chosen) > 0).all()


def test_train_keeps_one_of_each_class_too():
    train, validation = split_share(np.array([0, 0, 1, 1, 1]), 0.99, seed=0)
    assert np.bincount(np.array([0, 0, 1, 1, 1])[train]).tolist() == [1, 1]
    assert len(validation) == 3


def test_the_split_depends_on_the_seed_alone():
    labels = np.arange(300) % 3
    first = split_share(labels, 0.2, seed=1)[1]
    np.testing.assert_array_equal(first, split_share(labels, 0.2, seed=1)[1])
    assert first.tolist() != split_share(labels, 0.2, seed=2)[1].tolist()
    grown = np.append(labels, [2] * 10)
    after = split_share(grown, 0.2, seed=1)[1]
    assert after[grown[after] < 2].tolist() == first[labels[first] < 2].tolist()


def test_every_image_is_held_out_by_some_seed():
    counts = np.zeros(20, int)
    for seed in range(200):
        counts[split_share(np.arange(20) % 2, 0.2, seed)[1]] += 1
    # Binomial(200, 0.2): mean 40, standard deviation 5.7.
    assert counts.min() > 15
    assert counts.max() < 65


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range(share):
    with pytest.raises(DataError) as raised:
        split_share(np.array([0, 1]), share, seed=0)
    assert str(raised.value) == (
        f"data.validation is {share}; expected a share between 0 and 1, such as 0.1. Set 0 to train without validation."
    )


# Groups


def sides(labels, groups, share=0.2, seed=0):
    """Divides and checks that no group is on both sides; returns what each class gives to validation."""
    labels = np.asarray(labels)
    train, validation = split_share(labels, share, seed, groups=groups)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert {groups[row] for row in train}.isdisjoint(groups[row] for row in validation)
    return np.bincount(labels[validation], minlength=labels.max() + 1)


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


def test_a_rare_class_does_not_make_half_of_the_data_validate():
    # Birds are in two groups, each of nearly half of all images: they stay in train, and that is said.
    counts = {"A": (345, 350, 5), "B": (320, 300, 5), "C": (28, 27, 0)}
    labels = np.repeat([0, 1, 2] * 3, [count for of_group in counts.values() for count in of_group])
    groups = [group for group, of_group in counts.items() for _ in range(sum(of_group))]
    for seed in range(10):
        assert sides(labels, groups, 0.1, seed).tolist() == [28, 27, 0]
    held_out = split_share(labels, 0.1, 0, groups=groups)[1]
    assert share_warnings(labels, held_out, 0.1, ("cat", "dog", "bird"), has_groups=True) == [
        "validation has 4 % of the images, and 10 % were asked for: groups stay whole, and none fit better. Set "
        "data.validation to another share, or data.group to smaller groups",
        "validation has no images of the classes 'bird': what they have is in one group, or in groups that are too "
        "large",
    ]


def test_where_all_groups_are_large_the_smallest_validates():
    labels = np.tile([0, 1], 50)
    groups = ["a"] * 40 + ["b"] * 36 + ["c"] * 24
    for seed in range(10):
        assert sides(labels, groups, 0.1, seed).tolist() == [12, 12]


def test_a_class_of_one_image_is_said_to_validate_none():
    labels = np.array([0] * 10 + [1])
    held_out = split_share(labels, 0.1, 0)[1]
    assert share_warnings(labels, held_out, 0.1, ("cat", "emu"), has_groups=False) == [
        "validation has no images of the classes 'emu': they have one image"
    ]
    assert share_warnings(labels[:10], split_share(labels[:10], 0.1, 0)[1], 0.1, ("cat",), has_groups=False) == []


@pytest.mark.parametrize("seed", range(300))
def test_the_share_stays_near_what_was_asked(seed):
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 6))
    # Classes from frequent to rare, and groups of all sizes.
    likely = random.dirichlet(np.full(classes, 0.5))
    number = int(random.integers(3, 40))
    of_group = np.maximum(random.lognormal(2, 1.5, number).astype(int), 1)
    groups = [f"group {index}" for index in np.repeat(np.arange(number), of_group)]
    labels = np.unique(random.choice(classes, len(groups), p=likely), return_inverse=True)[1]
    share = float(random.uniform(0.05, 0.4))
    held = sides(labels, groups, share, seed)
    targets = np.bincount(labels[split_share(labels, share, seed)[1]], minlength=len(held))
    held_out = split_share(labels, share, seed, groups=groups)[1]
    chosen = {groups[row] for row in held_out}
    for label in np.flatnonzero(held > 2 * targets):
        # Only where the class would have none otherwise: by a single group, of which no other class has too many.
        by = {groups[row] for row in held_out if labels[row] == label}
        assert len(by) == 1, (held, targets)
        others = np.bincount([labels[row] for row in held_out if groups[row] in by], minlength=len(held))
        assert chosen == by or all(others[other] <= 2 * targets[other] for other in range(len(held)) if other != label)
