import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shelves.conftest import FILES, METADATA
from zoo.errors import ContractError
from zoo.shelves.configured import add_shelf
from zoo.shelves.faults import ShelfError, UnreachableError
from zoo.shelves.places import http
from zoo.shelves.pulling import pull
from zoo.shelves.shelf import open_shelf

WEIGHTS = os.urandom(2_000_000)


@pytest.fixture
def web(vision, server):
    """The shelf `vision` by HTTP, with one version; gives the server's handler."""
    vision.publish("pets", {**FILES, "model/model.safetensors": WEIGHTS}, METADATA)
    add_shelf("web", server.url)
    return server


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(http, "ANSWER_SECONDS", 1.0)


def test_a_shelf_is_listed_and_pulled_by_http(web):
    assert [one.reference for one in open_shelf("web").versions()] == ["web/pets@1"]
    assert (pull("web/pets").path / "model/model.safetensors").read_bytes() == WEIGHTS


def test_what_was_pulled_by_http_is_not_asked_for_again(web):
    pull("web/pets")
    asked = len(web.asked)
    pull("web/pets")
    assert [path for path, _ in web.asked[asked:]] == ["/index.json", "/recipes/pets/1.json"]


def test_a_cut_connection_is_made_again_and_asks_for_the_rest(web):
    web.cut_after[:] = [None, None, None, 700_000, None, None]
    pull("web/pets")
    ranges = [part for _, part in web.asked if part]
    assert ranges == ["bytes=700000-"]


def test_a_connection_that_is_cut_again_and_again_ends_in_one_line(web, user):
    web.cut_after[:] = [None, None, None, *[1] * 40]
    with pytest.raises(UnreachableError, match="the connection ended: got only 4 of "):
        pull("web/pets")
    assert [path for path in (user / "cache/zoo/recipes").iterdir() if not path.name.startswith(".lock")] == []


def test_what_a_killed_pull_left_goes_with_the_next(web, user):
    web.cut_after[:] = [None] * 3
    web.drip = 0.001
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    code = "from zoo.shelves.pulling import pull; pull('web/pets')"
    pulling = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    kept = user / "cache/zoo/recipes"
    while not (list(kept.glob(".part-*/files/*")) if kept.is_dir() else []):
        assert pulling.poll() is None
        time.sleep(0.01)
    pulling.kill()
    pulling.wait()
    assert list(kept.glob(".part-*"))
    web.drip = 0.0
    entry = pull("web/pets").path.parent
    assert list(kept.iterdir()) == [entry]


def test_nothing_is_pushed_by_http(web):
    with pytest.raises(ShelfError, match="HTTP servers are only read; push to the folder or the bucket that it serves"):
        open_shelf("web").publish("pets", FILES, METADATA)


def test_a_server_that_is_down_is_named_and_the_cache_used(web, server):
    pull("web/pets")
    add_shelf("down", "http://127.0.0.1:9")
    with pytest.raises(
        UnreachableError, match=r"http://127\.0\.0\.1:9/index\.json: Connection refused; check the conn"
    ):
        pull("down/pets")


def test_a_server_that_does_not_answer_is_not_waited_for(web, impatient):
    web.wait = 90
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"index\.json: timed out"):
        pull("web/pets")
    assert time.monotonic() - began < 60  # not as long as the server takes


@pytest.mark.parametrize("how", ["drip", "headers_drip"])
def test_a_server_that_sends_a_byte_at_a_time_is_not_waited_for(how, web, impatient):
    setattr(web, how, 0.1)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"too slow \(sent \d+ bytes in 1 s\)|timed out: no answer within 1 s"):
        open_shelf("web").versions()
    assert time.monotonic() - began < 60  # not as long as the server takes


def test_a_slow_server_is_used_offline_from_the_cache(web, impatient):
    pull("web/pets")
    web.wait = 90
    found = pull("web/pets")
    assert found.is_offline
    assert "is from the cache" in found.note


@pytest.mark.parametrize("where", ["/", "/elsewhere"])
def test_redirects_without_end_are_refused(where, web):
    web.redirect = where
    with pytest.raises(ShelfError, match="redirects more than 5 times, or in a circle"):
        open_shelf("web").versions()
    assert len(web.asked) < 10


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://example.org/x", "data:,x"])
def test_a_redirect_that_leaves_http_is_not_followed(where, web):
    web.redirect = where
    with pytest.raises(ShelfError, match=r"which is not followed; expected http://|the server answers 302"):
        open_shelf("web").versions()


def test_a_server_that_announces_or_sends_too_much_is_refused_before_it_is_taken(web, root):
    blob = max((root / "objects").rglob("*/*/*"), key=lambda path: path.stat().st_size)
    blob.write_bytes(WEIGHTS + b"!")
    with pytest.raises((ContractError, ShelfError), match=r"sends 2,000,001 bytes; expected at most 2,000,000"):
        pull("web/pets")


def test_a_page_in_the_place_of_the_index_is_refused(web, root):
    (root / "index.json").write_text("<html>Welcome</html>")
    with pytest.raises(ContractError, match=r"index\.json: cannot be read as JSON"):
        open_shelf("web").versions()


def test_an_address_without_an_index_is_said_to_hold_no_shelf(web, root):
    (root / "index.json").unlink()
    with pytest.raises(ShelfError, match=r"index\.json: is not there; expected the address of a shelf"):
        open_shelf("web").versions()
