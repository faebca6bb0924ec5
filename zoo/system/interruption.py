"""Ctrl-C and SIGTERM, noticed also where the exception that they raise gets lost.

Python drops an exception where nobody can catch it, as in a callback of the garbage collector. JAX has one there
(`_xla_gc_callback` in jax/_src/lib), and after "Exception ignored in ..." training would go on.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A process has one handler of a signal, so there is one list for all that wait for it.
_raised: list[BaseException] = []
_blocks = 0


@contextlib.contextmanager
def noticed() -> Generator[None]:
    """Ends the block with the exception of a signal that came meanwhile, whatever became of that exception.

    A signal raises at once, wherever the program is, as it did before; a second one does so again. Where the exception
    is dropped, swallowed, or turned into another, `raise_lost` or the block's end raises it. What does not raise,
    as an ignored signal, stays as it is.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; or what the handler of the signal raises.
    """
    global _blocks
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, _noting(handler))
    _blocks += 1
    try:
        yield
        raise_lost()
    except Exception as fault:
        if _raised:
            raise _raised[-1] from fault
        raise
    finally:
        _blocks -= 1
        if not _blocks:
            _raised.clear()
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def raise_lost() -> None:
    """Raises the exception of a signal that a `noticed` block still waits for; the place for it is a batch's end.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the exception was lost.
    """
    if _raised and threading.current_thread() is threading.main_thread():
        raise _raised[-1]


def _noting(handler: Callable[[int, FrameType | None], object]) -> Callable[[int, FrameType | None], None]:
    def note(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as raised:
            _raised.append(raised)
            raise

    return note
