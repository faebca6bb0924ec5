"""Servers of shelves on the loopback address: static files by HTTP, and S3."""

import contextlib
import functools
import http.server
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar


class CuttingServer(http.server.BaseHTTPRequestHandler):
    """A static server of files and parts of files; the first answer for each file ends in the middle of it."""

    folder: ClassVar[Path]
    begun: ClassVar[set[str]] = set()
    parts: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Gives a file from where it is asked for."""
        path, asked = self.folder / self.path.lstrip("/"), self.headers.get("Range")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        end = len(content) if self.path in self.begun or asked else len(content) // 2
        self.begun.add(self.path)
        if asked:
            self.parts.append(self.path)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:end])

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of requests."""


@contextlib.contextmanager
def web_server(folder: Path) -> Generator[type[CuttingServer]]:
    """Serves a folder on the loopback address; gives the handler, with `url`."""
    handler: Any = type("Handler", (CuttingServer,), {"folder": folder, "begun": set(), "parts": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=functools.partial(server.serve_forever, 0.05), daemon=True).start()
        yield handler
        server.shutdown()


@contextlib.contextmanager
def s3_server(folder: Path) -> Generator[dict[str, str]]:
    """Starts moto's server on the loopback address; gives the variables that lead a client to it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "moto.log").open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                    break
                time.sleep(0.1)
            keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
            yield {"AWS_ENDPOINT_URL": url, **keys}
        finally:
            server.terminate()
            server.wait()
