import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.sources.test_opening import fault
from zoo.errors import NotFoundError
from zoo.registry.sources import (
    SOURCES,
    kinds,
    listed_names,
    row_of_file,
    source_row,
    suffixes,
    with_columns,
    without_path,
)


def test_sources_and_augmentations_are_listed_without_numpy():
    code = (
        "import sys; from zoo.registry.sources import SOURCES; from zoo.registry.augmentations import AUGMENTATIONS; "
        "assert SOURCES.names() and AUGMENTATIONS.names(); import zoo.recipe.checks.against_card; "
        "print([name for name in ('numpy', 'PIL', 'keras', 'tensorflow') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_file_is_of_the_source_that_has_its_ending():
    found = {suffix: row_of_file(Path(f"x{suffix.upper()}")) for suffix in suffixes()}
    assert {suffix: row and row.name for suffix, row in found.items()} == {
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".npz": "npz",
    }
    assert row_of_file(Path("x.png")) is None


def test_what_is_said_of_sources_is_read_off_their_rows():
    assert listed_names("builtin") == [
        "builtin:mnist",
        "builtin:fashion_mnist",
        "builtin:cifar10",
        "builtin:cifar100",
        "builtin:fashion_sample",
    ]
    assert kinds() == ["folder", "csv", "jsonl", "npz", "idx", "builtin:NAME", "hf:NAME", "tfds:NAME"]
    assert with_columns() == "a .csv or .jsonl file, or hf: or tfds:"
    assert without_path() == "builtin:NAME, hf:NAME or tfds:NAME"
    assert all(row.summary for row in SOURCES.rows())
    assert source_row("hf:user/name").may_download and not source_row("builtin:fashion_sample").may_download


@pytest.mark.parametrize("source", ["hf", "hf:", "tfds", "builtin", "csv:x"])
def test_a_name_is_written_where_one_is_taken_and_nowhere_else(source):
    assert fault(source, None, NotFoundError).startswith(f"Unknown data.source '{source}'.")


def test_an_option_that_a_source_does_not_have_is_refused(tmp_path):
    assert fault("folder", tmp_path, options={"shuffle": True}) == (
        "data.options.shuffle: source 'folder' has no such option. It has: none."
    )
