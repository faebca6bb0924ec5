"""The clock of who trains until some share of the test images is right. It needs Python only."""

import json
import sys
import time
from pathlib import Path
from typing import Any


class Stopwatch:
    """Adds up the time between `start` and `stop`, and notes each measurement."""

    def __init__(self, target: float) -> None:
        self.target = target
        self.seconds = 0.0
        self.measured: list[dict[str, float]] = []
        self._began = 0.0

    def start(self) -> None:
        """Training begins."""
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Training pauses."""
        self.seconds += time.perf_counter() - self._began

    def reached(self, accuracy: float) -> bool:
        """Notes an epoch's accuracy and says whether it is enough."""
        self.measured.append({"seconds": round(self.seconds, 2), "accuracy": accuracy})
        return accuracy >= self.target


def task() -> dict[str, Any]:
    """Returns what the side was asked: data, target, seed, most epochs, and where its answer goes."""
    return json.loads(sys.argv[1])


def answer(asked: dict[str, Any], watch: Stopwatch) -> None:
    """Writes what was measured."""
    Path(asked["answer"]).write_text(json.dumps(watch.measured), encoding="utf-8")
