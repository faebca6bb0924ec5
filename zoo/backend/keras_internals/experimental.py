"""Names of TensorFlow that it calls experimental, and one that Hugging Face's datasets keeps to itself."""

from collections.abc import Callable, Sequence
from typing import Any

from zoo.backend.keras_internals.guard import private


def device_details(device: Any) -> dict[str, Any]:
    """Returns what TensorFlow knows of a GPU, such as `device_name` and `compute_capability`; keys may be missing.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/framework/config.py
    """
    import tensorflow as tf

    source = "tensorflow/python/framework/config.py"
    return private(tf.config.experimental, "get_device_details", source=source, package="tensorflow")(device)


def unconverted(function: Callable[..., Any]) -> Any:
    """Keeps AutoGraph from a function that has no Python branch to convert; it warns of the imports that it finds.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/autograph/impl/api.py
    """
    import tensorflow as tf

    source = "tensorflow/python/autograph/impl/api.py"
    return private(tf.autograph.experimental, "do_not_convert", source=source, package="tensorflow")(function)


def with_length(dataset: Any, batches: int) -> Any:
    """Tells a dataset its length; what is made by `flat_map` has none that TensorFlow could know.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/data/experimental/ops/cardinality.py
    """
    import tensorflow as tf

    source = "tensorflow/python/data/experimental/ops/cardinality.py"
    assert_cardinality = private(tf.data.experimental, "assert_cardinality", source=source, package="tensorflow")
    return dataset.apply(assert_cardinality(batches))


def leave_unrewritten(options: Any) -> None:
    """Turns off what rewrites a dataset: it copies the arrays that the dataset holds, and has nothing to gain here.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/data/ops/options.py
    """
    source = "tensorflow/python/data/ops/options.py"
    optimization = private(options, "experimental_optimization", source=source, package="tensorflow")
    private(optimization, "apply_default_optimizations", source=source, package="tensorflow")
    optimization.apply_default_optimizations = False


def is_tensor_float_32() -> bool:
    """Returns whether GPUs that can multiply float32 with 10 of its 23 bits.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/framework/config.py
    """
    import tensorflow as tf

    source = "tensorflow/python/framework/config.py"
    return private(tf.config.experimental, "tensor_float_32_execution_enabled", source=source, package="tensorflow")()


def tensor_float_32(*, enabled: bool) -> bool:
    """Sets whether GPUs multiply float32 with 10 of its 23 bits; returns how it was.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/framework/config.py
    """
    import tensorflow as tf

    source = "tensorflow/python/framework/config.py"
    told = private(tf.config.experimental, "enable_tensor_float_32_execution", source=source, package="tensorflow")
    before = is_tensor_float_32()
    told(enabled)
    return before


def quantized_but(converter: Any, nodes: Sequence[str]) -> bytes:
    """Converts by a TFLiteConverter that quantizes, and leaves the nodes that give some tensors in float32.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/lite/tools/optimize/debugging/python/debugger.py
    """
    import tensorflow as tf

    source = "tensorflow/lite/tools/optimize/debugging/python/debugger.py"
    options = private(tf.lite.experimental, "QuantizationDebugOptions", source=source, package="tensorflow")
    debugger = private(tf.lite.experimental, "QuantizationDebugger", source=source, package="tensorflow")
    return debugger(
        converter=converter, debug_options=options(denylisted_nodes=list(nodes))
    ).get_nondebug_quantized_model()


def fingerprint_of(table: Any) -> str:
    """Returns the hash by which Hugging Face's datasets knows what a table holds and how it was made.

    https://github.com/huggingface/datasets/blob/4.0.0/src/datasets/fingerprint.py
    """
    return private(table, "_fingerprint", source="src/datasets/fingerprint.py", package="datasets")
