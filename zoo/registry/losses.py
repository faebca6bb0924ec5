"""Losses by name: what is minimised, on labels that are shares of the classes and on probabilities.

The entry points of plug-ins are `zoo.losses`. Labels are float[batch, classes]: one-hot, smoothed, or mixed of several
images. Class weights, label smoothing and the weights of images hold for every loss, in a plug-in too: what a builder
does not take itself is done around it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import shown
from zoo.registry.tables import Option, Row, Table

if TYPE_CHECKING:
    import keras

# Lin et al. 2017 (arXiv:1708.02002), section 4.1.
FOCAL_GAMMA, FOCAL_ALPHA = 2.0, 0.25


@dataclass(frozen=True, kw_only=True)
class LossRow(Row):
    """A loss; `build` takes the options by name, and returns a Keras loss of labels and probabilities.

    Attributes:
        takes: What the builder takes besides, by these names: `class_weights`, a list of floats or None;
            `label_smoothing`, a share.
    """

    build: "Callable[..., keras.losses.Loss]"
    takes: Collection[Literal["class_weights", "label_smoothing"]] = ()

    def faults(self) -> Iterator[str]:
        """Yields what is wrong about the row itself."""
        yield from super().faults()
        if unknown := [name for name in self.takes if name not in ("class_weights", "label_smoothing")]:
            yield f"takes has {shown(unknown[0])}; expected 'class_weights' or 'label_smoothing'"


LOSSES = Table(
    "loss",
    group="zoo.losses",
    row=LossRow,
    left_out={
        "binary_crossentropy": "it is of classes that do not exclude each other",
        "binary_focal_crossentropy": "it is of classes that do not exclude each other",
        "categorical_crossentropy": 'it is called "crossentropy" here',
        "categorical_focal_crossentropy": 'it is called "focal" here',
        "categorical_generalized_cross_entropy": "it takes class numbers, and labels here are shares of the classes",
        "categorical_hinge": "its minimum is not where the probabilities are a mixed or smoothed label",
        "sparse_categorical_crossentropy": 'labels here are shares of the classes; take "crossentropy"',
        "mse": 'it is called "mean_squared_error" here',
        "kld": 'it is called "kl_divergence" here',
        "poisson": 'of probabilities it is "crossentropy", divided by the number of classes',
    },
)


def _crossentropy(*, class_weights: list[float] | None, label_smoothing: float) -> Any:
    import keras

    if class_weights is not None:
        alpha: Any = class_weights  # a list, as its documentation has it
        return keras.losses.CategoricalFocalCrossentropy(alpha=alpha, gamma=0.0, label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def _focal(*, gamma: float, alpha: float, class_weights: list[float] | None, label_smoothing: float) -> Any:
    import keras

    weights: Any = alpha if class_weights is None else [alpha * weight for weight in class_weights]
    return keras.losses.CategoricalFocalCrossentropy(alpha=weights, gamma=gamma, label_smoothing=label_smoothing)


def _kl_divergence() -> Any:
    import keras

    return keras.losses.KLDivergence()


def _mean_squared_error() -> Any:
    import keras

    return keras.losses.MeanSquaredError()


for _row in (
    LossRow(
        name="crossentropy",
        summary="Categorical cross-entropy.",
        takes=("class_weights", "label_smoothing"),
        build=_crossentropy,
    ),
    LossRow(
        name="focal",
        summary="Cross-entropy that looks away from what is easy (Lin et al. 2017, arXiv:1708.02002).",
        options={
            "gamma": Option(
                default=FOCAL_GAMMA, at_least=0, at_most=100, meaning="How far; 0 is cross-entropy times alpha."
            ),
            "alpha": Option(default=FOCAL_ALPHA, above=0, at_most=100, meaning="A factor on all."),
        },
        takes=("class_weights", "label_smoothing"),
        build=_focal,
    ),
    # Both have their minimum where the probabilities are the label, also a mixed one: proper scores, as cross-entropy.
    LossRow(
        name="kl_divergence",
        summary="Cross-entropy less what the label itself has: 0 where the probabilities are the label.",
        build=_kl_divergence,
    ),
    LossRow(
        name="mean_squared_error",
        summary="The Brier score over the number of classes (Hui and Belkin 2021, arXiv:2006.07322).",
        build=_mean_squared_error,
    ),
):
    LOSSES.register(_row)
