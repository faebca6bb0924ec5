"""The switch of what computes in place of Keras."""

import keras
import pytest

from zoo.backend.keras_internals.native_operations import SWITCH, is_used, native_operations


def layers():
    made = [keras.layers.BatchNormalization(), keras.layers.Conv2D(4, 3, groups=4)]
    for layer in made:
        layer.build((2, 5, 5, 4))
    return made


def overridden(made):
    return [{"call", "convolution_op"} & set(vars(layer)) for layer in made]


def test_they_compute_until_the_context_ends(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    made = layers()
    with native_operations(iter(made)):
        assert overridden(made) == [{"call"}, {"convolution_op"}]
    assert overridden(made) == [set(), set()]
    assert is_used() is True


@pytest.mark.parametrize("setting", ["0", "off", "No ", "false"])
def test_a_switch_leaves_all_to_keras(setting, monkeypatch):
    monkeypatch.setenv(SWITCH, setting)
    made = layers()
    with native_operations(made):
        assert overridden(made) == [set(), set()]
    assert is_used() is False
