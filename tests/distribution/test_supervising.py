"""The process that waits beside one that trains with others: what it says of how that one ended."""

import os
import signal
import subprocess
import sys

import pytest

from tests import tiny

# Writes what JAX 0.10.2 wrote in such a case, taken from its output, and ends as that does.
FATAL = (
    "F1127 client.h:80] Terminating process because the JAX distributed service detected fatal errors. This most "
    "likely indicates that another task died; absl::Status: "
)
SILENT = (
    f"{FATAL}UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks have crashed."
)
NOBODY = f"{FATAL}DEADLINE_EXCEEDED: Deadline Exceeded\n\nRPC: /xla.coordination.CoordinationService/RegisterTask"
LEADER = f"{FATAL}UNAVAILABLE: Failed to send RPC to coordination service. Socket closed"


def beside(program, **options):
    """Starts a process that waits beside a program, which is one of two."""
    code = (
        "import sys\n"
        "from zoo.backend.distribution.joining import Member\n"
        "from zoo.backend.distribution.supervising import run_supervised\n"
        f"command = [sys.executable, '-c', {program!r}]\n"
        "sys.exit(run_supervised(command, Member(processes=2, process=0)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tiny.HERE)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def child(*lines):
    return "\n".join(
        (
            "import os, sys, time",
            "from zoo.backend.distribution.supervising import begin_as_child, leave_advice, scratch",
            "begin_as_child()",
            *lines,
        )
    )


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (SILENT, "process 1 of 2 is gone (no sign of life within 20 s); go on: zoo finetune --run r --resume"),
        (NOBODY, "process 0 of 2: not all of the 2 processes came within 300 s; go on: zoo finetune --run r --resume"),
        (LEADER, "process 0 of 2 is gone; go on: zoo finetune --run r --resume"),
        ("E1 something", "process 0 of 2 was ended by SIGABRT (E1 something); go on: zoo finetune --run r --resume"),
    ],
)
def test_an_abort_becomes_one_line(log, said):
    program = child(
        "leave_advice('go on: zoo finetune --run r --resume')", f"os.write(2, {log!r}.encode())", "os.abort()"
    )
    stdout, stderr = (process := beside(program)).communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (1, "", f"zoo: {said}\n")


def test_what_python_writes_and_its_exit_code_are_handed_on():
    program = child("print('out')", "print('err', file=sys.stderr)", "os.write(1, b'of C')", "sys.exit(3)")
    stdout, stderr = (process := beside(program)).communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (3, "out\n", "err\n")


def test_a_signal_is_handed_on_and_the_folder_removed():
    program = child("print(scratch(), flush=True)", "time.sleep(60)")
    process = beside(program)
    folder = process.stdout.readline().strip()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and "was ended by SIGTERM" in stderr
    assert folder and not os.path.exists(folder)  # noqa: PTH110 -- a text


def test_a_child_does_not_outlive_who_waits():
    program = child("print(os.getpid(), flush=True)", "time.sleep(60)")
    process = beside(program)
    assert int(process.stdout.readline())
    process.kill()
    process.communicate(timeout=30)  # the child has the other ends of these pipes too
