"""A shelf on S3: moto's server on the loopback address, which keeps objects in memory and speaks the real protocol."""

import hashlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from tests.shelves.conftest import FILES, METADATA, RECIPE
from tests.shelves.test_concurrent import pushing
from zoo.errors import ContractError
from zoo.shelves.configured import add_shelf
from zoo.shelves.faults import ShelfError, UnreachableError
from zoo.shelves.index import index_text
from zoo.shelves.places.filesystem import FileSystemPlace
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf

pytest.importorskip("s3fs", reason="the extra zoo[s3] is not installed")
pytest.importorskip("moto", reason="moto is not installed")
pytestmark = pytest.mark.slow  # the server takes seconds to start

WEIGHTS = os.urandom(20_000_000)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    port = free_port()
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    server.terminate()
    server.wait()
    log.close()


@pytest.fixture
def s3(endpoint, user, monkeypatch):
    """A new bucket; gives its shelf's address."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"team-{uuid.uuid4().hex}"
    FileSystemPlace(f"s3://{bucket}")._system.mkdir(bucket)
    add_shelf("vision", f"s3://{bucket}/shelf")
    return f"s3://{bucket}/shelf"


def test_a_document_is_made_once_and_never_changed(s3):
    place = FileSystemPlace(s3)
    assert place.create("recipes/pets/1.json", b"one")
    assert not place.create("recipes/pets/1.json", b"two")
    assert place.read("recipes/pets/1.json", limit=10) == b"one"
    assert place.documents() == [("pets", 1)]
    with pytest.raises(FileNotFoundError):
        place.read("recipes/pets/2.json", limit=10)


def test_what_is_pushed_is_listed_and_pulled(s3, tmp_path):
    (tmp_path / "weights").write_bytes(WEIGHTS)
    shelf = open_shelf("vision")
    shelf.publish("pets", {**FILES, "model/model.safetensors": tmp_path / "weights"}, METADATA)
    shelf.publish("pets", FILES, METADATA)
    assert [one.reference for one in shelf.versions()] == ["vision/pets@1", "vision/pets@2"]
    found = pull("vision/pets@1")
    assert (found.path / "recipe.toml").read_bytes() == RECIPE
    assert (found.path / "model/model.safetensors").read_bytes() == WEIGHTS


def test_an_altered_file_and_a_deleted_version_are_noticed(s3):
    shelf = open_shelf("vision")
    for _ in range(2):
        shelf.publish("pets", FILES, METADATA)
    sha256 = hashlib.sha256(RECIPE).hexdigest()
    shelf.place.replace(f"objects/sha256/{sha256[:2]}/{sha256}", RECIPE[::-1])
    with pytest.raises(ContractError, match=r"recipe\.toml has another SHA-256; it was altered"):
        pull("vision/pets")
    shelf.place._system.rm(f"{s3}/recipes/pets/2.json")
    with pytest.raises(ContractError, match=r"pets@2 was seen before and is gone; the newest is now 1"):
        pull("vision/pets")


def test_four_processes_that_push_at_the_same_time_lose_nothing(s3, user):
    running = [pushing(f"p{number}", 5, 1000, user) for number in range(4)]
    numbers = [int(line) for one in running for line in one.communicate()[0].splitlines()]
    assert sorted(numbers) == list(range(1, 21))
    shelf = open_shelf("vision")
    versions = shelf.versions()
    assert len({one.metadata.description for one in versions}) == 20
    for version in versions:
        pull(version.reference)
    assert shelf.place.read("index.json", limit=10_000_000) == index_text(versions)


def test_a_bucket_that_is_not_there_and_a_server_that_is_away_are_named(s3, monkeypatch):
    add_shelf("gone", "s3://no-such-bucket/shelf")
    with pytest.raises(ShelfError, match=r"s3://no-such-bucket/shelf: .*bucket does not exist; make the"):
        open_shelf("gone").publish("pets", FILES, METADATA)
    open_shelf("vision").publish("pets", FILES, METADATA)
    pull("vision/pets")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    assert pull("vision/pets").is_offline
    with pytest.raises(UnreachableError, match=f"{s3}/recipes"):
        open_shelf("vision").versions()
    assert time.monotonic() - began < 100


def test_a_server_that_accepts_and_says_nothing_is_not_waited_for(s3, monkeypatch):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=f"{s3}/recipes: .*[Tt]imeout"):
            open_shelf("vision").versions()
        assert time.monotonic() - began < 50  # with what is asked for once and again by default: minutes


def test_the_shelf_is_the_same_in_a_folder(s3, root):
    shelf = open_shelf("vision")
    shelf.publish("pets", FILES, METADATA)
    for path in shelf.place._system.find(s3):
        target = root / Path(path).relative_to(s3.removeprefix("s3://"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(shelf.place._system.cat_file(path))
    add_shelf("copied", str(root))
    assert pull("copied/pets").version.text == pull("vision/pets").version.text


def test_the_example_of_the_page_runs(endpoint, user):
    page = (Path(__file__).parents[2] / "docs/shelves.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "moto.server" in one]
    zoo = f"{sys.executable} -m zoo "
    lines = [re.sub("^zoo ", zoo, line).replace("http://127.0.0.1:5555", endpoint) for line in block.splitlines()]
    ours = [
        line.replace("python -c", f"{sys.executable} -c") for line in lines if "pip" not in line and "moto" not in line
    ]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        ["bash", "-ec", "\n".join(ours)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ours) == 6
    assert "bucket/first@1" in ran.stdout
    assert "every hash verified; unsigned" in ran.stdout
