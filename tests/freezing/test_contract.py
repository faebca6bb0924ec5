"""The hashes of the freezing contract: those of the numbers' bytes, taken where they lie."""

import hashlib
import tracemalloc

import keras
import numpy as np
import pytest

from zoo.freezing.contract import fingerprint


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 4)])
def test_a_hash_is_that_of_the_bytes(dtype, shape):
    variable = keras.Variable(np.random.default_rng(0).integers(0, 2, shape), dtype=dtype, trainable=False)
    expected = hashlib.blake2b(np.asarray(variable.value).tobytes(), digest_size=16).hexdigest()
    assert fingerprint([variable]) == {variable.path: expected}


def test_hashing_copies_no_weight_more_often_than_keras_does():
    variable = keras.Variable(np.zeros(2_000_000, "float32"))
    fingerprint([variable])
    tracemalloc.start()
    fingerprint([variable])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * 8_000_000
