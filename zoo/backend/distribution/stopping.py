"""The batch at which all processes end training where one was asked to, by a signal that only it may have had.

A process that stopped by itself would leave the others waiting in the next step. So a thread of each looks now and then
whether one was asked to end. Each then says which batch's end it comes to next, waits there until all have said so, and
goes on to the last of them. Where nobody is asked, nothing is waited for and nothing is sent.
"""

import contextlib
import threading
import time
from collections.abc import Generator
from typing import Self

from zoo.backend.distribution.faults import peers_needed
from zoo.backend.distribution.placement import current
from zoo.backend.keras_internals.jax_distribution import coordinator
from zoo.errors import ZooError

POLL_SECONDS = 0.5
# A process that compiles its first step meanwhile comes late.
AGREE_SECONDS = 600
_ASKED, _NEXT = "zoo/stop/asked", "zoo/stop/next"


class AgreedStop:
    """The place at which all processes stop: the number of a call of `reached`, which all call equally often."""

    def __init__(self) -> None:
        self._placement = current()
        self._changed = threading.Condition()
        self._reached = 0
        self._said = False
        self._has_asked = False
        self._stop_at: int | None = None
        self._is_over = False

    @contextlib.contextmanager
    def watched(self) -> Generator[Self]:
        """Looks whether a process was asked to end while the block lasts.

        Raises:
            PeerGoneError: The connection to another process broke.
        """
        if self._placement.processes == 1:
            yield self
            return
        thread = threading.Thread(target=self._watch, daemon=True, name="zoo-stop")
        thread.start()
        try:
            with peers_needed():
                yield self
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def reached(self, signal_number: int | None) -> int | None:
        """Returns the number of the signal by which all processes end here, or None where training goes on.

        Args:
            signal_number: Of the signal that this process has had and not acted on, or None.

        Raises:
            ZooError: The processes could not agree.
        """
        if self._placement.processes == 1:
            return signal_number
        if signal_number is not None and not self._has_asked:
            self._has_asked = True
            with contextlib.suppress(Exception):  # another one was asked before
                coordinator().key_value_set(_ASKED, str(signal_number))
        with self._changed:
            self._reached += 1
            if self._said and self._stop_at is None:
                self._changed.wait(AGREE_SECONDS)
                if self._stop_at is None:
                    raise ZooError(f"the processes did not agree on where to stop within {AGREE_SECONDS} s")
            is_here = self._stop_at is not None and self._reached >= self._stop_at
        return int(coordinator().blocking_key_value_get(_ASKED, 1000)) if is_here else None

    def _watch(self) -> None:
        client = coordinator()
        while not self._is_over:
            try:
                client.key_value_try_get(_ASKED)
            except Exception:  # jaxlib's own: nobody is asked, or the service is gone, which ends the process
                time.sleep(POLL_SECONDS)
                continue
            with self._changed:
                self._said = True
                following = self._reached + 1
            with contextlib.suppress(Exception):
                client.key_value_set(f"{_NEXT}/{self._placement.process}", str(following))
                said = [
                    int(client.blocking_key_value_get(f"{_NEXT}/{process}", AGREE_SECONDS * 1000))
                    for process in range(self._placement.processes)
                ]
                with self._changed:
                    self._stop_at = max(said)
                    self._changed.notify_all()
            return
