"""A download is whole, right and pinned, or it is not there: against a server on the loopback address."""

import hashlib
import http.server
import json
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save

import zoo
from zoo import registry
from zoo.cli.models.weights import weights as weights_command
from zoo.errors import WeightsError
from zoo.foreign import downloading
from zoo.models import downloads, weights
from zoo.registry import Card, Download, Stage, WeightSet, entries

DATA = save(
    {"classifier/kernel": np.arange(6, dtype="float32").reshape(3, 2), "classifier/bias": np.zeros(2, "float32")}
)


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by path: /right, /cut-off, /slow, /silent, /moved; everything else is not found."""

    requests: ClassVar[list[str]] = []

    def do_GET(self):
        self.requests.append(self.path)
        kind = self.path.split("/")[1]
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/right/net.safetensors")
            self.end_headers()
            return
        if kind not in ("right", "cut-off", "slow", "silent"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        if kind == "silent":
            time.sleep(2)
            return
        sent = DATA[: len(DATA) // 2] if kind == "cut-off" else DATA
        for start in range(0, len(sent), 40):
            self.wfile.write(sent[start : start + 40])
            self.wfile.flush()
            time.sleep(0.05 if kind == "slow" else 0)

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Server.requests.clear()
    return tmp_path / "zoo"


def weight_set(url, **changed):
    facts = {"name": "digits", "licence": "MIT", "classes": ("a", "b"), "sha256": hashlib.sha256(DATA).hexdigest()}
    return WeightSet(source=Download(url=url), **(facts | changed))


def fetch(found):
    return downloads.fetch(found, found.source)


def files(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["right", "slow", "moved"])
@pytest.mark.parametrize("pinned", ["sha256", "md5", "first-use"])
def test_a_right_file_is_kept_with_its_pin(address, cache, kind, pinned):
    digests = {
        "sha256": {},
        "md5": {"sha256": "", "md5": hashlib.md5(DATA).hexdigest()},
        "first-use": {"sha256": ""},
    }
    found = weight_set(f"{address}/{kind}/net.safetensors", **digests[pinned])
    assert weights.pin(found) == pinned
    assert weights.locate(found) is None
    path = fetch(found)
    assert path.read_bytes() == DATA
    assert files(cache) == {"net.safetensors", "net.safetensors.pin.json"}
    assert weights.locate(found) == path
    pin = json.loads((path.parent / "net.safetensors.pin.json").read_text())
    assert (pin["sha256"], pin["bytes"]) == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    with weights.open_verified(found, path, "net") as file:
        assert file.read() == DATA


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("right", {"sha256": "0" * 64}, "does not match"),
        ("right", {"sha256": "", "md5": "0" * 32}, "does not match"),
        ("cut-off", {}, "got only"),
        ("cut-off", {"sha256": ""}, "got only"),
        ("nowhere", {}, "404"),
    ],
)
def test_what_is_not_right_leaves_nothing(address, cache, kind, changed, message):
    found = weight_set(f"{address}/{kind}/net.safetensors", **changed)
    with pytest.raises(WeightsError, match=f"weights 'digits' could not be fetched from 127.*: .*{message}.*again$"):
        fetch(found)
    assert files(cache) == set()
    assert weights.locate(found) is None


def test_a_silent_server_fails(address, cache, monkeypatch):
    monkeypatch.setattr(downloading, "STALL_SECONDS", 0.3)
    with pytest.raises(WeightsError, match="timed out"):
        fetch(weight_set(f"{address}/silent/net.safetensors"))
    assert files(cache) == set()


def test_what_arrives_is_announced(address, cache, capsys):
    url = f"{address}/right/net.safetensors"
    fetch(weight_set(url))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"Downloading data from {url}\n")


def test_no_server_at_all_is_one_clear_line(cache, capfd):
    with pytest.raises(WeightsError) as raised:
        fetch(weight_set("http://127.0.0.1:9/net.safetensors"))
    assert str(raised.value) == (
        "weights 'digits' could not be fetched from 127.0.0.1:9: Connection refused; check the connection and try again"
    )
    assert capfd.readouterr() == ("", "")  # nothing is announced that does not come


def test_a_file_that_changed_since_its_first_fetch_is_refused(address):
    found = weight_set(f"{address}/right/net.safetensors", sha256="")
    path = fetch(found)
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(WeightsError, match="zoo weights fetch net"):
        weights.verify(found, path, "net")


def test_a_fetch_command_mends_what_is_damaged(address, monkeypatch):
    found = weight_set(f"{address}/right/net.safetensors", sha256="")
    path = fetch(found)
    assert downloads.verify_entry(path) == []
    path.write_bytes(DATA[:-1] + b"!")
    assert downloads.verify_entry(path)[0].startswith(f"{path}: its SHA-256 is not the one noted")
    monkeypatch.setitem(entries._entries, "downloaded_net", registry.Entry(card_of(found), None))
    result = CliRunner().invoke(weights_command, ["fetch", "downloaded_net"], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert path.read_bytes() == DATA


def test_a_killed_download_is_not_taken_for_a_file(address, cache):
    found = weight_set(f"{address}/right/net.safetensors", sha256="")
    path = downloads.cached_path(found.source)
    (path.parent / ".part-killed").mkdir(parents=True)
    (path.parent / ".part-killed" / "net.safetensors").write_bytes(DATA[:10])
    assert weights.locate(found) is None
    # Moved into place, but killed before the pin was.
    path.write_bytes(DATA[:10])
    assert weights.locate(found) is None
    assert fetch(found).read_bytes() == DATA


def test_two_addresses_do_not_share_a_file():
    paths = {downloads.cached_path(Download(url=f"https://{host}/net.h5")) for host in ("a.org", "b.org", "a.org:8080")}
    assert len(paths) == 3
    assert downloads.cached_path(Download(url="https://a.org/../../../etc/net.h5")).is_relative_to(
        downloads.cache_folder()
    )


def card_of(found):
    return Card(
        name="downloaded_net",
        family="test",
        description="A dense layer",
        input_shape=(1, 1, 3),
        classes=2,
        params=8,
        madds=6,
        stages=(Stage(name="head", last_layer="", layers=2, params=8),),
        preprocessing="none",
        weights=(found,),
    )


def test_building_fetches_once(address, monkeypatch):
    card = card_of(weight_set(f"{address}/right/net.safetensors", sha256=""))

    def build(inputs, *, card, classes, dropout):
        from keras import layers

        return layers.Dense(classes, name="classifier")(layers.Flatten(name="flatten")(inputs))

    monkeypatch.setitem(entries._entries, card.name, registry.Entry(card, build))
    for _ in range(2):
        model = zoo.build("downloaded_net")
        assert np.asarray(model.get_layer("classifier").kernel).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert Server.requests == ["/right/net.safetensors"]


def test_downloads_in_several_threads_leave_the_process_as_it_was(address, cache, capsys):
    stdout, limit = sys.stdout, socket.getdefaulttimeout()
    with ThreadPoolExecutor(3) as pool:
        kept = list(
            pool.map(lambda kind: fetch(weight_set(f"{address}/{kind}/net.safetensors")), ["right", "slow", "right"])
        )
    assert all(path.read_bytes() == DATA for path in kept)
    assert sys.stdout is stdout
    assert socket.getdefaulttimeout() == limit
