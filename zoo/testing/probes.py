"""What the contract does to a model to see what it is: images, gradients, splitting, saving."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np

# Outputs that are computed in another order differ by rounding.
TOLERANCE = 1e-5


def splits_at_every_stage(model: "keras.Model") -> None:
    """Checks that what comes before and after each stage's last layer gives the whole model's answer.

    Raises:
        AssertionError: It does not.
    """
    import keras
    import numpy as np

    from zoo.freezing.graphs import legal_cuts
    from zoo.freezing.stages import stages

    images = random_images(2, model.input_shape[1:])
    whole = answers(model, images)
    cuts = set(legal_cuts(model))
    listed = [stage.last_layer for stage in model.blueprint.card.stages if stage.last_layer]
    for last_layer in listed:
        if last_layer not in cuts:
            raise AssertionError(
                f"{model.name}: not every path crosses '{last_layer}', which ends a stage; expected one of the layers "
                "that all paths cross"
            )
    for stage in stages(model)[:-1]:
        cut = stage.last.output
        prefix, suffix = keras.Model(model.input, cut), keras.Model(cut, model.output)
        both = answers(suffix, prefix(images))
        if not np.allclose(both, whole, atol=TOLERANCE):
            raise AssertionError(f"{model.name}: split after {stage.name}, it gives another answer than the whole")


def loads_as_saved(model: "keras.Model", folder: Path) -> None:
    """Checks that a model which is saved into a folder and loaded has the same weights and gives the same answers.

    Raises:
        AssertionError: It has not.
    """
    import numpy as np

    from zoo.models.building import load_model
    from zoo.models.saving import save_model

    save_model(model, folder)
    loaded = load_model(folder)
    saved = {weight.path: np.asarray(weight.value) for weight in model.weights}
    if {weight.path for weight in loaded.weights} != saved.keys():
        raise AssertionError(f"{model.name}: the saved model loads with other weights than it was saved with")
    for weight in loaded.weights:
        if not np.array_equal(np.asarray(weight.value), saved[weight.path]):
            raise AssertionError(f"{model.name}: {weight.path} of the saved model loads with other numbers")
    images = random_images(2, model.input_shape[1:])
    if not np.array_equal(answers(loaded, images), answers(model, images)):
        raise AssertionError(f"{model.name}: the saved model gives another answer when it is loaded")


def largest_gradients(model: "keras.Model") -> "dict[str, float]":
    """Returns the largest entry of each trainable weight's gradient in one step on eight images of four classes.

    Returns:
        By the weight's path; 0 where no gradient arrives. The model's weights hold their gradients afterwards.
    """
    import keras
    import numpy as np

    class GradientKeeper(keras.optimizers.Optimizer):
        """Puts each gradient where its variable was, so that a step shows what reaches what, on any backend."""

        def apply(self, grads: Any, trainable_variables: Any = None) -> None:
            missing.update(number for number, gradient in enumerate(grads) if gradient is None)
            super().apply(grads, trainable_variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign(variable, gradient)

    missing: set[int] = set()
    for weight in model.weights:
        weight.constraint = None
    keeper: Any = GradientKeeper(learning_rate=1.0)
    model.compile(optimizer=keeper, loss="sparse_categorical_crossentropy", run_eagerly=True)
    images = random_images(8, model.input_shape[1:])
    # Not as many of each class: a deep net at its start calls them equally likely, and its bias would have no gradient.
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        keras_model: Any = model  # Keras' annotation of verbose says a text
        keras_model.fit(images, labels, batch_size=8, epochs=1, verbose=0)
    return {
        weight.path: 0.0 if number in missing else float(np.abs(np.asarray(weight.value)).max())
        for number, weight in enumerate(model.trainable_weights)
    }


def random_images(count: int, shape: tuple[int, ...]) -> "np.ndarray":
    """Makes images that differ visibly: 4 even fields a side, each of a random colour.

    Returns:
        uint8[count, *shape].
    """
    import numpy as np

    *sides, channels = shape
    images = np.random.default_rng(0).integers(0, 256, (count, *[4] * len(sides), channels)).astype("uint8")
    for axis, side in enumerate(sides, 1):
        images = images.take(np.arange(side) * 4 // side, axis=axis)
    return images


def answers(model: "keras.Model", images: Any) -> "np.ndarray":
    """Calls a model as in inference."""
    import keras

    given: Any = keras.ops.convert_to_numpy(model(images))
    return given
