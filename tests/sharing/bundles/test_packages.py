"""Which packages a bundle lists: those that are needed here, with their versions, and nothing else."""

import hashlib
import json
import re
import tomllib

import pytest

from tests.sharing.bundles.made_wheels import installed, wheel
from tests.tiny import HERE, tiny_recipe
from zoo.runs.packages import installed_version
from zoo.sharing.bundles.packages import (
    _record,
    installed_bytes,
    installed_closure,
    local_source,
    missing_packages,
    needed_packages,
    requirements_text,
)
from zoo.shelves.bundles.manifest import WheelRecord


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Packages: top needs middle with the extra `more`, middle then needs low, and nobody needs other."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "site").mkdir()
    for name, requires in {
        "acme-top": ["Acme_Middle[more]>=1", "acme-nowhere; python_version < '3'", "acme-missing>=3"],
        "acme-middle": ["acme-low; extra == 'more'", "acme-other; extra == 'rest'", "acme-top"],
        "acme-low": [],
        "acme-other": [],
    }.items():
        source = "file:///somewhere/low" if name == "acme-low" else None
        installed(tmp_path / "site", wheel(tmp_path / "wheels", name, "1.0", requires), source=source)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_what_is_required_is_followed_through_extras_markers_and_circles(site):
    assert [one.name for one in installed_closure(["acme-top"])] == ["acme-low", "acme-middle", "acme-top"]


def test_what_is_required_and_not_installed_is_named(site, monkeypatch):
    assert missing_packages(tiny_recipe()) == []
    monkeypatch.setattr("zoo.sharing.bundles.packages.ZOO", "acme-top")
    assert missing_packages(tiny_recipe()) == ["acme-missing"]


def test_zoo_and_all_that_it_requires_are_needed():
    packages = {one.name: one for one in needed_packages(tiny_recipe())}
    assert {"zoo", "keras", "tensorflow", "numpy", "safetensors"} <= set(packages)
    assert not {"pytest", "ruff", "jax"} & set(packages)
    assert packages["zoo"].is_local
    assert "jax" in {one.name for one in needed_packages(tiny_recipe(), backend="jax")}


@pytest.mark.parametrize("extra", ["hf", "tfds"])
def test_what_reads_the_source_of_a_recipe_is_needed_and_no_other_extra(extra):
    extras = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {re.match(r"[a-z-]+", text)[0] for text in extras[extra]}
    of_folder = {one.name for one in needed_packages(tiny_recipe())}
    recipe = tiny_recipe()
    source = recipe.data.model_copy(update={"source": f"{extra}:beans"})
    found = {one.name for one in needed_packages(recipe.model_copy(update={"data": source}))}
    here = {name for name in asked if installed_version(name)}
    assert {"hf": {"datasets"}, "tfds": {"tensorflow-datasets"}}[extra] <= here <= found
    assert not {"datasets", "tensorflow-datasets"} & of_folder
    assert not {"datasets", "tensorflow-datasets"} - asked & found
    assert of_folder < found


def test_an_installed_package_is_known_by_the_files_of_its_wheel_however_it_was_installed(site, tmp_path):
    (low,) = (_record(one) for one in installed_closure(["acme-low"]))
    info = site / "acme_low-1.0.dist-info"
    lines = [line.split(",") for line in (info / "RECORD").read_text().splitlines()]
    listed = "".join(sorted(f"{name} {digest}\n" for name, digest, _ in lines if digest))
    assert low.content == hashlib.sha256(listed.encode()).hexdigest()
    added = [
        "__pycache__/acme_low.cpython-311.pyc,,",
        "../../bin/acme,sha256=abc,3",
        f"{info.name}/INSTALLER,sha256=x,4",
    ]
    (info / "RECORD").write_text((info / "RECORD").read_text() + "".join(f"{line}\n" for line in added))
    (again,) = (_record(one) for one in installed_closure(["acme-low"]))
    assert (again.content, again.is_local) == (low.content, True)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ({"url": "file:///a/b", "dir_info": {"editable": True}}, "file:///a/b"),
        (
            {"url": "https://a.org/b.git", "vcs_info": {"vcs": "git", "commit_id": "3f0c"}},
            "git+https://a.org/b.git@3f0c",
        ),
        ({"url": "file:///a", "dir_info": {}, "subdirectory": "b"}, "file:///a#subdirectory=b"),
        ({"url": "https://a.org/b.whl", "archive_info": {}}, "https://a.org/b.whl"),
        ({"vcs_info": {}}, None),
        ([], None),
    ],
)
def test_what_was_not_installed_from_an_index_is_named_as_pip_takes_it(site, written, taken):
    (site / "acme_low-1.0.dist-info" / "direct_url.json").write_text(json.dumps(written))
    assert local_source("acme-low") == taken


def test_where_a_package_is_from_and_how_large_it_is_is_known(site):
    assert local_source("acme-low") == "file:///somewhere/low"
    assert local_source("acme-top") is None
    rows = (site / "acme_low-1.0.dist-info" / "RECORD").read_text().splitlines()
    size = sum(int(row.split(",")[-1]) for row in rows if not row.endswith(","))
    assert installed_bytes([WheelRecord(name="acme-low", version="1.0")]) == size


def test_requirements_have_a_hash_or_are_a_comment():
    text = requirements_text(
        [
            WheelRecord(name="a", version="1.0", file="a-1.0-py3-none-any.whl", sha256="b" * 64),
            WheelRecord(name="b", version="2.0"),
            WheelRecord(name="zoo", version="0.1.0", is_local=True),
        ],
        ["acme-missing"],
    )
    assert text.splitlines()[1:] == [
        f"a==1.0 --hash=sha256:{'b' * 64}",
        "# b==2.0: the hash of its wheel is not known",
        "# zoo==0.1.0: was not installed from an index",
        "# acme-missing: is required too, and was not installed where this was made",
    ]
