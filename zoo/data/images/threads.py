"""Work on many files at once: the file system and Pillow let other threads run meanwhile."""

import os
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
# Few enough tasks for a million files, small enough to stay even at the end.
AT_ONCE = 32


def map_ranges(total: int, work: Callable[[Iterator[int]], T], *, at_once: int = AT_ONCE) -> Generator[tuple[range, T]]:
    """Divides 0 to total - 1 into ranges, works on them on as many threads as there are cores.

    Where the caller stops taking results, or Ctrl-C comes, each thread stops after the number in hand.

    Args:
        total: How many numbers.
        work: Is given the numbers of a range one after the other.
        at_once: The longest range; ranges are shorter where there would be too few for the threads.

    Yields:
        Each range and what `work` gave for it, in order.
    """
    stop = threading.Event()
    threads = os.cpu_count() or 1
    length = max(1, min(at_once, total // (4 * threads)))
    ranges = [range(start, min(start + length, total)) for start in range(0, total, length)]

    def until_stopped(rows: range) -> Iterator[int]:
        for row in rows:
            if stop.is_set():
                return
            yield row

    pool = ThreadPoolExecutor(threads, thread_name_prefix="zoo-data")
    try:
        futures = [pool.submit(lambda rows: work(until_stopped(rows)), rows) for rows in ranges]
        for rows, future in zip(ranges, futures, strict=True):
            yield rows, future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
