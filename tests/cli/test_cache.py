"""`zoo cache` shows what is kept, and clears it and nothing else."""

import errno
import io
import json
import os
import sys

import pytest

from zoo.cli import main
from zoo.system.partial_entries import held


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for path, size in (
        ("activations/abc/activations.npy", 2_000_000),
        ("activations/abc/manifest.json", 10),
        ("weights/host/net.h5", 300),
        ("packs/.part-abc/images.npy", 70),
        ("other/file", 5),
    ):
        (tmp_path / "zoo" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "zoo" / path).write_bytes(bytes(size))
    return tmp_path / "zoo"


def zoo(*words):
    with pytest.raises(SystemExit) as stopped:
        main(["cache", *words])
    return stopped.value.code or 0


def test_it_lists_each_kind(folder, capsys):
    assert zoo("ls", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    found = {entry["kind"]: (entry["files"], entry["bytes"]) for entry in document["entries"]}
    assert found == {
        "activations": (2, 2_000_010),
        "files": (0, 0),
        "packs": (1, 70),
        "weights": (1, 300),
        "recipes": (0, 0),
        "bundles": (0, 0),
        "exports": (0, 0),
        "modules": (0, 0),
    }
    assert zoo("ls") == 0
    shown = capsys.readouterr().out
    assert str(folder) in shown
    assert "2.0 MB" in shown


def test_it_lists_what_is_unfinished(folder, capsys):
    (folder / "weights" / "host" / ".part-other.h5").mkdir()
    (folder / "weights" / "host" / ".part-other.h5" / "content").write_bytes(bytes(200_000))
    assert zoo("ls", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    found = {entry["kind"]: (entry["unfinished"], entry["unfinished_bytes"]) for entry in document["entries"]}
    assert found == {
        "activations": (0, 0),
        "files": (0, 0),
        "packs": (1, 70),
        "weights": (1, 200_000),
        "recipes": (0, 0),
        "bundles": (0, 0),
        "exports": (0, 0),
        "modules": (0, 0),
    }
    assert zoo("ls") == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "",
        "packs: 1 entry is unfinished (70 B); the next run that needs it goes on with it",
        "weights: 1 entry is unfinished (0.2 MB); the next run that needs it goes on with it",
    ]


def test_what_a_process_writes_at_the_moment_stays(folder, capsys):
    with held(folder / "packs" / "abc"):
        assert zoo("clear", "--yes") == 0
        assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
            "other/file",
            "packs/.lock-abc",
            "packs/.part-abc/images.npy",
        ]
        assert "packs: 0 B freed\n" in capsys.readouterr().out
    assert zoo("clear", "--yes") == 0
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_it_clears_one_kind_or_all(folder, capsys):
    assert zoo("clear", "activations") == 0
    assert capsys.readouterr().out == "activations: 2.0 MB freed\n"
    assert sorted(path.name for path in folder.iterdir()) == ["other", "packs", "weights"]
    assert zoo("clear", "--yes") == 0
    assert [path.name for path in folder.iterdir()] == ["other"]
    capsys.readouterr()
    assert zoo("clear", "pack") == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("'modules'. Did you mean 'packs'?")


def test_it_counts_only_what_is_gone(folder, capsys, monkeypatch):
    unlink = os.unlink

    def refuse(path, **folder):
        if os.fspath(path).endswith("activations.npy"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        unlink(path, **folder)

    monkeypatch.setattr(os, "unlink", refuse)
    assert zoo("clear", "--yes") == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "activations: 10 B freed",
        "files: 0 B freed",
        "packs: 70 B freed",
        "weights: 300 B freed",
        "recipes: 0 B freed",
        "bundles: 0 B freed",
        "exports: 0 B freed",
        "modules: 0 B freed",
    ]
    kept = folder / "activations" / "abc" / "activations.npy"
    assert err == (f"zoo: {kept}: Permission denied; activations stay (2.0 MB); clear them as the user who owns them\n")
    assert [path for path in (folder / "activations").rglob("*") if path.is_file()] == [kept]


def test_nothing_is_freed_where_nothing_could_be_removed(folder, capsys, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "unlink", refuse)
    assert zoo("clear", "packs") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "images.npy: Permission denied; packs stay (70 B)" in err


def test_a_link_to_another_disk_stays_and_what_it_holds_goes(folder, tmp_path, capsys):
    elsewhere = tmp_path / "disk"
    (folder / "packs").rename(elsewhere)
    (folder / "packs").symlink_to(elsewhere)
    assert zoo("clear", "packs") == 0
    assert capsys.readouterr().out == "packs: 70 B freed\n"
    assert (folder / "packs").is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_all_is_removed_only_by_who_says_so(folder, capsys):
    before = sorted(folder.rglob("*"))
    assert zoo("clear") == 2
    assert (
        "name one KIND of activations, files, packs, weights, recipes, bundles, exports, modules, or say --yes"
        in capsys.readouterr().err
    )
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, ["other"]), ("\n", 130, None)])
def test_on_a_terminal_it_names_what_goes_and_asks(folder, capsys, monkeypatch, answer, code, left):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    before = sorted(path.name for path in folder.iterdir())
    assert zoo("clear") == code
    err = capsys.readouterr().err
    assert "activations (2.0 MB): what frozen layers gave" in err
    assert "weights (300 B): downloaded weights; fetched again when needed" in err
    assert sorted(path.name for path in folder.iterdir()) == (left or before)


def test_an_empty_cache_is_cleared_without_a_question(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert zoo("clear") == 0
    assert "weights: 0 B freed" in capsys.readouterr().out
