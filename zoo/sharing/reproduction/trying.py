"""Carries a trial out: the first batches in a temporary folder, or a whole run; where needed in another process."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.backend.keras_internals import native_operations
from zoo.data.packs import finding as packs
from zoo.errors import ContractError, ZooError, in_one_line
from zoo.inference import engines
from zoo.jobs.finetuning import carry_out
from zoo.jobs.resolving import Job
from zoo.jobs.resuming import New
from zoo.report.progress import SilentDisplay, Verbose
from zoo.runs.folder import RunFolder
from zoo.runs.record import ResultRecord
from zoo.sharing.finished_run import NUMBERS
from zoo.sharing.reproduction.attempts import Attempt
from zoo.sharing.reproduction.workplaces import workplace
from zoo.system.files import sha256
from zoo.system.partial_entries import removed_after
from zoo.training.prefix import storing as activations

CHILD = "zoo.sharing.reproduction.child"
# So long a trial in another process has to end in order.
SECONDS_TO_END = 8
# Which variables say where temporary files go.
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
# Which variable says how many threads compute, by backend.
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial came to.

    Attributes:
        losses: Of its first batches, as run.json has them.
        model_sha256: Of the model's numbers after a whole run; None of the first batches.
        result: What the model was measured at; None of the first batches.
        engine: What computed what frozen layers give; None where nothing was computed once, and of another process.
        fault: Why it failed; "" where it did not.
    """

    losses: tuple[str, ...] = ()
    model_sha256: str | None = None
    result: ResultRecord | None = None
    engine: str | None = None
    fault: str = ""

    def is_same(self, other: "Outcome") -> bool:
        """Whether both came to the same, bit for bit."""
        if self.fault or other.fault:
            return False
        if self.model_sha256 is None or other.model_sha256 is None:
            return bool(self.losses) and self.losses == other.losses
        mine, others = (one.result.metrics if one.result else None for one in (self, other))
        return self.model_sha256 == other.model_sha256 and mine == others


def without_traces() -> contextlib.AbstractContextManager[None]:
    """Removes at the end what trials put into the cache: no run to come trains what they do."""
    return removed_after(packs.KIND, activations.KIND)


def try_it(attempt: Attempt) -> Outcome:
    """Carries a trial out, and shows nothing; a fault of the recipe or the images is an outcome too."""
    if attempt.needs_a_process:
        return _in_a_process(attempt)
    try:
        if attempt.run is None:
            return first_batches(attempt.job())
        return whole_run(attempt.job(), Path(attempt.run), verbose=0, is_trial=True)
    except ZooError as fault:
        return Outcome(fault=in_one_line(fault, at_most=300))


def first_batches(job: Job) -> Outcome:
    """Trains the first batches of a job in a temporary folder.

    Raises:
        ZooError: It cannot be trained.
    """
    from zoo.backend.callers_state import alone
    from zoo.backend.determinism import deterministic_operations
    from zoo.sharing.reproduction.stopping import EnoughSeenError, FirstBatches
    from zoo.training.preparation.preparing import prepare
    from zoo.training.run import train

    display, first = SilentDisplay("zoo.reproduce"), FirstBatches()
    with workplace() as work, alone(display.line), deterministic_operations(job.recipe.train.deterministic):
        prepared = prepare(job.recipe, job.data, weights=job.weights)
        checkpoint = prepared.recipe.checkpoint.model_copy(update={"every": "epoch_end"})
        prepared = replace(prepared, recipe=prepared.recipe.model_copy(update={"checkpoint": checkpoint}))
        with contextlib.suppress(EnoughSeenError):
            train(prepared, folder=RunFolder(work), callbacks=[first], display=display)
        engine = RunFolder(work).record().engine
    return Outcome(losses=tuple(first.losses), engine=engine)


def whole_run(job: Job, path: Path, *, verbose: Verbose = "auto", is_trial: bool = False) -> Outcome:
    """Trains a job to its end in a folder of its own.

    Args:
        job: What to train.
        path: The folder.
        verbose: As for `zoo.finetune`.
        is_trial: Whether the folder is a temporary one, with which nobody goes on.

    Raises:
        ZooError: It cannot be trained.
    """
    try:
        carry_out(New(job=job, path=path), verbose=verbose, is_one_of_several=is_trial)
    except ContractError:
        # Below what the recipe expects: the run is done all the same, and is compared.
        if not RunFolder(path).is_begun or RunFolder(path).record().status != "done":
            raise
    record = RunFolder.open(path).record()
    return Outcome(
        losses=record.first_losses or (),
        model_sha256=sha256(path / NUMBERS),
        result=record.result,
        engine=record.engine,
    )


def _in_a_process(attempt: Attempt) -> Outcome:
    environment = dict(os.environ)
    if attempt.backend is not None:
        environment["KERAS_BACKEND"] = attempt.backend
    if attempt.threads is not None:
        environment |= dict.fromkeys(_THREADS, str(attempt.threads))
    if attempt.native_operations is not None:
        environment[native_operations.SWITCH] = str(int(attempt.native_operations))
    if attempt.engine is not None:
        environment[engines.VARIABLE] = attempt.engine
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with workplace() as work:
        environment |= dict.fromkeys(_TEMPORARY, str(work))  # whatever it leaves there is gone with it
        said = work / "said.txt"
        child, printed = _communicate([sys.executable, "-m", CHILD], environment, attempt.to_text(), said)
        try:
            return outcome_of(json.loads(printed.decode()))
        except ValueError:
            last = said.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            return Outcome(fault=f"the process of a trial ended with {child.returncode}: {last[0][:200]}")


def _communicate(
    command: list[str], environment: dict[str, str], text: str, said: Path
) -> tuple["subprocess.Popen[bytes]", bytes]:
    """Runs a process to its end; where it is interrupted, the process ends first.

    The process takes the end of its stdin for the end of this one.

    Returns:
        The process, and what it printed.
    """
    with (
        said.open("wb") as file,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file) as child,
    ):
        assert child.stdin is not None and child.stdout is not None
        try:
            try:
                child.stdin.write(f"{text}\n".encode())
                child.stdin.flush()
            except BrokenPipeError:  # it ended; what it said tells why
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.close()
            return child, child.stdout.read()
        except BaseException:
            _end(child)
            raise


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Lets a process end in order, and kills it where it does not."""
    try:
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        child.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        pass
    finally:
        child.kill()
        child.wait()


def outcome_of(document: dict[str, Any]) -> Outcome:
    """Reads what a child process printed."""
    return Outcome(
        losses=tuple(document["losses"]),
        model_sha256=document["model_sha256"],
        result=None
        if document["metrics"] is None
        else ResultRecord(split=document["split"], metrics=document["metrics"], per_class={}),
        fault=document["fault"],
    )


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """Returns what a child process prints."""
    result = outcome.result
    return {
        "losses": list(outcome.losses),
        "model_sha256": outcome.model_sha256,
        "metrics": None if result is None else dict(result.metrics),
        "split": None if result is None else result.split,
        "fault": outcome.fault,
    }
