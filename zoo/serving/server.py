"""The server's process: it listens, reloads at SIGHUP, and stops when what it has accepted is answered."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from zoo.errors import ZooError
from zoo.serving.app import make_app
from zoo.serving.intake.connections import GRACE_SECONDS, KEEP_ALIVE_SECONDS, BoundedProtocol
from zoo.serving.models import Source, open_models
from zoo.serving.refusals import RefusedError
from zoo.serving.service import Service
from zoo.serving.settings import COMPUTING, DECODING, Access, Limits

# How long clients that keep their connections go on, so that each hears of the end in an answer of its own.
LAST_ANSWERS_SECONDS = 0.5
_BACKLOG = 1024
_CLOSE = (b"connection", b"close")


class Server(uvicorn.Server):
    """A server that tells its clients of the end, and that can be asked for its state.

    Args:
        app: What answers.
        limits: How many connections there may be, and how long they may take.
        started: Called once it listens.
        say: Told in a line what a signal has done.
    """

    def __init__(
        self,
        app: FastAPI,
        limits: Limits,
        *,
        started: Callable[[], object] = lambda: None,
        say: Callable[[str], object] = print,
    ) -> None:
        self._service: Service = app.state.service
        self._started = started
        self._say = say
        self._stop_seconds = limits.stop_seconds
        self._reloads = set["asyncio.Task[None]"]()
        self._timers = list[threading.Timer]()
        self._leaves = False
        protocol = type("Protocol", (BoundedProtocol,), {"limits": limits, "headless": {}, "unfinished": {}})
        config = uvicorn.Config(
            self._closing(app),
            http=protocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            log_level="critical",  # what clients do wrong is counted, and not a line each
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(round(limits.stop_seconds), 1),
        )
        super().__init__(config)

    def _closing(self, app: FastAPI) -> Any:
        """Lets each answer say that its connection ends, once the server is to stop."""

        async def run(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if self._leaves and message["type"] == "http.response.start":
                    message["headers"] = [*message.get("headers", ()), _CLOSE]
                await send(message)

            await app(scope, receive, sending)

        return run

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and says so.

        Raises:
            ZooError: Another process has begun to listen there meanwhile.
        """
        try:
            await super().startup(sockets)
        except OSError as fault:
            await self.lifespan.shutdown()
            host, port = (sockets or [])[0].getsockname()[:2]
            raise _not_usable(host, port, fault) from fault
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no new connections, and ends when what was accepted is answered."""
        self._leaves = True
        for server in self.servers:
            server.close()
        if self.server_state.connections and not self.force_exit:
            await asyncio.sleep(LAST_ANSWERS_SECONDS)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stops at SIGTERM and Ctrl-C, at once at the second; reloads at SIGHUP."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        actions = {signal.SIGINT: self._stop, signal.SIGTERM: self._stop, signal.SIGHUP: self._reload}
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
            self._exit_after(GRACE_SECONDS)
            for connection in [*self.server_state.connections]:
                cast(Any, connection).transport.abort()
            return
        self.should_exit = True
        self._exit_after(self._stop_seconds + GRACE_SECONDS)
        self._say("stopping: what was accepted is answered; once more to exit at once")

    def _exit_after(self, seconds: float) -> None:
        """Ends the process where a model or a photo does not come to its end: Python would wait for their threads."""

        def end() -> None:
            self._say("ended, though a model or a photo was still being computed")
            os._exit(1)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def wait_for_threads(self) -> None:
        """Waits for what a signal has found at work, and then lets the process go on: it may not be the server's."""
        if not self._timers:
            return
        for thread in threading.enumerate():
            if thread.name.startswith((COMPUTING, DECODING)):
                thread.join()
        for timer in self._timers:
            timer.cancel()
            timer.join()

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reloaded())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reloaded(self) -> None:
        try:
            served = await self._service.models.reload()
        except RefusedError as refusal:
            self._say(str(refusal))
            return
        self._say(f"reloaded: {', '.join(f'{one.name} ({one.answerer.runtime})' for one in served)}")


def serve(
    sources: Sequence[Source],
    *,
    port: int,
    access: Access,
    limits: Limits,
    unknown_below: float | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Opens models and answers until the process is asked to stop.

    Args:
        sources: Where models are opened from.
        port: Where it listens; 0 for any that is free.
        access: At which address, and who may ask.
        limits: What may be taken.
        unknown_below: Below which probability the answer is "unknown".
        say: Told in a line where it listens, what signals did, and what nobody foresaw.

    Raises:
        ZooError: The address cannot be listened on, or a model cannot be opened.
    """
    # A damaged form is counted, as all that clients do wrong, and not a line in the log.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    with listening_socket(access.host, port) as listening:
        opened = open_models(sources, limits)
        app = make_app(sources, opened, limits=limits, access=access, unknown_below=unknown_below, report=say)
        names = ", ".join(f"{one.name} ({one.answerer.runtime})" for one in opened)

        def started() -> None:
            address = address_of(listening)
            token = "" if access.token is None else ' -H "Authorization: Bearer $TOKEN"'
            say(f"{names} at {address}; try: curl{token} -F file=@photo.jpg {address}/predict")

        server = Server(app, limits, started=started, say=say)
        server.run(sockets=[listening])
        server.wait_for_threads()


def listening_socket(host: str, port: int) -> socket.socket:
    """Takes an address, so that a fault is told before models are opened; nobody can connect yet.

    Raises:
        ZooError: It is taken, not this machine's, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as fault:
        raise _not_usable(host, port, fault) from fault
    try:
        if os.name == "posix":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as fault:
        taken.close()
        raise _not_usable(host, port, fault) from fault
    return taken


def _not_usable(host: str, port: int, fault: OSError) -> ZooError:
    return ZooError(
        f"{host}:{port}: cannot be listened on ({fault.strerror or fault}); expected a free port of this machine; "
        "type --port 0 for any"
    )


def address_of(listening: socket.socket) -> str:
    """Returns the address that clients use."""
    bound, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, str(bound))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
