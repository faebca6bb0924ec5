"""The bytes of a bundle: equal for equal files, sealed to the last bit, written whole or not at all."""

import hashlib
import resource
import zipfile

import pytest

from tests.shelves.bundles.made import FILES, document, record
from zoo.errors import ContractError, NotFoundError
from zoo.shelves.bundles.archive import BundleArchive, is_bundle, open_archive, write_archive
from zoo.shelves.bundles.manifest import bundle_text


@pytest.fixture
def files(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 40)
    return {
        **FILES,
        "weights/net.safetensors": tmp_path / "weights.bin",
        "bundle.json": bundle_text(document({**FILES, "weights/net.safetensors": bytes(range(256)) * 40})),
    }


def hashes(files):
    return {"weights/net.safetensors": record(files["weights/net.safetensors"].read_bytes())}


def test_equal_files_give_equal_bytes_in_any_order(tmp_path, files):
    write_archive(tmp_path / "a.zip", files, hashes(files))
    write_archive(tmp_path / "b.zip", dict(reversed(files.items())), hashes(files))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_any_zip_reader_reads_it_and_its_seal_is_checked_by_hand(tmp_path, files):
    path = tmp_path / "a.zip"
    write_archive(path, files, hashes(files))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "bundle.json"
        assert archive.namelist()[1:] == sorted(archive.namelist()[1:])
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("weights/net.safetensors") == files["weights/net.safetensors"].read_bytes()
    content = path.read_bytes()
    assert content[-82:-64] == b"zoo bundle sha256:"
    assert content[-64:].decode() == hashlib.sha256(content[:-64] + b"0" * 64).hexdigest()


def test_what_is_read_is_what_was_written(tmp_path, files):
    write_archive(tmp_path / "a.zip", files, hashes(files))
    with open_archive(tmp_path / "a.zip") as file:
        archive = BundleArchive(file, "a.zip")
        assert archive.entries["README.md"] == 7
        assert archive.read("README.md", limit=7) == b"# pets\n"
        assert b"".join(archive.pieces("weights/net.safetensors")) == bytes(range(256)) * 40
        with pytest.raises(ContractError, match=r"^a.zip: README.md has 7 bytes; expected at most 6$"):
            archive.read("README.md", limit=6)


def test_large_files_are_written_as_zip64_and_read_again(tmp_path, files, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # the library's own limit, which is 2 GB
    write_archive(tmp_path / "a.zip", files, hashes(files))
    monkeypatch.undo()
    assert b"PK\6\6" in (tmp_path / "a.zip").read_bytes()
    with open_archive(tmp_path / "a.zip") as file:
        assert len(b"".join(BundleArchive(file, "a.zip").pieces("weights/net.safetensors"))) == 256 * 40


def test_a_file_that_changes_meanwhile_is_refused_and_nothing_is_left(tmp_path, files):
    known = hashes(files)
    (tmp_path / "a.zip").write_bytes(b"before")
    files["weights/net.safetensors"].write_bytes(b"another")
    with pytest.raises(ContractError, match=r"weights.bin: has changed while it was bundled"):
        write_archive(tmp_path / "a.zip", files, known)
    assert (tmp_path / "a.zip").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "weights.bin"}


def test_a_full_disk_leaves_what_was_there_and_names_the_bundle(tmp_path, files):
    (tmp_path / "a.zip").write_bytes(b"before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_archive(tmp_path / "a.zip", files, hashes(files))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "weights.bin"}


def test_a_bundle_is_known_by_its_beginning_or_its_end(tmp_path, files):
    write_archive(tmp_path / "a.zip", files, hashes(files))
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[35] ^= 1
    (tmp_path / "begins.zip").write_bytes(content)
    content[35] ^= 1
    content[-80] ^= 1
    (tmp_path / "ends.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat/1.png", b"...")
    assert [is_bundle(tmp_path / f"{name}.zip") for name in ("a", "begins", "ends")] == [True] * 3
    assert not is_bundle(tmp_path / "photos.zip")
    assert not is_bundle(tmp_path / "weights.bin")
    assert not is_bundle(tmp_path / "nothing.zip")


def test_what_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match=r"nothing.zip: there is no such file; expected a bundle"):
        open_archive(tmp_path / "nothing.zip")
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(ContractError, match=r"folder.zip: is a folder; expected a regular file; expected a bundle as"):
        open_archive(tmp_path / "folder.zip")
