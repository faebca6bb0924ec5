"""How a batch lies on several JAX devices: divided by rows, or whole on each where its rows do not divide.

A batch is always that of the recipe, over all devices together: the loss, its gradients and the statistics of BatchNorm
are those of the whole batch, since XLA computes them over all devices. No row is made up, and none counts twice.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import jax
import jax.core
import keras
import numpy as np

from zoo.backend.distribution.exchanging import connect
from zoo.backend.distribution.placement import Devices
from zoo.backend.keras_internals.jax_distribution import placing
from zoo.errors import ZooError

ROWS = "batch"


def chosen_devices(asked: Devices) -> list[Any]:
    """Returns the devices of all processes that compute: as many of each process as were asked for.

    Raises:
        ZooError: This process has fewer.
    """
    local = jax.local_devices()
    count = asked if isinstance(asked, int) else len(local)
    if asked == "auto" and local[0].platform == "cpu":
        count = 1
    if count > len(local):
        kind = local[0].device_kind
        raise ZooError(f"--devices is {count}, and JAX has {len(local)} here ({kind}); type --devices {len(local)}")
    chosen: list[Any] = []
    for process in range(jax.process_count()):
        chosen += [device for device in jax.devices() if device.process_index == process][:count]
    return chosen


@contextmanager
def spread(devices: list[Any]) -> Generator[None]:
    """Lets Keras compute on devices: variables lie on each of them, batches are divided among them."""
    if len(devices) < 2:
        yield
        return
    mesh = jax.sharding.Mesh(np.array(devices), (ROWS,))
    distribution: Any = keras.distribution.DataParallel(
        device_mesh=keras.distribution.DeviceMesh((len(devices),), [ROWS], devices), auto_shard_dataset=False
    )
    connect(devices)
    with placing(lambda batch: placed_batch(batch, mesh), placed_value), distribution.scope():
        yield


def placed_batch(batch: Any, mesh: "jax.sharding.Mesh") -> Any:
    """Brings a batch to the devices; each process brings the rows of its own.

    Args:
        batch: All of it, [rows, ...], the same in each process; or one that lies on the devices already.
        mesh: The devices.
    """
    if isinstance(batch, jax.Array) and len(batch.sharding.device_set) == mesh.size:
        return batch
    rows = np.asarray(batch)
    return placed_rows(rows.shape, mesh, lambda own: rows[own])


def placed_rows(shape: tuple[int, ...], mesh: "jax.sharding.Mesh", load: Callable[[slice], np.ndarray]) -> "jax.Array":
    """Brings a batch to the devices of which each process loads the rows of its own only, in one piece.

    Args:
        shape: Of the whole batch, [rows, ...].
        mesh: The devices, those of a process side by side.
        load: Gives some of the batch's rows.
    """
    sharding = sharding_of(shape[0], mesh)
    indices: Any = sharding.addressable_devices_indices_map(shape)
    spans = [index[0].indices(shape[0]) for index in indices.values()]
    first, end = min(start for start, _, _ in spans), max(stop for _, stop, _ in spans)
    own = load(slice(first, end))

    def part(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(shape[0])
        return own[start - first : stop - first]

    return jax.make_array_from_callback(shape, sharding, part)


def sharding_of(rows: int, mesh: "jax.sharding.Mesh") -> "jax.sharding.NamedSharding":
    """Returns how a batch of so many rows lies on the devices: divided among them where that comes out even."""
    spec = jax.sharding.PartitionSpec(ROWS) if rows % mesh.size == 0 else jax.sharding.PartitionSpec()
    return jax.sharding.NamedSharding(mesh, spec)


def placed_value(value: Any, sharding: "jax.sharding.Sharding") -> Any | None:
    """Brings a variable's new value, which is the same in each process, to all devices; None leaves it to Keras."""
    if isinstance(value, jax.core.Tracer):
        return None
    if isinstance(value, jax.Array) and value.sharding.is_equivalent_to(sharding, value.ndim):
        return value
    whole = np.asarray(value)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def spread_predictor(model: Any) -> Callable[[np.ndarray], Any]:
    """Returns what runs a model in inference mode on a batch that the devices divide, and gives all of it to each.

    Keras' `predict_on_batch` leaves each process with the rows of its own devices.
    """
    distribution: Any = keras.distribution.distribution()
    mesh: jax.sharding.Mesh = distribution.device_mesh.backend_mesh
    compiled: Any = vars(model).get("_zoo_spread_predictor")
    if compiled is None:

        def run(trainable: Any, others: Any, batch: Any) -> Any:
            return model.stateless_call(trainable, others, batch, training=False)[0]

        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        compiled = vars(model)["_zoo_spread_predictor"] = jax.jit(run, out_shardings=whole)
    values = [
        [variable.value for variable in some] for some in (model.trainable_variables, model.non_trainable_variables)
    ]

    def predict(batch: np.ndarray) -> Any:
        outputs = compiled(*values, placed_batch(batch, mesh))
        return jax.tree.map(np.asarray, outputs)

    return predict
