"""How a worker is told to train a round, and answers: lines of the standard streams. It needs Python only."""

import json
import os
import sys


class Driver:
    """The other end of a worker's standard streams.

    A worker answers once when it has warmed up and once after each round, and waits in between.
    """

    def __init__(self) -> None:
        # What libraries print goes to stderr: stdout has answers only.
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def answer(self, **values: object) -> None:
        """Writes a line."""
        self._answers.write(json.dumps(values) + "\n")
        self._answers.flush()

    def wait(self) -> None:
        """Waits for the word to train a round; ends the process where none will come."""
        if not sys.stdin.readline():
            raise SystemExit(0)
