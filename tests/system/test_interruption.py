import contextlib
import signal
import sys
import threading

import pytest

from zoo.errors import Terminated
from zoo.system import interruption
from zoo.system.interruption import deferred, noticed, pending, raise_lost


def press(number=signal.SIGINT):
    """Presses Ctrl-C where the exception is swallowed."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_signal_raises_at_once_and_a_second_one_too():
    seen = []
    with pytest.raises(KeyboardInterrupt), noticed():
        try:
            signal.raise_signal(signal.SIGINT)
            seen.append("not interrupted")
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            seen.append("not interrupted again")
    assert seen == []


def test_a_lost_signal_is_raised_at_the_next_place_for_it():
    seen = []
    with pytest.raises(KeyboardInterrupt), noticed():
        for batch in range(3):
            if batch == 1:
                press()
            seen.append(batch)
            raise_lost()
    assert seen == [0, 1]


def test_a_lost_signal_is_raised_at_the_latest_when_the_work_ends_or_fails():
    with pytest.raises(KeyboardInterrupt), noticed():
        press()
    with pytest.raises(KeyboardInterrupt) as raised, noticed():
        press()
        raise ValueError("made of it by a library")
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_block_inside_another_raises_for_both_and_the_next_begins_without():
    with pytest.raises(KeyboardInterrupt), noticed():
        with pytest.raises(KeyboardInterrupt), noticed():
            press()
        raise_lost()
    with noticed():
        raise_lost()
    raise_lost()


def test_a_fault_of_the_work_itself_stays_what_it_is():
    with pytest.raises(ValueError, match="its own"), noticed():
        raise ValueError("its own")


def test_the_handler_that_was_there_decides_what_a_signal_raises():
    def stop(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Terminated), noticed():
            press(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, Terminated, 143), (signal.SIGHUP, Terminated, 129)],
)
def test_the_first_signal_waits_until_it_is_asked_for_and_says_so_once(number, kind, code):
    said, told = [], threading.Event()
    with pytest.raises(kind) as raised, deferred(lambda text: (said.append(text), told.set())):
        assert pending() is None
        signal.raise_signal(number)
        assert isinstance(pending(), kind)
        assert told.wait(10)
        interruption.say_that_it_waits()
        raise pending()
    assert getattr(raised.value, "code", None) == code
    assert said == ["finishing the step and saving; once more to exit at once"]
    assert pending() is None


def test_a_signal_that_nobody_asked_for_is_raised_when_the_block_ends():
    with pytest.raises(KeyboardInterrupt), noticed():
        with deferred(print):
            signal.raise_signal(signal.SIGINT)
        pytest.fail("not interrupted")


def test_a_second_signal_raises_at_once_and_what_comes_with_the_first_does_not(monkeypatch):
    with pytest.raises(KeyboardInterrupt), noticed(), deferred(print):
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(interruption, "ONE_REQUEST", -1)
        seen = pending()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert isinstance(seen, KeyboardInterrupt)


def test_a_fault_goes_before_a_signal_that_waits_and_forgets_it():
    with noticed():
        with pytest.raises(ValueError, match="its own"), deferred(print):
            signal.raise_signal(signal.SIGTERM)
            raise ValueError("its own")
        raise_lost()


def test_the_callers_own_handler_decides_whether_a_signal_waits():
    seen = []
    for handler in (signal.SIG_IGN, lambda number, frame: seen.append(number)):
        before = signal.signal(signal.SIGTERM, handler)
        try:
            with deferred(print):
                signal.raise_signal(signal.SIGTERM)
                assert pending() is None
        finally:
            signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_a_signal_that_is_ignored_or_raises_nothing_ends_nothing():
    seen = []
    for handler in (signal.SIG_IGN, lambda number, frame: seen.append(number)):
        before = signal.signal(signal.SIGINT, handler)
        try:
            with noticed():
                signal.raise_signal(signal.SIGINT)
                raise_lost()
        finally:
            signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_another_thread_works_without_signals():
    faults = []

    def work():
        try:
            with noticed(), deferred():
                assert pending() is None
                raise_lost()
        except BaseException as fault:
            faults.append(fault)

    with pytest.raises(KeyboardInterrupt), noticed():
        press()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert faults == []


def test_what_python_drops_of_a_signal_is_not_printed(monkeypatch):
    class Owner:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Faulty:
        def __del__(self):
            raise ValueError("of its own")

    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: printed.append(fault.exc_type))
    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), noticed():
        Owner()
        Faulty()
    assert printed == [ValueError]
    assert sys.unraisablehook is before
