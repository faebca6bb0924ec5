"""Ctrl-C, SIGTERM and SIGHUP: noticed where their exception gets lost, and put off while a step is half done.

Python drops an exception where nobody can catch it, as in a callback of the garbage collector. JAX has one there
(`_xla_gc_callback` in jax/_src/lib), and after "Exception ignored in ..." training would go on.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

from zoo.errors import Terminated

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

# Signals within so many seconds are one request: `timeout` sends its own twice, a closing terminal and its shell send
# one each, and a wrapper hands on the Ctrl-C that the whole group has had already.
ONE_REQUEST = 0.5

FINISHING = "finishing the step and saving; once more to exit at once"

_Handler = Callable[[int, FrameType | None], object]

# A process has one handler of a signal, so there is one list for all that wait for it.
_raised: list[BaseException] = []
_blocks = 0
_deferring: "list[_Deferral]" = []


@contextlib.contextmanager
def noticed() -> Generator[None]:
    """Ends the block with the exception of a signal that came meanwhile, whatever became of that exception.

    A signal raises at once, wherever the program is, as it did before; a second one does so again. Where the exception
    is dropped, swallowed, or turned into another, `raise_lost` or the block's end raises it. What does not raise,
    as an ignored signal, stays as it is.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; or what the handler of the signal raises.
    """
    if not _has_signals():
        yield
        return
    with _counted(), _handled(lambda handler: _noting(handler) if callable(handler) else None), _dropped_quietly():
        try:
            yield
            raise_lost()
        except Exception as fault:
            if _raised:
                raise _raised[-1] from fault
            raise


@contextlib.contextmanager
def deferred(say: Callable[[str], object] | None = None) -> Generator[None]:
    """Lets the first signal of the block wait until `pending` is asked for it; a second one acts at once.

    A signal that would end the process, because nobody handles it, waits as `Terminated`. An ignored one stays ignored,
    and so does what a handler of the caller's does that raises nothing. A fault of the block itself goes before the
    signal that waits.

    Args:
        say: Told in a thread of its own that a signal waits; by default it is printed on stderr.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the block ended before it was asked for.
        Terminated: The same with SIGTERM or SIGHUP.
    """
    if not _has_signals():
        yield
        return
    deferral = _Deferral(say or _print)
    with _counted(), _handled(deferral.handler):
        _deferring.append(deferral)
        try:
            yield
            raise_lost()
        except Exception:
            if not deferral.has_acted:  # else the fault may be what a library made of it
                _raised.clear()
            raise
        finally:
            deferral.wait_until_said()
            _deferring.remove(deferral)


def pending() -> BaseException | None:
    """Returns the exception of a signal that waits or was lost, to be raised after what must not be lost is saved."""
    return _raised[-1] if _raised and _has_signals() else None


def raise_lost() -> None:
    """Raises the exception of a signal that a block still waits for; the place for it is a batch's end.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the exception was lost.
    """
    if (fault := pending()) is not None:
        raise fault


def say_that_it_waits() -> None:
    """Says once that a signal waits, where one is put off; it may be called in any thread."""
    for deferral in _deferring[-1:]:
        deferral.say_once()


def exception_of(number: int) -> BaseException:
    """Returns what a signal raises that nobody handles."""
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def number_of(fault: BaseException) -> int:
    """Returns the signal whose exception one is; SIGINT where a handler of the caller's raised one of its own."""
    return fault.exit_code - 128 if isinstance(fault, Terminated) else signal.SIGINT


def ends_silently(fault: BaseException) -> bool:
    """Whether nobody will say anything of an exception: the one of a signal that would have ended the process."""
    return isinstance(fault, Terminated) and signal.getsignal(fault.exit_code - 128) == signal.SIG_DFL


class _Deferral:
    """A block in which the first signal waits.

    Attributes:
        has_acted: Whether a second one came.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self.has_acted = False
        self._say = say
        self._unsaid = threading.Lock()
        self._said = threading.Event()
        self._since: float | None = None

    def handler(self, before: object) -> _Handler | None:
        """Returns the handler in place of another, or None where that one stays."""
        if not callable(before) and before != signal.SIG_DFL:
            return None

        def defer(number: int, frame: FrameType | None) -> None:
            if self._since is None:
                self._note(number, frame, before)
            elif time.monotonic() - self._since > ONE_REQUEST:
                self.has_acted = True
                _act(number, frame, before)

        return defer

    def say_once(self) -> None:
        """Says that a signal waits."""
        if self._unsaid.acquire(blocking=False):
            self._say(FINISHING)
            self._said.set()

    def wait_until_said(self) -> None:
        """Waits a moment, where a signal came, so that what is said later stands below."""
        if self._since is not None:
            self._said.wait(1)

    def _note(self, number: int, frame: FrameType | None, before: object) -> None:
        try:
            if not callable(before):
                raise exception_of(number)
            before(number, frame)
        except BaseException as raised:
            if raised not in _raised:
                _raised.append(raised)
            self._since = time.monotonic()
            # A stream that the signal has interrupted while it wrote cannot be written in its handler.
            threading.Thread(target=self.say_once, daemon=True).start()


def _act(number: int, frame: FrameType | None, before: object) -> None:
    """Does what a signal does without us."""
    if callable(before):
        before(number, frame)
        return
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _print(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a closed stderr, or none
        print(text, file=sys.stderr, flush=True)


def _has_signals() -> bool:
    """Signals are the main thread's."""
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _counted() -> Generator[None]:
    """Forgets what was raised when the outermost block ends."""
    global _blocks
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        if not _blocks:
            _raised.clear()


@contextlib.contextmanager
def _handled(make: Callable[[object], _Handler | None]) -> Generator[None]:
    """Puts handlers in place of those that are there, and those back at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    new = {number: made for number, handler in before.items() if (made := make(handler)) is not None}
    try:
        for number, handler in new.items():
            signal.signal(number, handler)
        yield
    finally:
        for number in new:
            signal.signal(number, before[number])


@contextlib.contextmanager
def _dropped_quietly() -> Generator[None]:
    """Lets nothing be printed where Python drops the exception of a signal, as in a weak reference's callback."""
    before = sys.unraisablehook

    def hook(fault: "sys.UnraisableHookArgs") -> None:
        if fault.exc_value not in _raised:
            before(fault)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _noting(handler: _Handler) -> _Handler:
    def note(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as raised:
            _raised.append(raised)
            raise

    return note
