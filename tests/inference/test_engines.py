"""An engine computes in place of Keras only where it gives the same."""

import keras
import numpy as np
import pytest

import zoo
from zoo.backend.determinism import deterministic_operations
from zoo.errors import ZooError
from zoo.inference import engines
from zoo.inference.batches import predict_each_batch, predict_in_batches
from zoo.inference.engines import ENGINES, Compiled, Engine, prove

OPENVINO = ENGINES["openvino"]


@pytest.fixture(scope="module")
def model():
    whole = zoo.build("mnist_conv_tiny", classes=2, weights=None)
    return keras.Model(whole.input, [whole.get_layer("head_pool").output, whole.output])


def images(count=70):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype("uint8")


def test_openvino_gives_what_keras_gives_in_each_output_and_for_any_number_of_images(model):
    compiled = prove(OPENVINO, model, images())
    assert isinstance(compiled, Compiled)
    for count in (32, 5):
        given = compiled.run(images(count))
        for mine, theirs in zip(model(images(count)), given, strict=True):
            assert theirs.shape == mine.shape
            np.testing.assert_allclose(theirs, mine, atol=1e-5 * np.abs(mine).max())
    assert str(OPENVINO).startswith("openvino 20")


def test_fewer_images_to_compare_make_whole_batches(model):
    compiled = prove(OPENVINO, model, images(3))
    assert isinstance(compiled, Compiled)
    assert [len(output) for output in compiled.run(images(32))] == [32, 32]


def test_batches_are_run_by_what_an_engine_made_of_a_model(model):
    compiled = prove(OPENVINO, model, images())
    assert isinstance(compiled, Compiled)
    taken = []
    predict_each_batch(compiled, images(), lambda *outputs: taken.append(outputs))
    assert [len(first) for first, _ in taken] == [32, 32, 6]
    alone = predict_in_batches(keras.Model(model.input, model.outputs[1]), images())
    np.testing.assert_allclose(np.concatenate([last for _, last in taken]), alone, atol=1e-5)


def test_converting_reports_nothing_over_the_net(model, monkeypatch):
    import openvino_telemetry

    def refused(*arguments, **keys):
        raise AssertionError("reports its use")

    monkeypatch.setattr(openvino_telemetry.Telemetry, "init", refused)
    assert isinstance(prove(OPENVINO, model, images(8)), Compiled)


def off_by(share):
    def prepare(model, first):
        return lambda batch: [np.asarray(output) * np.float32(1 + share) for output in model(batch)]

    return prepare


def fails(model, first):
    raise RuntimeError("no such\noperation")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (off_by(3e-5), ""),
        (off_by(1e-3), "differs from Keras by 0.001 of the largest number; expected at most 1e-04"),
        (off_by(np.nan), "differs from Keras by nan"),
        (lambda model, first: lambda batch: [np.zeros((len(batch), 3))] * 2, "differs from Keras by inf"),
        (fails, "cannot compute it (RuntimeError: no such operation)"),
    ],
)
def test_what_is_not_equal_does_not_compute(model, prepare, reason):
    found = prove(Engine("openvino", prepare), model, images())
    if not reason:
        assert isinstance(found, Compiled)
        return
    assert isinstance(found, str)
    assert found.startswith(f"{OPENVINO} {reason}")


def test_what_is_asked_for_is_known_and_installed(monkeypatch):
    monkeypatch.delenv("ZOO_ENGINE", raising=False)
    assert engines.asked() == "auto"
    monkeypatch.setenv("ZOO_ENGINE", "keras")
    assert engines.asked() == "keras"
    monkeypatch.setenv("ZOO_ENGINE", "tensorrt")
    with pytest.raises(ZooError, match=r"^ZOO_ENGINE is 'tensorrt'; expected auto, keras or openvino$"):
        engines.asked()
    monkeypatch.setitem(ENGINES, "not_installed", Engine("not_installed", fails))
    monkeypatch.setenv("ZOO_ENGINE", "not_installed")
    with pytest.raises(ZooError, match=r"^ZOO_ENGINE is 'not_installed', which is not .* pip install 'zoo\[not_inst"):
        engines.asked()


def test_only_float32_without_promised_bits_is_left_to_an_engine(model):
    assert engines.why_keras(model) == ""
    with deterministic_operations(True):
        assert "promises the bits" in engines.why_keras(model)
    half = zoo.build("mnist_conv_tiny", classes=2, weights=None, precision="mixed_bfloat16")
    cut = keras.Model(half.input, half.get_layer("head_pool").output)
    assert engines.why_keras(cut) == "it computes in bfloat16"
