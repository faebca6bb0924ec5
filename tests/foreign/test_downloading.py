"""What arrived of a file is not fetched again, and what is taken for whole is whole: a server on the loopback address.

Its file is 2 MB of noise, and a test says what it does with each request.
"""

import hashlib
import http.server
import json
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from zoo.foreign import downloading
from zoo.foreign.downloading import DownloadError, download
from zoo.system import partial_entries

DATA = np.random.default_rng(0).bytes(2_000_000)
OTHER = np.random.default_rng(1).bytes(2_000_000)


class Server(http.server.BaseHTTPRequestHandler):
    """Gives DATA as a test says.

    Attributes:
        data: What it gives.
        etag: Of that; None sends no ETag, and "date" a Last-Modified.
        ranges: Whether it gives parts.
        cut_after: Bytes after which each connection is cut; one number for each request, None for all.
        wait: Seconds for each 100 kB.
        asked: What was asked for: the ranges, None without.
        sent: All bytes that were sent, or were about to be.
    """

    data, etag, ranges, cut_after, wait, asked, sent = DATA, '"1"', True, [], 0.0, [], 0
    lies = False

    def do_GET(self):
        kind = type(self)
        asked = self.headers.get("Range")
        kind.asked.append(asked)
        validator = {"ETag": self.etag} if self.etag and self.etag != "date" else {}
        if self.etag == "date":
            validator = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        start = 0
        if asked and self.ranges and self.headers.get("If-Range") in validator.values():
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            self.send_response(206)
            first = 0 if self.lies else start
            self.send_header("Content-Range", f"bytes {first}-{len(self.data) - 1}/{len(self.data)}")
        else:
            self.send_response(200)
        for name, value in validator.items():
            self.send_header(name, value)
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(self.data) - start))
        self.end_headers()
        stop = kind.cut_after.pop(0) if kind.cut_after else None
        end = len(self.data) if stop is None else min(len(self.data), start + stop)
        for place in range(start, end, 100_000):
            piece = self.data[place : min(end, place + 100_000)]
            kind.sent += len(piece)  # before: the client may be done before this thread goes on
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:
                return
            time.sleep(self.wait)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    kind = type("OneTest", (Server,), {"cut_after": [], "asked": []})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    kind.url = f"http://127.0.0.1:{running.server_port}/net.h5"
    yield kind
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def partial(tmp_path):
    return tmp_path / ".part-net"


def fails(server, partial, match, **hashes):
    with pytest.raises(DownloadError, match=match):
        download(server.url, partial, **hashes)


SHA256 = {"sha256": hashlib.sha256(DATA).hexdigest()}


@pytest.mark.parametrize("etag", ['"1"', "date"])
@pytest.mark.parametrize("known", [SHA256, {"md5": hashlib.md5(DATA).hexdigest()}, {}])
def test_a_connection_that_is_cut_is_made_again_and_the_rest_is_asked_for(server, partial, etag, known):
    server.etag, server.cut_after = etag, [700_000, 300_000]
    assert download(server.url, partial, **known).read_bytes() == DATA
    assert server.asked == [None, "bytes=700000-", "bytes=1000000-"]
    assert server.sent == len(DATA)


def test_what_arrived_is_kept_for_the_next_try_and_said(server, partial):
    server.cut_after = [500_000] * downloading.ATTEMPTS
    server.data = DATA * 2
    fails(server, partial, "got only 2,000,000 of 4,000,000 bytes; 2.0 MB of 4.0 MB are kept$")
    assert download(server.url, partial).read_bytes() == DATA * 2
    assert server.sent == 4_000_000
    assert server.asked[-1] == "bytes=2000000-"


@pytest.mark.parametrize(("etag", "ranges"), [('"1"', False), (None, True), ('W/"1"', True)])
def test_without_ranges_or_a_sign_that_it_is_the_same_it_is_begun_anew(server, partial, etag, ranges):
    server.etag, server.ranges, server.cut_after = etag, ranges, [700_000]
    fails(server, partial, "got only 700,000 of 2,000,000 bytes$")
    assert not partial.exists()
    assert download(server.url, partial, **SHA256).read_bytes() == DATA
    assert server.asked == [None, None]


def test_a_file_that_has_changed_meanwhile_is_fetched_as_a_whole(server, partial):
    server.cut_after = [700_000, 0]
    fails(server, partial, "kept")
    server.data, server.etag = OTHER, '"2"'
    assert download(server.url, partial).read_bytes() == OTHER
    assert server.asked == [None, "bytes=700000-", "bytes=700000-"]


def test_a_rest_of_another_file_is_found_by_the_hash(server, partial):
    server.cut_after = [700_000, 0]
    server.data = OTHER  # of the same ETag
    fails(server, partial, "kept")
    server.data = DATA
    assert download(server.url, partial, **SHA256).read_bytes() == DATA
    assert server.asked[-2:] == ["bytes=700000-", None]


def test_another_part_than_was_asked_for_is_refused(server, partial):
    server.cut_after, server.lies = [700_000], True
    fails(server, partial, "another part of the file")


def test_what_is_damaged_on_disk_is_fetched_again(server, partial, monkeypatch):
    monkeypatch.setattr(downloading, "NOTE_SECONDS", -1.0)
    server.cut_after = [700_000, 0]
    fails(server, partial, "kept")
    content = bytearray((partial / "content").read_bytes())
    content[600_000] ^= 4
    (partial / "content").write_bytes(bytes(content))
    assert download(server.url, partial).read_bytes() == DATA
    start = int(server.asked[-1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 600_000


def test_what_belongs_to_another_address_is_not_used(server, partial):
    server.cut_after = [700_000, 0]
    fails(server, partial, "kept")
    first, *_ = map(json.loads, (partial / "parts.jsonl").read_text().splitlines())
    assert first["url"] == server.url
    server.url += "2"
    assert download(server.url, partial).read_bytes() == DATA
    assert server.asked[-1] is None


def test_a_file_larger_than_the_disk_is_refused_before_it_is_fetched(server, partial, monkeypatch):
    server.wait = 1.0
    real = downloading.shutil.disk_usage(partial.parent)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: real._replace(free=1_000_000))
    with pytest.raises(OSError, match=r"1\.0 MB are free; the file needs 2\.0 MB more"):
        download(server.url, partial)
    assert server.sent < len(DATA)
    assert not partial.exists()


def test_a_killed_download_goes_on(server, partial, tmp_path, monkeypatch):
    """A real kill -9, of a process that imports no more than it needs."""
    server.wait = 0.1
    code = (
        "import sys; from pathlib import Path; from zoo.foreign import downloading\n"
        "downloading.NOTE_SECONDS = 0.1\n"
        "print(downloading.download(sys.argv[1], Path(sys.argv[2])))"
    )
    with subprocess.Popen([sys.executable, "-c", code, server.url, partial], stderr=subprocess.DEVNULL) as process:
        while server.sent < 1_000_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    server.wait = 0.0
    assert partial_entries.is_resumable(partial)
    assert download(server.url, partial).read_bytes() == DATA
    assert int(server.asked[-1].removeprefix("bytes=").removesuffix("-")) >= 500_000
