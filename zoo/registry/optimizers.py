"""Optimizers by name, as Keras has them.

The entry points of plug-ins are `zoo.optimizers`. A recipe's rate, schedule and weight decay hold for each, as do
`layer_decay`, and state that goes on from phase to phase: zoo derives from the class that a row gives.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.registry.tables import Option, Row, Table

if TYPE_CHECKING:
    import keras


def no_arguments(model: "keras.Model", weight_decay: float) -> Mapping[str, Any]:
    """Says that nothing follows from the model."""
    return {}


@dataclass(frozen=True, kw_only=True)
class OptimizerRow(Row):
    """An optimizer; `build` takes nothing and returns a subclass of keras.optimizers.Optimizer.

    The class takes the options by name, beside what all of Keras' take.

    Attributes:
        arguments: Gives further arguments of the class that follow from the model and the recipe's weight decay.
    """

    build: "Callable[[], type[keras.optimizers.Optimizer]]"
    arguments: "Callable[[keras.Model, float], Mapping[str, Any]]" = no_arguments


OPTIMIZERS = Table(
    "optimizer",
    group="zoo.optimizers",
    row=OptimizerRow,
    left_out={
        "nadam": 'it corrects the bias of all weights by one product, whatever their ages; take "adamw"',
        "ftrl": "it computes each weight anew from the gradients alone, so that pretrained ones are lost at once",
        "schedule_free_adamw": "its schedule is its average, which zoo would neither validate nor keep; "
        'take "adamw" with train.ema',
        "schedulefreeadamw": 'its schedule is its average, which zoo would neither validate nor keep; take "adamw" '
        "with train.ema",
        "loss_scale_optimizer": 'train.precision = "mixed_float16" puts it around any other',
        "multi_optimizer": "phases, layer_decay and stages are how parts of a model train differently here",
    },
)


def _keras_class(name: str) -> "type[keras.optimizers.Optimizer]":
    import keras

    return getattr(keras.optimizers, name)


def _keras(name: str) -> "Callable[[], type[keras.optimizers.Optimizer]]":
    return functools.partial(_keras_class, name)


def _always_decays(model: "keras.Model", weight_decay: float) -> Mapping[str, Any]:
    # AdamW refuses None.
    return {"weight_decay": weight_decay}


def _muon_arguments(model: "keras.Model", weight_decay: float) -> Mapping[str, Any]:
    """Leaves the classifier, the last kernel, to Muon's AdamW, as its authors do; that has the recipe's decay."""
    kernels = [weight.path for weight in model.weights if len(weight.shape) > 1]
    return {
        "exclude_layers": [f"^{re.escape(path)}$" for path in kernels[-1:]],
        "adam_weight_decay": weight_decay or None,
    }


def _beta(default: float, meaning: str) -> Option:
    return Option(default=default, at_least=0, below=1, meaning=meaning)


_BETA_1 = _beta(0.9, "Of the average of gradients.")
_BETA_2 = _beta(0.999, "Of the average of their squares.")
_EPSILON = Option(default=1e-7, above=0, at_most=1, meaning="Keeps a divisor from 0.")
_ADAM: dict[str, Option] = {"beta_1": _BETA_1, "beta_2": _BETA_2, "epsilon": _EPSILON}
_AMSGRAD: dict[str, Option] = {
    **_ADAM,
    "amsgrad": Option(default=False, meaning="Whether the largest average of squares counts."),
}
_RHO = _beta(0.9, "Of the average of squares.")
_ACCUMULATOR = Option(default=0.1, at_least=0, at_most=100, meaning="What the sum of squares begins with.")

for _row in (
    OptimizerRow(
        name="adamw",
        summary="Adam with decoupled weight decay (arXiv:1711.05101).",
        options=_AMSGRAD,
        build=_keras("AdamW"),
        arguments=_always_decays,
    ),
    OptimizerRow(name="adam", summary="Adam (arXiv:1412.6980).", options=_AMSGRAD, build=_keras("Adam")),
    OptimizerRow(
        name="sgd",
        summary="Stochastic gradient descent, with Nesterov momentum unless said otherwise.",
        options={
            "momentum": _beta(0.9, "0 is plain gradient descent."),
            "nesterov": Option(default=True, meaning="Whether the momentum looks ahead."),
        },
        build=_keras("SGD"),
    ),
    OptimizerRow(
        name="adamax",
        summary="Adam with the largest gradient in place of the mean square (arXiv:1412.6980, section 7).",
        options=_ADAM,
        build=_keras("Adamax"),
    ),
    OptimizerRow(
        name="adagrad",
        summary="Divides by the root of all squares so far (Duchi et al. 2011).",
        options={"initial_accumulator_value": _ACCUMULATOR, "epsilon": _EPSILON},
        build=_keras("Adagrad"),
    ),
    OptimizerRow(
        name="adadelta",
        summary="Steps of the size of the last ones (arXiv:1212.5701); a learning_rate of 1 is the paper's.",
        options={"rho": _beta(0.95, "Of both averages of squares."), "epsilon": _EPSILON},
        build=_keras("Adadelta"),
    ),
    OptimizerRow(
        name="rmsprop",
        summary="Divides by the root of the mean square (Tieleman and Hinton 2012).",
        options={
            "rho": _RHO,
            "momentum": _beta(0.0, "0 has none."),
            "epsilon": _EPSILON,
            "centered": Option(default=False, meaning="Whether the mean is taken off the mean square."),
        },
        build=_keras("RMSprop"),
    ),
    OptimizerRow(
        name="lion",
        summary="The sign of a momentum (arXiv:2302.06675); its rate is a third to a tenth of AdamW's.",
        options={
            "beta_1": Option(default=0.9, above=0, below=1, meaning="Of the step."),
            "beta_2": _beta(0.99, "Of the momentum."),
        },
        build=_keras("Lion"),
    ),
    OptimizerRow(
        name="lamb",
        summary="Adam whose steps are as long as the weights, for large batches (arXiv:1904.00962).",
        options=_ADAM,
        build=_keras("Lamb"),
    ),
    OptimizerRow(
        name="muon",
        summary="Orthogonal steps for matrices (arXiv:2502.16982); AdamW for convolutions and the rest.",
        options={
            "momentum": _beta(0.95, "Of the matrices."),
            "nesterov": Option(default=True, meaning="Whether the momentum looks ahead."),
            "ns_steps": Option(default=5, at_least=1, at_most=20, meaning="Rounds of Newton and Schulz."),
            "rms_rate": Option(
                default=0.2, above=0, at_most=100, meaning="Size of a step, such that AdamW's rate fits."
            ),
            "adam_beta_1": _BETA_1,
            "adam_beta_2": _BETA_2,
            "adam_lr_ratio": Option(default=1.0, above=0, at_most=100, meaning="AdamW's share of the rate."),
            "epsilon": _EPSILON,
        },
        build=_keras("Muon"),
        arguments=_muon_arguments,
    ),
    OptimizerRow(
        name="adafactor",
        summary="Little memory (arXiv:1804.04235), without its relative_step, which the schedule takes the place of. "
        "The rate is at most 1 over the root of the steps.",
        options={
            "beta_2_decay": Option(
                default=-0.8, at_least=-10, below=0, meaning="Power of the step that the average forgets by."
            ),
            "epsilon_1": Option(default=1e-30, above=0, at_most=1, meaning="Keeps a divisor from 0."),
            "epsilon_2": Option(
                default=1e-3, above=0, at_most=1, meaning="The least size of a weight that steps go by."
            ),
            "clip_threshold": Option(default=1.0, above=0, at_most=1e6, meaning="Largest root mean square of a step."),
        },
        build=_keras("Adafactor"),
    ),
):
    OPTIMIZERS.register(_row)
