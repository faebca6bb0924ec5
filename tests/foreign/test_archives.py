"""Archives that others made are unpacked whole, or refused by their own name; nothing is taken for less than it is."""

import gzip
import io
import tarfile
import zlib

import pytest

from zoo.errors import WeightsError
from zoo.foreign import archives
from zoo.foreign.gzip_stream import GzipError, unpacked

FILES = {"saved_model.pb": b"graph" * 100, "variables/variables.index": b"index", "assets/a": bytes(range(256))}


def packed(files=FILES):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def taken(tmp_path, data, name="a.tar.gz"):
    """The files that come out of an archive, or what is said of it."""
    (tmp_path / name).write_bytes(data)
    folder = tmp_path / "out"
    try:
        archives.unpack(tmp_path / name, folder)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    except WeightsError as fault:
        assert str(fault).startswith(f"{tmp_path / name}: ")
        assert str(folder) not in str(fault)
        return str(fault)
    finally:
        for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
            path.rmdir() if path.is_dir() else path.unlink()
        if folder.exists():
            folder.rmdir()


def test_every_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    whole = gzip.compress(packed())
    assert taken(tmp_path, whole) == FILES
    refused = 0
    bits = range(0, 8 * len(whole), 7)
    for bit in bits:
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        found = taken(tmp_path, bytes(data))
        refused += isinstance(found, str)
        assert isinstance(found, str) or found == FILES
    # But for bits of the time and the system that packed it, and of another way to write the same.
    assert refused > 0.9 * len(bits)


def test_every_shortened_archive_is_refused(tmp_path):
    whole = gzip.compress(packed())
    for end in range(0, len(whole), 3):
        assert isinstance(taken(tmp_path, whole[:end]), str)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_a_damaged_header_in_the_middle_does_not_end_an_archive(tmp_path, name):
    data = bytearray(packed())
    data[1024 + 3] ^= 1  # in the name of the second member
    data = bytes(data)
    assert "damaged behind its last member" in taken(tmp_path, data if name == "a.tar" else gzip.compress(data), name)


def test_what_stands_behind_the_end_is_refused_but_for_zeros(tmp_path):
    whole = gzip.compress(packed())
    assert taken(tmp_path, whole + bytes(5000)) == FILES
    assert taken(tmp_path, gzip.compress(packed()[:2000]) + gzip.compress(packed()[2000:])) == FILES
    assert "is damaged" in taken(tmp_path, whole + b"more")
    assert "goes on behind its end" in taken(tmp_path, gzip.compress(packed() + packed()))
    assert "has no end" in taken(tmp_path, packed()[: tarfile.BLOCKSIZE * 2], "a.tar")


def test_an_archive_unpacks_to_no_more_than_its_size_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_BYTES", 100_000)
    bomb = gzip.compress(packed({"saved_model.pb": bytes(30_000_000)}))
    assert "unpacks to more than" in taken(tmp_path, bomb)
    assert archives.limit_of(10_000_000) == 200_000_000
    assert archives.limit_of(1 << 40) == archives.MAX_BYTES


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a" * 300], "a name that is too long"),
        (["/".join("a" * 40)], "a name that is too long"),
        (["/".join(["a" * 200] * 5)], "a name that is too long"),
        (["a", "a/b"], "member 'a/b' is there twice"),
        (["a/b", "a"], "member 'a' is there twice"),
        (["a\0b/../c"], "member 'a"),
        (["C:x"], "leads out of the archive"),
    ],
)
def test_names_that_no_folder_can_hold_are_refused_with_the_archives_name(tmp_path, names, said):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    found = taken(tmp_path, buffer.getvalue(), "a.tar")
    assert said in found if "\0" not in names[0] else (isinstance(found, str) or found == {"a": b""})


def test_many_folders_and_many_headers_are_too_many(tmp_path):
    folder = tarfile.TarInfo("d")
    folder.type = tarfile.DIRTYPE
    assert "10,000 files" in taken(tmp_path, gzip.compress(folder.tobuf() * 10_001 + bytes(1024)))
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 19
    text = b"%d comment=%s\n" % (1 << 19, b"a" * ((1 << 19) - 16))
    assert len(text) == 1 << 19
    members = (header.tobuf() + text + tarfile.TarInfo(f"y{number}").tobuf() for number in range(40))
    assert "headers hold more than" in taken(tmp_path, gzip.compress(b"".join(members) + bytes(1024)))


def test_a_special_file_is_not_an_archive(tmp_path):
    (tmp_path / "zero.tar.gz").symlink_to("/dev/zero")
    with pytest.raises(WeightsError, match=r"zero\.tar\.gz: is a device; expected a regular file"):
        archives.unpack(tmp_path / "zero.tar.gz", tmp_path / "out")


def test_a_stream_is_unpacked_piece_by_piece_and_its_sums_are_compared():
    data = bytes(3_000_000) + zlib.compress(bytes(range(256)) * 999)
    pieces = list(unpacked(io.BytesIO(gzip.compress(data)), limit=len(data)))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 18
    for broken, said in [(b"", "is empty"), (b"abc" * 9, "is damaged"), (gzip.compress(data)[:-1], "is cut off")]:
        with pytest.raises(GzipError, match=said):
            list(unpacked(io.BytesIO(broken), limit=1 << 30))
    with pytest.raises(GzipError, match="more than 2,999,999 bytes"):
        list(unpacked(io.BytesIO(gzip.compress(bytes(3_000_000))), limit=2_999_999))
