"""How Keras' JAX backend brings numbers to several devices, in place of which zoo brings them, and JAX's coordinator.

Keras asks for the layout of a batch once for a whole `fit`, so that a smaller last batch, which may not divide among
the devices, gets that of the first. And it hands what a variable is assigned to `jax.device_put`, which compares it
with that of all other processes over the network, each time.
https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/jax/distribution_lib.py
"""

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from zoo.backend.keras_internals.guard import private

SOURCE = "keras/src/backend/jax/distribution_lib.py"
# What is replaced, and by what it is called: a batch or a variable's value, and the layout that Keras has for it.
BATCH, VALUE = "distribute_data_input", "distribute_tensor"


@contextmanager
def placing(batch: Callable[[Any], Any], value: Callable[[Any, Any], Any]) -> Generator[None]:
    """Brings numbers to devices, while the block lasts, as it is told.

    Args:
        batch: From a batch as it is fed to one that lies on the devices.
        value: From a variable's new value and its `jax.sharding.Sharding` to one that lies on the devices.
    """
    module: Any = importlib.import_module("keras.src.backend.jax.distribution_lib")
    before = {name: private(module, name, source=SOURCE) for name in (BATCH, VALUE)}

    def place_batch(per_process_batch: Any, layout: Any, batch_dim_name: Any = None) -> Any:
        return None if per_process_batch is None else batch(per_process_batch)

    def place_value(tensor: Any, layout: Any) -> Any:
        sharding = getattr(layout, "backend_layout", layout)
        placed = value(tensor, sharding)
        return before[VALUE](tensor, layout) if placed is None else placed

    setattr(module, BATCH, place_batch)
    setattr(module, VALUE, place_value)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(module, name, function)


def coordinator() -> Any:
    """Returns this process' connection to JAX's coordination service: its keys, values and barriers.

    No public name has it, though other libraries that run on several hosts use it too.
    https://github.com/jax-ml/jax/blob/jax-v0.10.2/jax/_src/distributed.py
    """
    source = "jax/_src/distributed.py"
    module: Any = importlib.import_module("jax._src.distributed")
    state = private(module, "global_state", source=source, package="jax")
    return private(state, "client", source=source, package="jax")
