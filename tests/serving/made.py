"""A server in a thread of this process, over a classifier that is a line of NumPy: how bright a photo is.

    python -m tests.serving.made

is the same in a process of its own, for signals; over a model that never ends with a white photo.
"""

import contextlib
import http.client
import io
import json
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image

from zoo.inference.answerer import Answerer
from zoo.registry.fitting import ImageFit
from zoo.serving.app import make_app
from zoo.serving.models import Source, open_models
from zoo.serving.server import Server, listening_socket
from zoo.serving.service import Service
from zoo.serving.settings import Access, Limits

CLASSES = ("dark", "bright")
SHAPE = (8, 8, 3)
LIMITS = Limits(max_batch=4, stop_seconds=5)
SECONDS = 20


def brightness(pixels: np.ndarray) -> np.ndarray:
    """The mean of all pixels is the probability of `bright`."""
    share = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
    return np.stack([1 - share, share], axis=1).astype(np.float32)


def answerer(compute: Callable[[np.ndarray], np.ndarray] = brightness, **changes: Any) -> Answerer:
    keys = {
        "name": "light",
        "classes": CLASSES,
        "input_shape": SHAPE,
        "fit": ImageFit(),
        "runtimes": [f"numpy {np.__version__}"],
        "weights": "3f" * 32,
    }
    return Answerer(**{**keys, **changes}, compute=compute)


def source(compute: Callable[[np.ndarray], np.ndarray] = brightness, **changes: Any) -> Source:
    made = answerer(compute, **changes)
    return Source(name=made.name, open=lambda: made)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.content)


@dataclass
class Running:
    """A server that runs."""

    port: int
    app: FastAPI
    server: Server
    said: list[str] = field(default_factory=list)

    @property
    def service(self) -> Service:
        return self.app.state.service

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None, **options: Any) -> Answer:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as connection:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})}, **options)
            found = connection.getresponse()
            return Answer(found.status, {key.lower(): value for key, value in found.getheaders()}, found.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def send(self, *files: tuple[str, bytes], path: str = "/predict", **headers: str) -> Answer:
        content_type, body = form(*files)
        return self.ask("POST", path, body, {"Content-Type": content_type, **headers})


@contextlib.contextmanager
def running(
    *sources: Source, limits: Limits = LIMITS, access: Access | None = None, unknown_below: float | None = None
) -> Generator[Running]:
    """Starts a server on a free port, and stops it as SIGTERM does."""
    sources = sources or (source(),)
    said, started = list[str](), threading.Event()
    with listening_socket("127.0.0.1", 0) as listening:
        app = make_app(
            sources,
            open_models(sources, limits),
            limits=limits,
            access=access or Access(),
            unknown_below=unknown_below,
            report=said.append,
        )
        server = Server(app, limits, started=started.set, say=said.append)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert started.wait(SECONDS)
            yield Running(listening.getsockname()[1], app, server, said)
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()


class Gate:
    """A model that waits until it is let go on."""

    def __init__(self):
        self.is_open = threading.Event()
        self.is_reached = threading.Event()

    def compute(self, pixels):
        if pixels.max():  # not while it is warmed
            self.is_reached.set()
            assert self.is_open.wait(20)
        return brightness(pixels)


def photo(level: int = 51, *, size: tuple[int, int] = (20, 30), kind: str = "PNG") -> bytes:
    """Writes a photo of one grey: of 51 it is 20 % bright."""
    out = io.BytesIO()
    Image.new("RGB", size, (level, level, level)).save(out, kind)
    return out.getvalue()


def form(*files: tuple[str, bytes], field_name: str = "file") -> tuple[str, bytes]:
    """Returns the type and the body of a form with files."""
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def labels(answer: Answer) -> Sequence[str | None]:
    return [one.get("label") for one in answer.document["predictions"]]


if __name__ == "__main__":
    from zoo.serving.server import serve

    def hangs_on_white(pixels: np.ndarray) -> np.ndarray:
        if pixels.min() == 255:
            threading.Event().wait()
        return brightness(pixels)

    # How long it may take to stop.
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    patient = replace(LIMITS, body_seconds=600, stop_seconds=seconds)
    serve([source(hangs_on_white)], port=0, access=Access(), limits=patient, say=lambda text: print(text, flush=True))
