"""The smallest set that is enough, beside oracles made by hand: one cause, several, and those that act together."""

import itertools
import math

import pytest

from zoo.sharing.reproduction.minimizing import smallest_enough


class Oracle:
    """Says whether a set is enough by a rule, and counts the sets that it was asked for."""

    def __init__(self, rule):
        self.rule, self.asked = rule, []

    def __call__(self, some):
        self.asked.append(some)
        return self.rule(set(some))


@pytest.mark.parametrize("needed", [set(one) for size in range(4) for one in itertools.combinations(range(8), size)])
def test_all_that_is_needed_is_found_and_nothing_more(needed):
    oracle = Oracle(lambda some: needed <= some)
    assert smallest_enough(range(8), oracle) == tuple(sorted(needed))
    assert len(set(oracle.asked)) == len(oracle.asked)


def test_of_two_sets_that_are_enough_one_is_found():
    oracle = Oracle(lambda some: {0, 1} <= some or {6} <= some)
    assert smallest_enough(range(8), oracle) in ((0, 1), (6,))


def test_two_that_undo_one_another_are_found_together():
    # Either of 2 and 5 alone makes it worse; both are enough.
    oracle = Oracle(lambda some: (2 in some) and (5 in some))
    assert smallest_enough(range(7), oracle) == (2, 5)


def test_one_that_is_only_enough_without_another():
    # Neither 3 with 4, but all of them by way of 0.
    oracle = Oracle(lambda some: some == set(range(6)) or (3 in some and 4 not in some) or {0, 3} <= some)
    found = smallest_enough(range(6), oracle)
    assert oracle.rule(set(found))
    assert all(not oracle.rule(set(found) - {one}) for one in found)


def test_nothing_is_needed_where_nothing_differs():
    oracle = Oracle(lambda some: True)
    assert smallest_enough(range(5), oracle) == ()
    assert oracle.asked == [()]


def test_a_single_candidate_takes_one_trial():
    oracle = Oracle(bool)
    assert smallest_enough(["seed"], oracle) == ("seed",)
    assert oracle.asked == [()]


def test_the_order_and_equal_candidates_are_kept():
    assert smallest_enough(["b", "a", "b"], lambda some: some.count("b") == 2) == ("b", "b")


@pytest.mark.parametrize("size", [1, 2, 3, 16, 100, 1000])
def test_one_of_many_is_found_in_twice_the_logarithm(size):
    for needed in {0, size // 2, size - 1}:
        oracle = Oracle(lambda some, needed=needed: needed in some)
        assert smallest_enough(range(size), oracle) == (needed,)
        assert len(oracle.asked) <= 2 * math.ceil(math.log2(size)) + 1


def test_where_all_are_needed_the_trials_grow_no_faster_than_the_square():
    oracle = Oracle(lambda some: len(some) == 20)
    assert smallest_enough(range(20), oracle) == tuple(range(20))
    assert len(oracle.asked) <= 20**2 + 3 * 20
