"""The real command in a process whose way can be seen from outside, up to the instant at which it is killed.

`zoo.cli.main` is called as the command `zoo` does. In a process that has forked, Keras reports each batch to a callback
of ours, which writes a line: what was written stays when the process is killed, as the system holds it.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any


def run(arguments: list[str]) -> None:
    """Runs the command line, and exits."""
    from zoo.cli import main

    main(arguments)


def report_to(path: Path) -> None:
    """Lets each training report where it is: a line of time, place, and batches trained by this process."""
    import keras

    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    batches, at = 0, "start-up"

    def note(place: str) -> None:
        os.write(log, f"{time.time():.6f} {place} {batches}\n".encode())

    def arrive(place: str) -> None:
        nonlocal at
        at = place
        note(place)

    def note_compiling(event: str, seconds: float, **_: Any) -> None:
        """Parts a step's work from compiling, which JAX does anew for the smaller batch that ends an epoch."""
        if event == "/jax/core/compile/jaxpr_trace_duration":
            note("compiling")
        elif event == "/jax/core/compile/backend_compile_duration":
            note(at)

    class Reporting(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            arrive("compiling")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            nonlocal batches
            batches += 1
            arrive("step")

        def on_test_begin(self, logs: Any = None) -> None:
            arrive("validation")

        def on_test_end(self, logs: Any = None) -> None:
            arrive("epoch's end")

        def on_train_end(self, logs: Any = None) -> None:
            arrive("phase change")

    listing: Any = keras.callbacks.CallbackList
    begin = listing.__init__

    def with_reporting(self: Any, callbacks: Any = None, *rest: Any, **options: Any) -> None:
        begin(self, [*(callbacks or []), Reporting()], *rest, **options)

    listing.__init__ = with_reporting
    if keras.backend.backend() == "jax":
        import jax.monitoring

        jax.monitoring.register_event_duration_secs_listener(note_compiling)
    note("start-up")


if __name__ == "__main__":
    run(sys.argv[1:])
