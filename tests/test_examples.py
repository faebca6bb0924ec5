"""examples/ holds what can be started: its commands are zoo's, and its files hold by the tools of where they run."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from zoo.backend.distribution.joining import JoinRequest, member_of
from zoo.cli.training.finetune import finetune_command

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.sh"))
# By https://slurm.schedmd.com/sbatch.html
OPTIONS_OF_SBATCH = {
    "job-name",
    "nodes",
    "ntasks-per-node",
    "gpus-per-node",
    "cpus-per-task",
    "time",
    "signal",
    "requeue",
    "open-mode",
    "output",
}


def jobset():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((EXAMPLES / "kubernetes-jobset.yaml").read_text())


def words_of(name):
    """Gives the words of `zoo finetune` in an example."""
    if name.endswith(".yaml"):
        (job,) = jobset()["spec"]["replicatedJobs"]
        (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
        return container["command"]
    text = (EXAMPLES / name).read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^[^#\n]*\b(zoo finetune [^\n|]*)", text, flags=re.MULTILINE)
    return shlex.split(command)


def typed(name):
    zoo, verb, *arguments = words_of(name)
    assert (zoo, verb) == ("zoo", "finetune")
    return finetune_command.make_context("finetune", arguments).params


def test_each_page_is_listed_and_each_that_is_listed_is_there():
    listed = re.findall(r"\]\(([\w-]+\.(?:sh|yaml))\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.name != "README.md")
    assert len(listed) == 3


@pytest.mark.parametrize("name", ["slurm.sh", "kubernetes-jobset.yaml", "ray-job.sh"])
def test_the_command_is_one_and_goes_on_with_the_run(name):
    found = typed(name)
    assert found["resume"] and found["run"].is_absolute() and found["data"].is_absolute()
    assert Path(found["recipe"]).is_absolute()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", str(path)], check=False, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


def test_slurm_is_asked_for_what_it_knows():
    text = (EXAMPLES / "slurm.sh").read_text()
    asked = re.findall(r"^#SBATCH --([a-z-]+)", text, flags=re.MULTILINE)
    assert len(asked) == len(set(asked)) and set(asked) <= OPTIONS_OF_SBATCH
    # sbatch reads no option behind the first command.
    assert text.rindex("\n#SBATCH") < text.index("\nset -euo")
    assert typed("slurm.sh")["processes"] is None


def test_ray_starts_the_processes():
    found = typed("ray-job.sh")
    assert (found["launcher"], found["processes"], found["coordinator"]) == ("ray", 2, None)


def test_kubernetes_pods_find_one_another(monkeypatch):
    (job,) = jobset()["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    found = typed("kubernetes-jobset.yaml")
    assert found["processes"] == spec["completions"] == spec["parallelism"] == 2 and job["replicas"] == 1
    # https://jobset.sigs.k8s.io/docs/concepts/: <JobSet>-<job>-<number of the job>-<number of the pod>.<JobSet>
    name = jobset()["metadata"]["name"]
    assert found["coordinator"] == f"{name}-{job['name']}-0-0.{name}:9911"
    for number in range(2):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(number))
        asked = JoinRequest(coordinator=found["coordinator"], processes=found["processes"], process=found["process"])
        member = member_of(asked, "jax")
        assert (member.process, member.processes, member.coordinator) == (number, 2, found["coordinator"])
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "KERAS_BACKEND", "value": "jax"} in container["env"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def test_kubernetes_takes_the_jobs_of_the_set():
    """By Kubernetes' own schema of a Job; JobSet's schema is in its repository only."""
    validate = pytest.importorskip("kubernetes_validate", reason="100 MB of schemas: pip install kubernetes-validate")
    (job,) = jobset()["spec"]["replicatedJobs"]
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "pets"}, "spec": job["template"]["spec"]}
    validate.validate(document, validate.latest_version(), strict=True)
