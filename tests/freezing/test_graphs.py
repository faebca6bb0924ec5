"""What Keras users make of a model, and that its stages are still the same layers, or refused."""

import copy
import pickle
import re
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from keras import layers

import zoo
from tests.tiny import environment
from zoo.errors import NotFoundError, ZooError
from zoo.freezing.contract import fingerprint

# Keras 3.15.1 reads TensorFlow's variables, to save them, in a way that NumPy 2 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SHAPE = (32, 32, 3)
# By hand, of conv2d_small: kernels 3x3 without bias, BatchNorms of 4 a filter.
STEM = 3 * 3 * 3 * 16 + 4 * 16
STAGE1 = 3 * 3 * 16 * 32 + 4 * 32
STAGE2 = 3 * 3 * 32 * 64 + 4 * 64
BACKBONE = [("stem", STEM), ("stage1", STAGE1), ("stage2", STAGE2)]


def build():
    return zoo.build("conv2d_small", weights=None, classes=3)


def backbone():
    model = build()
    return keras.Model(model.input, model.get_layer("stage2_activation").output)


def table(model):
    return [(stage.name, stage.params) for stage in zoo.stages(model)]


def saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def renamed(model, _):
    return keras.Model(model.inputs, model.outputs, name="mine")


COPIES = {
    "a file": saved_and_loaded,
    "clone_model": lambda model, _: keras.models.clone_model(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "from_config": lambda model, _: keras.Model.from_config(model.get_config()),
    "another name": renamed,
}


@pytest.mark.parametrize("name", ["conv2d_small", "mnist_conv", "mnist_simple", "mobilenet_v3_small"])
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_has_the_stages_of_its_card(name, way, tmp_path):
    model = zoo.build(name, weights=None)
    copied = COPIES[way](model, tmp_path)
    assert not hasattr(copied, "blueprint")
    expected = {stage.name: [layer.name for layer in stage.layers] for stage in zoo.stages(model)}
    assert {stage.name: [layer.name for layer in stage.layers] for stage in zoo.stages(copied)} == expected
    for one in (model, copied):
        zoo.freeze(one, "stem,stage1" if "stage1" in expected else "stem")
    assert [weight.path for weight in copied.trainable_weights] == [weight.path for weight in model.trainable_weights]


def test_a_saved_model_is_plain_keras_and_loads_without_zoo(tmp_path):
    model = build()
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "found.npy", model.predict(images, verbose=0))
    code = """
import sys
sys.modules["zoo"] = None
import keras, numpy as np
found = keras.models.load_model("model.keras").predict(np.load("images.npy"), verbose=0)
assert np.array_equal(found, np.load("found.npy"))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_a_new_head_on_old_layers_has_their_stages():
    model = build()
    assert table(keras.Model(model.input, layers.Dense(7)(model.get_layer("head_pool").output))) == [
        *BACKBONE,
        ("head", 64 * 7 + 7),
    ]
    # Of the first stages alone, too.
    early = layers.Dense(2)(layers.GlobalMaxPooling2D()(model.get_layer("stage1_activation").output))
    assert table(keras.Model(model.input, early)) == [*BACKBONE[:2], ("head", 32 * 2 + 2)]


def test_a_backbone_without_a_head_has_an_empty_one():
    base = backbone()
    assert table(base) == [*BACKBONE, ("head", 0)]
    with pytest.warns(
        UserWarning, match="^freeze: nothing is left to train in model 'functional.*', which has no head"
    ):
        zoo.freeze(base)
    assert base.trainable_weights == []


def nested():
    inputs = keras.Input(SHAPE)
    x = backbone()(layers.RandomFlip()(inputs), training=False)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def in_sequential():
    base = backbone()
    augmentation = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
    return keras.Sequential([keras.Input(SHAPE), augmentation, base, layers.GlobalAveragePooling2D(), layers.Dense(2)])


def nested_twice():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(keras.Sequential([backbone()])(inputs))))


@pytest.mark.parametrize("graph", [nested, in_sequential, nested_twice])
def test_a_backbone_inside_another_model_has_its_stages_and_what_follows_is_the_head(graph):
    assert table(graph()) == [*BACKBONE, ("head", 64 * 2 + 2)]


def test_a_whole_classifier_inside_another_model_adds_to_the_head():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.Dense(2)(build()(inputs)))
    assert table(model) == [*BACKBONE, ("head", 64 * 3 + 3 + 3 * 2 + 2)]


@pytest.mark.parametrize("graph", [nested, in_sequential])
def test_what_is_frozen_inside_a_nested_model_stays_and_the_rest_changes(graph):
    model = graph()
    plan = zoo.freeze(model)
    assert [(row.stage, row.trainable_params) for row in plan.rows] == [
        ("stem", 0),
        ("stage1", 0),
        ("stage2", 0),
        ("head", 130),
    ]
    zoo.unfreeze(model, "stage2", batchnorm="frozen")
    before = fingerprint(model.weights)
    model.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).integers(0, 256, (8, *SHAPE)).astype("float32")
    model.fit(images, np.arange(8) % 2, epochs=1, verbose=0)
    moved = {path for path, now in fingerprint(model.weights).items() if now != before[path]}
    # Kernel of stage2, kernel and bias of the new head.
    assert {path.rsplit("/", 2)[-2].split("_")[0] for path in moved} == {"stage2", "dense"}
    assert len(moved) == 3


def test_a_stage_inside_a_model_that_was_switched_off_as_a_whole_is_switched_on_alone():
    model = nested()
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    base.trainable = False
    zoo.unfreeze(model, "stage1", batchnorm="train")
    trained = {weight.path.split("/")[-2] for weight in model.trainable_weights}
    assert {name for name in trained if not name.startswith("dense")} == {"stage1_conv", "stage1_bn"}


@pytest.mark.parametrize(("top", "head"), [(True, 1000 * 1280 + 1000), (False, 0)])
def test_a_model_of_keras_applications_has_the_stages_of_our_card(top, head):
    # Keras' names of layers are ours; its own model has no preprocessing layer of ours.
    model = keras.applications.MobileNetV2(weights=None, include_top=top, input_shape=None if top else (96, 96, 3))
    card = zoo.info("mobilenet_v2")
    assert table(model) == [*((stage.name, stage.params) for stage in card.stages[:-1]), ("head", head)]


def test_two_networks_side_by_side_are_refused():
    inputs = keras.Input(SHAPE)
    left, right = build(), zoo.build("conv2d_small", weights=None, classes=3)
    right.name = "other"
    model = keras.Model(inputs, layers.Average()([left(inputs), right(inputs)]), name="two")
    with pytest.raises(ZooError) as raised:
        zoo.freeze(model)
    assert str(raised.value) == (
        "model 'two' holds several networks (conv2d_small, other), so that its stages cannot be found; "
        "name the layers of one: zoo.stages(model.get_layer('conv2d_small'))"
    )


def test_a_model_that_is_cut_where_two_cards_part_is_refused():
    whole = keras.applications.ResNet101(weights=None, include_top=False, input_shape=(32, 32, 3))
    cut = layers.GlobalAveragePooling2D()(whole.get_layer("conv4_block10_out").output)
    with pytest.raises(ZooError) as raised:
        zoo.stages(keras.Model(whole.input, layers.Dense(2)(cut), name="cut"))
    assert str(raised.value) == (
        "model 'cut' begins like resnet101 and resnet152 and resnet50, and their stages differ; "
        "cut it where a stage of the whole model ends, or at its head"
    )


@pytest.mark.parametrize("ends", [["stage1_activation", "probabilities"], ["stage1_activation", "stage2_activation"]])
def test_a_model_with_an_output_on_the_way_is_refused(ends):
    model = build()
    several = keras.Model(model.input, [model.get_layer(name).output for name in ends], name="several")
    with pytest.raises(ZooError) as raised:
        zoo.stages(several)
    text = str(raised.value)
    assert text.startswith("model 'several': not every path crosses stage1_activation")
    assert text.endswith("take those of the model that it was made of")


def test_two_heads_on_one_backbone_are_the_head():
    model = build()
    pooled = model.get_layer("head_pool").output
    both = keras.Model(model.input, [layers.Dense(2)(pooled), layers.Dense(3)(pooled)])
    assert table(both) == [*BACKBONE, ("head", 64 * 2 + 2 + 64 * 3 + 3)]


def test_one_backbone_of_two_inputs_has_its_stages():
    model = build()
    vectors = keras.Model(model.input, model.get_layer("head_pool").output)
    left, right = keras.Input(SHAPE), keras.Input(SHAPE)
    siamese = keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([vectors(left), vectors(right)])))
    zoo.freeze(siamese)
    assert table(siamese) == [*BACKBONE, ("head", 2 * 64 + 1)]
    assert len(siamese.trainable_weights) == 2


def test_a_network_inside_a_wrapper_is_refused():
    model = build()
    vectors = keras.Model(model.input, model.get_layer("head_pool").output)
    frames = keras.Input((4, *SHAPE))
    x = layers.TimeDistributed(vectors, name="each")(frames)
    film = keras.Model(frames, layers.Dense(2)(layers.LSTM(4)(x)), name="film")
    with pytest.raises(ZooError) as raised:
        zoo.freeze(film)
    assert str(raised.value) == (
        "model 'film' holds a network inside its layer 'each', so that its stages cannot be found; "
        "take those of that: zoo.stages(model.get_layer('each').layer)"
    )


def test_features_inside_a_nested_model_are_taken_of_that():
    model = nested()
    inside = next(layer.name for layer in model.layers if isinstance(layer, keras.Model))
    images = np.zeros((1, *SHAPE), np.uint8)
    with pytest.raises(ZooError) as raised:
        zoo.features(model, images)
    assert str(raised.value) == (
        f"features: stage 'stage2' of model '{model.name}' lies inside its layer '{inside}'; "
        f"take them of that: zoo.features(model.get_layer('{inside}'), images)"
    )
    assert zoo.features(model.get_layer(inside), images).shape == (1, 64)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            lambda: keras.Sequential([layers.Dense(2)], name="late"),
            "model 'late' is a Sequential that does not know its input; begin it with keras.Input(...)",
        ),
        (lambda: "resnet50", "a model is 'resnet50'; expected a functional keras.Model; zoo.build makes one"),
        (lambda: None, "a model is None; expected a functional keras.Model; zoo.build makes one"),
    ],
)
def test_what_has_no_graph_is_refused(model, text):
    for function in (zoo.stages, zoo.freeze, zoo.unfreeze):
        with pytest.raises(ZooError) as raised:
            function(model())
        assert str(raised.value) == text


def test_a_model_goes_on_to_be_trained_saved_quantized_and_split_as_keras_models_are(tmp_path):
    model = build()
    assert len(keras.Model(model.inputs, [model.output, model.get_layer("head_pool").output]).outputs) == 2
    model.save_weights(tmp_path / "x.weights.h5")
    build().load_weights(tmp_path / "x.weights.h5")
    model.get_layer("classifier").enable_lora(2)
    assert table(model)[:3] == BACKBONE
    model = build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names every layer that has nothing to quantize
        model.quantize("int8")
    assert [name for name, _ in table(model)] == ["stem", "stage1", "stage2", "head"]


def derived(*more):
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, strides=2, name="a")(inputs)
    x = layers.Conv2D(16, 3, strides=2, name="b")(x)
    for layer in more:
        x = layer(x)
    return keras.Model(inputs, x, name="own")


def test_a_derived_head_holds_the_last_layer_with_weights():
    # The classifier is a 1x1 convolution before the pooling, as in Network in Network (arXiv:1312.4400).
    model = derived(layers.Conv2D(5, 1, name="logits"), layers.GlobalAveragePooling2D(), layers.Softmax())
    assert table(model) == [("stem", 3 * 3 * 3 * 8 + 8), ("stage1", 3 * 3 * 8 * 16 + 16), ("head", 16 * 5 + 5)]
    zoo.freeze(model)
    assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]


def test_the_classifier_of_mobilenet_that_is_a_convolution_stays_trainable():
    model = keras.applications.MobileNetV3Small(weights=None)
    zoo.freeze(model)
    # A hidden 1x1 convolution and the classifier, kernels and biases.
    assert len(model.trainable_weights) == 4


def test_a_derived_stage_has_parameters():
    pooled = derived(layers.MaxPooling2D(), layers.Activation("relu"), layers.Flatten(), layers.Dense(2))
    assert [name for name, _ in table(pooled)] == ["stem", "stage1", "head"]
    assert all(params for _, params in table(pooled))


def test_freezing_that_freezes_nothing_is_warned_of():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs), name="flat")
    text = "^freeze: selector '!head' names no layer with weights in model 'flat'; nothing is frozen$"
    with pytest.warns(UserWarning, match=text):
        zoo.freeze(model)


def test_freezing_that_leaves_nothing_is_warned_of_where_all_was_not_asked_for():
    model = build()
    zoo.freeze(model, "head")
    text = (
        "freeze: nothing is left to train in model 'conv2d_small'; make a part trainable: zoo.unfreeze(model, 'head')"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        zoo.freeze(model, "!head")
    zoo.freeze(build(), "all")


@pytest.mark.parametrize("selector", [["stem", "stage1"], ("stem", "stage1"), {"stem", "stage1"}, "stem,stage1"])
def test_a_selector_is_a_text_or_a_list_of_terms(selector):
    model = build()
    zoo.freeze(model, selector)
    assert {weight.path.split("_")[0] for weight in model.trainable_weights} == {
        "stage2",
        "classifier/kernel",
        "classifier/bias",
    }


@pytest.mark.parametrize("selector", [None, 3, b"stem", ["stem", 1], {"stem": 1}])
def test_a_selector_of_another_kind_is_refused(selector):
    with pytest.raises(
        ZooError, match=r"^selector is .*; expected a text such as 'stem,stage1', or a list of its terms"
    ):
        zoo.freeze(build(), selector)


def test_an_unknown_mode_of_batchnorm_is_refused():
    with pytest.raises(ZooError) as raised:
        zoo.unfreeze(build(), "all", batchnorm="auto")
    assert str(raised.value) == "unfreeze: batchnorm is 'auto'; expected frozen, affine, train"
    with pytest.raises(NotFoundError, match="is empty"):
        zoo.unfreeze(build(), [])
