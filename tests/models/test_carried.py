"""Weights that a bundle carries: the publisher's own file is kept, one that nothing proves is used and not kept."""

import hashlib
import json

import pytest

from zoo.errors import WeightsError
from zoo.models import weights
from zoo.models.carried import take_up
from zoo.registry import Download, PackageFile, WeightSet

DATA = b"numbers"
SHA256 = hashlib.sha256(DATA).hexdigest()
URL = "https://example.org/net.safetensors"


@pytest.fixture
def file(tmp_path, fresh_cache):
    (tmp_path / "net.safetensors").write_bytes(DATA)
    return tmp_path / "net.safetensors"


def weight_set(source=None, **changed):
    facts = {"name": "digits", "licence": "MIT", "classes": ("a", "b"), "source": source or Download(url=URL)}
    return WeightSet(**(facts | changed))


def kept(cache):
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


@pytest.mark.parametrize("facts", [{"sha256": SHA256}, {"md5": hashlib.md5(DATA).hexdigest()}])
def test_the_publishers_own_file_is_kept_as_if_it_had_been_fetched(file, fresh_cache, facts):
    one = weight_set(**facts)
    assert take_up(one, file, SHA256) is False
    path = weights.locate(one)
    assert kept(fresh_cache) == {
        "weights/example.org/net.safetensors",
        "weights/example.org/net.safetensors.pin.json",
    }
    assert path.read_bytes() == DATA
    assert json.loads(path.with_name("net.safetensors.pin.json").read_text()) == {
        "url": URL,
        "sha256": SHA256,
        "bytes": len(DATA),
    }
    weights.verify(one, path, "net")


@pytest.mark.parametrize("facts", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_another_file_than_the_card_describes_is_refused_and_not_kept(file, fresh_cache, facts):
    one = weight_set(**facts)
    with pytest.raises(WeightsError, match=r"net.safetensors: is not the set 'digits' of the card: its hash is \w+"):
        take_up(one, file, SHA256)
    assert kept(fresh_cache) == set()
    assert weights.locate(one) is None


def test_what_no_publisher_vouches_for_is_read_meanwhile_and_never_pinned(file, fresh_cache):
    one = weight_set(Download(url="https://example.org/unpinned.safetensors"))
    assert take_up(one, file, SHA256) is True
    assert weights.locate(one) == file
    with weights.open_verified(one, file, "net") as opened:
        assert opened.read() == DATA
    assert kept(fresh_cache) == set()
    file.write_bytes(b"changed")
    with pytest.raises(WeightsError, match="the file is damaged or another version"):
        weights.verify(one, file, "net")


def test_a_package_that_is_not_installed_is_not_needed_for_its_file(file, fresh_cache):
    one = weight_set(PackageFile(package="digits-model-nowhere", file="digits/net.safetensors"), sha256=SHA256)
    assert weights.locate(one) is None
    assert take_up(one, file, SHA256) is False
    assert weights.locate(one).read_bytes() == DATA
    assert "weights/packages/digits-model-nowhere/net.safetensors" in kept(fresh_cache)


def test_what_is_here_and_whole_stays(file, fresh_cache):
    one = weight_set(sha256=SHA256)
    take_up(one, file, SHA256)
    before = weights.locate(one).stat()
    file.unlink()
    assert take_up(one, file, SHA256) is False
    assert weights.locate(one).stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_here_and_damaged_is_put_back(file, fresh_cache):
    one = weight_set(sha256=SHA256)
    take_up(one, file, SHA256)
    weights.locate(one).write_bytes(b"damage!")
    take_up(one, file, SHA256)
    assert weights.locate(one).read_bytes() == DATA
