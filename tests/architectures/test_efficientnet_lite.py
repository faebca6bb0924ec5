"""Truth for the converted weights: logits that two independent PyTorch implementations gave for one photo.

`lite_reference.npz` holds the photo (`rocket` of scikit-image, CC0) as Lite0 takes it with its logits, and for Lite1
and Lite2 a quarter-size photo, to be enlarged by repeating each pixel four times, with theirs. The second
implementation reads channels and kernels off the checkpoint and pads by hand; it gives Lite0's logits to 7e-6.
"""

import math
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo.models import weights


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parent / "lite_reference.npz") as arrays:
        return dict(arrays)


def logits(model, image):
    return keras.Model(model.input, model.get_layer("classifier").output)(image[None].astype("float32"))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_logits_equal_those_of_independent_implementations(name, reference):
    lite = name.removeprefix("efficientnet_")
    image = reference.get(f"{lite}_photo")
    if image is None:
        image = reference[f"{lite}_thumbnail"].repeat(4, 0).repeat(4, 1)
    model = zoo.build(name)
    assert image.shape == zoo.info(name).input_shape
    found = keras.ops.convert_to_numpy(logits(model, image))[0]
    np.testing.assert_allclose(found, reference[f"{lite}_logits"], rtol=0, atol=1e-4)


def test_the_photo_is_named(reference):
    model = zoo.build("efficientnet_lite0")
    probabilities = keras.ops.convert_to_numpy(model(reference["lite0_photo"][None]))
    names = weights.class_names(zoo.info("efficientnet_lite0").weights[0])
    assert names[int(probabilities.argmax())] == "missile"


# Trained parameters in millions: Lite0's exactly as its PyTorch checkpoint has them, the others as the README of
# models/official/efficientnet/lite in tensorflow/tpu prints them.
@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [("lite0", 4.652008, 6), ("lite1", 5.4, 1), ("lite2", 6.1, 1), ("lite3", 8.2, 1), ("lite4", 13.0, 1)],
)
def test_sizes_are_the_published_ones(name, millions, digits):
    model = zoo.build(f"efficientnet_{name}", weights=None)
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert round(trained / 1e6, digits) == millions
    card = zoo.info(f"efficientnet_{name}")
    assert model.count_params() == card.params == sum(stage.params for stage in card.stages)
    for stage, expected in zip(zoo.stages(model), card.stages, strict=True):
        assert (stage.name, len(stage.layers), stage.params) == (
            expected.name,
            expected.layers,
            expected.params,
        )


def test_the_head_is_a_linear_probe_on_the_pretrained_rest():
    model = zoo.build("efficientnet_lite0", classes=["cat", "dog"])
    head = zoo.stages(model)[-1]
    assert [layer.name for layer in head.layers if layer.weights] == ["classifier"]
    arrays = weights.read(zoo.info("efficientnet_lite0").weights[0], zoo.build("efficientnet_lite0", weights=None))
    stem = model.get_layer("stem_1_conv").kernel.numpy()
    assert (stem == arrays["stem_1_conv/kernel"]).all()
    assert model.output_shape == (None, 2)


def test_an_unknown_tensor_in_the_checkpoint_is_named():
    foreign = {"_blocks.99._bn1.weight": np.zeros(3, "float32")}
    convert = zoo.info("efficientnet_lite0").weights[0].convert
    assert convert is not None
    with pytest.raises(zoo.ZooError, match=r"the array _blocks\.99\._bn1\.weight \(3,\) has no weight"):
        weights.load_into(keras.Sequential([keras.Input((1,))], name="net"), convert(foreign), origin="lite0")


def test_the_dropout_rate_before_the_classifier():
    own = zoo.build("efficientnet_lite2", weights=None)
    assert own.get_layer("head_dropout").rate == 0.3
    given = zoo.build("efficientnet_lite2", weights=None, dropout=0.5)
    assert given.get_layer("head_dropout").rate == 0.5


def test_the_cards_have_the_accuracies_of_their_authors_table():
    # README.md of models/official/efficientnet/lite in tensorflow/tpu, column "FP32 accuracy".
    table = {0: 75.1, 1: 76.7, 2: 77.6, 3: 79.8, 4: 81.5}
    cards = {number: zoo.info(f"efficientnet_lite{number}") for number in table}
    assert {number: card.accuracy.top1 for number, card in cards.items()} == table
    assert all("tensorflow/tpu" in card.accuracy.source for card in cards.values())


@pytest.mark.parametrize(("number", "published"), [(0, 407e6), (4, 2.64e9)])
def test_multiply_adds_of_the_authors_table_count_batchnorm_and_activations_too(number, published):
    model = zoo.build(f"efficientnet_lite{number}", weights=None)
    outputs = {"BatchNormalization": 0, "Activation": 0, "Add": 0}
    for layer in model.layers:
        kind = type(layer).__name__.replace("ReLU", "Activation")
        if kind in outputs:
            outputs[kind] += math.prod(layer.output.shape[1:])
    counted = zoo.info(model.name).madds + 2 * outputs["BatchNormalization"] + outputs["Activation"] + outputs["Add"]
    assert counted == pytest.approx(published, rel=0.006)
