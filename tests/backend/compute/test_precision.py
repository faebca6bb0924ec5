import pytest

from zoo.backend.compute.precision import full_float32, resolve, uses_tf32, warning
from zoo.backend.devices import Accelerator, accelerator

KERAS_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")

CPU = Accelerator("cpu", "cpu")
TPU = Accelerator("tpu", "TPU v5e")
T4 = Accelerator("gpu", "Tesla T4", (7, 5))
A100 = Accelerator("gpu", "NVIDIA A100", (8, 0))
H100 = Accelerator("gpu", "NVIDIA H100", (9, 0))
OTHER_GPU = Accelerator("gpu", "AMD Instinct MI250")


@pytest.mark.parametrize(
    ("device", "policy"),
    [
        (CPU, "float32"),
        (TPU, "mixed_bfloat16"),
        (T4, "mixed_float16"),
        (A100, "mixed_bfloat16"),  # the first NVIDIA generation that computes in bfloat16
        (H100, "mixed_bfloat16"),
        (OTHER_GPU, "mixed_float16"),
    ],
)
def test_auto_is_the_fastest_that_the_device_computes_in(device, policy):
    assert resolve("auto", device) == policy
    assert warning(policy, device) is None


@pytest.mark.parametrize("policy", KERAS_POLICIES)
@pytest.mark.parametrize("device", [CPU, T4, H100])
def test_a_named_policy_is_taken_as_it_is(policy, device):
    assert resolve(policy, device) == policy


def test_a_mixed_policy_on_a_cpu_is_warned_of():
    assert warning("mixed_bfloat16", CPU) == "mixed_bfloat16 on a CPU is several times slower than float32"
    assert warning("float32", CPU) is None


def test_a_gpu_that_drops_bits_of_float32_is_said_with_what_keeps_them(monkeypatch):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    assert warning("float32", A100) == (
        "NVIDIA A100 multiplies float32 with 10 of its 23 bits (TF32); for all of them set NVIDIA_TF32_OVERRIDE=0"
    )
    assert [uses_tf32(device) for device in (CPU, TPU, T4, A100, H100, OTHER_GPU)] == [False] * 3 + [True] * 2 + [False]
    assert warning("float32", T4) is None
    with full_float32():
        assert not uses_tf32(A100)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert warning("float32", A100) is None


def test_the_policies_are_those_of_the_recipe_and_of_keras():
    import keras

    from zoo.recipe.schema import TrainSection

    assert TrainSection(precision="auto").precision == "auto"
    for policy in KERAS_POLICIES:
        assert TrainSection(precision=policy).precision == policy
        assert keras.dtype_policies.get(policy).name == policy


def test_the_accelerator_is_what_tensorflow_sees():
    import tensorflow as tf

    assert accelerator().kind == ("gpu" if tf.config.list_physical_devices("GPU") else "cpu")


def test_an_unknown_backend_counts_as_a_cpu(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert accelerator() == Accelerator("cpu", "cpu")


@pytest.mark.parametrize("before", [True, False])
def test_gpus_compute_float32_with_all_of_its_bits_and_then_as_before(before):
    import tensorflow as tf

    at_first = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(before)
    try:
        with pytest.raises(ValueError, match="a fault within"), full_float32():
            assert not tf.config.experimental.tensor_float_32_execution_enabled()
            raise ValueError("a fault within")
        assert tf.config.experimental.tensor_float_32_execution_enabled() == before
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(at_first)
