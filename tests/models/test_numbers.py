import ml_dtypes
import numpy as np
import pytest

from zoo.models.numbers import fault_of_numbers


class Weight:
    def __init__(self, path="dense/kernel", dtype="float32"):
        self.path, self.dtype = path, dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_finite_numbers_of_any_float_are_taken(dtype):
    assert fault_of_numbers(Weight(), np.array([-1.5, 0, 2], dtype)) == ""
    assert fault_of_numbers(Weight(dtype="bfloat16"), np.array([-1.5, 0, 2], dtype)) == ""


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        ("float32", np.array([1.0, np.nan])),
        ("float32", np.array([np.inf], np.float32)),
        ("float32", np.array([1e300])),
        ("float32", np.array([-3.5e38])),
        ("float16", np.array([7e4], np.float32)),
        ("bfloat16", np.array([3.4e38], np.float32)),
    ],
)
def test_numbers_are_looked_at_as_the_weight_will_hold_them(dtype, array):
    assert fault_of_numbers(Weight(dtype=dtype), array) == f"dense/kernel holds numbers that are not finite as {dtype}"


@pytest.mark.parametrize("array", [np.array([1, 2]), np.array([True]), np.array([1j]), np.array([3], np.uint8)])
def test_what_is_not_a_float_is_no_float_weight(array):
    assert fault_of_numbers(Weight(), array) == (
        f"dense/kernel is of dtype {array.dtype}, expected float32 or another float"
    )


@pytest.mark.parametrize("name", ["bn/moving_variance", "normalization/variance"])
def test_a_variance_below_0_is_refused_and_0_is_one(name):
    assert fault_of_numbers(Weight(name), np.array([0.0, 1.0])) == ""
    assert fault_of_numbers(Weight(name), np.array([1.0, -1e-9])) == f"{name} holds variances below 0"
    assert fault_of_numbers(Weight("bn/moving_mean"), np.array([-1.0])) == ""


def test_a_whole_number_has_to_fit():
    assert fault_of_numbers(Weight(dtype="int32"), np.array([5])) == ""
    assert "do not fit int32" in fault_of_numbers(Weight(dtype="int32"), np.array([2**40]))
    assert "is of dtype float64" in fault_of_numbers(Weight(dtype="int32"), np.array([5.0]))
