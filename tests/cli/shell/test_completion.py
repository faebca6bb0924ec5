"""What the Tab key offers, as click's script of the shell asks for it."""

import os
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete

from tests.tiny import environment
from zoo.cli import VERBS, main
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf


def offered(*words):
    *typed, incomplete = words
    found = ShellComplete(main, {}, "zoo", "_ZOO_COMPLETE").get_completions(list(typed), incomplete)
    return [item.value for item in found]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "pets-1").mkdir(parents=True)
    (tmp_path / "runs" / "pets-1" / "run.json").touch()
    (tmp_path / "runs" / "old").mkdir()
    (tmp_path / "pets.toml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def test_verbs_are_completed():
    assert offered("fin") == ["finetune"]
    assert offered("recipe", "ch") == ["check"]
    assert offered("help", "ev") == ["evaluate"]
    assert set(offered("")) == set(VERBS)


def test_finetune_is_offered_recipes_runs_and_models(desk):
    assert offered("finetune", "quick") == ["quickstart"]
    assert offered("finetune", "finetune/d") == ["finetune/default"]
    assert offered("finetune", "efficientnet_lite0") == ["efficientnet_lite0"]
    assert offered("finetune", "pe") == ["pets.toml"]
    assert offered("finetune", "run") == ["runs/"]
    assert offered("finetune", "runs/") == ["runs/old/", "runs/pets-1"]
    assert ".hidden/" not in offered("finetune", "")
    assert offered("finetune", ".h") == [".hidden/"]


def test_shelves_and_the_recipes_that_were_seen_there_are_offered(desk, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(desk / name))
    (desk / "shelf").mkdir()
    add_shelf("vision", str(desk / "shelf"))
    open_shelf("vision").publish("birds", {"recipe.toml": b""}, {})
    (desk / "shelf").rename(desk / "unplugged")  # no shelf is asked
    assert offered("finetune", "vis") == ["vision/birds"]
    assert offered("recipe", "pull", "vision/") == ["vision/birds"]
    assert offered("recipe", "ls", "--shelf", "v") == ["vision"]
    assert offered("shelf", "remove", "v") == ["vision"]
    (desk / "CONFIG/zoo/shelves.toml").write_text("damaged")
    assert offered("shelf", "remove", "v") == []


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_runs_are_offered_where_a_run_is_asked_for(desk, verb):
    assert "runs/pets-1" in offered(verb, "runs/p")


def test_models_are_offered_where_one_is_asked_for():
    assert offered("show", "mnist_conv_") == ["mnist_conv_fast", "mnist_conv_tiny"]
    assert offered("weights", "fetch", "resnet50_") == ["resnet50_v2"]


def test_a_folder_that_is_not_there_offers_nothing(desk):
    assert offered("evaluate", "gone/x") == []


def test_the_shell_is_answered_and_keras_is_not_imported(desk):
    code = (
        "import sys\nfrom zoo.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'keras', 'tensorflow', 'numpy', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(_ZOO_COMPLETE="bash_complete", COMP_WORDS="zoo finetune mnist_conv_", COMP_CWORD="2"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("plain,mnist_conv_fast\nplain,mnist_conv_tiny\n", "[]\n")


def test_bash_takes_the_script():
    script = subprocess.run(
        [sys.executable, "-c", "from zoo.cli import main; main()"],
        env=environment(_ZOO_COMPLETE="bash_source", PATH=os.environ["PATH"]),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "complete -o nosort -F _zoo_completion zoo" in script
    subprocess.run(["bash", "-c", script], check=True)


def test_help_knows_verbs_below_verbs(typed):
    for words in ([], ["finetune"], ["recipe", "check"]):
        assert typed("help", *words)[:2] == (0, typed(*words, "--help")[1])
    code, _, err = typed("help", "recipe", "chek")
    assert (code, err.splitlines()[-1]) == (2, "Error: No such command 'chek'. Did you mean 'check'?")
    code, _, err = typed("help", "list", "all")
    assert (code, err.splitlines()[-1]) == (2, "Error: No such command 'all'.")


def test_an_unknown_verb_below_a_verb_is_answered_with_the_nearest(typed):
    code, _, err = typed("recipe", "chek")
    assert (code, err.splitlines()[-1]) == (2, "Error: No such command 'chek'. Did you mean 'check'?")


def test_the_version_has_a_short_form(typed):
    assert typed("-V") == typed("--version")


def test_groups_are_click_groups():
    context = click.Context(main)
    assert all(isinstance(main.get_command(context, name), click.Command) for name in VERBS)
