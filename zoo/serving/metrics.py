"""What a server counts, for Prometheus to read."""

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo.serving.refusals import FAILED

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
# Any text can be asked for; a series is kept for each path that is ours.
_ELSEWHERE = "elsewhere"
# As nginx has it: the client went away before there was an answer.
GONE = 499


class Metrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("zoo_requests", "Answers.", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "zoo_request_seconds", "From a request's head to its answer.", ["path"], buckets=_SECONDS, registry=registry
        )
        self.photos = Counter("zoo_photos", "Photos that were classified.", ["model"], registry=registry)
        self.refused = Counter(
            "zoo_photos_refused", "Photos that gave no pixels.", ["model", "status"], registry=registry
        )
        self.batches = Histogram(
            "zoo_batch_photos", "Photos that went through at once.", ["model"], buckets=_SIZES, registry=registry
        )
        self.computing = Counter("zoo_compute_seconds", "Time in the model.", ["model"], registry=registry)
        self.in_hand = Gauge("zoo_photos_in_hand", "Photos between arrival and answer.", ["model"], registry=registry)
        self.held = Gauge("zoo_body_bytes", "Bytes of requests that are in hand.", registry=registry)
        self.reloads = Counter("zoo_reloads", "Reloads.", ["result"], registry=registry)

    def exposed(self) -> tuple[bytes, str]:
        """Returns the counts as Prometheus reads them, and their type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class CountingMiddleware:
    """Counts answers and times them, by the route that gave them.

    Args:
        app: What answers.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = GONE

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counting)
        except Exception:
            status = FAILED  # Starlette answers so, further out
            raise
        finally:
            path = _path_of(scope)
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)


def _path_of(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", _ELSEWHERE))
