"""What every route works with: models, limits and counts, and photos' way through them."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from starlette.requests import ClientDisconnect

from zoo.serving.intake.bodies import Body, HeldBytes
from zoo.serving.intake.decoding import Decoder
from zoo.serving.intake.incoming import incoming_of
from zoo.serving.intake.photos import Photo, read_photos
from zoo.serving.metrics import Metrics
from zoo.serving.models import Models, Served
from zoo.serving.refusals import RefusedError
from zoo.serving.settings import Limits

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A server's parts.

    Attributes:
        models: Those that answer.
        limits: What a request may take.
        metrics: What is counted.
        held: The bytes that are in hand.
        decoder: Turns photos into pixels.
        unknown_below: Below which probability the answer is "unknown"; None where every photo has a class.
    """

    models: Models
    limits: Limits
    metrics: Metrics
    held: HeldBytes
    decoder: Decoder
    unknown_below: float | None = None

    def body_of(self, request: Request) -> Body:
        """Returns a request's body, to be read within the limits."""
        return Body(request, self.limits, self.held)

    async def photos_of(self, request: Request, body: Body, *, most: int | None = None) -> list[Photo]:
        """Reads the photos of a request; raises `RefusedError` where there are none, or too many."""
        content_type = request.headers.get("content-type", "")
        return await read_photos(body, content_type, most=most or self.limits.queue)

    async def while_wanted(self, request: Request, work: Coroutine[Any, Any, Found]) -> Found:
        """Does what a request asks for, once its body is read; gives up when its client goes away.

        Raises:
            ClientDisconnect: It did.
        """
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(incoming_of(request.scope).gone())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise ClientDisconnect
        finally:
            working.cancel()
            leaving.cancel()

    async def classify(self, served: Served, photos: Sequence[Photo]) -> "list[np.ndarray | RefusedError]":
        """Computes the probabilities of photos.

        Returns:
            For each float32[classes], or why it gives no pixels.

        Raises:
            RefusedError: There is no room for so many now.
        """
        with served.batcher.places(len(photos)) as compute:
            found = await asyncio.gather(*(self.decoder.decode(photo, served.images) for photo in photos))
            pixels = {number: one for number, one in enumerate(found) if not isinstance(one, RefusedError)}
            for one in found:
                if isinstance(one, RefusedError):
                    self.metrics.refused.labels(served.name, str(one.status)).inc()
            if not pixels:
                return [*found]
            rows = dict(zip(pixels, await compute(np.stack([*pixels.values()])), strict=True))
        return [rows.get(number, one) for number, one in enumerate(found)]
