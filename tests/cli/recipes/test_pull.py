import errno
import json
from pathlib import Path

import pytest

from tests.cli.recipes.conftest import run
from zoo.errors import DataError
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf

RECIPE = b'schema = 1\nname = "pets"\n'


@pytest.fixture
def version(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    return open_shelf("vision").publish("pets", {"recipe.toml": RECIPE, "model/card.json": b"{}"}, {})


def test_pull_says_what_was_fetched_and_where_it_is(version):
    first, second, path = run("pull", "vision/pets").stdout.splitlines()
    assert first == f"vision/pets@1  pets@sha256:{version.sha256}"
    assert second == "2 files, 27 bytes, every hash verified; unsigned"
    assert (Path(path) / "recipe.toml").read_bytes() == RECIPE


def test_pull_copies_the_files_into_a_new_folder_only(version, tmp_path):
    assert run("pull", "vision/pets", "--to", str(tmp_path / "mine")).stdout.splitlines()[-1] == str(tmp_path / "mine")
    assert (tmp_path / "mine/model/card.json").read_bytes() == b"{}"
    assert isinstance(run("pull", "vision/pets", "--to", str(tmp_path / "mine")).exception, DataError)


def test_pull_as_json(version, tmp_path):
    document = json.loads(run("pull", "vision/pets@1", "--json").stdout)
    assert (document["kind"], document["sha256"], document["offline"]) == ("recipe-pull", version.sha256, False)
    assert document["files"]["recipe.toml"]["size"] == len(RECIPE)
    (tmp_path / "shelf").rename(tmp_path / "unplugged")
    document = json.loads(run("pull", "vision/pets", "--json").stdout)
    assert document["offline"]
    assert document["note"].startswith("offline: vision/pets@1 is from the cache, pulled on ")


def test_pull_says_on_stderr_that_the_shelf_is_away(version, tmp_path):
    run("pull", "vision/pets")
    (tmp_path / "shelf").rename(tmp_path / "unplugged")
    result = run("pull", "vision/pets")
    assert result.stderr.startswith("offline: vision/pets@1 is from the cache, pulled on ")
    assert len(result.stdout.splitlines()) == 3


def test_a_pull_into_a_full_folder_is_one_line_and_leaves_nothing_there(version, tmp_path, monkeypatch):
    def full(source, target):
        Path(target).touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    refused = run("pull", "vision/pets", "--to", str(tmp_path / "here")).exception
    assert str(refused) == f"{tmp_path / 'here'}: No space left on device; free some space; nothing was copied"
    assert not [one.name for one in tmp_path.iterdir() if "here" in one.name]


def test_pull_says_that_a_path_of_that_name_comes_first_elsewhere(version, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vision" / "pets").mkdir(parents=True)
    result = run("pull", "vision/pets")
    said = "note: vision/pets@1 is pulled; vision/pets is also a path here, which comes first in other verbs"
    assert (result.exit_code, result.stderr) == (0, f"{said}\n")
    assert json.loads(run("pull", "vision/pets", "--json").stdout)["note"] == said
    assert run("pull", "vision/pets@1").stderr == ""
