"""The seconds of a run belong to the innermost step, and none is lost."""

import os
import subprocess
from pathlib import Path

import pytest

from zoo.report.step_times import StepTimes, seconds_of_this_process


def test_a_step_inside_another_takes_its_seconds_from_it(clock):
    times = StepTimes(clock=clock)
    clock.now += 1
    with times.step("phases", "head"):
        clock.now += 2
        with times.step("first_pass"):
            clock.now += 4
        clock.now += 8
    clock.now += 16
    assert times.seconds() == {"total": 31, "imports": 0, "other": 17, "first_pass": 4, "phases": {"head": 10}}


def test_a_step_that_comes_again_and_one_that_fails_are_counted(clock):
    times = StepTimes(before=0.5, clock=clock)
    for name in ("head", "top"):
        with times.step("phases", name), times.step("first_pass"):
            clock.now += 1
    with pytest.raises(OSError), times.step("writing"):
        clock.now += 3
        raise OSError
    with times.step("imports"):
        clock.now += 0.25
    found = times.seconds()
    assert found == {
        "total": 5.75,
        "imports": 0.75,
        "other": 0,
        "first_pass": 2,
        "writing": 3,
        "phases": {"head": 0, "top": 0},
    }


def test_seconds_that_are_asked_for_inside_a_step_are_those_until_now(clock):
    times = StepTimes(clock=clock)
    with times.step("build"):
        clock.now += 1
        assert times.seconds()["build"] == 1
        clock.now += 1
    assert times.seconds()["build"] == 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux says when a process began")
def test_a_process_knows_how_long_ago_it_began():
    told = subprocess.run(["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    assert abs(seconds_of_this_process() - int(told.stdout)) <= 2
