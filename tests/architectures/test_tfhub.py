"""A SavedModel trains as the same net written in Keras does, and a run of it needs nothing but itself."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from tests.models.test_contract import test_a_selector_trains_what_it_names_and_nothing_else as selectors_train
from tests.modules import FEATURES, SIDE, flat_model, module
from tests.tiny import environment, phase, recipe, write_photos
from zoo import testing
from zoo.errors import NotFoundError, TrustError, WeightsError, ZooError
from zoo.foreign import saved_models
from zoo.freezing.contract import Contract
from zoo.freezing.plans import train_only
from zoo.models.building import load_model
from zoo.models.saving import save_model

CLASSES = ("cat", "dog", "eel")
# In the order of the flat model's weights.
MODULE_PATHS = [
    f"module/{block}.{weight}"
    for block in ("stem", "stage.1")
    for weight in ("conv.kernel", "bn.gamma", "bn.beta", "bn.moving_mean", "bn.moving_variance")
]


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def build(kind="reusable", **settings):
    zoo.trust(module(kind))
    return zoo.build("tfhub", **{"handle": str(module(kind)), "classes": CLASSES, **settings})


def images_and_labels(count=24):
    images = testing.random_images(count, (SIDE, SIDE, 3))
    labels = np.arange(count) % len(CLASSES)
    images[labels == 1, ..., 0] //= 4
    images[labels == 2, ..., 1] //= 4
    return images, labels


def weights_of(model):
    return {weight.path: weight.numpy().copy() for weight in model.weights}


def test_it_gives_what_the_same_net_in_keras_gives():
    model, other = build(), flat_model(len(CLASSES))
    other.get_layer("classifier").set_weights(model.get_layer("classifier").get_weights())
    images, _ = images_and_labels()
    np.testing.assert_allclose(model(images), other(images), atol=1e-6)
    assert model.output_shape == (None, len(CLASSES))
    assert model.blueprint.classes == CLASSES


def test_every_weight_has_a_clean_name_and_shares_the_modules_storage():
    model = build()
    assert {weight.path for weight in model.weights} == {*MODULE_PATHS, "classifier/kernel", "classifier/bias"}
    images, _ = images_and_labels()
    before = np.array(model(images))
    model.weights[0].assign(model.weights[0] * 2)
    assert not np.allclose(before, model(images))


@pytest.mark.parametrize("precision", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", ["head", "frozen", "affine", "train"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_it_trains_as_the_same_net_in_keras_does(optimizer, mode, precision):
    keras.utils.set_random_seed(3)
    images, labels = images_and_labels()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        model, other = build(), flat_model(len(CLASSES))
    finally:
        keras.config.set_dtype_policy(before)
    other.get_layer("classifier").set_weights(model.get_layer("classifier").get_weights())
    start = weights_of(model)
    losses = []
    for net in (model, other):
        train_only(net, "head" if mode == "head" else "all", batchnorm="frozen" if mode == "head" else mode)
        if mode == "head":
            for layer in net.layers:
                layer.trainable = layer.name == "classifier"
        net.compile(
            optimizer={
                "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
                "adamw": lambda: keras.optimizers.AdamW(0.01),
                "rmsprop": lambda: keras.optimizers.RMSprop(0.005),
            }[optimizer](),
            loss="sparse_categorical_crossentropy",
        )
        net.optimizer.build(net.trainable_variables)
        promise = Contract(net, net.optimizer, phase=mode)
        losses.append(net.fit(images, labels, batch_size=8, epochs=4, shuffle=False, verbose=0).history["loss"])
        promise.check()
    assert losses[0][-1] < losses[0][0]
    # Adaptive optimizers divide by gradients that differ in the last bit; bfloat16 rounds what differs further.
    tolerance = {"float32": 2e-4, "mixed_bfloat16": 2e-2}[precision]
    np.testing.assert_allclose(losses[0], losses[1], rtol=tolerance)
    end = weights_of(model)
    for path, theirs in zip([*MODULE_PATHS, "classifier/kernel", "classifier/bias"], other.weights, strict=True):
        np.testing.assert_allclose(end[path], theirs.value, atol=10 * tolerance, err_msg=path)
    moved = {path for path in end if not np.array_equal(start[path], end[path])}
    named = {
        what: {path for path in end if path.startswith("module/") and path.endswith(what)}
        for what in ("kernel", "gamma", "beta", "moving_mean", "moving_variance")
    }
    expected = {"classifier/kernel", "classifier/bias"}
    expected |= named["kernel"] if mode != "head" else set()
    expected |= named["gamma"] | named["beta"] if mode in ("affine", "train") else set()
    expected |= named["moving_mean"] | named["moving_variance"] if mode == "train" else set()
    assert moved == expected


def test_xla_changes_nothing():
    images, labels = images_and_labels()
    results = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(3)
        model = build()
        zoo.unfreeze(model, batchnorm="train")
        model.compile(
            optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", jit_compile=jit_compile
        )
        model.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
        results.append(weights_of(model))
    for path, values in results[0].items():
        np.testing.assert_allclose(values, results[1][path], atol=1e-5, err_msg=path)


@pytest.mark.parametrize("kind", ["reusable", "maps", "open"])
def test_the_contract_of_every_model_holds(kind, tmp_path):
    settings = {"input_shape": (SIDE, SIDE, 3)} if kind == "open" else {}
    model = build(kind, **settings)
    testing.splits_at_every_stage(model)
    assert [stage.name for stage in zoo.stages(model)] == ["stage1", "head"]
    selectors_train(model)
    testing.loads_as_saved(model, tmp_path / "saved")
    grey = build(kind, input_shape=(SIDE, SIDE, 1))
    for mine, other in zip(grey.weights, model.weights, strict=True):
        mine.assign(other)
    images = testing.random_images(2, (SIDE, SIDE, 1))
    np.testing.assert_array_equal(grey(images), model(np.repeat(images, 3, axis=-1)))


def test_each_selector_changes_statistics_only_where_it_should():
    table = {row.stage: row.batchnorm for row in zoo.unfreeze(build(), "all", batchnorm="affine").rows}
    assert table == {"stage1": "affine", "head": "-"}
    assert [row.batchnorm for row in zoo.freeze(build(), "stage1").rows] == ["frozen", "-"]


@pytest.mark.parametrize("kind", ["plain", "served"])
def test_a_module_without_a_training_argument_trains_its_weights_only(kind):
    model = build(kind)
    assert zoo.unfreeze(model, batchnorm="train").rows[0].batchnorm == "affine"
    start = weights_of(model)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    model.fit(*images_and_labels(), verbose=0)
    still = {path for path, values in weights_of(model).items() if np.array_equal(values, start[path])}
    assert still == {path for path in start if "moving_" in path}


def test_what_keras_exports_is_a_module_too(tmp_path):
    exported = flat_model(4)
    exported.export(tmp_path / "exported", verbose=False)
    handle = zoo.trust(tmp_path / "exported")
    images, _ = images_and_labels()
    model = zoo.build("tfhub", handle=handle, classes=4, output="logits", input_range="0..255")
    # It gives probabilities, which a softmax flattens; their order stays.
    np.testing.assert_allclose(model(images), keras.ops.softmax(exported(images)), atol=1e-6)


def test_the_range_is_an_option():
    images, _ = images_and_labels()
    whole = build("reusable", input_range="-1..1")
    other = build()
    features = keras.Model(other.get_layer("module").input, other.get_layer("module").output)
    np.testing.assert_allclose(zoo.features(whole, images), features(images.astype("float32") / 127.5 - 1), atol=1e-5)
    assert features.output_shape == (None, FEATURES)


@pytest.mark.parametrize(
    ("settings", "fault", "message"),
    [
        ({"handle": ""}, NotFoundError, "which module"),
        ({"handle": "no/such/place"}, NotFoundError, "no such module"),
        ({"classes": None}, ZooError, "say which with classes="),
        ({"weights": None}, WeightsError, "cannot be built with random weights"),
        ({"input_shape": (32, 32, 3)}, ZooError, "expects 16, 16 and 3 channels"),
        ({"input_shape": (SIDE, SIDE, 4)}, ZooError, "3 channels"),
        ({"input_range": "0..2"}, NotFoundError, "0..1 or -1..1 or 0..255"),
        ({"output": "maps"}, NotFoundError, "features or logits"),
        ({"output": "logits"}, ZooError, "one logit for each of 3 classes"),
        ({"alpha": 1}, NotFoundError, "Unknown option 'alpha'"),
    ],
)
def test_a_clumsy_call_is_answered_with_what_to_do(settings, fault, message):
    with pytest.raises(fault, match=message):
        build(**settings)


@pytest.mark.slow
def test_a_run_carries_its_module_and_is_not_run_elsewhere_unasked(tmp_path, monkeypatch):
    original = tmp_path / "module"
    shutil.copytree(module(), original)
    data = write_photos(tmp_path / "photos")
    plan = recipe(
        phase("head", "head", epochs=1),
        phase("all", "all", batchnorm="train", learning_rate=0.01),
        model="mnist_conv",
    ).model_copy(update={"name": "hub"})
    words = {"model.name": "tfhub", "model.weights": "default", "model.handle": str(original)}
    with pytest.raises(TrustError, match="--trust-code"):
        zoo.finetune(plan, data, words, run=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    zoo.trust(original)
    run = zoo.finetune(plan, data, words, run=tmp_path / "run")
    assert str(tmp_path) not in (run.path / "recipe.toml").read_text()
    assert (
        run.record["phases"][0]["plan"][0] | {"batchnorm": "frozen", "state": "frozen"}
        == run.record["phases"][0]["plan"][0]
    )
    assert [row["batchnorm"] for row in run.record["phases"][1]["plan"]] == ["train", "-"]
    photo = next((data / "cat").iterdir())
    here = run.classifier.predict([photo])[0].probabilities

    # Another machine: no original, an empty cache, nothing trusted.
    shutil.rmtree(original)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache2"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config2"))
    with pytest.raises(TrustError, match=r"run: is a program|model: is a program"):
        zoo.load(run.path)

    def predict(*words):
        command = [
            sys.executable,
            "-c",
            "from zoo.cli import main; main()",
            "predict",
            str(run.path),
            str(photo),
            "--json",
        ]
        return subprocess.run([*command, *words], env=environment(), capture_output=True, text=True)

    refused = predict()
    assert refused.returncode == 1
    assert "--trust-code" in refused.stderr
    for words in (["--trust-code"], []):
        assert json.loads(predict(*words).stdout)["probabilities"] == here
    zoo.finetune(run.path, overrides=["phases.all.epochs=1"], run=tmp_path / "again")

    # A module that was changed since is another program.
    (run.path / "model" / "saved_model" / "assets.txt").write_text("more")
    with pytest.raises(WeightsError, match="expected sha256:"):
        zoo.load(run.path)


def test_a_damaged_cache_is_not_run():
    handle = zoo.trust(module())
    numbers = saved_models.fetch(handle).path / "variables" / "variables.data-00000-of-00001"
    numbers.write_bytes(bytes(byte ^ 1 for byte in numbers.read_bytes()))
    with pytest.raises(WeightsError, match="has changed or is damaged: remove it and fetch the module again"):
        zoo.build("tfhub", handle=handle, classes=2)


@pytest.mark.slow
def test_another_backend_says_which_it_needs():
    handle = zoo.trust(module())
    code = f"import zoo; zoo.build('tfhub', handle='{handle}', classes=2)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(KERAS_BACKEND="jax"), capture_output=True, text=True
    )
    assert "set KERAS_BACKEND=tensorflow" in done.stderr


def test_numbers_of_a_run_load_into_the_same_module(tmp_path):
    model = build()
    for weight in model.weights:
        weight.assign(weight + 0.25)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert all(np.array_equal(weights_of(loaded)[path], values) for path, values in weights_of(model).items())
    again = zoo.build("tfhub", handle=str(module()), classes=CLASSES, weights=tmp_path / "model")
    assert all(np.array_equal(weights_of(again)[path], values) for path, values in weights_of(model).items())


def test_a_frozen_module_is_run_once_though_nobody_can_count_what_it_computes(tmp_path, capsys):
    zoo.trust(module("reusable"))
    plan = recipe(
        phase("head", "head", epochs=3, learning_rate=1e-2),
        model="tfhub",
        train={"prefix_cache": "required"},
    )
    photos = write_photos(tmp_path / "photos", count=8)
    given = {"model.handle": str(module("reusable")), "model.weights": "default", "data.image_size": SIDE}
    cached = zoo.finetune(plan, photos, given, run=tmp_path / "cached")
    said = capsys.readouterr().err
    assert "runs up to module" in said or "what comes up to module" in said
    assert cached.record["phases"][0]["prefix_cache"]["computed"] == 16
    plain = zoo.finetune(plan, photos, {**given, "train.prefix_cache": "off"}, run=tmp_path / "plain")
    for one, other in zip(cached.history, plain.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
