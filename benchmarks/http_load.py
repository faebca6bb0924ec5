"""Load on an HTTP server of this machine: clients that each send the next request when the last is answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

# An answer of a photo is far shorter.
_LONGEST_ANSWER = 1 << 20
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is asked.

    Attributes:
        port: Of 127.0.0.1.
        path: Where photos go.
        bodies: A form with a photo each; clients take them in turn.
        content_type: Their type.
    """

    port: int
    path: str
    bodies: Sequence[bytes]
    content_type: str

    def request(self, number: int) -> bytes:
        """Returns a request as it goes over the wire."""
        body = self.bodies[number % len(self.bodies)]
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Heard:
    """What clients heard.

    Attributes:
        seconds: How long each answer of status 200 took.
        others: How many answers of other statuses there were, and of faults, by name.
        reconnected: How often a connection had ended between two requests.
        refused: How many clients could not connect any more, and went home.
    """

    seconds: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter[str])
    reconnected: int = 0
    refused: int = 0

    def percentile(self, share: float) -> float:
        """Returns the seconds that so many of the answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


async def load(target: Target, *, clients: int, seconds: float) -> Heard:
    """Asks for some time, and hears of the last answers."""
    heard = Heard()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(_client(target, number, until, heard) for number in range(clients)))
    return heard


async def _client(target: Target, number: int, until: float, heard: Heard) -> None:
    reader = writer = None
    while time.perf_counter() < until:
        if writer is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
            except ConnectionRefusedError:  # it has stopped
                heard.refused += 1
                return
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                writer.write(target.request(number))
                await writer.drain()
                status, closes = await read_answer(reader)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as fault:
            heard.others[type(fault).__name__] += 1
            status, closes = 0, True
        if status == 200:
            heard.seconds.append(time.perf_counter() - began)
        elif status:
            heard.others[str(status)] += 1
        if closes:
            writer.close()
            reader = writer = None
            heard.reconnected += 1
        number += 1
    if writer is not None:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Reads an answer; returns its status, and whether the connection ends with it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", "0"))
    if length > _LONGEST_ANSWER:
        raise ValueError(f"an answer of {length} bytes")
    await reader.readexactly(length)
    return int(lines[0].split()[1]), headers.get("connection", "").lower() == "close"
