import os
import signal
import subprocess
import sys
import time

import pytest

from tests.tiny import environment
from zoo.cli.shell.signals import ending_on_signals
from zoo.errors import Terminated

# As a verb that is busy: in Python, or in compiled code that gives the main thread back after a long while.
BUSY = """
import hashlib, sys, time
import zoo.cli.models.catalogue
from zoo.system.interruption import deferred, pending

def work(*_, **__):
    try:
        if not sys.argv[1].startswith("deferred"):
            print("busy", flush=True)
        if sys.argv[1] == "python":
            time.sleep(60)
        elif sys.argv[1] == "compiled":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
        with deferred():
            print("busy", flush=True)
            while pending() is None:
                time.sleep(0.01)
            if sys.argv[1] == "deferred":
                raise pending()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
    finally:
        print("in order", flush=True)

zoo.cli.models.catalogue.list_models_command.callback = work
zoo.cli.main(["list"])
"""


@pytest.fixture
def busy():
    processes = []

    def begin(kind, *prefix):
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", BUSY, kind],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)],
        )
        processes.append(process)
        assert process.stdout.readline() == "busy\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_command_that_is_told_to_end_ends_in_order_with_one_line_and_its_code(busy, sent, expected):
    process = busy("python")
    process.send_signal(sent)
    process.send_signal(sent)  # as `timeout` and a closing terminal do
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.strip()) == (expected, "in order\n", "zoo: interrupted")


def test_a_command_that_finishes_its_step_says_so(busy):
    process = busy("deferred")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (143, "in order\n")
    assert err.splitlines() == ["finishing the step and saving; once more to exit at once", "zoo: interrupted"]


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [("compiled", signal.SIGINT, 130), ("deferred and compiled", signal.SIGTERM, 143)],
    ids=["Ctrl-C", "SIGTERM while the first waits"],
)
def test_a_second_signal_ends_the_command_at_once_inside_a_long_compiled_step(busy, kind, sent, expected):
    process = busy(kind)
    time.sleep(0.3)  # to be inside
    process.send_signal(sent)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(sent)
    began = time.monotonic()
    process.communicate(timeout=120)
    assert time.monotonic() - began < 60  # and the step takes many minutes
    assert process.returncode == expected


def test_a_hang_up_is_ignored_under_nohup(busy):
    process = busy("deferred", "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143


def test_handlers_are_put_back_and_a_forked_child_tells_nobody_of_its_signals():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(Terminated), ending_on_signals():
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        child = os.fork()
        if not child:
            os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
