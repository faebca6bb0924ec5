"""A shelf on the Hugging Face Hub: its own client, which reads its address once, in a process of its own."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.shelves.conftest import FILES, RECIPE, QuietServer
from tests.shelves.hub_server import Hub, Repository
from zoo.shelves.configured import add_shelf

pytest.importorskip("huggingface_hub", reason="the extra zoo[hf] is not installed")
pytestmark = pytest.mark.slow  # each process imports the client

PUSHES = """
from tests.shelves.conftest import FILES, METADATA
from zoo.shelves.shelf import open_shelf
for _ in range(2):
    print(open_shelf("hub").publish("pets", FILES, METADATA).reference)
"""
PULLS = """
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf
print(*[one.reference for one in open_shelf("hub").versions()])
print(pull("hub/pets").path)
"""
EXPLAINS = """
from zoo.errors import ZooError
try:
    {}
except ZooError as fault:
    print(fault)
"""


@pytest.fixture
def hub(user):
    """A repository `team/shelf`; gives it, with `run` for code that uses it."""
    kind = type("OneTest", (Hub,), {"repository": Repository()})
    server = QuietServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    add_shelf("hub", "hf://team/shelf/below")
    add_shelf("gone", "hf://team/gone")
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(user / "hf"), "PYTHONPATH": path}

    def run(code):
        ended = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **own, "HF_TOKEN": "hf_x"}, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    kind.repository.run = run
    yield kind.repository
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_pushed_to_the_hub_is_listed_and_pulled(hub):
    assert hub.run(PUSHES) == ["hub/pets@1", "hub/pets@2"]
    listed, path = hub.run(PULLS)
    assert listed == "hub/pets@1 hub/pets@2"
    assert (Path(path) / "recipe.toml").read_bytes() == RECIPE
    assert {name: (Path(path) / name).read_bytes() for name in FILES} == FILES
    index = json.loads(hub.files["below/index.json"])["versions"]
    assert index == [hub.files[f"below/recipes/pets/{number}.json"].decode() for number in (1, 2)]


def test_a_document_is_made_once_on_the_hub(hub):
    hub.files["below/recipes/pets/1.json"] = b"one"
    code = """
from zoo.shelves.places.opening import open_place
place = open_place("hf://team/shelf/below")
print(place.create("recipes/pets/1.json", b"two"), place.create("recipes/pets/2.json", b"two"))
print(place.documents(), place.read("recipes/pets/1.json", limit=9))
"""
    hub.raced = 2  # somebody else commits twice just before ours
    assert hub.run(code) == ["False True", "[('pets', 1), ('pets', 2)] b'one'"]


def test_an_altered_file_on_the_hub_and_a_repository_that_is_not_there_are_named(hub):
    hub.run(PUSHES)
    (altered,) = [path for path, content in hub.files.items() if content == RECIPE]
    hub.files[altered] = RECIPE[::-1]
    (said,) = hub.run("from zoo.shelves.pulling import pull" + EXPLAINS.format('pull("hub/pets")'))
    assert "recipe.toml has another SHA-256; it was altered" in said
    pushing = EXPLAINS.format('open_shelf("gone").publish("pets", FILES, METADATA)')
    (said,) = hub.run(
        "from zoo.shelves.shelf import open_shelf\nfrom tests.shelves.conftest import FILES, METADATA" + pushing
    )
    assert said.startswith("hf://team/gone")
