"""What `zoo finetune --launcher ray` refuses before Ray is asked, and without Ray."""

import sys

import pytest
from click.testing import CliRunner

from zoo.backend.distribution.joining import Member
from zoo.backend.distribution.ray_train import Launch, Outcome, _command, _require_success
from zoo.cli.training.finetune import finetune_command
from zoo.cli.training.placing import _without_launcher
from zoo.errors import ZooError

RAY = ("finetune", "quickstart", "--launcher", "ray")


def refused(*words):
    """Gives the exit code of a command that is refused, and the last line that it says."""
    result = CliRunner().invoke(finetune_command, [*map(str, words[1:])])
    assert result.exit_code != 0
    return result.exit_code, str(result.exception) if isinstance(result.exception, ZooError) else result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "needs how many processes train together, 2 or more: --processes 2"),
        (("--processes", 1), "for one: ray job submit -- zoo finetune"),
        (("--processes", 2), "needs --run with a whole path on storage that Ray's hosts share"),
        (("--processes", 2, "--run", "runs/pets"), "needs --run with a whole path"),
        (("--processes", 2, "--process", 0), "leave out --coordinator and --process"),
        (("--processes", 2, "--run", "/shared/pets", "--devices", "all"), "expected how many: --devices 1"),
        (("--processes", 2, "--seeds", "0,1"), "--seeds trains one run after another"),
    ],
)
def test_what_is_not_whole_is_wrong_usage(words, said):
    code, output = refused(*RAY, *words)
    assert code == 2
    assert said in " ".join(output.split())


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    code, said = refused(*RAY, "--processes", 2, "--run", "/shared/pets")
    assert (code, said) == (
        1,
        "--launcher ray joins processes by JAX, and the backend is tensorflow; set KERAS_BACKEND=jax",
    )


def test_a_missing_ray_is_said_with_what_to_type(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, said = refused(*RAY, "--processes", 2, "--run", "/shared/pets")
    assert code == 1
    assert said.startswith("--launcher ray: ray cannot be imported (") and said.endswith("type pip install 'zoo[ray]'")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (("finetune", "a", "--launcher", "ray", "--processes", "2"), ("finetune", "a", "--processes", "2")),
        (("finetune", "--launcher=ray", "a"), ("finetune", "a")),
    ],
)
def test_a_process_is_started_without_the_launcher(typed, kept):
    assert _without_launcher(typed) == kept


def test_each_process_is_told_which_it_is():
    launch = Launch(arguments=("finetune", "--processes", "2", "--", "a"), processes=2, gpus=None, folder="/")
    member = Member(processes=2, process=1, coordinator="10.0.0.1:77")
    own = ["--coordinator", "10.0.0.1:77", "--process", "1"]
    assert _command(launch, member)[1:] == ["-m", "zoo", "finetune", "--processes", "2", *own, "--", "a"]


def outcome(code=0, said=""):
    return Outcome(host="there", code=code, said=said, stdout="")


def test_the_process_that_failed_first_is_said():
    launch = Launch(arguments=(), processes=3, gpus=None, folder="/")
    _require_success(launch, {2: outcome(), 0: outcome(), 1: outcome()}, [])
    with pytest.raises(ZooError, match=r"^process 2 of 3, on there: photos/ is not there$"):
        _require_success(launch, {2: outcome(1, "photos/ is not there"), 0: outcome(1, "gone")}, [RuntimeError("x")])


def test_workers_too_few_are_no_success():
    launch = Launch(arguments=(), processes=2, gpus=None, folder="/")
    with pytest.raises(ZooError, match="1 of 2 processes came to their end, and Ray said: RuntimeError: a node; go on"):
        _require_success(launch, {0: outcome()}, [RuntimeError("a node")])
    with pytest.raises(ZooError, match="1 of 2 processes came to their end"):
        _require_success(launch, {0: outcome()}, [])
