"""What explains another result, beside worlds made by hand in which it is known what decides."""

import pytest

from zoo.sharing.reproduction.causes import Cause
from zoo.sharing.reproduction.searching import Trials, explain
from zoo.sharing.reproduction.trying import Outcome


def cause(name, *, is_revertible=True):
    return Cause(kind="recipe", name=name, then=0, now=1, is_revertible=is_revertible)


class World:
    """Comes to a result that depends on some differences only, each by itself or together with others."""

    def __init__(self, decide, names, fixed=()):
        self.decide = decide
        self.causes = [*(cause(name) for name in names), *(cause(name, is_revertible=False) for name in fixed)]
        self.put_back = []

    def outcome(self, back=()):
        left = {one.name for one in self.causes} - {one.name for one in back}
        return Outcome(losses=(repr(self.decide(left)),))

    def explained(self):
        def carry_out(some):
            self.put_back.append(tuple(one.name for one in some))
            return self.outcome(some)

        then = Outcome(losses=(repr(self.decide(set())),))
        trials = Trials(carry_out=carry_out, say=lambda *_: None)
        return explain(self.causes, then, self.outcome(), trials)


def names(causes):
    return [one.name for one in causes]


@pytest.mark.parametrize("deciding", [{"a"}, {"c"}, {"a", "d"}, {"a", "b", "c", "d"}])
def test_what_decides_is_named_and_the_rest_is_without_effect(deciding):
    world = World(lambda left: sorted(left & deciding), "abcd", fixed=["package x"])
    found = world.explained()
    assert set(names(found.causes)) == deciding
    assert set(names(found.without_effect)) == {*"abcd", "package x"} - deciding
    assert (found.left, found.is_explained) == ((), True)
    assert found.trials == len(world.put_back) == len(set(world.put_back))


def test_two_that_have_an_effect_only_together_are_explained_by_one_of_them():
    world = World(lambda left: {"a", "c"} <= left, "abcd")
    assert names(world.explained().causes) in (["a"], ["c"])


def test_what_cannot_be_put_back_is_what_is_left():
    world = World(lambda left: sorted(left & {"b", "package x"}), "abc", fixed=["package x"])
    found = world.explained()
    assert (names(found.causes), names(found.left)) == (["b"], ["package x"])
    assert names(found.without_effect) == ["a", "c"]


def test_where_nothing_that_is_put_back_changes_anything_it_is_what_is_left():
    world = World(lambda left: "package x" in left, "abc", fixed=["package x"])
    found = world.explained()
    assert (names(found.causes), names(found.left), found.trials) == ([], ["package x"], 1)


def test_what_is_left_alone_takes_no_trial():
    found = World(lambda left: bool(left), "", fixed=["package x", "device"]).explained()
    assert (names(found.left), found.trials) == (["package x", "device"], 0)


def test_a_difference_that_nothing_recorded_explains_is_said():
    numbers = iter(range(100))
    world = World(lambda left: next(numbers), "ab")
    assert not world.explained().is_explained


def test_where_the_same_comes_to_something_else_each_time_nothing_is_named():
    numbers = iter(range(100))
    world = World(lambda left: next(numbers), "ab")
    trials = Trials(carry_out=world.outcome, say=lambda *_: None)
    found = explain(world.causes, world.outcome(), world.outcome(), trials, is_bitwise=False)
    assert (found.named, found.is_explained, found.is_repeatable, found.trials) == ((), False, False, 1)


def test_where_the_same_comes_to_the_same_without_a_promise_it_is_tried_once_more():
    world = World(lambda left: "a" in left, "ab")
    trials = Trials(carry_out=world.outcome, say=lambda *_: None)
    found = explain(world.causes, Outcome(losses=("False",)), world.outcome(), trials, is_bitwise=False)
    assert (names(found.causes), found.is_repeatable) == (["a"], True)


def test_a_trial_that_fails_explains_nothing():
    world = World(lambda left: sorted(left), "ab")
    world.outcome = lambda back=(): Outcome(fault="cannot be read") if back else Outcome(losses=("1",))
    found = world.explained()
    assert (found.causes, found.is_explained) == ((), False)


def test_each_trial_is_announced_with_its_number_and_the_time_that_is_left():
    said = []
    world = World(lambda left: "c" in left, "abcd")
    then = Outcome(losses=(repr(False),))
    explain(world.causes, then, world.outcome(), Trials(carry_out=world.outcome, say=lambda *one: said.append(one)))
    assert [number for number, *_ in said] == list(range(1, len(said) + 1))
    assert [seconds is None for *_, seconds in said] == [True] + [False] * (len(said) - 1)
