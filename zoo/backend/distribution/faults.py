"""Faults of the network between processes, told from those of the computation."""

import contextlib
import time
from collections.abc import Generator

from zoo.backend.distribution.placement import current
from zoo.errors import ZooError

# A process that gives no sign of life for so many seconds is gone. All are ended well within a minute then.
HEARTBEAT_SECONDS = 20
# What the libraries say that carry numbers between processes.
_OF_PEERS = ("Gloo", "gloo", "NCCL", "coordination service", "CoordinationService", "Connection closed by peer")


class PeerGoneError(ZooError):
    """Another process that trains with this one has ended."""


def is_of_peers(fault: BaseException) -> bool:
    """Returns whether a fault is that of the connection to another process, or came of one."""
    if current().processes == 1:
        return False
    one: BaseException | None = fault
    while one is not None:
        if any(name in str(one) for name in _OF_PEERS):
            return True
        one = one.__cause__ or one.__context__
    return False


@contextlib.contextmanager
def peers_needed() -> Generator[None]:
    """Turns a broken connection to another process into a fault that says so.

    Raises:
        PeerGoneError: Another process has ended.
    """
    try:
        yield
    except Exception as fault:
        if isinstance(fault, ZooError) or not is_of_peers(fault):
            raise
        raise peer_gone(fault) from fault


def peer_gone(fault: BaseException) -> PeerGoneError:
    """Returns the fault of a connection that broke; which process it was to is not known yet.

    Args:
        fault: What the library said.
    """
    placement = current()
    other = f"process {1 - placement.process}" if placement.processes == 2 else "another process"
    said = " ".join(str(fault).split())[:200]
    return PeerGoneError(f"{other} of {placement.processes} is gone, or cannot be reached ({said})")


def wait_for_name() -> None:
    """Waits until JAX' coordination service has noticed which process is gone, and ends this one for it."""
    time.sleep(HEARTBEAT_SECONDS + 10)
