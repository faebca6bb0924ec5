"""Hostile artefacts, and what must become of each: refused in a line or rightly taken, quickly, in little memory.

A module lists its cases in `CASES`; each is tried in a child process by its name, so that what hangs or takes all
memory is stopped and named, and the tests go on:

    def a_pipe(place: Place) -> None:
        os.mkfifo(place.inside / "r.toml")

    CASES = (Case(name="a pipe", make=a_pipe, words=("recipe", "check", "r.toml"), says="a named pipe"),)

    @pytest.mark.parametrize("case", CASES, ids=name_of)
    def test_hostile_recipes_are_refused_or_rightly_taken(case, tried):
        assert tried(case) == []
"""

import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tiny import HERE

# Processors differ by a factor of four: what takes one three seconds took another twelve.
SECONDS, MEGABYTES = 40, 500
# After which a child is stopped, on a machine that does much besides.
PATIENCE = 120
LONGEST_LINE = 2_100
# Control characters but the line's end and the tab; and marks that turn the direction of what stands beside them.
UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Place:
    """Where a case is tried.

    Attributes:
        inside: The current folder of the command; all that it may write is below it, or in the cache.
        outside: A folder beside it with a file `precious`; nothing in it may change or appear.
    """

    inside: Path
    outside: Path

    @property
    def marker(self) -> Path:
        """The file that an artefact makes where it can run code or write where it should not."""
        return self.outside / "marker"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One artefact.

    Attributes:
        name: What it is; unique in its module.
        make: Writes it; returns more words of the command, or None.
        words: The command that is given it, after `zoo`.
        call: Called in place of a command, in `place.inside`; may raise a `ZooError`.
        is_refused: True: exit code 1, 2 or 3 and a message; False: exit code 0; None: either.
        says: What the message or the output holds.
        lines: How many lines a message has at most.
    """

    name: str
    make: Callable[[Place], Sequence[object] | None]
    words: Sequence[str] = ()
    call: Callable[[Place], object] | None = None
    is_refused: bool | None = True
    says: str = ""
    lines: int = 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case.

    Attributes:
        code: The exit code; None where the child died or had to be stopped.
        out: What was printed on stdout.
        err: What was printed on stderr; how the child ended where `code` is None.
        seconds: Of the processor.
        megabytes: How much memory was taken above what the process had before.
        outside: What changed outside.
    """

    code: int | None
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    outside: Sequence[str] = ()

    def faults(self, case: Case) -> list[str]:
        """Says what should not have been."""
        if self.code is None:
            return [f"did not end: {self.err}"]
        lines = self.err.splitlines()
        wrong = {
            f"took {self.seconds:.1f} s": self.seconds > SECONDS,
            f"took {self.megabytes:.0f} MB": self.megabytes > MEGABYTES,
            f"changed outside: {self.outside}": bool(self.outside),
            f"was not foreseen: {self.err[:500]}": "did not foresee" in self.err or "Traceback" in self.err,
            f"was taken: {self.out[:500]}": case.is_refused is True and self.code not in (1, 2, 3),
            f"was refused: {self.err[:500]}": case.is_refused is False and self.code != 0,
            "says nothing": self.code in (1, 2, 3) and not self.err.strip(),
            f"does not say {case.says!r}: {self.err[:900]}": case.says not in self.err + self.out,
            f"says {len(lines)} lines: {self.err[:900]}": self.code != 0 and len(lines) > case.lines,
            f"says a line of {max(map(len, lines), default=0)} letters": any(len(one) > LONGEST_LINE for one in lines),
            "prints what a terminal obeys": bool(UNSHOWABLE.search(self.out + self.err)),
        }
        return [text for text, holds in wrong.items() if holds]


def name_of(case: Case) -> str:
    """Names a case as a test."""
    return re.sub(r"\W+", "-", case.name)


class Trials:
    """A child process that tries the cases of a module, started anew where one of them ends it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def outcome(self, case: Case, folder: Path) -> Outcome:
        """Tries a case in an empty folder."""
        child = self._started()
        assert child.stdin is not None
        child.stdin.write(json.dumps({"case": case.name, "folder": str(folder)}) + "\n")
        child.stdin.flush()
        try:
            answer = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            self.stop()
            return Outcome(code=None, err=f"stopped after {PATIENCE} s")
        if not answer:
            code = child.wait()
            self.stop()
            return Outcome(code=None, err=f"the process ended with {code}")
        return Outcome(**json.loads(answer))

    def stop(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        self._child = None

    def _started(self) -> "subprocess.Popen[str]":
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.child", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=HERE,
                env={**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUTF8": "1"},
            )
            self._answers = queue.Queue()
            threading.Thread(target=_listen, args=(self._child.stdout, self._answers), daemon=True).start()
            if self._answers.get(timeout=300) != "ready\n":
                raise RuntimeError(f"the child that tries {self._module} does not start")
        return self._child


def _listen(stream: Any, answers: "queue.Queue[str]") -> None:
    while line := stream.readline():
        answers.put(line)
    answers.put("")
