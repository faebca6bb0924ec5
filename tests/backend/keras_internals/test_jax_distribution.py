"""What is replaced in Keras' JAX backend is there, and is put back."""

import numpy as np
import pytest

from zoo.backend.keras_internals import jax_distribution
from zoo.errors import ZooError

jax = pytest.importorskip("jax")


@pytest.fixture
def module():
    return pytest.importorskip("keras.src.backend.jax.distribution_lib")


def test_batches_and_values_go_through_what_is_given(module):
    before = (module.distribute_data_input, module.distribute_tensor)
    sharding = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    with jax_distribution.placing(lambda batch: ("placed", batch), lambda value, where: (value, where)):
        assert module.distribute_data_input(3, "layout", batch_dim_name="batch") == ("placed", 3)
        assert module.distribute_data_input(None, None, batch_dim_name="batch") is None
        assert module.distribute_tensor(5, sharding) == (5, sharding)
    assert (module.distribute_data_input, module.distribute_tensor) == before


def test_what_is_not_placed_is_left_to_keras(module):
    sharding = jax.sharding.SingleDeviceSharding(jax.devices("cpu")[0])
    with jax_distribution.placing(lambda batch: batch, lambda value, where: None):
        value = module.distribute_tensor(np.arange(3), sharding)
    assert isinstance(value, jax.Array) and value.tolist() == [0, 1, 2]


def test_another_release_is_named(module, monkeypatch):
    monkeypatch.delattr(module, jax_distribution.BATCH)
    said = "distribution_lib has no 'distribute_data_input'; expected what zoo relies on"
    with pytest.raises(ZooError, match=said), jax_distribution.placing(lambda batch: batch, lambda value, where: None):
        pass


def test_a_process_alone_has_no_coordinator():
    assert jax_distribution.coordinator() is None
