import json
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.tiny import environment, phase, recipe, write_photos
from zoo.backend import keras_globals
from zoo.backend.keras_globals import pinned, require_backend
from zoo.errors import ZooError

# What a caller may have set, each far from what zoo is made for.
FOREIGN = {
    "image_data_format": (keras.config.set_image_data_format, "channels_first"),
    "floatx": (keras.config.set_floatx, "float16"),
    "epsilon": (keras.config.set_epsilon, 0.1),
    "dtype_policy": (keras.config.set_dtype_policy, "mixed_bfloat16"),
    "max_epochs": (keras.config.set_max_epochs, 1),
    "max_steps_per_epoch": (keras.config.set_max_steps_per_epoch, 1),
}


def settings():
    return {
        "image_data_format": keras.config.image_data_format(),
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "dtype_policy": keras.config.dtype_policy().name,
        "max_epochs": keras.config.max_epochs(),
        "max_steps_per_epoch": keras.config.max_steps_per_epoch(),
    }


OURS = {
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
    "dtype_policy": "float32",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


@pytest.fixture
def foreign():
    """All global settings are set to what zoo is not made for; afterwards they have to be what they were set to."""
    assert settings() == OURS
    for change, value in FOREIGN.values():
        change(value)
    yield
    found = settings()
    for name, (change, _) in FOREIGN.items():
        change(OURS[name])
    assert found == {name: value for name, (_, value) in FOREIGN.items()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), count=8)


@pytest.fixture(scope="module")
def plain(photos, tmp_path_factory):
    return trained(photos, tmp_path_factory.mktemp("plain") / "run")


TWO_PHASES = recipe(
    phase("head", "head", learning_rate=3e-3),
    phase("all", "all", learning_rate=3e-3),
    model="conv2d_small",
    augment={"rotation": 10, "zoom": 0.1, "color": 0.2},
)


def trained(photos, folder):
    return zoo.finetune(TWO_PHASES, photos, run=folder)


def arrays(model):
    return {weight.path: np.array(weight.numpy()) for weight in model.weights}


def test_a_run_is_the_same_bit_for_bit_whatever_the_caller_has_set(foreign, photos, plain, tmp_path):
    run = trained(photos, tmp_path / "run")
    assert len(run.history) == 4
    assert [row["loss"] for row in run.history] == [row["loss"] for row in plain.history]
    assert run.metrics == plain.metrics
    assert run.record["precision"] == "float32"
    model = run.model
    assert model.dtype_policy.name == "float32"
    assert {path: array.tobytes() for path, array in arrays(model).items()} == {
        path: array.tobytes() for path, array in arrays(plain.model).items()
    }


def test_a_run_predicts_measures_and_gives_features_as_it_would_without(foreign, photos, plain):
    paths = sorted(photos.rglob("*.png"))
    classifier, before = zoo.load(plain.path), plain.classifier
    assert classifier.model.get_layer("stem_conv").data_format == "channels_last"
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("uint8")
    found = [one.probabilities for one in classifier.predict(paths)]
    assert found == [one.probabilities for one in before.predict(paths)]
    assert np.array_equal(zoo.features(classifier.model, images), zoo.features(before.model, images))
    assert zoo.features(classifier.model, images).dtype == "float32"


@pytest.mark.parametrize("name", ["conv1d_small", "conv2d_small", "conv3d_small", "mnist_conv", "mobilenet_v3_small"])
def test_what_is_built_has_the_layers_of_its_card(foreign, name):
    keras.config.set_dtype_policy("float32")
    model = zoo.build(name, weights=None)
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert model.count_params() == zoo.info(name).params
    assert [(stage.name, stage.params) for stage in zoo.stages(model)] == [
        (stage.name, stage.params) for stage in zoo.info(name).stages
    ]
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert {layer.data_format for layer in model.layers if hasattr(layer, "data_format")} == {"channels_last"}


def test_the_policy_that_the_caller_sets_is_taken_and_one_that_follows_floatx_is_not():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert zoo.build("mnist_simple").dtype_policy.name == "mixed_float16"
        assert keras.config.dtype_policy().name == "mixed_float16"
        keras.config.set_dtype_policy("float16")
        keras.config.set_floatx("float16")
        assert zoo.build("mnist_simple").dtype_policy.name == "float32"
        assert keras.config.dtype_policy().name == "float16"
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def test_settings_are_put_back_after_a_fault(foreign):
    with pytest.raises(ZooError):
        zoo.build("mnist_conv", weights=None, precision="float99")
    with pytest.raises(RuntimeError), pinned():
        assert settings() == OURS
        raise RuntimeError


def test_settings_are_put_back_by_the_last_of_several_threads(foreign):
    keep, inside = threading.Event(), threading.Event()

    def hold():
        with pinned():
            inside.set()
            keep.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pinned("mixed_float16"):
        assert settings() == {**OURS, "dtype_policy": "mixed_float16"}
    # The other thread still computes.
    assert keras.config.image_data_format() == "channels_last"
    keep.set()
    thread.join()


def test_a_region_inside_another_ends_alone(foreign):
    with pinned():
        with pinned("mixed_bfloat16"):
            assert settings() == {**OURS, "dtype_policy": "mixed_bfloat16"}
        assert settings() == OURS


def test_no_policy_is_stored_where_the_caller_has_set_none():
    code = """
import keras, zoo
from keras.src.backend.common import global_state
zoo.build("mnist_simple")
assert global_state.get_global_attribute("dtype_policy") is None
keras.config.set_floatx("float64")
assert keras.layers.Dense(2).compute_dtype == "float64"
"""
    ended = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_building_inside_a_graph_of_tensorflow_is_refused():
    with tf.Graph().as_default(), pytest.raises(ZooError) as raised:
        zoo.build("mnist_simple")
    assert str(raised.value) == (
        "TensorFlow does not execute eagerly here, and zoo needs it to; leave the tf.function or tf.Graph, or "
        "start Python anew without tf.compat.v1.disable_eager_execution()"
    )


def test_training_inside_the_scope_of_a_strategy_is_refused(photos, tmp_path):
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), pytest.raises(ZooError) as raised:
        trained(photos, tmp_path / "run")
    assert str(raised.value) == (
        "finetune: is called inside OneDeviceStrategy.scope(); zoo makes its own; call it outside the scope"
    )


def test_functions_run_eagerly_for_the_caller_alone(photos, plain, tmp_path):
    tf.config.run_functions_eagerly(True)
    try:
        run = trained(photos, tmp_path / "run")
        assert tf.config.functions_run_eagerly()
    finally:
        tf.config.run_functions_eagerly(False)
    assert [row["loss"] for row in run.history] == [row["loss"] for row in plain.history]


@pytest.fixture
def before_keras(monkeypatch, tmp_path):
    """As in a process that has not imported Keras: settings come from variables and from a file in `tmp_path`."""
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (
            {"KERAS_BACKEND": "torch"},
            "KERAS_BACKEND is torch; zoo supports tensorflow and jax; unset KERAS_BACKEND or pip install 'zoo[jax]'",
        ),
        (
            {"KERAS_BACKEND": "Tensorflow"},
            "KERAS_BACKEND is Tensorflow; zoo supports tensorflow and jax; unset KERAS_BACKEND or pip install "
            "'zoo[jax]'",
        ),
        (
            {"KERAS_BACKEND": "jax", "KERAS_NNX_ENABLED": "True"},
            "KERAS_NNX_ENABLED is on; zoo trains Keras' own variables; turn it off",
        ),
        ({"KERAS_MAX_EPOCHS": "two"}, "KERAS_MAX_EPOCHS is 'two'; expected a whole number; unset KERAS_MAX_EPOCHS"),
    ],
)
def test_a_variable_that_keras_cannot_start_with_is_named(before_keras, variables, text):
    for name, value in variables.items():
        before_keras.setenv(name, value)
    with pytest.raises(ZooError) as raised:
        require_backend()
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"backend": "openvino"},
            'backend is openvino; zoo supports tensorflow and jax; change it to "tensorflow" or pip install '
            "'zoo[jax]'",
        ),
        ({"floatx": "bfloat16"}, "floatx is 'bfloat16'; expected float16 or float32 or float64; correct the file"),
        (
            {"image_data_format": "NHWC"},
            "image_data_format is 'NHWC'; expected channels_last or channels_first; correct the file",
        ),
        ({"epsilon": "1e-7"}, "epsilon is '1e-7'; expected a number such as 1e-7; correct the file"),
        (["tensorflow"], "holds ['tensorflow']; expected Keras' settings, as {}; correct or remove it"),
    ],
)
def test_a_file_that_keras_cannot_start_with_is_named(before_keras, tmp_path, content, text):
    (tmp_path / "keras.json").write_text(json.dumps(content))
    with pytest.raises(ZooError) as raised:
        require_backend()
    place = f"{tmp_path / 'keras.json'}: "
    assert str(raised.value) == place + text


def test_a_backend_that_is_not_installed_says_what_to_install(before_keras, tmp_path):
    before_keras.setattr(keras_globals, "_is_installed", lambda module: False)
    before_keras.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ZooError) as raised:
        require_backend()
    assert str(raised.value) == (
        "KERAS_BACKEND is jax, which is not installed here; pip install 'zoo[jax]', or unset KERAS_BACKEND"
    )
    before_keras.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    with pytest.raises(ZooError, match=r"keras\.json: backend is jax, which is not installed here; .*change it to"):
        require_backend()


def test_the_variable_wins_over_the_file_and_what_keras_passes_over_is_passed_over(before_keras, tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    before_keras.setenv("KERAS_BACKEND", "tensorflow")
    require_backend()
    before_keras.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text("not JSON")
    require_backend()


@pytest.mark.parametrize("command", [["finetune", "quickstart"], ["lr-find", "quickstart"]])
def test_the_command_line_answers_a_foreign_backend_in_one_line(command, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", "from zoo.cli import main; main()", *command],
        env=environment(KERAS_BACKEND="torch"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "zoo: KERAS_BACKEND is torch; zoo supports tensorflow and jax; unset KERAS_BACKEND or pip install 'zoo[jax]'\n"
    )


@pytest.mark.slow
def test_settings_from_a_file_change_nothing_that_is_built(tmp_path):
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.5}')
    code = """
import keras, zoo
assert (keras.config.image_data_format(), keras.config.floatx()) == ("channels_first", "float16")
for name in ("conv2d_small", "mnist_conv"):
    model = zoo.build(name, weights=None)
    assert model.count_params() == zoo.info(name).params, name
    assert {weight.dtype for weight in model.weights} == {"float32"}
assert (keras.config.image_data_format(), keras.config.floatx()) == ("channels_first", "float16")
"""
    for backend in ("tensorflow", "jax"):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(KERAS_HOME=str(tmp_path), KERAS_BACKEND=backend),
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
