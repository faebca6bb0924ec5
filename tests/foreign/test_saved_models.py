"""A handle leads to one folder in the cache, by hash; what is hostile or half leaves nothing there."""

import gzip
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading

import pytest

import zoo
from tests.modules import module
from tests.tiny import environment
from zoo.errors import NotFoundError, TrustError, WeightsError
from zoo.foreign import archives, saved_models, trust


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "cache" / "zoo" / "modules"


def archive(path, *, around="", mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for file in sorted(module().rglob("*")):
            tar.add(file, arcname=f"{around}{file.relative_to(module()).as_posix()}", recursive=False)
    return path


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w")])
@pytest.mark.parametrize("around", ["", "./", "mobilenet/"])
def test_a_folder_and_an_archive_of_it_are_one_module(tmp_path, cache, name, mode, around):
    packed = saved_models.fetch(str(archive(tmp_path / name, around=around, mode=mode)))
    folder = saved_models.fetch(str(module()))
    assert packed == folder
    assert packed.path == cache / packed.sha256
    assert saved_models.fetch(packed.handle) == packed
    assert [path.name for path in cache.iterdir()] == [packed.sha256]
    for file in (path for path in module().rglob("*") if path.is_file()):
        assert (packed.path / file.relative_to(module())).read_bytes() == file.read_bytes()


def test_the_hash_that_is_asked_for_must_be_the_one_that_is_found():
    found = saved_models.fetch(str(module()))
    assert saved_models.fetch(f"{module()}#sha256={found.sha256}") == found
    with pytest.raises(WeightsError, match="another module"):
        saved_models.fetch(f"{module()}#sha256={'0' * 64}")


HOSTILE = {
    "../outside": {},
    "/tmp/zoo-outside": {},
    "variables/../../outside": {},
    "..\\outside": {},
    "link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard": {"type": tarfile.LNKTYPE, "linkname": "../../../etc/passwd"},
    "pipe": {"type": tarfile.FIFOTYPE},
    "disk": {"type": tarfile.CHRTYPE},
    "saved_model.pb": {},
    "huge": {"size": archives.MAX_BYTES + 1},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused_and_nothing_is_left(tmp_path, cache, name):
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(module().rglob("*")):
            tar.add(file, arcname=file.relative_to(module()).as_posix(), recursive=False)
        member = tarfile.TarInfo(name)
        for key, value in HOSTILE[name].items():
            setattr(member, key, value)
        if member.size:
            tar.fileobj.write(member.tobuf())
        else:
            tar.addfile(member, io.BytesIO())
    before = set(tmp_path.iterdir())
    with pytest.raises(WeightsError, match=r"hostile\.tar\.gz"):
        saved_models.fetch(str(path))
    assert list(cache.iterdir()) == []
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "cache"}
    assert not os.path.lexists("/tmp/zoo-outside")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path, cache):
    # A pax header of 4 GB of zeros is 4 MB of gzip; tarfile would read it whole.
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.PAX_FORMAT) + bytes(1 << 20)))
    with pytest.raises(WeightsError, match="at once"):
        saved_models.fetch(str(path))
    assert list(cache.iterdir()) == []


def test_a_part_of_an_archive_is_refused(tmp_path, cache):
    whole = archive(tmp_path / "whole.tar.gz").read_bytes()
    for name, data in {
        "half.tar.gz": whole[: len(whole) // 2],
        "text.tar.gz": b"<html>not found</html>",
        "empty.tar": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match=name):
            saved_models.fetch(str(tmp_path / name))
    assert list(cache.iterdir()) == []


def test_what_is_not_a_module_is_reported(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "net.zip").write_bytes(b"PK")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "saved_model.pb").symlink_to(module() / "saved_model.pb")
    for handle, fault, message in [
        (tmp_path / "photos", WeightsError, "holds no SavedModel"),
        (tmp_path / "net.zip", WeightsError, r"\.tar\.gz"),
        (tmp_path / "linked", WeightsError, "is a link"),
        (tmp_path / "nowhere", NotFoundError, "no such module"),
        (f"sha256:{'0' * 64}", NotFoundError, "not on this machine"),
        ("sha256:../..", NotFoundError, "not on this machine"),
        ("gs://bucket/module", NotFoundError, "https://"),
    ]:
        with pytest.raises(fault, match=message):
            saved_models.fetch(str(handle))


def test_trust_is_by_hash_and_lasts():
    module_hash = saved_models.fetch(str(module())).sha256
    with pytest.raises(TrustError, match=module_hash):
        trust.require(module_hash, "net")
    with trust.granting():
        trust.require(module_hash, "net")
    trust.require(module_hash, "net")
    with pytest.raises(TrustError, match="0000"):
        trust.require("0" * 64, "net")
    trust.pins_path().write_text("[]")
    with pytest.raises(TrustError, match="damaged"):
        trust.require(module_hash, "net")


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("/home/me/module", "names no place on a machine"),
        ("../module", "without '..'"),
        ("https://example.org/module", "#sha256=HEX"),
        (f"http://example.org/module#sha256={'0' * 64}", "#sha256=HEX"),
    ],
)
def test_a_recipe_cannot_name_what_is_elsewhere(tmp_path, handle, message):
    recipe = tmp_path / "recipe.toml"
    for lines in (f'handle = "{handle}"', f'options = {{handle = "{handle}"}}'):
        recipe.write_text(f'name = "r"\n[model]\nname = "tfhub"\n{lines}\n[[phases]]\nname = "a"\ntrain = "head"\n')
        with pytest.raises(zoo.ZooError, match=message if lines.startswith("handle") else "model.handle"):
            zoo.Recipe.load(recipe)


def test_a_recipe_may_name_a_module_beside_it_but_never_trust_it(tmp_path, monkeypatch):
    archive(tmp_path / "module.tar.gz")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "r"\n[model]\nname = "tfhub"\nhandle = "module.tar.gz"\n[[phases]]\nname = "a"\ntrain = "head"\n'
    )
    (tmp_path / "photos").mkdir()
    from zoo.jobs.resolving import make_job

    job = make_job(recipe, tmp_path / "photos")
    assert job.recipe.model.handle == saved_models.fetch(str(module())).handle
    with pytest.raises(zoo.ZooError, match="trust"):
        recipe.write_text(recipe.read_text().replace("[[phases]]", "trust_code = true\n[[phases]]"))
        zoo.Recipe.load(recipe)


class Hub(http.server.BaseHTTPRequestHandler):
    """Gives a module as TensorFlow Hub does (https://www.tensorflow.org/hub/hosting)."""

    data = b""
    asked = 0

    def do_GET(self):
        Hub.asked += 1
        if "/net/1?tf-hub-format=compressed" not in self.path and self.path != "/net.tar.gz?raw=1":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        self.wfile.write(self.data)

    def log_message(self, format, *args):
        pass


_FETCH = "import sys; from zoo.foreign import saved_models; print(saved_models.fetch(sys.argv[1]).handle)"


def fetch_elsewhere(handle):
    """In a process of its own: tensorflow_hub imports a second Keras."""
    return run_elsewhere(_FETCH, handle)


def run_elsewhere(code, *arguments):
    """As a user's script, who has set no level of TensorFlow's log."""
    settings = {name: value for name, value in environment().items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=settings, capture_output=True, text=True)


def test_a_script_on_a_module_prints_nothing_of_tensorflows_log():
    code = "import sys, zoo; zoo.trust(sys.argv[1]); zoo.build('tfhub', handle=sys.argv[1], classes=2)"
    ended = run_elsewhere(code, module())
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_module_is_fetched_once_and_its_address_means_the_same_from_then_on(tmp_path, cache):
    Hub.data = archive(tmp_path / "net.tar.gz").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        first = fetch_elsewhere(f"{address}/net/1")
        assert first.stdout.strip() == saved_models.fetch(str(module())).handle, first.stderr
        assert first.stderr == ""
        asked = Hub.asked
        Hub.data = b"something else"
        assert fetch_elsewhere(f"{address}/net/1").stdout == first.stdout
        assert Hub.asked == asked
        missing = fetch_elsewhere(f"{address}/other/1")
        assert "WeightsError" in missing.stderr and "could not be fetched" in missing.stderr
        assert sorted(path.name for path in cache.iterdir()) == sorted([first.stdout.strip()[7:], "addresses"])
    finally:
        server.shutdown()
        server.server_close()


def test_an_archive_on_the_net_needs_no_tensorflow_hub(tmp_path, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    Hub.data = archive(tmp_path / "net.tar.gz").read_bytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        found = saved_models.fetch(f"{address}/net.tar.gz?raw=1")
        assert found == saved_models.fetch(str(module()))
        assert saved_models.verify_entry(found.path) == []
        (found.path / "saved_model.pb").write_bytes(b"changed")
        assert "found SHA-256" in saved_models.verify_entry(found.path)[0]
        with pytest.raises(WeightsError, match=r"other.tar.gz: could not be fetched: 404 .*; check the address"):
            saved_models.fetch(f"{address}/other.tar.gz")
        assert sorted(path.name for path in cache.iterdir()) == sorted([found.sha256, "addresses"])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_tensorflow_hub_a_message_says_what_to_install_and_local_modules_work():
    code = f"import sys; sys.modules['tensorflow_hub'] = None\n{_FETCH}"
    results = [
        subprocess.run([sys.executable, "-c", code, handle], env=environment(), capture_output=True, text=True)
        for handle in ("google/mobilenet-v2/tensorFlow2/100-224-feature-vector/2", str(module()))
    ]
    assert "pip install tensorflow-hub" in results[0].stderr
    assert results[1].stdout.startswith("sha256:")
