"""Which numbers a weight can have: finite ones in its own dtype, and no variance below 0."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import numpy as np

# What Keras calls the variances of its normalisation layers.
VARIANCES = ("moving_variance", "variance")


def fault_of_numbers(variable: "keras.Variable", array: "np.ndarray") -> str:
    """Says why a weight cannot have these numbers, which have its shape; nothing where it can.

    They are looked at as the weight will hold them: 1e300 is finite as float64, and infinite as float32.
    """
    import ml_dtypes
    import numpy as np

    wanted = str(variable.dtype)
    dtype = np.dtype(getattr(ml_dtypes, wanted) if wanted == "bfloat16" else wanted)
    if not _fits(array.dtype, dtype):
        return f"{variable.path} is of dtype {array.dtype}, expected {wanted} or another {_kind(dtype)}"
    with np.errstate(over="ignore", invalid="ignore"):
        held = array.astype(dtype, copy=False)
    if _kind(dtype) == "whole number":
        return "" if np.array_equal(held, array) else f"{variable.path} holds numbers that do not fit {wanted}"
    if not np.isfinite(held).all():
        return f"{variable.path} holds numbers that are not finite as {wanted}"
    if variable.path.rsplit("/", 1)[-1] in VARIANCES and (held < 0).any():
        return f"{variable.path} holds variances below 0"
    return ""


def _fits(found: "np.dtype", wanted: "np.dtype") -> bool:
    return _kind(found) == _kind(wanted)


def _kind(dtype: "np.dtype") -> str:
    """Names a kind of numbers; those of ml_dtypes, such as bfloat16, are of NumPy's kind V."""
    if dtype.kind == "f" or "float" in dtype.name:
        return "float"
    return {"i": "whole number", "u": "whole number", "b": "truth value"}.get(dtype.kind, dtype.name)
