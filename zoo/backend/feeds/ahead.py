"""Work done ahead of who needs it, on a thread of its own."""

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Made(NamedTuple, Generic[T]):
    """What came of one number: a result, or a fault."""

    result: T | None
    fault: BaseException | None


class Ahead(Generic[T]):
    """Calls a function for one number after the other on a thread of its own, and holds what it gives until asked.

    A fault of the function is raised where its number is taken, after all results before it. The thread ends after the
    last number, after a fault, at `close`, when nobody holds this any more, and when Python exits.
    """

    def __init__(self, make: Callable[[int], T], numbers: range, *, depth: int = 2) -> None:
        """Starts the thread.

        Args:
            make: Called on the thread, once for each number and in order.
            numbers: One or more.
            depth: How many results wait at most, the one at work included.
        """
        self._left = len(numbers)
        # Their `put` never waits and takes no lock of Python, so that the garbage collector may call it anywhere.
        wanted: SimpleQueue[bool] = SimpleQueue()
        made: SimpleQueue[_Made[T]] = SimpleQueue()
        for _ in range(depth):
            wanted.put(True)
        self._wanted, self._made = wanted, made
        self._failed: BaseException | None = None
        is_over = threading.Event()
        # A daemon, as Python would else wait for it before it asks it to end; `_end` waits for it at the exit.
        thread = threading.Thread(
            target=_work, args=(make, numbers, wanted, made, is_over), name="zoo-feed", daemon=True
        )
        self._end = weakref.finalize(self, _end, wanted, is_over, thread)
        thread.start()

    def take(self) -> T:
        """Returns the next result; waits until there is one.

        Raises:
            StopIteration: There is none left, or this is closed.
            BaseException: What the function raised for this number.
        """
        if self._failed is not None:
            raise self._failed
        if not self._left or not self._end.alive:
            raise StopIteration
        result, self._failed = self._made.get()
        if self._failed is not None:
            raise self._failed
        self._left -= 1
        self._wanted.put(True)
        return result  # pyright: ignore[reportReturnType]  (None only where T holds it)

    def close(self) -> None:
        """Ends the thread, after the number at work, and drops the results that wait."""
        self._end()
        self._made = SimpleQueue()


class InOrder(Generic[T]):
    """Gives results by number: made ahead of who asks for one after the other; who asks for another begins anew."""

    def __init__(self, begin: Callable[[], Callable[[int], T]], count: int) -> None:
        """Prepares; the first thread starts when the first number is asked for.

        Args:
            begin: Called by who asks, each time that a thread is to start; gives what that calls.
            count: How many numbers there are, from 0 on.
        """
        self._begin = begin
        self._count = count
        self._ahead: Ahead[T] | None = None
        self._next = 0

    def __call__(self, number: int) -> T:
        """Returns the result of a number.

        Raises:
            IndexError: There is no such number.
        """
        if not 0 <= number < self._count:
            raise IndexError(f"There is no batch {number}; expected 0 to {self._count - 1}.")
        if self._ahead is None or number != self._next:
            self.close()
            self._ahead = Ahead(self._begin(), range(number, self._count))
        result = self._ahead.take()
        self._next = number + 1
        if self._next == self._count:
            self.close()
        return result

    def close(self) -> None:
        """Ends the thread, where one is at work."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()


def _work(
    make: Callable[[int], T],
    numbers: range,
    wanted: "SimpleQueue[bool]",
    made: "SimpleQueue[_Made[T]]",
    is_over: threading.Event,
) -> None:
    for number in numbers:
        wanted.get()
        if is_over.is_set():
            return
        try:
            done = _Made(make(number), None)
        except BaseException as fault:
            made.put(_Made(None, fault))
            return
        made.put(done)
        del done  # else it would be held until the next one is made


def _end(wanted: "SimpleQueue[bool]", is_over: threading.Event, thread: threading.Thread) -> None:
    is_over.set()
    wanted.put(True)
    # The garbage collector may call this on that very thread.
    if thread is not threading.current_thread():
        thread.join()
