"""The copies of a Keras variable: one for each device that trains, by TensorFlow; elsewhere the variable itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def copies(variable: Any) -> Sequence[Any]:
    """Returns a variable's copies, one for each device; what it holds itself where there is only one."""
    held = variable.value
    return getattr(held, "values", (held,))


def first_copy(variable: Any) -> "np.ndarray":
    """Reads the first device's copy of a variable.

    TensorFlow's own way reads a metric as the sum of all devices', and fails for scalars, of which it makes no array:
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/distribute/values.py.
    """
    import numpy as np

    # In order, since safetensors writes the memory as it lies; np.ascontiguousarray would make vectors of scalars.
    # By its value, since Keras' Variable.numpy() warns on JAX with NumPy 2.
    return np.asarray(copies(variable)[0], order="C")


def assign_each(variable: Any, value: Any) -> None:
    """Gives each device's copy of a variable a value; TensorFlow's own way gives a metric's copies a share each."""
    held = copies(variable)
    if len(held) == 1:
        variable.assign(value)
    else:
        for copy in held:
            copy.assign(value)


def differing(variables: Sequence[Any]) -> list[str]:
    """Lists the variables whose copies are not the same to the bit, by path."""
    import numpy as np

    return [
        variable.path for variable in variables if len({np.asarray(copy).tobytes() for copy in copies(variable)}) > 1
    ]
