"""How processes on one or several hosts join by JAX's distributed runtime, and how a process knows that it has peers.

Who starts the processes says so: on the command line, or by a cluster whose variables JAX reads (Slurm, Open MPI,
Kubernetes, Cloud TPU). JAX' coordination service, in process 0, knows who lives. Where a process dies it ends the
others, by an abort that `zoo.backend.distribution.supervising` turns into a line.
"""

import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from zoo.backend.distribution.faults import HEARTBEAT_SECONDS, PeerGoneError
from zoo.backend.distribution.placement import among
from zoo.backend.keras_internals.jax_distribution import coordinator
from zoo.errors import ZooError

# A process that does not come within so many seconds is not waited for any longer.
JOIN_VARIABLE, JOIN_SECONDS = "ZOO_JOIN_SECONDS", 300
# How long the processes that are done wait for the others.
END_SECONDS = 300
# The same after a fault, which may be that of one of them only.
AFTER_A_FAULT_SECONDS = 15

# Variables that say how many processes a cluster started, and which of them this is; the first one of a row has to be
# there too. JAX has the same in jax/_src/clusters/. Kubernetes does not say how many pods an indexed Job has.
CLUSTERS: Mapping[str, tuple[str, str | None, str]] = {
    "Slurm": ("SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID"),
    "Open MPI": ("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    "Kubernetes": ("KUBERNETES_SERVICE_HOST", None, "JOB_COMPLETION_INDEX"),
}
# By what a launcher that types the options in a user's place says its name.
LAUNCHER_VARIABLE = "ZOO_LAUNCHER"

TYPE_ALL = (
    "on each host type all of --coordinator HOST:PORT --processes N --process ID, with the ID from 0 on; or only "
    "--processes where a cluster that JAX knows says the rest"
)


@dataclass(frozen=True, kw_only=True)
class JoinRequest:
    """The processes that are to train together, as far as it was said; all None where nothing was.

    Attributes:
        coordinator: `host:port` on the host of process 0, which listens there.
        processes: How many they are.
        process: Which of them this one is, from 0.
    """

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return self == JoinRequest()


@dataclass(frozen=True, kw_only=True)
class Member:
    """A process among those that train together.

    Attributes:
        processes: How many there are.
        process: Which one it is, from 0; None where only JAX knows, once they have joined.
        coordinator: Where process 0 listens; None where JAX knows.
        cluster: Which cluster or launcher said so; empty where the command line did.
    """

    processes: int
    process: int | None
    coordinator: str | None = None
    cluster: str = ""

    def __str__(self) -> str:
        return (
            f"one of {self.processes} processes"
            if self.process is None
            else (f"process {self.process} of {self.processes}")
        )


def member_of(asked: JoinRequest, backend: str) -> Member | None:
    """Returns which process this one is among several, or None where it trains alone.

    Args:
        asked: What was said.
        backend: Keras' backend.

    Raises:
        ZooError: What was said is not whole, or not what the cluster says, or the backend joins no processes.
    """
    found = _cluster_member(os.environ, asked)
    if found is not None and asked.processes is not None and asked.processes != found.processes:
        if asked.processes == 1:
            return None
        raise ZooError(
            f"--processes is {asked.processes}, and {found.cluster} started {found.processes}; expected as many: leave "
            "out --processes, or start as many"
        )
    if found is None:
        found = _told_member(asked)
    if found is None or found.processes == 1:
        return None
    if backend != "jax":
        by = f" ({found.cluster} started them; for trainings of their own: --processes 1)" if found.cluster else ""
        raise ZooError(
            f"{found.processes} processes cannot train together on the {backend} backend; set KERAS_BACKEND=jax{by}"
        )
    return found


def _cluster_member(variables: Mapping[str, str], asked: JoinRequest) -> Member | None:
    for name, (present, count, number) in CLUSTERS.items():
        with suppress(KeyError, ValueError):
            if present not in variables:
                continue
            process = int(variables[number])
            if count is not None:
                return Member(processes=int(variables[count]), process=process, cluster=name)
            if asked.process is None:
                return _counted_member(replace(asked, process=process), name)
    return None


def _counted_member(asked: JoinRequest, cluster: str) -> Member:
    """Returns the process that a cluster numbers; how many there are, the user has to say."""
    if asked.processes is None:
        raise ZooError(
            f"{cluster} started this as process {asked.process}, and does not say of how many; type how many train "
            "together, as --processes 4, or, for trainings of their own, --processes 1"
        )
    if asked.processes == 1 or asked.coordinator is None:
        return Member(processes=asked.processes, process=asked.process, cluster=cluster)
    return replace(_typed_member(asked), cluster=cluster)


def _told_member(asked: JoinRequest) -> Member | None:
    if asked.is_empty or asked == JoinRequest(processes=1):
        return None
    if asked.processes is not None and asked.process is None and asked.coordinator is None:
        return Member(processes=asked.processes, process=None)
    return _typed_member(asked)


def _typed_member(asked: JoinRequest) -> Member:
    if asked.processes is None or asked.process is None or asked.coordinator is None:
        raise ZooError(f"not all is said of who trains together; {TYPE_ALL}")
    host, _, port = asked.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ZooError(f"--coordinator is '{asked.coordinator}'; expected HOST:PORT of process 0, as 10.0.0.1:9911")
    if not 0 <= asked.process < asked.processes:
        raise ZooError(
            f"--process is {asked.process} and --processes {asked.processes}; expected 0 to {asked.processes - 1}"
        )
    return Member(
        processes=asked.processes,
        process=asked.process,
        coordinator=asked.coordinator,
        cluster=os.environ.get(LAUNCHER_VARIABLE, ""),
    )


def join_seconds() -> int:
    """Returns how long a process waits for others.

    Raises:
        ZooError: `ZOO_JOIN_SECONDS` is not a number of seconds.
    """
    text = os.environ.get(JOIN_VARIABLE, str(JOIN_SECONDS))
    if not text.isdecimal() or not int(text):
        raise ZooError(f"{JOIN_VARIABLE} is '{text}'; expected a number of seconds, as {JOIN_SECONDS}")
    return int(text)


def unreachable_name(member: Member) -> str:
    """Says that other hosts cannot reach this one by its name, which gloo tells them; empty where they may."""
    if (member.coordinator or "").startswith(("127.", "localhost:", "[::1]:")):  # all of them are here
        return ""
    with suppress(OSError):
        name = socket.gethostname()
        address = socket.gethostbyname(name)
        if address.startswith("127."):
            return (
                f"warning: this host's name, {name}, is {address} here; processes on other hosts cannot reach that: "
                f"write its address in their network beside {name} in /etc/hosts"
            )
    return ""


@contextmanager
def joined(member: Member) -> Generator[None]:
    """Joins the other processes for as long as the block lasts; JAX must not have computed anything before.

    Raises:
        ZooError: Not as many processes came as were asked for, or nothing says who they are.
    """
    seconds = join_seconds()
    import jax

    # It takes SIGTERM for itself, which zoo has to hear.
    jax.config.update("jax_enable_preemption_service", False)
    is_told = member.coordinator is not None
    try:
        jax.distributed.initialize(
            coordinator_address=member.coordinator,
            # What a cluster says, JAX reads; how many came is compared below.
            num_processes=member.processes if is_told else None,
            process_id=member.process if is_told else None,
            cluster_detection_method="deactivate" if is_told else None,
            initialization_timeout=seconds,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=END_SECONDS,
        )
    except ValueError as fault:
        raise ZooError(f"JAX finds no cluster here that says who trains together ({fault}); {TYPE_ALL}") from fault
    if jax.process_count() != member.processes:
        raise ZooError(
            f"{member.processes} processes were asked for, and JAX joined {jax.process_count()}; nothing is trained: "
            "start all of them with the same --coordinator and --processes"
        )
    with among(processes=member.processes, process=jax.process_index(), launcher=member.cluster or None):
        try:
            yield
        except PeerGoneError:
            raise
        except BaseException:
            # Where all end for the same reason, none of them is missed by another.
            with suppress(Exception):
                _end(AFTER_A_FAULT_SECONDS)
            raise
    _end(END_SECONDS)


def _end(seconds: int) -> None:
    """Ends the connection once all have come so far; a process that ended before the others would be missed by them."""
    import jax

    coordinator().wait_at_barrier("zoo/end", seconds * 1000)
    jax.distributed.shutdown()
