"""A model from elsewhere has no blueprint, and an error says so in one line."""

import keras
import pytest

import zoo
from zoo.models.blueprint import blueprint_of
from zoo.models.saving import save_model


def test_a_model_from_elsewhere_is_refused_in_one_line(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name="mine")
    text = "model 'mine' has no blueprint; expected a model as zoo.build and zoo.load give it"
    for use in (blueprint_of, lambda model: zoo.Classifier(model).classes, lambda model: save_model(model, tmp_path)):
        with pytest.raises(zoo.ZooError) as raised:
            use(model)
        assert str(raised.value) == text


def test_a_built_model_has_its_own():
    blueprint = blueprint_of(zoo.build("mnist_conv_tiny", weights=None, classes=["a", "b"]))
    assert (blueprint.architecture, blueprint.classes) == ("mnist_conv_tiny", ("a", "b"))
