"""What is left of a request's body when it is refused: taken and dropped, so that its client hears why."""

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive, Scope

# A client that is still sending when its connection ends may not see the answer.
_DRAIN_SECONDS = 2.0
_KEY = "zoo.incoming"


class Incoming:
    """The messages of a request's body, and whether the last one has come.

    Args:
        receive: Gives them.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_whole = False

    async def __call__(self) -> Message:
        """Gives the next message."""
        message = await self._receive()
        self.is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def gone(self) -> None:
        """Ends once the client has gone away; for a body that is whole."""
        while (await self())["type"] != "http.disconnect":
            pass

    async def drain(self, headers: Mapping[str, str], *, most: int) -> bool:
        """Drops the rest of a body that is short enough to be worth it.

        Args:
            headers: The request's. A client that asks whether it may send at all needs no more than the answer.
            most: How many bytes it may say that it has.

        Returns:
            Whether nothing is left, so that the connection can go on.
        """
        declared = headers.get("content-length", "0" if "transfer-encoding" not in headers else "")
        if "expect" in headers or not declared.isdecimal() or int(declared) > most:
            return self.is_whole
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.is_whole:
                    await self()
        except TimeoutError:
            return False
        return True


def noticing(scope: Scope, receive: Receive) -> Incoming:
    """Puts a request's `Incoming` in place of what gives its body."""
    scope[_KEY] = incoming = Incoming(receive)
    return incoming


def incoming_of(scope: Scope) -> Incoming:
    """Returns the request's own."""
    return scope[_KEY]
