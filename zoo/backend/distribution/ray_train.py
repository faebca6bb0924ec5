"""Ray Train as a launcher: it places one worker for each process, and each worker waits beside its process.

Ray Train's JaxTrainer is not used. On a CPU it joins no processes (`_JaxBackend.on_start` in Ray 2.60 returns before),
so that each trains by itself and all report success. What is started here is the same command that a user starts on
each host, with the address of process 0 that the workers tell one another.
https://docs.ray.io/en/latest/train/api/doc/ray.train.v2.api.data_parallel_trainer.DataParallelTrainer.html
"""

import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.backend.distribution.joining import CLUSTERS, LAUNCHER_VARIABLE, Member, join_seconds
from zoo.backend.distribution.supervising import supervise
from zoo.errors import INTERRUPTIONS, LONGEST_LINE, ZooError, in_one_line
from zoo.system import interruption

NAME = "Ray"
# How often a worker asks whether all are to end.
POLL_SECONDS = 1.0
# How long the address of a cluster is tried.
CONNECT_SECONDS = 20.0
# Environment variables whose values are taken from where the command was typed.
_HANDED_ON = ("ZOO_", "KERAS_", "XLA_FLAGS")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What Ray is to start.

    Attributes:
        arguments: What stands behind `zoo` on the command line, without what is different in each process.
        processes: How many train together.
        gpus: GPUs of each; None is one where the cluster has any.
        folder: Where the command was typed.
    """

    arguments: tuple[str, ...]
    processes: int
    gpus: int | None
    folder: str

    def variables(self) -> dict[str, str]:
        """Returns the environment variables that all processes have from the one that starts them."""
        return {name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a process has ended.

    Attributes:
        host: Where it was.
        code: Its exit code.
        said: What it said last of a fault.
        stdout: What it wrote there.
    """

    host: str
    code: int
    said: str
    stdout: str


class Board:
    """Where the workers look whether all are to end, and write down how each has ended: an actor of Ray's."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._begun: set[int] = set()
        self._outcomes: dict[int, Outcome] = {}

    def ask_to_end(self, number: int) -> None:
        """Asks all processes to end, as by a signal."""
        self._signal = number

    def note_begun(self, process: int) -> None:
        """Writes down that a process has been started."""
        self._begun.add(process)

    def begun(self) -> set[int]:
        """Returns which processes have been started."""
        return self._begun

    def asked(self) -> int | None:
        """Returns the signal by which all are to end, or None."""
        return self._signal

    def note(self, process: int, outcome: Outcome) -> None:
        """Writes down how a process has ended."""
        self._outcomes[process] = outcome

    def outcomes(self) -> dict[int, Outcome]:
        """Returns how each process has ended that has said so, in the order in which they did."""
        return self._outcomes


def launch_on_ray(launch: Launch) -> str:
    """Starts processes by Ray Train, and waits until all have ended.

    Returns:
        What process 0 wrote on stdout.

    Raises:
        ZooError: Ray is not installed or has no cluster here, it could not start as many, or one of them failed.
        KeyboardInterrupt: Ctrl-C was pressed; all have ended.
        Terminated: The same with SIGTERM or SIGHUP.
    """
    ray = _imported("ray")
    with _connected(ray), tempfile.TemporaryDirectory(prefix="zoo-ray-", ignore_cleanup_errors=True) as folder:
        board: Any = ray.remote(num_cpus=0)(Board).remote()
        trainer = _trainer(launch, board, Path(folder))
        faults: list[Exception] = []
        done = threading.Event()

        def fit() -> None:
            try:
                trainer.fit()
            except Exception as fault:  # told below, in one line
                faults.append(fault)
            finally:
                done.set()

        # In the main thread Ray would take Ctrl-C for itself, and end the workers before anything is saved.
        threading.Thread(target=fit, daemon=True).start()
        ended = _wait(done, ray, board)
        outcomes: dict[int, Outcome] = ray.get(board.outcomes.remote())
    if ended is not None:
        raise ended
    _require_success(launch, outcomes, faults)
    return outcomes[0].stdout


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        said = in_one_line(fault, at_most=200)
        raise ZooError(f"--launcher ray: {name} cannot be imported ({said}); type pip install 'zoo[ray]'") from fault


@contextmanager
def _connected(ray: Any) -> Generator[None]:
    """Connects to the cluster that `RAY_ADDRESS` names, or that was started on this host."""
    # The folder of a worker stays the one that Ray gave it; and how long Ray Train waits for workers to begin.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(join_seconds())
    try:
        _require_listener(os.environ.get("RAY_ADDRESS", ""))
        ray.init(address="auto", logging_level="error")
    except Exception as fault:  # Ray's own are of many kinds
        raise ZooError(
            f"--launcher ray: no Ray cluster can be reached ({in_one_line(fault, at_most=200)}); start one by "
            "'ray start --head', or set RAY_ADDRESS to that of yours"
        ) from fault
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Raises an OSError where nothing listens at `host:port`; Ray itself would try that for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except OSError as fault:
            raise OSError(f"RAY_ADDRESS is {address}: {fault.strerror or fault}") from fault


def _trainer(launch: Launch, board: Any, folder: Path) -> Any:
    """Returns a trainer whose workers start the processes; none of them is started anew by Ray."""
    ray, train = _imported("ray"), _imported("ray.train")
    trainers = _imported("ray.train.v2.api.data_parallel_trainer")
    resources: Mapping[str, float] = ray.cluster_resources()
    gpus = launch.gpus if launch.gpus is not None else int(resources.get("GPU", 0) > 0)
    needs: dict[str, float] = {"CPU": 1, **({"GPU": gpus} if gpus else {})}
    for kind, count in needs.items():
        there = resources.get(kind, 0)
        if there < count * launch.processes:
            print(
                f"warning: the Ray cluster has {there:g} {kind}, and {launch.processes} processes need "
                f"{count * launch.processes:g}; waiting for {join_seconds()} s",
                file=sys.stderr,
                flush=True,
            )
    scaling = train.ScalingConfig(
        num_workers=launch.processes,
        use_gpu=bool(gpus),
        resources_per_worker=needs,
        # A process on a CPU computes on all cores of its host.
        placement_strategy="PACK" if gpus else "SPREAD",
    )
    failing = train.FailureConfig(max_failures=0, max_preemption_failures=0, controller_failure_limit=0)
    return trainers.DataParallelTrainer(
        work_beside,
        train_loop_config={"launch": launch, "board": board, "variables": launch.variables()},
        scaling_config=scaling,
        run_config=train.RunConfig(name="zoo", storage_path=str(folder), failure_config=failing),
    )


def _wait(done: threading.Event, ray: Any, board: Any) -> BaseException | None:
    """Waits until all have ended; hands on a signal to what was started, and returns its exception then.

    It does not join the thread: one whose join Ctrl-C interrupts counts as ended (https://bugs.python.org/issue45274).
    """
    ended: BaseException | None = None
    while not done.is_set():
        try:
            done.wait(0.2)
        except INTERRUPTIONS as fault:
            ended = fault
            board.ask_to_end.remote(interruption.number_of(fault))
            if not ray.get(board.begun.remote()):
                break
    return ended


def _require_success(launch: Launch, outcomes: Mapping[int, Outcome], faults: list[Exception]) -> None:
    for process, outcome in outcomes.items():
        if outcome.code:
            raise ZooError(
                f"process {process} of {launch.processes}, on {outcome.host}: {outcome.said or 'it said nothing'}"
            )
    if faults or len(outcomes) != launch.processes:
        said = in_one_line(faults[0], at_most=LONGEST_LINE - 400) if faults else "no fault"
        raise ZooError(
            f"{len(outcomes)} of {launch.processes} processes came to their end, and Ray said: {said}; go on with the "
            "run by --resume, where it has begun"
        )


def work_beside(told: Mapping[str, Any]) -> None:
    """Is a worker of Ray Train's: starts one process, waits for it, and writes down how it has ended.

    Args:
        told: The launch, the board, and environment variables.

    Raises:
        ZooError: The process failed.
    """
    ray, train, collective = (_imported(name) for name in ("ray", "ray.train", "ray.train.collective"))
    launch: Launch = told["launch"]
    context: Any = train.get_context()
    process, processes, host = context.get_world_rank(), context.get_world_size(), socket.gethostname()
    if processes != launch.processes:
        raise ZooError(f"Ray started {processes} workers, and {launch.processes} were asked for; nothing is trained")
    address = f"{ray.util.get_node_ip_address()}:{_free_port()}" if process == 0 else None
    address = collective.broadcast_from_rank_zero(address)
    member = Member(processes=processes, process=process, coordinator=address, cluster=NAME)
    ray.get(told["board"].note_begun.remote(process))
    outcome = _run(launch, member, host, told)
    ray.get(told["board"].note.remote(process, outcome))
    if outcome.code and ray.get(told["board"].asked.remote()) is None:
        raise ZooError(outcome.said)  # Ray ends the other workers, and their processes end with them


def _run(launch: Launch, member: Member, host: str, told: Mapping[str, Any]) -> Outcome:
    said: list[str] = []
    with tempfile.TemporaryFile() as stdout:
        listeners: list[threading.Thread] = []

        def begun(child: "subprocess.Popen[bytes]") -> None:
            listeners.append(threading.Thread(target=_hand_out, args=(child, said), daemon=True))
            listeners.append(threading.Thread(target=_hand_signal, args=(child, told["board"]), daemon=True))
            for thread in listeners:
                thread.start()

        with _heard():
            ending = supervise(
                _command(launch, member),
                member,
                begun=begun,
                variables=_environment(told["variables"]),
                cwd=launch.folder if Path(launch.folder).is_dir() else None,
                stdout=stdout,
                stderr=subprocess.PIPE,
            )
        listeners[0].join(10)
        stdout.seek(0)
        written = stdout.read().decode(errors="replace")
    last = ending.said or next((line.removeprefix("zoo: ") for line in reversed(said) if line.strip()), "")
    return Outcome(host=host, code=ending.code, said=last, stdout=written)


@contextmanager
def _heard() -> Generator[None]:
    """Blocks no signal while the block lasts: Ray blocks SIGINT in its threads, and a child would not hear it."""
    before = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _command(launch: Launch, member: Member) -> list[str]:
    own = ("--coordinator", str(member.coordinator), "--process", str(member.process))
    end = launch.arguments.index("--") if "--" in launch.arguments else len(launch.arguments)
    return [sys.executable, "-m", "zoo", *launch.arguments[:end], *own, *launch.arguments[end:]]


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns a process' environment: without what a cluster around Ray's says of other processes."""
    numbers = {number for _, _, number in CLUSTERS.values()}
    here = {name: value for name, value in os.environ.items() if name not in numbers}
    return {**here, **variables, LAUNCHER_VARIABLE: NAME}


def _hand_out(child: "subprocess.Popen[bytes]", said: list[str]) -> None:
    """Writes what a process says where Ray shows it, and keeps the end."""
    stream: Any = child.stderr
    for line in stream:
        text = line.decode(errors="replace").rstrip("\n")
        said[:] = [*said[-20:], text]
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)


def _hand_signal(child: "subprocess.Popen[bytes]", board: Any) -> None:
    """Sends a process the signal by which all are to end."""
    ray = _imported("ray")
    while child.poll() is None:
        number: int | None = ray.get(board.asked.remote())
        if number is not None:
            child.send_signal(signal.Signals(number))
            return
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]
