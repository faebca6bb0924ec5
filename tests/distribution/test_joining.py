"""Which process of how many this one is, as it was typed or as a cluster says; and what is refused."""

import pytest

from zoo.backend.distribution.engines import placed
from zoo.backend.distribution.joining import CLUSTERS, JoinRequest, Member, join_seconds, member_of
from zoo.backend.distribution.placement import (
    ALONE,
    Placement,
    among,
    checked_devices,
    current,
    read_devices,
)
from zoo.errors import ZooError

TOLD = JoinRequest(coordinator="10.0.0.1:9911", processes=2, process=1)
SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for variables in CLUSTERS.values():
        for name in filter(None, variables):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slurm(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)


def test_nothing_said_is_a_process_alone():
    assert member_of(JoinRequest(), "tensorflow") is None
    assert member_of(JoinRequest(processes=1), "jax") is None


def test_what_was_typed_is_taken():
    assert member_of(TOLD, "jax") == Member(processes=2, process=1, coordinator="10.0.0.1:9911")


def test_jax_may_know_the_rest():
    assert member_of(JoinRequest(processes=2), "jax") == Member(processes=2, process=None)


def test_a_cluster_is_found(slurm):
    assert member_of(JoinRequest(), "jax") == Member(processes=4, process=3, cluster="Slurm")


def test_one_process_of_a_cluster_may_train_alone(slurm):
    assert member_of(JoinRequest(processes=1), "tensorflow") is None


def test_the_variables_are_those_that_jax_reads():
    from jax._src.clusters import ompi_cluster, slurm_cluster

    names = (slurm_cluster._NODE_LIST, slurm_cluster._PROCESS_COUNT, slurm_cluster._PROCESS_ID)
    assert CLUSTERS["Slurm"] == names
    names = (ompi_cluster._ORTE_URI, ompi_cluster._PROCESS_COUNT, ompi_cluster._PROCESS_ID)
    assert CLUSTERS["Open MPI"] == names


@pytest.fixture
def pod(monkeypatch):
    """What Kubernetes gives a pod of an indexed Job."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")


def test_kubernetes_says_which_process_and_not_of_how_many(pod):
    asked = JoinRequest(coordinator="pets-workers-0-0.pets:9911", processes=2)
    expected = Member(processes=2, process=1, coordinator=asked.coordinator, cluster="Kubernetes")
    assert member_of(asked, "jax") == expected
    # JAX asks Kubernetes' API for the address.
    assert member_of(JoinRequest(processes=2), "jax") == Member(processes=2, process=1, cluster="Kubernetes")
    with pytest.raises(ZooError, match=r"Kubernetes started this as process 1, and does not say of how many; type .*"):
        member_of(JoinRequest(), "jax")


def test_a_pod_may_train_alone_or_be_numbered_by_hand(pod):
    assert member_of(JoinRequest(processes=1), "tensorflow") is None
    by_hand = JoinRequest(coordinator="a:1", processes=4, process=3)
    assert member_of(by_hand, "jax") == Member(processes=4, process=3, coordinator="a:1")


def test_a_pod_of_another_job_is_refused(pod, monkeypatch):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    with pytest.raises(ZooError, match="--process is 2 and --processes 2; expected 0 to 1"):
        member_of(JoinRequest(coordinator="a:1", processes=2), "jax")


def test_a_pod_without_a_number_trains_alone(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert member_of(JoinRequest(), "tensorflow") is None


def test_the_pods_number_is_what_jax_reads(pod):
    from jax._src.clusters import k8s_cluster

    assert k8s_cluster.K8sCluster.get_process_id() == 1
    assert CLUSTERS["Kubernetes"] == ("KUBERNETES_SERVICE_HOST", None, "JOB_COMPLETION_INDEX")


def test_another_number_than_the_clusters_is_refused(slurm):
    with pytest.raises(ZooError, match=r"--processes is 2, and Slurm started 4; expected as many: leave out"):
        member_of(TOLD, "jax")


def test_tensorflow_is_refused_in_one_line(slurm):
    with pytest.raises(ZooError) as raised:
        member_of(JoinRequest(), "tensorflow")
    assert str(raised.value) == (
        "4 processes cannot train together on the tensorflow backend; set KERAS_BACKEND=jax "
        "(Slurm started them; for trainings of their own: --processes 1)"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (JoinRequest(process=1), "type all of --coordinator HOST:PORT --processes N --process ID"),
        (JoinRequest(coordinator="a:1", processes=2), "type all of"),
        (JoinRequest(coordinator="a", processes=2, process=0), "--coordinator is 'a'; expected HOST:PORT"),
        (JoinRequest(coordinator="a:70000", processes=2, process=0), "expected HOST:PORT of process 0"),
        (JoinRequest(coordinator="a:1", processes=2, process=2), "--process is 2 and --processes 2; expected 0 to 1"),
    ],
)
def test_half_of_it_is_refused(asked, said):
    with pytest.raises(ZooError, match=said.replace("[", r"\[")):
        member_of(asked, "jax")


def test_a_wrong_time_is_refused(monkeypatch):
    assert join_seconds() == 300
    monkeypatch.setenv("ZOO_JOIN_SECONDS", "soon")
    with pytest.raises(ZooError, match="ZOO_JOIN_SECONDS is 'soon'; expected a number of seconds, as 300"):
        join_seconds()


@pytest.mark.parametrize(("rows", "expected"), [(32, 33), (33, 33), (1, 3)])
def test_rows_are_filled_up_to_what_devices_divide(rows, expected):
    assert Placement(devices=3).divisible(rows) == expected


@pytest.mark.parametrize(("text", "devices"), [("auto", "auto"), ("all", "all"), ("2", 2)])
def test_devices_are_read(text, devices):
    assert read_devices(text) == devices


@pytest.mark.parametrize("devices", ["auto", "all", 1, 4])
def test_a_call_says_devices_as_they_are(devices):
    assert checked_devices(devices) == devices


@pytest.mark.parametrize("devices", [0, -1, True, "2", None, 1.0])
def test_a_call_with_other_devices_is_refused(devices):
    with pytest.raises(ZooError, match=r'^devices is .*; expected "auto", "all", or how many: devices=2$'):
        checked_devices(devices)


@pytest.mark.parametrize("text", ["0", "-1", "two", ""])
def test_other_devices_are_refused(text):
    with pytest.raises(ZooError, match="expected auto, all, or how many: --devices 2"):
        read_devices(text)


def test_a_backend_without_an_engine_computes_on_one_device():
    with placed("all", backend="torch") as placement:
        assert placement is ALONE is current()
    said = r"--devices is 2, and the backend is torch; expected 1; .*KERAS_BACKEND=jax"
    with pytest.raises(ZooError, match=said), placed(2, backend="torch"):
        pass


def test_what_started_the_processes_is_known_while_they_are_joined():
    with among(processes=2, process=1, launcher="Slurm"):
        assert current() == Placement(processes=2, process=1, devices=2, launcher="Slurm")
    assert current().launcher is None
