"""The packages of the Dockerfile are enough: everything else is kept from being imported."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tiny import environment

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docs" / "serving" / "Dockerfile").read_text(encoding="utf-8")
SERVES = """
import sys

blocked = set(sys.argv[1].split(","))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"no module {name}", name=name)

sys.meta_path.insert(0, Absent())
from tests.serving.made import labels, photo, running, source
from zoo.cli.inference.serve import check_installed
from zoo.inference import answering, export_folder

check_installed()
with running(source()) as server:
    print(labels(server.send(("a.jpg", photo(255, kind="JPEG")), ("b.png", photo(0)))))
    print(server.get("/metrics").status, server.get("/openapi.json").status, server.get("/").status)
"""


def installed_in_the_image():
    (listed,) = re.findall(r"constraints\.txt \\\n\s+(.*?)\"", DOCKERFILE, re.DOTALL)
    return listed.split()


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


def test_the_server_answers_with_the_packages_of_the_image_alone():
    there = needed_by(installed_in_the_image())
    blocked = {
        module
        for module, packages in packages_distributions().items()
        if not {canonicalize_name(name) for name in packages} & (there | {"zoo"})
    } - {"tests"}  # which some packages bring, and which are ours here
    assert {"keras", "tensorflow", "matplotlib", "rich", "h5py"} <= blocked
    command = [sys.executable, "-c", SERVES, ",".join(sorted(blocked))]
    ended = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == ["['bright', 'dark']", "200 200 200"]
