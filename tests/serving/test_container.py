"""The packages of the Dockerfile are enough: everything else is kept from being imported."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zoo
from tests.serving.made import photo
from tests.tiny import environment
from zoo.cli import main

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docs" / "serving" / "Dockerfile").read_text(encoding="utf-8")
ABSENT = """
import json
import sys

blocked = set(sys.argv[1].split(","))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"no module {name}", name=name)

sys.meta_path.insert(0, Absent())
from tests.serving.made import labels, photo, running, source
from zoo.cli.inference.serve import check_installed, sources_of

check_installed()
"""
SERVES = """
with running(source()) as server:
    print(labels(server.send(("a.jpg", photo(255, kind="JPEG")), ("b.png", photo(0)))))
    print(server.get("/metrics").status, server.get("/openapi.json").status, server.get("/").status)
"""
SERVES_AN_EXPORT = """
with running(*sources_of([sys.argv[2]], "auto")) as server:
    print(json.dumps(server.send(("a.png", photo(200))).document))
"""


def installed_in_the_image():
    (listed,) = re.findall(r"constraints\.txt \\\n\s+(.*?)\"", DOCKERFILE, re.DOTALL)
    (runtime,) = re.findall(r"^ARG RUNTIME=(\S+)$", DOCKERFILE, re.MULTILINE)
    return [*listed.split(), runtime]


def needed_by(packages):
    """Returns packages with all that they require, and they in turn."""
    found, left = set(), [canonicalize_name(name) for name in packages]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        left += [
            canonicalize_name(one.name) for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return found


def printed(code, *arguments):
    """Runs code where only the image's packages can be imported; gives what it prints."""
    there = needed_by(installed_in_the_image())
    blocked = {
        module
        for module, packages in packages_distributions().items()
        if not {canonicalize_name(name) for name in packages} & (there | {"zoo"})
    } - {"tests"}  # which some packages bring, and which are ours here
    assert {"keras", "tensorflow", "matplotlib", "rich", "h5py"} <= blocked
    command = [sys.executable, "-c", ABSENT + code, ",".join(sorted(blocked)), *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_server_answers_with_the_packages_of_the_image_alone():
    assert printed(SERVES).splitlines() == ["['bright', 'dark']", "200 200 200"]


@pytest.mark.slow
def test_an_export_answers_with_the_packages_of_the_image_alone(trained, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["export", str(trained.run), "--to", "litert", "--out", str(tmp_path / "tiny")])
    assert ended.value.code == 0
    found = json.loads(printed(SERVES_AN_EXPORT, str(tmp_path / "tiny")))
    (expected,) = zoo.load(trained.run).predict([photo(200)])
    assert (found["model"], found["predictions"][0]["label"]) == ("tiny", expected.label)
    assert found["predictions"][0]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert "litert" in found["runtime"]
