"""A run that several processes train: process 0 writes its folder, and each other one a copy that is thrown away.

All of them run the same program on the same numbers, so that what one finds in its folder the others find in theirs.
"""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from zoo.backend.distribution import supervising
from zoo.backend.distribution.exchanging import connect, send_folder
from zoo.backend.distribution.faults import PeerGoneError, is_of_peers, peer_gone, wait_for_name
from zoo.backend.distribution.joining import Member, joined
from zoo.backend.distribution.placement import current
from zoo.jobs.resuming import Request, begun_run
from zoo.runs.folder import RunFolder


@contextmanager
def member_request(asked: Request, member: Member | None) -> Generator[Request]:
    """Joins the other processes while the block lasts, and says what this one is asked for.

    Args:
        asked: What was typed.
        member: Which of several processes this one is; None where it trains alone.

    Raises:
        ZooError: Not all of them came, or one is gone.
    """
    if member is None:
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as here, joined(member):
        try:
            yield _shared(asked, supervising.scratch() or Path(here))
        except Exception as fault:
            if not isinstance(fault, PeerGoneError) and not is_of_peers(fault):
                raise
            wait_for_name()
            gone = fault if isinstance(fault, PeerGoneError) else peer_gone(fault)
            raise PeerGoneError("; ".join(filter(None, (str(gone), supervising.advice())))) from fault


def _shared(asked: Request, scratch: Path) -> Request:
    """Gives all processes the runs that process 0 was asked to go on with, to repeat or to train on."""
    import jax

    connect(jax.devices())
    leads = current().leads
    begun = _begun(asked) if leads and asked.resume else None
    goes_on = send_folder(begun and begun.path, scratch / "run", name="the run")
    named = _named(asked) if leads and not goes_on else None
    is_run = send_folder(named and named.path, scratch / "earlier", name="the earlier run")
    if leads:
        return asked
    recipe = None if goes_on and asked.run is None else asked.recipe
    return replace(
        asked, recipe=scratch / "earlier" if is_run else recipe, run=scratch / "run", resume=asked.resume and goes_on
    )


def _begun(asked: Request) -> RunFolder | None:
    if asked.run is not None:
        return begun_run(Path(asked.run).expanduser())
    return _named(asked)


def _named(asked: Request) -> RunFolder | None:
    """Returns the run that is named in the recipe's place, or None."""
    return begun_run(Path(asked.recipe)) if isinstance(asked.recipe, str | Path) else None
