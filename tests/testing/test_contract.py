"""The contract finds each fault that an architecture can have, and says it in a line."""

import keras
import pytest

from tests.test_imports import modules_after
from zoo import registry, testing
from zoo.registry import Card, Stage, register

CARD = {
    "name": "contract_net",
    "family": "contract",
    "description": "",
    "input_shape": (8, 8, 3),
    "classes": 3,
    # 3 x 3 x 3 x 4 and a bias of 4, 4 x 3 and a bias of 3; the kernels at 4 x 4 positions and at one.
    "params": 127,
    "madds": 1740,
    "preprocessing": "pixels / 255",
    "stages": (
        Stage(name="stem", last_layer="conv", layers=2, params=112),
        Stage(name="head", last_layer="", layers=3, params=15),
    ),
}


def build(inputs, *, card, classes, dropout, fault=""):
    from keras import layers, ops

    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    if fault == "nan":
        x = x / 0.0 * 0.0
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="unnamed" if fault == "cut" else "conv")(x)
    if fault == "cut":
        x = layers.Add(name="conv")([x, layers.Conv2D(4, 1, strides=2, name="other")(inputs)])
        x = layers.Add(name="after")([x, layers.Conv2D(4, 1, strides=2, name="around")(inputs)])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if fault == "dead":
        x = x + 0 * layers.Dense(4, use_bias=False, name="dead")(ops.stop_gradient(x))
    if fault == "fixed":
        classes = card.classes
    name = None if fault == "name" else "classifier"
    return layers.Dense(classes, activation="softmax" if fault == "softmax" else None, name=name)(x)


@pytest.fixture
def registered(monkeypatch):
    """Registers the net with a change of its card and a fault in its builder."""
    registry.list_models()
    monkeypatch.setattr(registry.entries, "_entries", dict(registry.entries._entries))

    def add(fault="", **changed):
        register(Card(**CARD | changed))(lambda inputs, **settings: build(inputs, fault=fault, **settings))

    return add


def test_an_architecture_that_keeps_it_passes(registered):
    registered()
    testing.check_architecture("contract_net")


def other_layers(layers):
    return {"stages": (CARD["stages"][0], Stage(name="head", last_layer="", layers=layers, params=15))}


@pytest.mark.parametrize(
    ("fault", "changed", "test", "said"),
    [
        ("", {"params": 126}, "the_card_says_what_is_built", "params is 127; expected 126; measure it: python -m zoo"),
        ("", {"madds": 1900}, "the_card_says_what_is_built", "madds is 1740; expected 1900; measure it: python -m zoo"),
        (
            "",
            other_layers(4),
            "the_card_says_what_is_built",
            "the stages (name, layers, params) is [('stem', 2, 112), ('head', 3, 15)]; expected [('stem', 2, 112), "
            "('head', 4, 15)]; measure it: python -m zoo",
        ),
        ("name", {}, "every_layer_has_a_name_of_its_own_making", "a layer's name in a second build is dense"),
        ("softmax", {}, "logits_come_out_of_the_builder", "the builder returns probabilities; expected the classifier"),
        ("cut", {}, "the_model_splits_at_every_stage", "not every path crosses 'conv', which ends a stage; expected"),
        (
            "dead",
            {"stages": ()},
            "a_gradient_reaches_every_trainable_weight",
            "the gradient of dead/kernel is 0.0; expected one that trains it",
        ),
        ("fixed", {}, "classes_make_a_new_classifier", "with classes=5, the output shape is (None, 3); expected (None"),
        ("nan", {}, "raw_pixels_go_in", "for images of 0 only, the output holds numbers that are not finite"),
        ("nan", {}, "probabilities_are_float32_under_every_policy", "under float32, the output holds numbers that are"),
        ("nan", {}, "odd_inputs_are_taken_or_refused", "for images of (9, 11, 3), the output holds numbers that are"),
    ],
)
def test_a_fault_is_found_and_said(registered, fault, changed, test, said):
    registered(fault, **changed)
    contract = testing.ArchitectureContract()
    contract.name = "contract_net"
    with pytest.raises(AssertionError) as raised:
        getattr(contract, f"test_{test}")()
    assert str(raised.value).startswith(f"contract_net: {said}")


def test_all_faults_are_said_at_once(registered):
    registered("name", params=126)
    with pytest.raises(AssertionError) as raised:
        testing.check_architecture("contract_net")
    first, second, third = str(raised.value).splitlines()
    assert first.startswith("contract_net: params is 127; expected 126")
    assert second.startswith("contract_net: a layer's name in a second build is dense")
    # It is saved, and cannot be loaded.
    assert third.startswith("contract_net: test_a_saved_model_loads_exactly: WeightsError: ")


def test_it_imports_neither_pytest_nor_keras():
    assert {"keras", "numpy", "pytest"}.isdisjoint(modules_after("import zoo.testing"))


def test_the_gradients_of_a_known_net_are_those_by_hand():
    # One dense layer, softmax and cross-entropy: the bias's gradient is the mean of probabilities less labels.
    inputs = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(inputs)
    outputs = keras.layers.Dense(4, "softmax", kernel_initializer="zeros", name="classifier")(flat)
    largest = testing.largest_gradients(keras.Model(inputs, outputs))
    # Half of the images are of class 0, and every class is as likely: 1/4 - 1/2.
    assert largest["classifier/bias"] == pytest.approx(0.25)
