"""What signals do to the command, whose process is ours: the first ends it in order, a second one at once."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

from zoo.system import interruption


@contextlib.contextmanager
def ending_on_signals() -> Generator[None]:
    """Ends the block by an exception at the first signal, and the process at a second one, wherever it is then.

    Python calls a handler in the main thread, between two of its own instructions. In a long compiled step there are
    none, so a second signal is counted in a thread, to which the C handler writes each signal's number. To give the
    second one back to the system after the first would not do: that, too, would wait for the step's end.

    An ignored signal stays ignored, as under `nohup`; handlers that are there already stay.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        Terminated: SIGTERM or SIGHUP came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    ours = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    handler = _raising_once()
    try:
        for number in ours:
            signal.signal(number, handler)
        with _counted_in_a_thread(), interruption.noticed():
            yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _raising_once() -> Callable[[int, FrameType | None], None]:
    """Makes a handler that raises, but not again for what is one request: it would disturb what the first ends."""
    last = -interruption.ONE_REQUEST

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before > interruption.ONE_REQUEST:
            raise interruption.exception_of(number)

    return end


@contextlib.contextmanager
def _counted_in_a_thread() -> Generator[None]:
    """Ends the process at the second signal of the block, whatever the main thread does."""
    if sys.platform == "win32":  # it writes to sockets only; there a second Ctrl-C waits for the step's end
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    other = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    if other != -1:  # somebody else's, in whose process the command was called
        signal.set_wakeup_fd(other)
        os.close(told)
        os.close(heard)
        yield
        return
    _forget_in_children(told)
    thread = threading.Thread(target=_exit_at_second, args=(heard,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(told)
        thread.join()
        os.close(heard)


def _exit_at_second(heard: int) -> None:
    first: float | None = None
    while numbers := os.read(heard, 1):
        number, now = numbers[0], time.monotonic()
        if number not in interruption.SIGNALS:
            continue
        if first is None:
            first = now
            # In another thread, since stderr may be a pipe that nobody reads.
            threading.Thread(target=interruption.say_that_it_waits, daemon=True).start()
        elif now - first > interruption.ONE_REQUEST:
            _exit(128 + number)


def _exit(code: int) -> None:
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\n")  # a bar has hidden the cursor
    os._exit(code)


# The pipe's end that this process writes to, once a block has begun.
_ours: int | None = None


def _forget_in_children(told: int) -> None:
    """Stops a forked child, which has the same pipe, from telling of its signals: Ctrl-C goes to it as well."""
    global _ours
    if _ours is None:
        os.register_at_fork(after_in_child=_forget)
    _ours = told


def _forget() -> None:
    with contextlib.suppress(ValueError):  # forked in another thread than the main one
        if (other := signal.set_wakeup_fd(-1)) != _ours:
            signal.set_wakeup_fd(other)
