"""Batches for Keras' `fit` as a `tf.data.Dataset`, where TensorFlow is the backend.

TensorFlow keeps each function that is given to `tf.numpy_function`, and all that it refers to, for as long as the
process lives: https://github.com/tensorflow/tensorflow/issues/35084. So it is given one for each kind of result, once,
which finds by a number what a dataset supplies; that goes with the dataset.
"""

import functools
import itertools
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from zoo.backend.hardware.allocator import keep_freed_memory
from zoo.backend.keras_internals.experimental import leave_unrewritten, unconverted, with_length
from zoo.backend.keras_internals.process_state import operations_are_deterministic

# A batch: pixels and one-hot labels.
Batch = tuple[np.ndarray, np.ndarray]


class _Supplier:
    """What a dataset asks Python for, by number."""

    def __init__(self, supply: Callable[[int], Any]) -> None:
        self.supply = supply
        self.number = next(_NUMBERS)
        _SUPPLIERS[self.number] = self


_NUMBERS = itertools.count()
# A dataset holds its own, and nothing else does.
_SUPPLIERS: "weakref.WeakValueDictionary[int, _Supplier]" = weakref.WeakValueDictionary()


@functools.cache
def _asking(dtypes: tuple[Any, ...]) -> Any:
    """Returns a TensorFlow function that asks a supplier, by its number, for results of these dtypes."""
    import tensorflow as tf

    def ask(supplier: Any, number: Any) -> Any:
        return _SUPPLIERS[int(supplier)].supply(int(number))

    def traced(supplier: Any, number: Any) -> Any:
        return tf.numpy_function(ask, [supplier, number], list(dtypes))

    number = tf.TensorSpec((), tf.int64)
    # Its concrete function: TensorFlow warns of functions that are made anew for each call.
    return tf.function(traced, autograph=False).get_concrete_function(number, number)


@functools.cache
def _clock() -> Any:
    """Returns a TensorFlow function that tells Python's seconds."""
    import tensorflow as tf

    traced = tf.function(lambda: tf.numpy_function(time.perf_counter, [], tf.float64), autograph=False)
    return traced.get_concrete_function()


def _ask(supplier: _Supplier, number: Any, dtypes: Sequence[Any]) -> list[Any]:
    import tensorflow as tf

    return list(_asking(tuple(dtypes))(tf.constant(supplier.number, tf.int64), number))


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

    def supply(number: int) -> Batch:
        # Here and no earlier: TensorFlow sets the trim threshold to 128 kB itself when it opens an iterator.
        if not number:
            keep_freed_memory()
        return load(number)

    supplier = _Supplier(supply)

    # By number, not from a generator, which takes TensorFlow half as long again for each batch.
    def tensors(number: Any) -> Any:
        found = _ask(supplier, number, [spec.dtype for spec in specs])
        return tuple(tf.ensure_shape(tensor, spec.shape) for tensor, spec in zip(found, specs, strict=True))

    return _untuned(tf.data.Dataset.range(count).map(unconverted(tensors), num_parallel_calls=1), supplier)


def tf_gathered(
    images: np.ndarray,
    draw: Callable[[int], Any],
    *,
    classes: int,
    batch_size: int,
    epochs: int,
    count: int,
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
        count: How many batches they have together.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    with tf.device("CPU:0"):
        # In a graph, which takes an array as it is; outside of one it would be copied.
        (whole,) = _ask(_Supplier(lambda _: images), tf.zeros((), tf.int64), [tf.as_dtype(images.dtype)])
    whole.set_shape(images.shape)

    def supply(number: int) -> tuple[np.ndarray, ...]:
        if not number:
            keep_freed_memory()
        drawn = draw(number)
        return drawn.rows, drawn.labels, drawn.weights

    supplier = _Supplier(supply)

    def order_of(number: Any) -> Any:
        drawn = _ask(supplier, number, [tf.int64, tf.int64, tf.float32])
        order = tf.data.Dataset.from_tensor_slices(tuple(tf.ensure_shape(part, (None,)) for part in drawn))
        return order.batch(batch_size)

    def batch(rows: Any, labels: Any, weights: Any) -> Any:
        return tf.gather(whole, rows), tf.one_hot(labels, classes) * weights[:, tf.newaxis]

    numbers = tf.data.Dataset.range(epochs)
    batches = numbers.flat_map(unconverted(order_of)).map(unconverted(batch), num_parallel_calls=1)
    # What reads a dataset before training, as trackers do, has to know its length.
    return _untuned(with_length(batches, count), supplier)


def tf_timed(dataset: Any, *, count: int, add_clock: Callable[[Callable[[], float]], None]) -> Any:
    """Counts the seconds for which who takes the batches of a dataset waits for them.

    Args:
        dataset: What fetches ahead; nothing that does may come after this.
        count: How many batches there are.
        add_clock: Is given what tells the seconds so far.
    """
    import tensorflow as tf

    # `tf.timestamp` refuses to run under op determinism; asking Python costs some microseconds a batch.
    now = _clock() if operations_are_deterministic() else tf.timestamp
    with tf.device("CPU:0"):
        seconds: Any = tf.Variable(tf.zeros((), tf.float64), trainable=False)

    def waited(began: Any, batch: Any) -> Any:
        seconds.assign_add(now() - began)
        return batch

    asked = tf.data.Dataset.range(count).map(unconverted(lambda _: now()))
    # What is zipped is asked for in this order: the time first, and then the batch.
    add_clock(lambda: float(seconds.numpy()))
    return tf.data.Dataset.zip(asked, dataset).map(unconverted(waited))


def tf_held(load: Callable[[], Iterable[Batch]], *, batch_size: int) -> Any | None:
    """Wraps batches that are few enough to be held, as `tf_dataset` does a supply of them.

    Without a function of Python or TensorFlow in it, it is begun anew a hundred times as fast as the others: for what
    is evaluated after each short epoch.

    Args:
        load: Gives the batches.
        batch_size: Images of a batch; the last may be smaller.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    images, labels = (np.concatenate(parts) for parts in zip(*load(), strict=True))
    with tf.device("CPU:0"):
        return _untuned(tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size))


def _untuned(dataset: Any, supplier: _Supplier | None = None) -> Any:
    """Fetches two batches ahead, and starts no thread that tunes; what it gives holds its supplier."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    leave_unrewritten(options)
    fetched = dataset.prefetch(2).with_options(options)
    fetched.zoo_supplier = supplier
    return fetched
