import errno
import subprocess
import sys

import click
import pytest

from tests.tiny import environment
from zoo import __version__
from zoo.cli import VERBS, LazyGroup, main
from zoo.errors import ContractError, RecipeError


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_and_has_help(typed, verb):
    assert verb in main.list_commands(click.Context(main))
    code, out, err = typed(verb, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: zoo {verb} ")


def test_help_and_version(typed):
    code, out, _ = typed("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)
    assert typed("--version")[:2] == (0, f"zoo, version {__version__}\n")


@pytest.mark.parametrize("words", [[], ["recipe"], ["data"]], ids=" ".join)
def test_a_group_without_a_verb_prints_its_help_once_and_no_error(typed, words):
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert err == typed(*words, "--help")[1]


def test_an_unknown_verb_is_a_usage_error(typed):
    code, out, err = typed("fintune")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "Error: No such command 'fintune'. Did you mean 'finetune'?"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["trian"], "finetune"),
        (["train"], "finetune"),
        (["fit"], "finetune"),
        (["eval"], "evaluate"),
        (["Predict"], "predict"),
        (["ls"], "list"),
        (["info"], "show"),
        (["help", "trian"], "finetune"),
        (["help", "fit"], "finetune"),
        (["cache", "rm"], "clear"),
        (["recipe", "list"], "ls"),
        (["recipe", "validate"], "check"),
        (["weights", "download"], "fetch"),
    ],
    ids=lambda words: words if isinstance(words, str) else " ".join(words),
)
def test_a_verb_is_found_by_what_other_tools_call_it(typed, words, meant):
    code, out, err = typed(*words)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"Error: No such command '{words[-1]}'. Did you mean '{meant}'?"


class Failing:
    """A group of one verb that raises."""

    def __init__(self, fault):
        @click.command(cls=LazyGroup)
        @click.option("--debug", is_flag=True)
        def group(debug):
            pass

        @click.command("work")
        def work():
            raise fault

        group.get_command = lambda ctx, name: work
        self.group = group

    def run(self, *words):
        with pytest.raises(SystemExit) as left:
            self.group.main(list(words))
        return left.value.code


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (
            RecipeError("pets.toml:3: unknown key 'x'\npets.toml:4: ..."),
            1,
            "pets.toml:3: unknown key 'x'\nzoo: pets.toml:4: ...",
        ),
        (
            ContractError("phase 'head': 1 tensors are frozen, yet moved"),
            3,
            "phase 'head': 1 tensors are frozen, yet moved",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/a/run.json"),
            1,
            "runs/a/run.json: No space left on device; what was written whole before is kept",
        ),
        (OSError(errno.EIO, "Input/output error"), 1, "Input/output error; what was written whole before is kept"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.txt"), 1, "a.txt: No such file or directory"),
        (OSError("plain"), 1, "plain; what was written whole before is kept"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            ValueError("Exception encountered\n\nwhen calling  Conv2D"),
            1,
            "ValueError: Exception encountered when calling Conv2D; zoo did not foresee this: "
            "'zoo --debug ...' shows where it happened",
        ),
        (MemoryError(), 1, "MemoryError; zoo did not foresee this: 'zoo --debug ...' shows where it happened"),
    ],
)
def test_a_fault_is_reported_without_a_traceback(capsys, fault, code, message):
    assert Failing(fault).run("work") == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.lstrip("\n") == f"zoo: {message}\n"  # click ends the line of ^C


@pytest.mark.parametrize("words", [("--debug", "work"), ("work", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(words):
    with pytest.raises(ContractError, match="moved"):
        Failing(ContractError("moved")).group.main(list(words))


def test_help_and_faults_in_names_need_no_keras():
    code = """
import sys
from zoo.cli import main
for words in (["--help"], ["finetune", "--help"], ["evaluate", "--help"], ["predict", "--help"], ["finetune"]):
    try:
        main(words)
    except SystemExit:
        pass
print(sorted({"keras", "tensorflow", "jax", "numpy", "pydantic"} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_python_runs_the_package_as_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "lst"],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: zoo [OPTIONS]")
    assert done.stderr.endswith("Error: No such command 'lst'. Did you mean 'list'?\n")
