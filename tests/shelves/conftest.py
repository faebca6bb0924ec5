"""A team's shelf in a folder, and a user's own cache and settings."""

import functools
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest

from zoo.shelves.configured import add_shelf
from zoo.shelves.places.opening import checked_url
from zoo.shelves.shelf import Shelf, open_shelf

RECIPE = b'schema = 1\nname = "pets"\n'
FILES = {"recipe.toml": RECIPE, "model/card.json": b'{"kind": "card"}\n'}
METADATA = {"model": "resnet50", "classes": 37, "metrics": {"accuracy": 0.93}, "description": "Cats and dogs."}


@pytest.fixture(autouse=True)
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is altered stays so: nobody writes the index anew meanwhile."""
    monkeypatch.setattr("zoo.shelves.shelf.AGAIN_SECONDS", 0.0)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with an empty cache and no settings; gives the folder of both."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user/cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user/config"))
    return tmp_path / "user"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the shelf `vision`."""
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


@pytest.fixture
def vision(user: Path, root: Path) -> Shelf:
    """The shelf `vision`, in a folder, with nothing on it."""
    add_shelf("vision", checked_url(str(root)))
    return open_shelf("vision")


class Server(http.server.SimpleHTTPRequestHandler):
    """A static server that gives parts of files, and does what a test says.

    Attributes:
        wait: Seconds before each answer.
        drip: Seconds after each byte of an answer; 0 sends all at once.
        cut_after: Bytes after which a connection is cut, one number for each request; None for all.
        redirect: Answers every request with a redirect there.
        headers_drip: Seconds after each byte of the headers.
        asked: What was asked for, and which part.
    """

    wait, drip, redirect, headers_drip = 0.0, 0.0, "", 0.0
    cut_after: ClassVar[list[int | None]] = []
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range")))
        time.sleep(self.wait)
        if self.redirect:
            self.send_response(302)
            self.send_header("Location", self.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.headers_drip:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
                self.wfile.write(bytes([byte]))
                time.sleep(self.headers_drip)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        with path.open("rb") as file:
            self.send_file(file)

    def send_file(self, file: IO[bytes]) -> None:
        # Of the file that is open: another may have its name by now.
        size, asked = os.fstat(file.fileno()).st_size, self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        left = self.cut_after.pop(0) if self.cut_after else None
        left = size if left is None else left
        file.seek(start)
        while piece := file.read(min(left, 1 if self.drip else 1 << 16)):
            self.wfile.write(piece)
            self.wfile.flush()
            left -= len(piece)
            time.sleep(self.drip)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # A client that gave up is what a test is about.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture
def server(root: Path) -> Iterator[Any]:
    """The folder of the shelf on an HTTP server; gives its handler, with `url`."""
    kind: Any = type("OneTest", (Server,), {"cut_after": [], "asked": []})
    running = QuietServer(("127.0.0.1", 0), functools.partial(kind, directory=str(root)))
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    kind.url = f"http://127.0.0.1:{running.server_port}"
    yield kind
    running.shutdown()
    running.server_close()
    thread.join()
