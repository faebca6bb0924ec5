import hashlib

import numpy as np
from safetensors.numpy import save

from zoo.models.arrays import read_verified


def test_a_file_that_is_replaced_after_it_was_hashed_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    good, evil = (save({"kernel": np.full(3, value, "float32")}) for value in (1, 2))
    path.write_bytes(good)
    file_digest = hashlib.file_digest

    def hash_and_swap(*arguments):
        digest = file_digest(*arguments)
        (tmp_path / "evil").write_bytes(evil)
        (tmp_path / "evil").replace(path)
        return digest

    monkeypatch.setattr(hashlib, "file_digest", hash_and_swap)
    arrays = read_verified(path, hashlib.sha256(good).hexdigest())
    assert path.read_bytes() == evil
    assert arrays is not None
    assert arrays["kernel"].tolist() == [1, 1, 1]
    assert read_verified(path, hashlib.sha256(good).hexdigest()) is None
