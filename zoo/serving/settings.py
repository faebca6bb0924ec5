"""What a server may take, and who may ask it."""

import ipaddress
from dataclasses import dataclass

# Threads at work, by name: the end of a server waits for them.
COMPUTING, DECODING = "zoo-compute", "zoo-decode"

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a server takes at once.

    Attributes:
        max_bytes: Most bytes of a request's body.
        held_bytes: Most bytes of all bodies that are in hand.
        max_pixels: Most pixels of a photo, by its header.
        body_seconds: How long a body may take to arrive.
        head_seconds: How long the head of a request may take.
        answer_seconds: How long a client may read nothing of an answer that waits for it.
        connections: How many may be open; beyond, the one that has waited longest for a request's head is closed, else
            for a body.
        queue: How many photos may be in hand for each model, from their arrival to their answer.
        max_batch: How many go through a model at once.
        max_wait: For how many seconds a photo may wait for others that are being decoded.
        stuck_seconds: How long a batch may take at least before its model is said to be stuck.
        stop_seconds: How long what was accepted may take once the server is to stop.
    """

    max_bytes: int = 32 * MEBIBYTE
    held_bytes: int = 256 * MEBIBYTE
    max_pixels: int = 64_000_000
    body_seconds: float = 30.0
    head_seconds: float = 10.0
    answer_seconds: float = 30.0
    connections: int = 512
    queue: int = 128
    max_batch: int = 16
    max_wait: float = 0.005
    stuck_seconds: float = 60.0
    stop_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may ask.

    Attributes:
        host: The address that the server listens on.
        token: What a client has to know; None where everybody may ask who can connect.
    """

    host: str = "127.0.0.1"
    token: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or the name of one, is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
