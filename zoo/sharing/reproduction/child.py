"""A trial in a process of its own: `python -m zoo.sharing.reproduction.child` reads it, and prints the outcome.

It ends, and removes what it has made, when its stdin does: the process that began it was interrupted, or is gone.
"""

import json
import os
import signal
import sys
import threading
import time

# So long a step may take to be finished, and so often an interruption is tried: a library may swallow the first.
SECONDS_TO_END, TRIES = 3, 2


def main() -> None:
    """Carries a trial out."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where Ctrl-C is ignored, as in the background
        signal.signal(number, signal.default_int_handler)
    text = sys.stdin.readline()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    from zoo.backend.quiet_start import descriptor_2_silenced
    from zoo.sharing.reproduction.attempts import Attempt
    from zoo.sharing.reproduction.trying import outcome_document, try_it, without_traces

    attempt = Attempt.from_text(text)
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not the outcome
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with descriptor_2_silenced():
        from zoo.backend.determinism import fix_threads

        if attempt.threads is not None:
            fix_threads(attempt.threads)
        with without_traces():
            outcome = try_it(
                Attempt(recipe=attempt.recipe, data=attempt.data, weights=attempt.weights, run=attempt.run)
            )
    print(json.dumps(outcome_document(outcome)), file=out)


def _end_with_stdin() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the process ends
        pass
    for _ in range(TRIES):
        signal.raise_signal(signal.SIGINT)
        time.sleep(SECONDS_TO_END)
    os._exit(1)


if __name__ == "__main__":
    main()
