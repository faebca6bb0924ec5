"""From photos to pixels, on threads; a photo's size is read from its header before memory is taken for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np

from zoo.backend.hardware.machine import usable_cores
from zoo.data.images.decoding import open_image
from zoo.data.images.facts import BadImageError
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.serving.intake.photos import Photo
from zoo.serving.refusals import NOT_AN_IMAGE, TOO_LARGE, RefusedError
from zoo.serving.settings import DECODING

# Beyond, decoding takes as long as many photos do: one thread is left to those.
LARGE_PIXELS = 16_000_000


class Decoder:
    """Decodes photos by the reader that training has.

    Args:
        max_pixels: Most pixels of a photo.
        threads: How many are decoded at once; at least two, one of which takes no large ones.
    """

    def __init__(self, *, max_pixels: int, threads: int | None = None) -> None:
        count = max(threads or usable_cores(), 2)
        self._max_pixels = max_pixels
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=DECODING)
        self._large = asyncio.Semaphore(count - 1)
        self._open = ExitStack()
        # One region for all photos, since each change of Pillow's settings is for the whole process.
        self._open.enter_context(quiet_pillow())

    async def decode(self, photo: Photo, settings: Settings) -> np.ndarray | RefusedError:
        """Brings a photo to a model's input.

        Returns:
            uint8[height, width, channels] in [0, 255], or why there are no pixels.
        """
        loop = asyncio.get_running_loop()
        try:
            pixels = await loop.run_in_executor(self._threads, self._read, photo, settings, False)
            if pixels is None:
                async with self._large:
                    pixels = await loop.run_in_executor(self._threads, self._read, photo, settings, True)
        except RefusedError as refusal:
            return refusal
        assert pixels is not None  # it was asked for whatever its size
        return pixels

    def _read(self, photo: Photo, settings: Settings, may_be_large: bool) -> np.ndarray | None:
        """Decodes a photo; returns None where it is large and may not be."""
        try:
            with open_image(photo.content) as image:
                width, height = image.size
            if width * height > self._max_pixels:
                raise RefusedError(
                    TOO_LARGE,
                    f"{photo.name}: has {width:,} x {height:,} pixels; "
                    f"expected at most {self._max_pixels:,} (--max-pixels)",
                )
            if width * height > LARGE_PIXELS and not may_be_large:
                return None
            return read_pixels(photo.content, settings)[0]
        except BadImageError as fault:
            raise RefusedError(NOT_AN_IMAGE, f"{photo.name}: {fault}") from fault

    def close(self) -> None:
        """Ends the threads; nobody waits any more for what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._open.close()
