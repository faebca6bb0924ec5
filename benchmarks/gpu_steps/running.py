"""Steps in processes of their own: their lines are passed on as they come, and a step that fails is a line too."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from gpu_steps.plan import Sizes, Step

# Of a step's log, so many lines are shown where it failed.
SHOWN = 15


def say(**values: Any) -> None:
    """Prints a step's line at once."""
    print(json.dumps(values), flush=True)


def run_steps(
    steps: Sequence[Step],
    command: Callable[[Step], list[str]],
    *,
    seconds: float,
    environment: Mapping[str, str],
    log: IO[str],
    emit: Callable[[dict[str, Any]], None],
) -> None:
    """Runs steps one after another until the time is over.

    Args:
        steps: In their order.
        command: Gives what to run for one.
        seconds: For all.
        environment: Of their processes.
        log: Takes what they write on stderr.
        emit: Called with each line.
    """
    began = time.monotonic()
    for number, step in enumerate(steps):
        left = seconds - (time.monotonic() - began) - sum(later.least for later in steps[number + 1 :])
        if step.needs and importlib.util.find_spec(step.needs) is None:
            emit({"step": step.name, "left_out": f"{step.needs} is not installed"})
        elif left < 5:
            emit({"step": step.name, "error": f"no time left: {seconds:.0f} s for all steps"})
        else:
            _run(step, command(step), min(step.limit, left), environment, log, emit)


def _run(
    step: Step,
    command: list[str],
    limit: float,
    environment: Mapping[str, str],
    log: IO[str],
    emit: Callable[[dict[str, Any]], None],
) -> None:
    began = time.monotonic()
    print(f"== {step.name}", file=log, flush=True)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    tail: list[str] = []
    # Read beside: a step that waits for its log to be read would never end.
    readers = (
        threading.Thread(target=_pass_on, args=(process.stdout, step, began, emit), daemon=True),
        threading.Thread(target=_keep, args=(process.stderr, log, tail), daemon=True),
    )
    for reader in readers:
        reader.start()
    error = ""
    try:
        code = process.wait(limit)
        if code:
            error = tail[-1] if tail else f"exit code {code}"
    except subprocess.TimeoutExpired:
        error = f"ended after {limit:.0f} s"
    except KeyboardInterrupt:
        _end(process)
        raise
    _end(process)
    for reader, stream in zip(readers, (process.stdout, process.stderr), strict=True):
        reader.join(5)
        stream.close()
    took = round(time.monotonic() - began, 1)
    if error:
        print("\n".join(tail[-SHOWN:]), file=sys.stderr, flush=True)
    emit({"step": step.name, "seconds": took, **({"error": error} if error else {"done": True})})


def _end(process: subprocess.Popen[str]) -> None:
    """Ends what a step has left running, whatever it does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _pass_on(stream: IO[str], step: Step, began: float, emit: Callable[[dict[str, Any]], None]) -> None:
    for line in stream:
        try:
            values = json.loads(line)
        except ValueError:
            values = None
        if isinstance(values, dict):
            emit({"step": step.name, "at": round(time.monotonic() - began, 1), **values})


def _keep(stream: IO[str], log: IO[str], tail: list[str]) -> None:
    for line in stream:
        log.write(line)
        log.flush()
        if line.strip():
            tail.append(line.rstrip())
            del tail[:-SHOWN]


def to_text(sizes: Sizes) -> str:
    """Returns sizes as a step's process reads them."""
    return json.dumps(asdict(sizes))


def from_text(text: str) -> Sizes:
    """Reads sizes."""
    return Sizes(**{name: tuple(one) if isinstance(one, list) else one for name, one in json.loads(text).items()})


def finetune(*arguments: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Starts `zoo finetune` in a process of its own; what it prints goes to stderr, or to a file."""
    command = [sys.executable, "-m", "zoo", "finetune", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("ab") if log else None)


def settings(*changes: str) -> list[str]:
    """Returns changes to a recipe as options."""
    return [part for change in changes for part in ("--set", change)]


def finished(process: subprocess.Popen[bytes], run: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Waits for a run; returns run.json and the lines of metrics.jsonl.

    Raises:
        RuntimeError: It failed.
    """
    if code := process.wait():
        raise RuntimeError(f"zoo finetune: exit code {code}")
    return json.loads((run / "run.json").read_text(encoding="utf-8")), lines_of(run)


def lines_of(run: Path) -> list[dict[str, Any]]:
    """Returns the whole lines of metrics.jsonl that are there."""
    path = run / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
