"""How long a process works itself; and which of several is said to be slow."""

import time

import pytest

from zoo.backend.distribution.own_time import OwnTime, slow_one


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_computing_counts():
    own = OwnTime(threads=1)
    spin(0.2)
    assert own.take() >= 0.2
    assert own.take() >= 0


def test_what_is_done_in_a_pause_is_left_out():
    whole, own = OwnTime(threads=1), OwnTime(threads=1)
    spin(0.1)
    own.pause()
    spin(0.3)
    own.pause()  # as it is already
    own.go_on()
    spin(0.1)
    counted = own.take()
    assert 0.2 <= counted <= whole.take() - 0.3
    own.pause()
    spin(0.3)
    assert own.take() <= whole.take() - 0.3
    spin(0.1)
    assert own.take() >= 0.1


def test_threads_share_the_work():
    four, one = OwnTime(threads=4), OwnTime(threads=1)
    spin(0.2)
    assert 0.2 / 4 <= four.take() <= one.take() / 2


@pytest.mark.parametrize("seconds", [[], [3.0], [3.0, 3.0], [1.0, 1.4], [10.0, 12.0, 9.0]])
def test_none_is_slow(seconds):
    assert slow_one(seconds) == ""


def test_the_slow_one_is_named():
    said = "process 1 of 3 is slow: it took 12.1 s itself, the middle one 10.0 s"
    assert slow_one([10.0, 12.1, 9.0]) == said
