import json

import pytest
from click.testing import CliRunner

from zoo.cli.recipes.ls import ls_command
from zoo.cli.shelf import shelf
from zoo.errors import NotFoundError, ZooError
from zoo.shelves.seen import seen_versions
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key


def run(*arguments):
    return CliRunner().invoke(shelf, arguments)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()
    return tmp_path


def test_a_shelf_is_added_listed_and_removed(desk):
    assert run("add", "vision", "shared").stdout == f"vision  {desk / 'shared'}\n"
    assert run("add", "web", "https://example.org/shelf").exit_code == 0
    assert [line.split()[:2] for line in run("ls").stdout.splitlines()[1:]] == [
        ["vision", str(desk / "shared")],
        ["web", "https://example.org/shelf"],
    ]
    assert run("remove", "vision").stdout == f"vision was {desk / 'shared'}\n"
    assert (desk / "shared").is_dir()
    assert isinstance(run("remove", "vision").exception, NotFoundError)


def test_ls_without_shelves_says_how_to_add_one(desk):
    result = run("ls")
    assert (result.stdout, result.stderr) == ("", "no shelves yet; type zoo shelf add NAME FOLDER|URL\n")


def test_the_keys_that_are_required_are_kept_with_the_shelf(desk):
    name = generate_key(desk / "team.key")
    run("add", "vision", "shared", "--require-key", "team.key.pub")
    (desk / "team.key.pub").unlink()
    (listed,) = json.loads(run("ls", "--json").stdout)["shelves"]
    assert listed == {"name": "vision", "url": str(desk / "shared"), "package": None, "require_keys": [name]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vision", "gone"], "gone: there is no such folder; make it first: mkdir -p "),
        (["finetune", "shared"], "'finetune' begins names of recipes or runs already"),
        (["vision", "shared", "--require-key", "gone.pub"], "gone.pub: there is no such file; expected a public key"),
        (["vision", "ftp://example.org"], "ftp:// is not read; expected a folder or one of file://"),
    ],
)
def test_what_cannot_be_a_shelf_is_refused_and_not_noted(arguments, said, desk):
    refused = run("add", *arguments).exception
    assert isinstance(refused, ZooError)
    assert said in str(refused)
    assert run("ls").stdout == ""


def test_remove_forgets_what_was_seen(desk):
    run("add", "vision", "shared")
    open_shelf("vision").publish("pets", {"recipe.toml": b""}, {})
    assert list(seen_versions(str(desk / "shared"))) == [("pets", 1)]
    run("remove", "vision")
    assert seen_versions(str(desk / "shared")) == {}


def test_a_shelf_that_has_two_names_is_remembered_until_both_are_removed(desk):
    run("add", "vision", "shared")
    run("add", "again", "shared")
    open_shelf("vision").publish("pets", {"recipe.toml": b""}, {})
    run("remove", "again")
    assert list(seen_versions(str(desk / "shared"))) == [("pets", 1)]


def test_a_shelf_is_not_called_as_what_runs_are_kept_in(desk):
    assert "choose another name" in str(run("add", "runs", "shared").exception)


def test_a_shelf_of_the_name_of_a_folder_here_says_which_comes_first(desk):
    (desk / "vision").mkdir()
    assert "vision/NAME@VERSION is the shelf's" in run("add", "vision", "shared").stderr


def test_a_file_is_not_a_shelf(desk):
    (desk / "file").touch()
    assert str(run("add", "vision", "file").exception).endswith("file: is a file; expected the folder of a shelf")


def test_where_asks_for_accuracy_before_any_run_was_pushed(desk):
    run("add", "vision", "shared")
    asked = CliRunner().invoke(ls_command, ["--shelf", "vision", "--where", "accuracy>0.9", "--json"])
    assert (asked.exit_code, json.loads(asked.stdout)["recipes"]) == (0, [])
