"""Photos of several requests through a model at once: none waits longer than is said, and no more wait than that."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from zoo.serving.refusals import BUSY, TOO_LARGE, RefusedError
from zoo.serving.settings import COMPUTING, Limits

Compute = Callable[[np.ndarray], np.ndarray]
# How much the newest batch counts in the time that a photo takes.
_NEWEST = 0.2
_LONGEST_RETRY = 60
# How often a batch is timed; one that takes long is timed once.
_TIMED, _LONG_SECONDS = 3, 1.0
_CLEARLY = 0.95
# Between two looks at what is still in hand of a model that is replaced.
_LOOK_SECONDS = 0.02
# A batch that takes so many times what was measured, and `Limits.stuck_seconds` at least, does not end any more.
_STUCK_TIMES = 20


def sizes_of(max_batch: int) -> list[int]:
    """Returns the batch sizes that a model is asked for: so few that each can be compiled before the first request."""
    sizes = [1 << power for power in range(max_batch.bit_length()) if 1 << power < max_batch]
    return [*sizes, max_batch]


def warm(compute: Compute, shape: tuple[int, ...], max_batch: int) -> dict[int, float]:
    """Runs a model with each batch size, so that no request waits for what is done once.

    Returns:
        The seconds that each size takes after that: of some runtimes sixteen photos take sixteen times as long as one.
    """
    return {size: _timed(compute, np.zeros((size, *shape), np.uint8)) for size in sizes_of(max_batch)}


def _timed(compute: Compute, pixels: np.ndarray) -> float:
    compute(pixels)
    fastest = math.inf
    for _ in range(_TIMED):
        began = time.perf_counter()
        compute(pixels)
        fastest = min(fastest, time.perf_counter() - began)
        if fastest > _LONG_SECONDS:
            break
    return fastest


def size_for(count: int, seconds: Mapping[int, float]) -> int:
    """Returns the batch size that takes the least time for each of some photos that wait, what fills it up included.

    Args:
        count: How many wait.
        seconds: What each size takes. A larger size has to be clearly faster: those that wait for it wait longer.
    """
    best, least = 0, math.inf
    for size in sorted(seconds):
        each = seconds[size] / min(size, count)
        if each < _CLEARLY * least:
            best, least = size, each
    return best


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    """A photo.

    Attributes:
        row: uint8[height, width, channels].
        answer: Becomes float32[classes].
        since: When it came, by the loop's clock.
    """

    row: np.ndarray
    answer: "asyncio.Future[np.ndarray]"
    since: float


@dataclass
class _Places:
    """Places that a request has, and how many of its photos are still to come."""

    expected: int


class Batcher:
    """Collects photos for one model, and runs it in a thread of its own.

    A photo waits for others only while some that were accepted are still being decoded, and only where that is faster.

    Args:
        compute: uint8[n, height, width, channels] -> float32[n, classes]; it is called by one thread at a time.
        seconds: What each batch size takes, as `warm` gives it; the model is asked for no other.
        limits: How many go through at once, how long one waits, and how many may be in hand.
        observe: Told of each batch: how many photos, and its seconds.
    """

    def __init__(
        self, compute: Compute, seconds: Mapping[int, float], limits: Limits, observe: Callable[[int, float], object]
    ) -> None:
        self._compute = compute
        self._seconds = seconds
        self._limits = limits
        self._observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._expected = 0
        self._seconds_each = 0.0
        self._users = 0
        self._due = math.inf
        self.in_hand = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=COMPUTING)
        self._task = asyncio.create_task(self._run())

    @property
    def fault(self) -> str:
        """Why the model does not answer any more; empty while it does."""
        if self._task.done():
            return "its worker has ended"
        late = time.perf_counter() - self._due
        return f"a batch should have ended {late:,.0f} seconds ago" if late > 0 else ""

    @contextlib.contextmanager
    def kept_open(self) -> Generator[None]:
        """Lets a request take places later, though the model is replaced meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def check_room(self, count: int = 1, *, closes: bool = False) -> None:
        """Refuses photos that are too many.

        Args:
            count: How many.
            closes: Whether a body was not read.

        Raises:
            RefusedError: So many never fit, or not now.
        """
        most = self._limits.queue
        if count > most:
            raise RefusedError(TOO_LARGE, f"the request needs {count:,} places; expected at most {most:,} (--queue)")
        if self.in_hand + count > most:
            raise RefusedError(
                BUSY,
                f"{self.in_hand:,} photos are in hand; expected at most {most:,} (--queue); try again",
                retry_after=min(max(math.ceil(self.in_hand * self._seconds_each), 1), _LONGEST_RETRY),
                closes=closes,
            )

    @contextlib.contextmanager
    def places(self, count: int) -> Generator[Callable[[np.ndarray], Awaitable[np.ndarray]]]:
        """Takes places for photos that are going to be decoded.

        Yields:
            What computes all of them that could be: uint8[m, height, width, channels] -> float32[m, classes]; to be
            called once at most.

        Raises:
            RefusedError: So many never fit, or not now.
        """
        self.check_room(count)
        places = _Places(count)
        self.in_hand += count
        self._expected += count

        async def answer(rows: np.ndarray) -> np.ndarray:
            return await self._answers(rows, places)

        try:
            yield answer
        finally:
            self.in_hand -= count
            self._expect_no_more(places)

    def _expect_no_more(self, places: _Places) -> None:
        self._expected -= places.expected
        places.expected = 0
        self._changed.set()

    async def _answers(self, rows: np.ndarray, places: _Places) -> np.ndarray:
        loop = asyncio.get_running_loop()
        photos = [_Waiting(row=row, answer=loop.create_future(), since=loop.time()) for row in rows]
        self._waiting += photos
        self._expect_no_more(places)
        return np.stack(await asyncio.gather(*(photo.answer for photo in photos)))

    async def _run(self) -> None:
        while True:
            await self._until_worthwhile()
            self._waiting = deque(one for one in self._waiting if not one.answer.done())
            if not self._waiting:  # all were given up
                continue
            size = size_for(len(self._waiting), self._seconds)
            batch = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
            if not await self._compute_batch(batch, size) and len(batch) > 1:
                for one in batch:  # that a photo of another request is at fault is nothing to this one
                    await self._compute_batch([one], 1)

    async def _until_worthwhile(self) -> None:
        """Waits for a photo, and then for others, where they are on their way and make a batch that is faster."""
        while not self._waiting:
            await self._until_changed()
        due = self._waiting[0].since + self._limits.max_wait
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                while len(self._waiting) < self._size_to_come():
                    await self._until_changed()

    def _size_to_come(self) -> int:
        """Returns the batch size that is best for the photos that wait and those on their way; as many as these."""
        count = len(self._waiting) + self._expected
        return min(size_for(count, self._seconds), count)

    async def _until_changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _compute_batch(self, batch: list[_Waiting], size: int) -> bool:
        """Computes a batch; returns False where the model failed, which is told to a photo that was alone."""
        rows = np.stack([one.row for one in batch])
        filled = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
        began = time.perf_counter()
        self._due = began + max(_STUCK_TIMES * self._seconds[size], self._limits.stuck_seconds)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._compute, filled)
            _check(found, size)
        except Exception as fault:  # a runtime raises any class
            if len(batch) == 1:
                _tell(batch[0], fault)
            return False
        finally:
            self._due = math.inf
        seconds = time.perf_counter() - began
        self._seconds_each += _NEWEST * (seconds / len(rows) - self._seconds_each)
        self._observe(len(rows), seconds)
        for one, row in zip(batch, found[: len(batch)], strict=True):
            _tell(one, row if np.isfinite(row).all() else ValueError("the model's probabilities are not numbers"))
        return True

    async def close(self) -> None:
        """Ends once all that was accepted has its answer."""
        while self.in_hand or self._users:
            await asyncio.sleep(_LOOK_SECONDS)
        self._task.cancel()
        self._thread.shutdown(wait=False)


def _check(found: object, size: int) -> None:
    shape = np.shape(found) if isinstance(found, np.ndarray) else ()
    if len(shape) != 2 or shape[0] != size:
        raise ValueError(f"the model gives {type(found).__name__}{list(shape)}; expected float32[{size}, classes]")


def _tell(photo: _Waiting, found: "np.ndarray | Exception") -> None:
    if photo.answer.done():  # its request was given up
        return
    if isinstance(found, Exception):
        photo.answer.set_exception(found)
    else:
        photo.answer.set_result(found)
