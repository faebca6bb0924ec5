"""Members of an `.npz` archive are compared with what they say before memory is taken."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from zoo.foreign import npz_archives
from zoo.foreign.zip_archives import ZipError


def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path):
    random = np.random.default_rng(1)
    arrays = {
        "bytes": random.integers(0, 255, (5, 4, 3), np.uint8),
        "in_columns": np.asfortranarray(random.random((6, 7))),
        "other_order": random.integers(0, 9, 5).astype(">i4"),
        "texts": np.array(["cat", "hound"]),
        "one": np.array(3.5),
        "none": np.zeros((0, 3)),
        "large": random.integers(0, 255, (300, 40, 40), np.uint8),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        with npz_archives.open_npz(tmp_path / "x.npz") as archive, np.load(tmp_path / "x.npz") as theirs:
            assert set(archive) == set(theirs)
            for name, array in theirs.items():
                found = archive[name]
                np.testing.assert_array_equal(found, array)
                assert (found.dtype, found.shape) == (array.dtype, array.shape)
                assert found.flags.f_contiguous == array.flags.f_contiguous


def archive_of(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return path


def test_an_archive_unpacks_to_no_more_than_its_size_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_archives, "ALWAYS_BYTES", 1000)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(5_000_000, np.uint8))
    path = archive_of(tmp_path / "x.npz", buffer.getvalue())
    tracemalloc.start()
    with pytest.raises(ZipError, match="unpacks to more than"), npz_archives.open_npz(path) as archive:
        archive["x"]
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_a_claim_takes_no_memory(tmp_path):
    claim = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }\n"
    path = archive_of(tmp_path / "x.npz", b"\x93NUMPY\1\0" + len(claim).to_bytes(2, "little") + claim)
    tracemalloc.start()
    with (
        pytest.raises(ZipError, match="says 1,099,511,627,776 bytes and holds 0"),
        npz_archives.open_npz(path) as archive,
    ):
        archive["x"]
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
