"""Runs that are killed again and again, resumed until they are done, and compared with one that nobody disturbed.

A kill is aimed (`Aim`), lands somewhere, which is read from what it leaves (`Kill`), and ends one process of a chain;
a chain is one run folder, however many processes it takes (`Chain`).
"""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.survival.reports import (
    CACHED,
    Report,
    Taken,
    cache_lost,
    end_of,
    newest_checkpoint,
    place_of,
    when_taken,
    whole_checkpoints,
    work_lost,
)
from tests.survival.starting import Command, Started, Starter
from tests.tiny import untimed

# No process of these trainings takes so long, however busy the machine.
TIME_LIMIT = 900
KILL = signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Aim:
    """An instant at which a process is killed.

    Attributes:
        watched: A pattern of paths below the chain's folder; when one appears that was not there, time counts. None:
            it counts from the start of the process.
        appearances: At which of them.
        trains: Whether time counts from the first batch that the process trains instead.
        delay: Seconds from then on.
        number: The signal.
    """

    watched: str | None = None
    appearances: int = 1
    trains: bool = False
    delay: float = 0.0
    number: signal.Signals = KILL

    def wait(self, started: Started, folder: Path, report: Path) -> int | None:
        """Waits for the instant; returns the exit code where the process ended before."""
        if self.trains:
            while not Report.read(report).batches:
                code = started.wait(0.005)
                if code is not None:
                    return code
            return started.wait(self.delay)
        if self.watched is None:
            return started.wait(max(0.0, started.began + self.delay - time.monotonic()))
        parent, pattern = folder / Path(self.watched).parent, Path(self.watched).name
        seen = {path.name for path in parent.glob(pattern)}
        before = len(seen)
        while len(seen) - before < self.appearances:
            code = started.wait(0.0005)
            if code is not None:
                return code
            seen |= {path.name for path in parent.glob(pattern)}
        return started.wait(self.delay)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A process that was killed.

    Attributes:
        number: The signal.
        place: Where it was, as the paths say that it left, else its own report.
        lost: Seconds of work that nothing on disk holds.
        batches_lost: Batches trained and in no checkpoint.
        code: The exit code, that of a signal negative.
        seconds: How long the process lived.
        litter: What it left that is neither a file of a run nor of the cache.
        output: What it printed.
    """

    number: int
    place: str
    lost: float
    batches_lost: int
    code: int | None
    seconds: float
    litter: tuple[str, ...]
    output: str = ""


@dataclass(frozen=True)
class Outcome:
    """All of a finished run that a kill must not change; compared by equality."""

    files: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    record: Mapping[str, Any]
    probabilities: str

    def differences(self, other: "Outcome") -> list[str]:
        """Names what differs, and how, in a line each."""
        return [
            f"{name}: {ours} and {theirs}"
            for name in vars(self)
            if (ours := getattr(self, name)) != (theirs := getattr(other, name))
        ]


@dataclass
class Chain:
    """A run and the kills that it survived.

    Attributes:
        training: Its name.
        settings: Changes to its recipe.
        kills: In their order.
        outcome: Of the finished run; None where it did not finish.
        faults: What is wrong, in a line each; empty where all is well.
    """

    training: str
    settings: Sequence[str] = ()
    kills: list[Kill] = field(default_factory=list)
    outcome: Outcome | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is run.

    Attributes:
        training: Its name.
        recipe: The recipe's file.
        images: The folder of images.
        folder: Where the chain works: `run/`, `cache/` and what is printed.
        shared: Variables of the environment.
        settings: Changes to the recipe, as `--set` takes them.
        disk: Where the run is, when not in `folder`.
    """

    training: str
    recipe: Path
    images: Path
    folder: Path
    shared: Mapping[str, str] = field(default_factory=dict)
    settings: Sequence[str] = ()
    disk: Path | None = None

    @property
    def run(self) -> Path:
        return (self.disk or self.folder) / "run"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def command(self, number: int | str, *arguments: str) -> Command:
        """Makes the command that begins the run or goes on with it, or another one on it."""
        finetune = ["finetune", str(self.recipe), "--data", str(self.images), "--run", str(self.run), "--resume"]
        settings = [word for setting in self.settings for word in ("--set", setting)]
        return Command(
            arguments=arguments or [*finetune, *settings],
            folder=self.folder,
            output=self.folder / f"output-{number}",
            environment={**self.shared, "XDG_CACHE_HOME": str(self.cache)},
            report=None if arguments else self.folder / f"report-{number}",
        )


def straight(job: Job, starter: Starter) -> tuple[Outcome, float]:
    """Runs to the end undisturbed; returns the outcome and the seconds it took."""
    job.folder.mkdir(parents=True)
    began = time.monotonic()
    code = starter.start(job.command(0)).wait(TIME_LIMIT)
    seconds = time.monotonic() - began
    assert code == 0, (code, (job.folder / "output-0").read_text(encoding="utf-8"))
    return outcome_of(job, starter), seconds


def chain(
    job: Job, starter: Starter, aims: Sequence[Aim], expected: Outcome | None = None, *, verifies: bool = False
) -> Chain:
    """Kills a run at each instant, lets it end, and compares it.

    Args:
        job: What is run.
        starter: How processes start.
        aims: The instants, one for each process; an instant that a process does not live to see is left out.
        expected: What an undisturbed run gives; None compares nothing.
        verifies: Whether `zoo verify` has to find nothing after each kill either.
    """
    job.folder.mkdir(parents=True)
    result = Chain(job.training, job.settings)
    code: int | None = None
    for number, aim in enumerate(aims):
        begun, base = time.time(), newest_checkpoint(job.run)
        started = starter.start(job.command(number))
        code = aim.wait(started, job.folder, job.folder / f"report-{number}")
        if code is not None:  # it ended before
            break
        killed = time.time()
        started.kill(aim.number)
        code = started.wait(TIME_LIMIT)
        if code not in (-aim.number, 128 + aim.number):  # it ended meanwhile
            break
        result.kills.append(_kill(job, number, aim, base, code, (begun, killed)))
        code = None
        if verifies and (job.run / "run.json").is_file():
            verified = starter.start(job.command("verified", "verify", str(job.run))).wait(TIME_LIMIT)
            if verified != 0:
                result.faults.append(f"zoo verify after kill {number}: {end_of(job.folder / 'output-verified')}")
    else:
        number = len(aims)
        code = starter.start(job.command(number)).wait(TIME_LIMIT)
    if code != 0:
        result.faults.append(f"exit code {code}: {end_of(job.folder / f'output-{number}')}")
        return result
    result.faults += [f"litter: {path}" for path in litter(job)]
    result.outcome = outcome_of(job, starter)
    if expected is not None:
        result.faults += result.outcome.differences(expected)
    return result


def _kill(job: Job, number: int, aim: Aim, base: Taken, code: int, times: tuple[float, float]) -> Kill:
    begun, killed = times
    report = Report.read(job.folder / f"report-{number}")
    place = place_of(job.run, job.cache, report, since=begun, code=code)
    newest = newest_checkpoint(job.run)
    durable = Taken(newest.batches - base.batches, newest.validated)
    in_cache = place in CACHED.values()
    output = job.folder / f"output-{number}"
    return Kill(
        number=int(aim.number),
        place=place,
        lost=cache_lost(job.cache, place, killed) if in_cache else work_lost(report, durable, killed),
        batches_lost=max(0, report.batches - durable.batches),
        code=code,
        seconds=killed - begun,
        litter=tuple(litter(job)),
        output=output.read_text(encoding="utf-8") if output.is_file() else "",
    )


def litter(job: Job) -> list[str]:
    """Lists hidden files, and folders of checkpoints that are none."""
    run, cache = job.run, job.cache / "zoo"
    hidden = [path for folder in (run, cache) if folder.is_dir() for path in folder.rglob(".*")]
    checkpoints = run / "checkpoints"
    known = {*hidden, *whole_checkpoints(run)}
    broken = [path for path in (checkpoints.iterdir() if checkpoints.is_dir() else ()) if path not in known]
    return [
        str(path.relative_to(job.folder if path.is_relative_to(job.folder) else run.parent))
        for path in (*hidden, *broken)
    ]


def outcome_of(job: Job, starter: Starter) -> Outcome:
    """Reads a finished run, and predicts with it."""
    rows = [json.loads(line) for line in (job.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last = max(whole_checkpoints(job.run), key=when_taken)
    paths = [job.run / "model" / "model.safetensors", job.run / "model" / "card.json"]
    # By content: the folder's name counts steps, and so do the rows.
    files = {path.name: _sha256(path) for path in paths}
    files |= {f"last {name}": _sha256(last / name) for name in ("model.safetensors", "state.safetensors")}
    record = json.loads((job.run / "run.json").read_text(encoding="utf-8"))
    keys = ("status", "classes", "data", "batch", "kept", "split", "metrics", "intervals", "per_class")
    return Outcome(
        files=files,
        rows=untimed(rows),
        record={key: record.get(key) for key in keys},
        probabilities=_probabilities(job, starter),
    )


def _probabilities(job: Job, starter: Starter) -> str:
    command = job.command("predicted", "predict", str(job.run), str(job.images / "cat"), "--json", "--runtime", "keras")
    code = starter.start(command).wait(TIME_LIMIT)
    said = command.output.read_text(encoding="utf-8")
    lines = [json.loads(line)["probabilities"] for line in said.splitlines() if line.startswith("{")]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest() if code == 0 and lines else f"{code}: {said}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_lanes(
    work: Iterable[Callable[[Starter], Chain]], starters: Sequence[Starter], done: Callable[[Chain], None]
) -> None:
    """Does work side by side, a lane for each starter; raises what a lane raised.

    Args:
        work: Each is called with the starter of the lane that is free.
        starters: A process starts one command after another.
        done: Called with each result, one at a time.
    """
    left, lock = iter(work), threading.Lock()

    def lane(starter: Starter) -> None:
        while True:
            with lock:
                one = next(left, None)
            if one is None:
                return
            found = one(starter)
            with lock:
                done(found)

    with ThreadPoolExecutor(len(starters)) as threads:
        for running in [threads.submit(lane, starter) for starter in starters]:
            running.result()
