"""What is refused, and that good requests go on meanwhile."""

import contextlib
import dataclasses
import http.client
import socket
import struct
import threading
import time
import zlib

import pytest

from tests.serving.made import LIMITS, Gate, form, labels, photo, running, source

SLOW = 0.4
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def raw(server, *parts):
    """Opens a connection and sends bytes as they are."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    for part in parts:
        connection.sendall(part)
    return connection


def answered(connection):
    """Returns the status, the body, and whether the server then ends the connection."""
    with connection, contextlib.closing(http.client.HTTPResponse(connection)) as answer:
        answer.begin()
        text = answer.read().decode()
        return answer.status, text, answer.headers.get("connection") == "close" and connection.recv(1) == b""


def ends(connection):
    """Whether the server ends the connection."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1000):
            pass
    return True


def header_of(width, height):
    """The beginning of a PNG that says its size, and has pixels for few of its rows."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(server):
    status, text, closes = answered(raw(server, POST, b"Content-Length: 1000000000\r\n\r\n"))
    assert (status, closes) == (413, True)
    assert text == '{"error":"the body holds 1,000,000,000 bytes; expected at most 33,554,432 bytes (--max-bytes)"}'


def test_a_body_of_unknown_length_is_counted_as_it_comes():
    with running(limits=dataclasses.replace(LIMITS, max_bytes=10_000)) as server:
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        status, text, closes = answered(raw(server, POST, b"Transfer-Encoding: chunked\r\n\r\n", 3 * chunk))
        assert (status, closes) == (413, True)
        assert text == '{"error":"the body holds more bytes; expected at most 10,000 bytes (--max-bytes)"}'
        assert server.service.held.held == 0


def test_a_client_that_asks_whether_it_may_send_is_told_at_once(server):
    head = b"Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    assert answered(raw(server, POST, head))[0] == 413
    with raw(server, POST, b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_slow_body_times_out_and_others_go_on():
    with running(limits=dataclasses.replace(LIMITS, body_seconds=SLOW)) as server:
        slow = [raw(server, POST, b"Content-Length: 1000\r\n\r\nx") for _ in range(5)]
        assert labels(server.send(("a.png", photo(255)))) == ["bright"]
        for connection in slow:
            status, text, closes = answered(connection)
            assert (status, closes) == (408, True)
            assert text == '{"error":"the body did not arrive within 0.4 seconds; expected it whole"}'
        assert server.service.held.held == 0


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: loc", WHOLE + b"GET"], ids=["none", "half", "second"])
def test_a_head_that_is_never_whole_ends_its_connection(start):
    with running(limits=dataclasses.replace(LIMITS, head_seconds=SLOW)) as server, raw(server, start) as connection:
        connection.settimeout(10)  # less than a connection is kept that has nothing to say
        assert ends(connection)


def test_beyond_the_bound_the_connection_that_waited_longest_ends():
    with running(limits=dataclasses.replace(LIMITS, connections=3)) as server:
        idle = [raw(server) for _ in range(3)]
        while len(server.server.server_state.connections) < 3:
            time.sleep(0.01)
        assert labels(server.send(("a.png", photo(255)))) == ["bright"]
        assert ends(idle[0])
        idle[2].sendall(WHOLE)
        assert idle[2].recv(100).startswith(b"HTTP/1.1 200")
        for connection in idle:
            connection.close()


def test_all_bodies_together_are_bounded():
    limits = dataclasses.replace(LIMITS, max_bytes=60_000, held_bytes=100_000)
    with running(limits=limits) as server:
        with raw(server, POST, b"Content-Length: 60000\r\n\r\n" + b"x" * 59_000):
            while server.service.held.held < 59_000:
                time.sleep(0.01)
            refused = server.ask("POST", "/predict", b"x" * 59_000)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert labels(server.send(("a.png", photo(255)))) == ["bright"]
        while server.service.held.held:  # the client went away
            time.sleep(0.01)


def test_pixels_are_counted_by_the_header_before_any_is_decoded(server):
    """Neither has all its pixels: only of the small one it is noticed."""
    answer = server.send(("bomb.png", header_of(9_000, 9_000)), ("small.png", header_of(90, 90)))
    bomb, small = (one["error"] for one in answer.document["predictions"])
    assert answer.status == 413
    assert bomb == "bomb.png: has 9,000 x 9,000 pixels; expected at most 64,000,000 (--max-pixels)"
    assert small.startswith("small.png: cannot be decoded")


def test_the_limits_of_training_hold_where_ours_is_raised():
    with running(limits=dataclasses.replace(LIMITS, max_pixels=10**12)) as server:
        answer = server.send(("bomb.png", header_of(30_000, 30_000)))
    assert answer.status == 422
    assert "178956970 pixels" in answer.document["predictions"][0]["error"]


def test_a_full_queue_is_said_with_the_time_to_come_back():
    gate = Gate()
    with running(source(gate.compute), limits=dataclasses.replace(LIMITS, queue=3)) as server:
        answers = []
        held = threading.Thread(target=lambda: answers.append(server.send(*[("a.png", photo(255))] * 3)))
        held.start()
        assert gate.is_reached.wait(20)
        refused = server.send(("b.png", photo(255)))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.document["error"] == "3 photos are in hand; expected at most 3 (--queue); try again"
        assert server.get("/healthz").status == 200
        gate.is_open.set()
        held.join()
        assert labels(answers[0]) == ["bright"] * 3
        assert labels(server.send(("b.png", photo(255)))) == ["bright"]
        too_many = server.send(*[("a.png", photo(0))] * 4)
        assert (too_many.status, too_many.document) == (413, {"error": "the form holds more than 3 files; send fewer"})


def test_photos_of_a_client_that_has_gone_away_take_no_places():
    gate, seen = Gate(), []

    def compute(pixels):
        seen.append(pixels.max(axis=(1, 2, 3)).tolist())
        return gate.compute(pixels)

    with running(source(compute), limits=dataclasses.replace(LIMITS, queue=3)) as server:
        batcher, answers = server.service.models.named().batcher, []
        seen.clear()
        first = threading.Thread(target=lambda: answers.append(server.send(("a.png", photo(255)))))
        first.start()
        assert gate.is_reached.wait(20)
        content_type, body = form(*[("b.png", photo(51))] * 2)
        head = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with raw(server, POST, head, body):
            while batcher.in_hand < 3:
                time.sleep(0.01)
        while batcher.in_hand > 1:
            time.sleep(0.01)
        last = threading.Thread(target=lambda: answers.append(server.send(*[("c.png", photo(204))] * 2)))
        last.start()
        while batcher.in_hand < 3:
            time.sleep(0.01)
        gate.is_open.set()
        first.join()
        last.join()
    found = sorted((answer.status, *labels(answer)) for answer in answers)  # threads end in any order
    assert found == [(200, "bright"), (200, "bright", "bright")]
    assert {level for levels in seen for level in levels} == {255, 204}


FORM = "multipart/form-data; boundary=b"
FIELD = b'--b\r\nContent-Disposition: form-data; name="url"\r\n\r\nhttp://example.com/a.jpg\r\n--b--\r\n'
LONG_HEAD = b'--b\r\nContent-Disposition: form-data; name="a"; filename="' + b"x" * 9000 + b'"\r\n\r\n\r\n--b--\r\n'
CURL = "curl -F file=@photo.jpg ..."
FETCHES_NONE = "(the server fetches no addresses)"
REFUSED = {
    "an address in a form": (FORM, FIELD, 415, f"the form's 'url' is text; expected files only {FETCHES_NONE}"),
    "an address in JSON": (
        "application/json",
        b'{"url": "http://example.com/a.jpg"}',
        415,
        f"the body is JSON; expected a form with files, or a photo's bytes {FETCHES_NONE}",
    ),
    "nothing": ("image/png", b"", 400, f"the body is empty; expected a photo: {CURL}"),
    "no file": (FORM, b"--b--\r\n", 400, f"the form holds no file; expected one or more: {CURL}"),
    "no boundary": (
        "multipart/form-data",
        b"x",
        400,
        "content-type has no boundary; expected multipart/form-data with one",
    ),
    "a long head": (FORM, LONG_HEAD, 400, "the form is damaged (Maximum header size exceeded); expected files"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_photo_is_refused(server, case):
    content_type, body, status, error = REFUSED[case]
    answer = server.ask("POST", "/predict", body, {"Content-Type": content_type})
    assert (answer.status, answer.document) == (status, {"error": error})


def test_a_form_that_is_damaged_or_ends_early_is_refused(server):
    content_type, body = form(("a.png", photo(255)))
    for cut in (b"not a form", body[:-30], body[:-8]):
        answer = server.ask("POST", "/predict", cut, {"Content-Type": content_type})
        assert answer.status == 400, cut
        assert answer.document["error"].startswith(("the form is damaged (", "the form holds no file"))


def test_what_is_compressed_is_not_unpacked(server):
    answer = server.ask("POST", "/predict", zlib.compress(photo()), {"Content-Encoding": "gzip"})
    assert (answer.status, answer.document) == (415, {"error": "content-encoding is gzip; expected bytes as they are"})


def test_a_name_is_shown_without_what_a_terminal_would_obey(server):
    answer = server.send(("\x1b[31m" + "x" * 500, b"no photo"))
    name = answer.document["predictions"][0]["name"]
    assert name.startswith("\\x1b[31mxx") and len(name) <= 200


def test_what_is_not_http_ends_its_connection(server):
    with raw(server, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.get("/healthz").status == 200


def test_what_a_photo_holds_is_given_back_with_its_answer(server):
    server.send(("a.png", photo()), ("b.png", b"no photo"))
    assert server.service.held.held == 0
    assert server.service.models.named().batcher.in_hand == 0


def test_a_client_that_reads_no_answer_loses_its_connection():
    with running(limits=dataclasses.replace(LIMITS, answer_seconds=SLOW)) as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.settimeout(10)
        with contextlib.suppress(ConnectionError):
            while True:  # more than the system keeps for both
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        assert labels(server.send(("a.png", photo(255)))) == ["bright"]
        while server.server.server_state.connections:
            time.sleep(0.01)


def test_beyond_the_bound_a_connection_between_two_requests_ends():
    with running(limits=dataclasses.replace(LIMITS, connections=3)) as server:
        idle = [raw(server, WHOLE) for _ in range(3)]
        for connection in idle:
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert server.get("/healthz").status == 200
        assert ends(idle[0])
        for connection in idle:
            connection.close()


def test_beyond_the_bound_the_connection_whose_body_has_come_for_longest_ends():
    with running(limits=dataclasses.replace(LIMITS, connections=3)) as server:
        slow = []
        for _ in range(3):
            slow.append(raw(server, POST, b"Content-Length: 1000\r\n\r\nx"))
            while server.service.held.held < len(slow):
                time.sleep(0.01)
        assert labels(server.send(("a.png", photo(255)))) == ["bright"]
        assert ends(slow[0])
        while server.service.held.held > 2:
            time.sleep(0.01)
        for connection in slow:
            connection.close()
