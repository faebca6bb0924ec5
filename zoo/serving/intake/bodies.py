"""The bytes of a request: counted as they come, and refused before they are held."""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType

from fastapi import Request
from starlette.requests import ClientDisconnect

from zoo.serving.refusals import BUSY, TOO_LARGE, TOO_SLOW, WRONG_TYPE, RefusedError
from zoo.serving.settings import Limits


class HeldBytes:
    """Counts the bytes of all bodies that are in hand.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, count: int) -> None:
        """Counts more bytes.

        Raises:
            RefusedError: There would be too many.
        """
        if self.held + count > self._most:
            raise RefusedError(
                BUSY,
                f"the server holds {self.held:,} bytes of requests; expected at most {self._most:,}; try again",
                retry_after=1,
                closes=True,
            )
        self.held += count

    def give_back(self, count: int) -> None:
        """Counts bytes that are no longer held."""
        self.held -= count


class Body:
    """The body of a request, whose bytes count until the block ends.

    Args:
        request: The request; its body was not read yet.
        limits: How long it may be and take.
        held: Where its bytes are counted.

    Raises:
        RefusedError: It says itself that it is too long, or it is compressed.
    """

    def __init__(self, request: Request, limits: Limits, held: HeldBytes) -> None:
        self._request = request
        self._limits = limits
        self._held = held
        self._taken = 0

    async def __aenter__(self) -> "Body":
        encoding = self._request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            # What unpacks to more than it says is not unpacked at all.
            raise RefusedError(WRONG_TYPE, f"content-encoding is {encoding}; expected bytes as they are", closes=True)
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.max_bytes:
            raise self._too_long(f"{int(declared):,} bytes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.give_back(self._taken)
        self._taken = 0

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Gives the bytes as they come.

        Raises:
            RefusedError: They are too many, or come too slowly.
            ClientDisconnect: The client has gone away.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + self._limits.body_seconds
        has_more = True
        while has_more:
            try:
                async with asyncio.timeout_at(due):
                    message = await self._request.receive()
            except TimeoutError:
                seconds = f"{self._limits.body_seconds:g} seconds"
                raise RefusedError(
                    TOO_SLOW, f"the body did not arrive within {seconds}; expected it whole", closes=True
                ) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            has_more = message.get("more_body", False)
            if self._taken + len(chunk) > self._limits.max_bytes:
                raise self._too_long("more bytes")
            self._held.take(len(chunk))
            self._taken += len(chunk)
            if chunk:
                yield chunk

    async def whole(self) -> bytes:
        """Returns all bytes; raises as `chunks` does."""
        return b"".join([chunk async for chunk in self.chunks()])

    def _too_long(self, found: str) -> RefusedError:
        message = f"the body holds {found}; expected at most {self._limits.max_bytes:,} bytes (--max-bytes)"
        return RefusedError(TOO_LARGE, message, closes=True)
