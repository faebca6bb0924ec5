"""What differs between Keras' backends: the only part of training that knows them by name."""

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

# A batch: pixels and one-hot labels.
Batch = tuple[np.ndarray, np.ndarray]

# glibc's mallopt, <malloc.h>: what each setting is called there, and the most that an int holds.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = 2**31 - 1
GROW_BY = 64 * 2**20


@dataclass(frozen=True)
class Accelerator:
    """The device that training runs on.

    Attributes:
        kind: `cpu`, `gpu` or `tpu`.
        name: As the backend calls it.
        compute_capability: Of an NVIDIA GPU, as (major, minor); else None.
    """

    kind: str
    name: str
    compute_capability: tuple[int, int] | None = None


def _tensorflow() -> Accelerator:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return Accelerator("cpu", "cpu")
    details = tf.config.experimental.get_device_details(gpus[0])
    return Accelerator("gpu", details.get("device_name", "gpu"), details.get("compute_capability"))


def _jax() -> Accelerator:
    import jax

    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", None)
    version = tuple(int(part) for part in str(capability).split(".")) if capability else None
    return Accelerator(device.platform, device.device_kind, version if version and len(version) == 2 else None)


_ACCELERATORS: dict[str, Callable[[], Accelerator]] = {"tensorflow": _tensorflow, "jax": _jax}


def name() -> str:
    """Returns the name of Keras' backend."""
    import keras

    return keras.backend.backend()


def accelerator() -> Accelerator:
    """Finds the device that Keras' backend uses; a backend that we do not know counts as a CPU."""
    import keras

    return _ACCELERATORS.get(keras.backend.backend(), lambda: Accelerator("cpu", "cpu"))()


def is_out_of_memory(fault: Exception) -> bool:
    """Tells whether a fault is that of a device whose memory is used up, as TensorFlow and JAX raise it."""
    return (
        isinstance(fault, MemoryError)
        or "ResourceExhausted" in type(fault).__name__
        or ("RESOURCE_EXHAUSTED" in str(fault))
    )


# Of the process: models share layers, as a classifier and its features do.
_PREDICTING = threading.Lock()


def one_prediction_at_a_time() -> AbstractContextManager[object]:
    """Keeps other threads waiting while Keras predicts with JAX: it gives the model's variables away meanwhile.

    `predict_on_batch` donates them to the computation and puts what comes back into their place, so that another thread
    would find "Buffer has been deleted or donated" (keras/src/backend/jax/trainer.py, make_predict_function).
    """
    import keras

    return _PREDICTING if keras.backend.backend() == "jax" else nullcontext()


def sync(model: object) -> None:
    """Brings the model's variables up to date inside a batch callback; the JAX backend keeps them elsewhere."""
    jax_state_sync = getattr(model, "jax_state_sync", None)
    if jax_state_sync is not None:
        jax_state_sync()


def keep_freed_memory() -> None:
    """Lets a CPU process keep the memory that a training step frees, for the next step to take.

    TensorFlow's CPU kernels allocate each step's tensors by `malloc` and free them again, and glibc hands large blocks
    back to the kernel at once, so each step pays a page fault for every page that it touches: a third of the time of
    a step of `mnist_conv`, half of one of `efficientnet_lite0`. The process's peak grows by what fragmentation costs,
    about a quarter. Does nothing where there is no glibc, or where another backend brings its own allocator. See
    mallopt(3).
    """
    import keras

    if sys.platform != "linux" or keras.backend.backend() != "tensorflow":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_TOP_PAD, GROW_BY)


def tf_dataset(load: Callable[[int], Batch], *, count: int) -> Any | None:
    """Wraps a supply of batches for `fit` where the backend reads a `tf.data.Dataset`; gives None on the others.

    Keras would wrap an iterator itself, with an autotuning thread that sleeps up to a minute at a time; `fit` does not
    return, and a validation does not end, before it has woken: 10.3 s for an epoch of 6.8 s. Here there is none.

    Args:
        load: Gives a batch by its number, from 0 on; called for the first one to know its shape, then in order, by one
            thread for each iterator.
        count: How many batches there are.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in load(0)]

    def supply(number: Any) -> Batch:
        # Here and no earlier: TensorFlow sets the trim threshold to 128 kB itself when it opens an iterator.
        if not number:
            keep_freed_memory()
        return load(int(number))

    # By number, not from a generator, which takes TensorFlow half as long again for each batch.
    def tensors(number: Any) -> Any:
        found = tf.numpy_function(supply, [number], [spec.dtype for spec in specs])
        return tuple(tf.ensure_shape(tensor, spec.shape) for tensor, spec in zip(found, specs, strict=True))

    return _untuned(tf.data.Dataset.range(count).map(tensors, num_parallel_calls=1))


def tf_gathered(
    images: np.ndarray,
    draw: Callable[[int], Any],
    *,
    classes: int,
    batch_size: int,
    epochs: int,
    batches_per_epoch: int,
    add_clock: Callable[[Callable[[], float]], None],
) -> Any | None:
    """Wraps images that lie in memory or a mapped file, as `tf_dataset` does a supply of batches.

    Python is asked once an epoch for the order; the batches are copied by TensorFlow's threads, which never wait for
    Python's lock: twice as many in the same time.

    Args:
        images: Where the images lie; see `zoo.backend.memory.is_aligned`, as they are not to be copied as a whole.
        draw: Gives what an epoch shows, by its number from 0 on.
        classes: The length of a label's row.
        batch_size: Images of a batch; the last batch of an epoch may be smaller.
        epochs: How many epochs there are.
        batches_per_epoch: How many batches an epoch has.
        add_clock: Is given what tells the seconds that copying has taken so far.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    with tf.device("CPU:0"):
        seconds: Any = tf.Variable(tf.zeros((), tf.float64), trainable=False)
        # In a graph, which takes an array as it is; outside of one it would be copied.
        supply_images = tf.function(lambda: tf.numpy_function(lambda: images, [], images.dtype), autograph=False)
        # By its concrete function: TensorFlow warns of functions that are made anew for each call.
        whole = supply_images.get_concrete_function()()
    whole.set_shape(images.shape)

    def supply(number: Any) -> tuple[np.ndarray, ...]:
        if not number:
            keep_freed_memory()
        drawn = draw(int(number))
        return drawn.rows, drawn.labels, drawn.weights

    def order_of(number: Any) -> Any:
        drawn = tf.numpy_function(supply, [number], [tf.int64, tf.int64, tf.float32])
        return tf.data.Dataset.from_tensor_slices(tuple(tf.ensure_shape(part, (None,)) for part in drawn))

    def batch(rows: Any, labels: Any, weights: Any) -> Any:
        began = tf.timestamp()
        with tf.control_dependencies([began]):
            copied = tf.gather(whole, rows)
        with tf.control_dependencies([copied]):
            seconds.assign_add(tf.timestamp() - began)
        return copied, tf.one_hot(labels, classes) * weights[:, tf.newaxis]

    numbers = tf.data.Dataset.range(epochs)
    batches = numbers.flat_map(lambda number: order_of(number).batch(batch_size)).map(batch, num_parallel_calls=1)
    add_clock(lambda: float(seconds.numpy()))
    # What looks at a dataset before training, as trackers do, has to know its length.
    return _untuned(batches.apply(tf.data.experimental.assert_cardinality(epochs * batches_per_epoch)))


def predictor(model: Any) -> Callable[[np.ndarray], Any]:
    """Returns what runs a model in inference mode on a batch of any size; traced once for a model and a dtype.

    Keras' `predict_on_batch` traces anew for other sizes, and TensorFlow then warns of that; it counts all models as
    one, since they share Keras' code, so that a handful of models in one process is enough.
    """
    if name() != "tensorflow" or model.run_eagerly:
        return model.predict_on_batch
    import tensorflow as tf

    known: dict[Any, Any] = vars(model).setdefault("_zoo_predictors", {})

    def run(batch: np.ndarray) -> Any:
        key = (batch.shape[1:], batch.dtype)
        if key not in known:
            traced = tf.function(
                lambda pixels: model(pixels, training=False), autograph=False, jit_compile=bool(model.jit_compile)
            )
            known[key] = traced.get_concrete_function(tf.TensorSpec((None, *batch.shape[1:]), batch.dtype))
        return known[key](tf.convert_to_tensor(batch))

    return run


def _untuned(dataset: Any) -> Any:
    """Fetches two batches ahead, and starts no thread that tunes."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    # What rewrites a dataset copies the arrays that it holds, and has nothing to gain here.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.prefetch(2).with_options(options)
