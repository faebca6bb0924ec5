"""Multiply-adds by hand."""

import keras

from zoo.models.counting import count_madds, count_training_madds


def small():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, padding="same"),  # 64 positions x 27 x 4
            keras.layers.BatchNormalization(),
            keras.layers.DepthwiseConv2D(3, strides=2, padding="same"),  # 16 positions x 9 x 4
            keras.layers.Flatten(),
            keras.layers.Dense(10),  # 64 x 10
        ]
    )


def test_a_trained_layer_takes_three_passes_and_a_frozen_one_takes_one():
    model = small()
    convolution, depthwise, dense = 64 * 27 * 4, 16 * 9 * 4, 64 * 10
    assert count_madds(model) == convolution + depthwise + dense
    assert count_training_madds(model) == 3 * (convolution + depthwise + dense)
    model.layers[0].trainable = model.layers[1].trainable = False
    assert count_training_madds(model) == convolution + 3 * (depthwise + dense)


def test_a_layer_whose_products_are_not_counted_is_no_figure():
    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, keras.layers.MultiHeadAttention(2, 3)(inputs, inputs))
    assert count_training_madds(model) is None
