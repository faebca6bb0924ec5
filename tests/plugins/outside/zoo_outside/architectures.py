"""A network of one convolution."""

from zoo.registry import Card, Stage, register


@register(
    Card(
        name="outside_net",
        family="outside",
        description="One convolution.",
        input_shape=(12, 12, 1),
        classes=2,
        params=50,
        madds=5776,
        preprocessing="pixels / 255",
        stages=(
            Stage(name="stem", last_layer="stem_activation", layers=3, params=40),
            Stage(name="head", last_layer="", layers=2, params=10),
        ),
    )
)
def build(inputs, *, card, classes, dropout):
    from keras import layers

    x = layers.Rescaling(1 / 255, name="stem_rescaling")(inputs)
    x = layers.Conv2D(4, 3, name="stem_conv")(x)
    x = layers.Activation("relu", name="stem_activation")(x)
    x = layers.GlobalMaxPooling2D(name="head_pool")(x)
    return layers.Dense(classes, name="classifier")(x)
