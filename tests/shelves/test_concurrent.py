"""Several processes push to one folder at the same time, and some are killed: what is there is whole."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.shelves.conftest import FILES, METADATA
from zoo.shelves.configured import add_shelf
from zoo.shelves.index import index_text, write_index
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf

# Pushes versions until it is done or killed; writes each number that it was given.
PUSHING = """
import sys
from pathlib import Path
from zoo.shelves.shelf import open_shelf
who, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
shelf = open_shelf("vision")
for turn in range(count):
    recipe = f'name = "pets"\\ndescription = "{who} {turn}"\\n'.encode()
    files = {"recipe.toml": recipe, "model/model.safetensors": f"{who} {turn} ".encode() * size}
    version = shelf.publish("pets", files, {"description": f"{who} {turn}"})
    print(version.number, flush=True)
"""


def pushing(who, count, size, user):
    own = {"XDG_CACHE_HOME": str(user / f"cache-{who}"), "XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"]}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **own, "PYTHONPATH": path}
    arguments = [sys.executable, "-c", PUSHING, who, str(count), str(size)]
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True)


def check_whole(root, shelf):
    """Pulls every version, which verifies every hash, and compares the index with the documents."""
    versions = shelf.versions()
    for version in versions:
        pull(version.reference)
    return versions


@pytest.mark.parametrize(("processes", "pushes"), [(2, 4), pytest.param(4, 25, marks=pytest.mark.slow)])
def test_pushes_at_the_same_time_lose_nothing(processes, pushes, vision, root, user):
    running = [pushing(f"p{number}", pushes, 1000, user) for number in range(processes)]
    numbers = [int(line) for one in running for line in one.communicate()[0].splitlines()]
    assert [one.returncode for one in running] == [0] * processes
    assert sorted(numbers) == list(range(1, processes * pushes + 1))
    versions = check_whole(root, vision)
    assert {one.metadata.description for one in versions} == {
        f"p{number} {turn}" for number in range(processes) for turn in range(pushes)
    }
    assert (root / "index.json").read_bytes() == index_text(versions)


def test_the_index_of_a_folder_is_written_by_one_push_at_a_time(vision, root):
    vision.publish("pets", FILES, METADATA)
    (root / "index.json").unlink()
    with vision.place.alone():
        other = threading.Thread(target=write_index, args=(open_shelf("vision").place, "vision"))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert not (root / "index.json").exists()
    other.join()
    assert (root / "index.json").exists()


@pytest.mark.parametrize("pushes", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_reader_by_http_never_sees_the_shelf_go_back(pushes, vision, server, user):
    vision.publish("pets", FILES, METADATA)
    add_shelf("web", server.url)
    web, seen = open_shelf("web"), 0
    running = [pushing(f"p{number}", pushes, 10, user) for number in range(2)]
    while any(one.poll() is None for one in running) or not seen:
        found = len(web.versions())  # which fails where a version that was seen is gone
        assert found >= seen
        seen = found
    assert len(web.versions()) == 2 * pushes + 1
    for one in running:
        one.communicate()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_push_that_is_killed_leaves_whole_versions_only(kills, vision, root, user):
    vision.publish("pets", FILES, METADATA)
    seen = 1
    for turn in range(kills):
        child = pushing(f"k{turn}", 1000, 20_000, user)
        assert child.stdout is not None
        child.stdout.readline()
        until = time.monotonic() + 0.03 * (turn % 7) + 0.011 * turn
        while time.monotonic() < until:  # a reader meanwhile
            numbers = [one.number for one in vision.versions()]
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= seen
            seen = len(numbers)
            pull("vision/pets")
        child.send_signal(signal.SIGKILL)
        child.communicate()
        check_whole(root, vision)
    last = vision.publish("pets", FILES, METADATA)
    documents = sorted(root.glob("recipes/pets/*.json"), key=lambda path: int(path.stem))
    assert [int(path.stem) for path in documents] == list(range(1, last.number + 1))
    index = json.loads((root / "index.json").read_bytes())
    assert index["versions"] == [path.read_text() for path in documents]
    add_shelf("fresh", str(root))
    assert len(open_shelf("fresh").versions()) == last.number
