"""A thread that works ahead gives what the function gives, ends with who holds it, and hides no fault."""

import gc
import signal
import subprocess
import sys
import threading

import pytest

from zoo.backend.feeds.ahead import Ahead, InOrder


def at_work():
    return [thread for thread in threading.enumerate() if thread.name == "zoo-feed"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert at_work() == []


def test_results_come_in_order_and_then_no_more():
    ahead = Ahead(lambda number: number * number, range(2, 6))
    assert [ahead.take() for _ in range(4)] == [4, 9, 16, 25]
    with pytest.raises(StopIteration):
        ahead.take()
    ahead.close()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_as_many_are_made_ahead_as_may_wait(depth):
    seen, enough, one_more = [], threading.Event(), threading.Event()

    def make(number):
        seen.append(number)
        if len(seen) == depth:
            enough.set()
        if len(seen) == depth + 1:
            one_more.set()
        return number

    ahead = Ahead(make, range(100), depth=depth)
    assert enough.wait(60)
    assert not one_more.wait(0.05)
    assert ahead.take() == 0
    assert one_more.wait(60)
    ahead.close()
    assert len(seen) <= depth + 2


def test_a_fault_is_raised_for_its_number_and_again():
    fault = ValueError("image 7 is no image")

    def make(number):
        if number == 2:
            raise fault
        return number

    ahead = Ahead(make, range(9))
    assert (ahead.take(), ahead.take()) == (0, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="image 7 is no image") as raised:
            ahead.take()
        assert raised.value is fault
        assert any(entry.name == "make" for entry in raised.traceback)
    ahead.close()


def test_what_is_closed_ends_after_the_number_at_work_and_gives_no_more():
    begun, go = threading.Event(), threading.Event()
    seen = []

    def make(number):
        seen.append(number)
        begun.set()
        assert go.wait(60)
        return number

    ahead = Ahead(make, range(9))
    assert begun.wait(60)
    closing = threading.Thread(target=ahead.close)
    closing.start()
    go.set()
    closing.join(60)
    assert not closing.is_alive()
    assert seen == [0]
    with pytest.raises(StopIteration):
        ahead.take()
    ahead.close()


def test_the_thread_ends_with_who_holds_the_results():
    held = [Ahead(lambda number: number, range(100))]
    assert len(at_work()) == 1
    held.clear()
    gc.collect()
    assert at_work() == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals between threads")
def test_ctrl_c_ends_the_wait():
    begun, go = threading.Event(), threading.Event()

    def make(number):
        begun.set()
        assert go.wait(60)

    ahead = Ahead(make, range(9))
    assert begun.wait(60)
    main = threading.main_thread().ident
    assert main is not None
    press = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))
    press.start()
    with pytest.raises(KeyboardInterrupt):
        ahead.take()
    press.join()
    go.set()
    ahead.close()


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(3)", "1 / 0"])
def test_a_process_ends_though_nobody_has_closed_what_it_holds(ending):
    code = f"""
from zoo.backend.feeds.ahead import Ahead
ahead = Ahead(lambda number: bytes(1000), range(1000))
ahead.take()
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == {"pass": 0, "raise SystemExit(3)": 3, "1 / 0": 1}[ending]
    assert done.stderr.count("Traceback") == (ending == "1 / 0")


def test_who_asks_for_another_number_begins_anew_there():
    begun = []

    def begin():
        begun.append(threading.current_thread())
        return lambda number: number * 10

    in_order = InOrder(begin, 6)
    asked = [0, 1, 2, 0, 4, 5, 5, 3, 3]
    assert [in_order(number) for number in asked] == [number * 10 for number in asked]
    assert begun == [threading.main_thread()] * 6
    in_order.close()


def test_after_the_last_number_no_thread_is_left_and_a_pass_can_begin_again():
    in_order = InOrder(lambda: lambda number: number, 3)
    for _ in range(2):
        assert [in_order(number) for number in range(3)] == [0, 1, 2]
        assert at_work() == []


@pytest.mark.parametrize("number", [-1, 3])
def test_a_number_that_is_not_there_is_refused(number):
    with pytest.raises(IndexError, match=rf"There is no batch {number}; expected 0 to 2\."):
        InOrder(lambda: lambda number: number, 3)(number)
