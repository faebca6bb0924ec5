"""Wheels and their hashes by pip, from a folder in place of an index; and pip takes the requirements offline."""

import hashlib
import subprocess
import sys
import zipfile

import pytest

from tests.sharing.bundles.made_wheels import wheel
from tests.sharing.bundles.test_packages import tiny_recipe
from zoo.sharing.bundles.composing import Contents, bundle_of_contents
from zoo.sharing.bundles.weights import weights_of_recipe
from zoo.sharing.bundles.wheels import WheelsError, downloaded, with_hashes
from zoo.sharing.publishing import compose
from zoo.shelves.bundles.manifest import WheelRecord


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The only place where pip finds wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    wheel(folder, "acme-low", "1.0")
    wheel(folder, "acme-top", "2.0", ["acme-low"])
    return folder


PACKAGES = (WheelRecord(name="acme-low", version="1.0"), WheelRecord(name="acme-top", version="2.0"))


@pytest.mark.slow
def test_hashes_are_those_of_the_wheels_and_local_packages_are_not_asked_for(index):
    local = WheelRecord(name="acme-nowhere", version="9", is_local=True)
    found = with_hashes([*PACKAGES, local])
    for one in found[:2]:
        assert one.sha256 == hashlib.sha256((index / one.file).read_bytes()).hexdigest()
    assert found[2] == local


@pytest.mark.slow
def test_what_an_index_lacks_is_named_in_one_line(index):
    with pytest.raises(WheelsError) as caught:
        with_hashes([WheelRecord(name="acme-nowhere", version="9")])
    assert str(caught.value).startswith("wheels: pip install failed; it said: ERROR: ")
    assert "acme-nowhere==9" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_pip_installs_from_the_wheels_of_a_bundle_without_an_index(index, trained, tmp_path, monkeypatch):
    folder = tmp_path / "wheels"
    folder.mkdir()
    recipe = tiny_recipe()
    contents = Contents(
        recipe=recipe,
        publication=compose(trained.recipe),
        weights=weights_of_recipe(recipe),
        packages=PACKAGES,
    )
    made = bundle_of_contents(contents, find_wheels=lambda all_of: downloaded(all_of, folder), wheels=folder)
    made.write(tmp_path / "a.zip")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "tiny")
    assert {path.name for path in (tmp_path / "tiny" / "wheels").iterdir()} == {
        "acme_low-1.0-py3-none-any.whl",
        "acme_top-2.0-py3-none-any.whl",
    }
    page = (tmp_path / "tiny" / "README.md").read_text()
    command = "pip install --no-index --find-links tiny/wheels -r tiny/requirements.txt --require-hashes"
    assert f"\n{command}\n" in page
    pip = [sys.executable, "-m", *command.split(), "--target", "here"]
    done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"acme_low.py", "acme_top.py"} <= {path.name for path in (tmp_path / "here").iterdir()}
    content = bytearray((tmp_path / "tiny" / "wheels" / "acme_low-1.0-py3-none-any.whl").read_bytes())
    content[-30] ^= 1
    (tmp_path / "tiny" / "wheels" / "acme_low-1.0-py3-none-any.whl").write_bytes(content)
    pip[-1] = "there"
    done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
