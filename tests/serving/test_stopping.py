"""The end: what was accepted is answered, and nothing new is taken."""

import contextlib
import http.client
import signal
import subprocess
import sys
import threading

import pytest

from tests.serving.made import LIMITS, Gate, form, labels, photo, running, source
from tests.tiny import environment
from zoo.errors import ZooError
from zoo.serving.app import make_app
from zoo.serving.models import open_models
from zoo.serving.server import Server, listening_socket
from zoo.serving.settings import Access

SECONDS = 30


def test_what_was_accepted_is_answered_and_nothing_new_is_taken():
    gate = Gate()
    with running(source(gate.compute)) as server:
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(server.send(("a.png", photo(255)))))
        waiting.start()
        assert gate.is_reached.wait(20)
        server.server.should_exit = True
        with pytest.raises(OSError):
            while True:
                server.get("/healthz")
        gate.is_open.set()
        waiting.join()
    assert (answers[0].status, labels(answers[0])) == (200, ["bright"])


def test_clients_that_keep_their_connections_lose_no_request():
    """Each hears of the end in an answer of its own."""
    content_type, body = form(("a.png", photo(255)))
    said, begun = [], threading.Barrier(5)

    def load(port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
            count = 0
            while True:
                connection.request("POST", "/predict", body, {"Content-Type": content_type})
                answer = connection.getresponse()
                answer.read()
                said.append(answer.status)
                count += 1
                if count == 3:
                    begun.wait(SECONDS)
                if answer.headers.get("connection") == "close":
                    return

    with running() as server:
        threads = [threading.Thread(target=load, args=(server.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait(SECONDS)
        server.server.should_exit = True
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
    assert set(said) == {200} and len(said) >= 12


@contextlib.contextmanager
def process(*arguments):
    """Starts the server in a process of its own; gives it, and its first line."""
    command = [sys.executable, "-m", "tests.serving.made", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    ) as one:
        try:
            assert one.stdout is not None
            yield one, one.stdout.readline()
        finally:
            one.kill()


def test_signals_reload_and_stop():
    with process() as (server, line):
        assert line.startswith("light (numpy ")
        address = line.split(" at ")[1].split(";")[0]
        assert line.endswith(f"; try: curl -F file=@photo.jpg {address}/predict\n")
        host = address.removeprefix("http://")
        server.send_signal(signal.SIGHUP)
        assert server.stdout.readline().startswith("reloaded: light (numpy ")
        connection = http.client.HTTPConnection(host, timeout=SECONDS)
        content_type, body = form(("a.png", photo(51)))
        connection.request("POST", "/predict", body, {"Content-Type": content_type})
        assert connection.getresponse().status == 200
        server.send_signal(signal.SIGTERM)
        said = "stopping: what was accepted is answered; once more to exit at once\n"
        assert server.stdout.readline() == said
        assert server.wait(SECONDS) == 0
        connection.close()


def test_a_second_signal_ends_it_at_once():
    with process() as (server, line):
        host, port = line.split("http://")[1].split(";")[0].split(":")
        half = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
        half.putrequest("POST", "/predict")
        half.putheader("Content-Length", "100")
        half.endheaders(b"x")  # and nothing more: its body would be waited for
        for _ in range(2):
            server.send_signal(signal.SIGINT)
            server.stdout.readline()
        assert server.wait(SECONDS) == 0
        half.close()


@pytest.mark.slow
def test_a_model_that_never_ends_keeps_no_process():
    with process("1") as (server, line):
        host = line.split("http://")[1].split(";")[0]
        with contextlib.closing(http.client.HTTPConnection(host, timeout=SECONDS)) as connection:
            connection.request("POST", "/predict", photo(255), {"Content-Type": "image/png"})
            asked = http.client.HTTPConnection(host, timeout=SECONDS)
            while b'zoo_photos_in_hand{model="light"} 1.0' not in get(asked, "/metrics"):
                pass
            asked.close()
            server.send_signal(signal.SIGTERM)
            assert server.wait(SECONDS) == 1
            assert server.stdout.read().endswith("ended, though a model or a photo was still being computed\n")


def get(connection, path):
    connection.request("GET", path)
    return connection.getresponse().read()


@pytest.mark.skipif(sys.platform != "linux", reason="the system lets nobody have an address that is bound")
def test_of_two_that_take_one_address_the_second_is_told():
    """Until one listens, Linux lets both have it."""
    with listening_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listening_socket("127.0.0.1", port) as second:
            first.listen()
            app = make_app([source()], open_models([source()], LIMITS), limits=LIMITS, access=Access())
            with pytest.raises(ZooError, match=rf"127\.0\.0\.1:{port}: cannot be listened on \(Address already "):
                Server(app, LIMITS).run(sockets=[second])
