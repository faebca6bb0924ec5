"""How long a connection may take for what it sends and reads, and how many there may be."""

import asyncio
import itertools
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from zoo.serving.settings import Limits

KEEP_ALIVE_SECONDS = 15
# After it, and after the time to stop, comes what lets nobody go on.
GRACE_SECONDS = 5.0


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 by uvicorn, with a time for each request's head and answer, and with a bound on connections.

    uvicorn waits for a head without end (https://github.com/Kludex/uvicorn/issues/157), and for a client that reads
    nothing of its answer: either would keep its connection for ever.
    """

    limits = Limits()
    # The connections of this server that have not sent a request's head, the one that has waited longest first.
    headless: "dict[BoundedProtocol, asyncio.TimerHandle]"
    # Those whose request's body has not come whole, in the same order.
    unfinished: "dict[BoundedProtocol, None]"
    _has_begun = True
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] -- uvicorn narrows the type
        """Begins to wait for a head; beyond the bound, the one that has waited longest for its client ends."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.limits.connections:
            headless = (one for one in self.headless if one._unread is None)
            longest = next(itertools.chain(headless, self.unfinished), self)
            longest._give_up()
        if not self.transport.is_closing():
            self._wait_for_head(self.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Takes bytes; between two requests they begin a head."""
        if self._is_between() and not self._has_begun:
            self._has_begun = True
            self._wait_for_head(self.limits.head_seconds)
        super().data_received(data)
        if not self._is_between():
            self._stop_waiting()
            if self.cycle.more_body:
                self.unfinished.setdefault(self)
            else:
                self.unfinished.pop(self, None)

    def on_response_complete(self) -> None:
        """Goes on to the next request; what has come of its head already has to be made whole too."""
        super().on_response_complete()
        if self._is_between():
            self.unfinished.pop(self, None)
            # Else uvicorn closes it before, which ends nothing while the client has not read its answer.
            self._has_begun = bool(self.conn.trailing_data[0])
            idle = KEEP_ALIVE_SECONDS + GRACE_SECONDS
            self._wait_for_head(self.limits.head_seconds if self._has_begun else idle)

    def pause_writing(self) -> None:
        """Begins to wait for the client to read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Goes on writing."""
        self._stop_waiting_for_reader()
        super().resume_writing()

    def _wait_for_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.limits.answer_seconds, self._look_at_reader, left)

    def _look_at_reader(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._wait_for_reader()
        else:
            self.transport.abort()

    def _stop_waiting_for_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop_waiting()
        self._stop_waiting_for_reader()
        self.unfinished.pop(self, None)
        super().connection_lost(exc)

    def _is_between(self) -> bool:
        return cast(Any, self.cycle) is None or self.cycle.response_complete

    def _wait_for_head(self, seconds: float) -> None:
        self._stop_waiting()
        self.headless[self] = self.loop.call_later(seconds, self._look_for_head, seconds)

    def _look_for_head(self, seconds: float) -> None:
        if self._unread is None:
            self._give_up()
        else:  # the client still reads an answer
            self._wait_for_head(seconds)

    def _stop_waiting(self) -> None:
        timer = self.headless.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _give_up(self) -> None:
        self._stop_waiting()
        self.unfinished.pop(self, None)
        self.transport.abort()
