"""The contract as methods of a class, which pytest finds, and as one call."""

import functools
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.errors import ZooError
from zoo.testing.probes import (
    TOLERANCE,
    answers,
    largest_gradients,
    loads_as_saved,
    random_images,
    splits_at_every_stage,
)

if TYPE_CHECKING:
    import keras
    import numpy as np

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def check_architecture(name: str, *, input_shape: tuple[int, ...] | None = None, **options: object) -> None:
    """Runs every test of the contract on a registered architecture.

    Args:
        name: A name of `zoo.list_models()`.
        input_shape: What to build it for; None takes the card's. A small one is faster.
        **options: The family's further options.

    Raises:
        AssertionError: It breaks the contract; the message has a line for each fault.

    Example:

        zoo.testing.check_architecture("my_net")
    """
    contract = ArchitectureContract()
    contract.name, contract.input_shape, contract.options = name, input_shape, options
    faults: list[str] = []
    for test in tests():
        try:
            getattr(contract, test)()
        except AssertionError as fault:
            faults.append(str(fault))
        except Exception as fault:  # a builder may fail in any way; the other tests still have their say
            faults.append(f"{name}: {test}: {type(fault).__name__}: {fault}")
    if faults:
        raise AssertionError("\n".join(faults))


def tests() -> list[str]:
    """Lists the methods of the contract."""
    return [method for method in vars(ArchitectureContract) if method.startswith("test_")]


class ArchitectureContract:
    """What holds for every architecture, as pytest finds it in a class whose name begins with `Test`.

    Attributes:
        name: The registered name.
        input_shape: What to build it for; None takes the card's. A small one is faster.
        options: The family's further options.
    """

    name: str = ""
    input_shape: tuple[int, ...] | None = None
    options: Mapping[str, Any] = {}

    def test_the_card_says_what_is_built(self) -> None:
        """Names, shapes, parameters, multiply-adds and stages are those of the card, at its input shape."""
        from zoo.freezing.stages import stages
        from zoo.models.building import build
        from zoo.models.counting import count_madds

        card, _ = registry.lookup(self.name).adapted(self.options)
        model = build(self.name, weights=None, **self.options)
        advice = f"measure it: python -m zoo.models.measuring {self.name}"
        self._equal("the model's name", model.name, card.name)
        self._equal("the input shape", model.input_shape, (None, *card.input_shape))
        self._equal("the output shape", model.output_shape, (None, card.classes))
        self._equal("params", model.count_params(), card.params, advice)
        if card.madds is not None:
            madds = count_madds(model)
            self._require(
                math.isclose(madds, card.madds, rel_tol=0.01), f"madds is {madds}; expected {card.madds}; {advice}"
            )
        if card.stages:
            built = [(stage.name, len(stage.layers), stage.params) for stage in stages(model)]
            listed = [(stage.name, stage.layers, stage.params) for stage in card.stages]
            self._equal("the stages (name, layers, params)", built, listed, advice)
            numbered = [f"stage{number}" for number in range(1, len(listed) - 1)]
            names = [name for name, _, _ in listed]
            self._require(
                names in ([*numbered, "head"], ["stem", *numbered, "head"], [f"stage{len(listed) - 1}", "head"]),
                f"the stages are {', '.join(names)}; expected stem, stage1 and so on, head",
            )

    def test_every_layer_has_a_name_of_its_own_making(self) -> None:
        """A second build has the same names: weights are found by them."""
        again = self.build()
        for found, expected in zip(again.layers, self.model.layers, strict=True):
            advice = "give each layer a name= in the builder"
            self._equal("a layer's name in a second build", found.name, expected.name, advice)
        self._equal(
            "the weights' paths in a second build",
            [weight.path for weight in again.weights],
            [weight.path for weight in self.model.weights],
        )

    def test_raw_pixels_go_in(self) -> None:
        """Integers and floats in [0, 255] give the same, black and white give numbers."""
        import numpy as np

        images = random_images(2, self.model.input_shape[1:])
        for value in (0, 255):
            self._check_probabilities(answers(self.model, images * 0 + value), f"for images of {value} only, ")
        same = np.array_equal(answers(self.model, images), answers(self.model, images.astype("float32")))
        self._require(same, "uint8 and float32 pixels of the same values give other answers")

    def test_logits_come_out_of_the_builder(self) -> None:
        """The softmax is added by `zoo.build`."""
        import keras
        import numpy as np

        from zoo.models.taking_over import PROBABILITIES

        logits = keras.Model(self.model.input, self.model.get_layer(PROBABILITIES).input)
        given = answers(logits, random_images(2, self.model.input_shape[1:]))
        self._require(
            not (np.allclose(given.sum(-1), 1, atol=TOLERANCE) and given.min() >= 0),
            "the builder returns probabilities; expected the classifier's output before the softmax",
        )

    def test_probabilities_are_float32_under_every_policy(self) -> None:
        """Also where the model computes in half precision."""
        for policy in POLICIES:
            model = self.build(precision=policy, classes=5)
            probabilities = answers(model, random_images(3, model.input_shape[1:]))
            self._equal(f"under {policy}, the dtype", str(probabilities.dtype), "float32")
            self._equal(f"under {policy}, the shape", probabilities.shape, (3, 5))
            self._check_probabilities(probabilities, f"under {policy}, ")

    def test_the_model_splits_at_every_stage(self) -> None:
        """What comes before and after a stage's last layer gives the whole model's answer."""
        splits_at_every_stage(self.model)

    def test_a_saved_model_loads_exactly(self) -> None:
        """Every weight and every answer is the same."""
        with tempfile.TemporaryDirectory() as folder:
            loads_as_saved(self.model, Path(folder))

    def test_a_gradient_reaches_every_trainable_weight(self) -> None:
        """Each one is finite and not zero."""
        from zoo.freezing.plans import train_only

        model = self.build(classes=4, dropout=0.0)
        trainable = {weight.path for weight in model.trainable_weights}
        # With BatchNorm's running statistics: those of the batch take every constant away again, so that a bias before
        # BatchNorm, or a beta before a 1x1 convolution and BatchNorm, has no gradient but rounding.
        train_only(model, "all", batchnorm="affine")
        largest = largest_gradients(model)
        self._equal("the set of trainable weights", largest.keys(), trainable)
        for path, gradient in largest.items():
            self._require(0 < gradient < math.inf, f"the gradient of {path} is {gradient}; expected one that trains it")

    def test_classes_make_a_new_classifier(self) -> None:
        """A number or names decide the outputs, and nothing but the classifier has another shape."""
        from zoo.models.taking_over import classifier_of

        names = ("cat", "dog", "eel")
        model = self.build(classes=names)
        self._equal("with three class names, the output shape", model.output_shape, (None, 3))
        self._equal("the class names", model.blueprint.classes, names)
        other = self.build(classes=5)
        self._equal("with classes=5, the output shape", other.output_shape, (None, 5))
        classifier = classifier_of(model).name
        changed = {
            mine.path.split("/")[0]
            for mine, theirs in zip(model.weights, other.weights, strict=True)
            if mine.shape != theirs.shape
        }
        self._equal("the layers that the number of classes changes", changed, {classifier})

    def test_odd_inputs_are_taken_or_refused(self) -> None:
        """Sizes that are odd and not the same, and other channels, give probabilities or one clear line."""
        *sides, channels = self.model.input_shape[1:]
        shapes = [(*(side + 1 + 2 * number for number, side in enumerate(sides)), channels)]
        if channels == 3 and len(sides) == 2:
            shapes += [(*sides, 1), (*sides, 4)]
        for shape in shapes:
            try:
                model = self.build(input_shape=shape)
            except ZooError as fault:
                self._require("\n" not in str(fault), f"for {shape}, the error has several lines: {fault}")
                continue
            self._check_probabilities(answers(model, random_images(1, shape)), f"for images of {shape}, ")

    @property
    def model(self) -> "keras.Model":
        """One with random weights, which no test changes."""
        builder = registry.lookup(self.name).build  # a notebook may register another under the same name
        return _shared(builder, self.name, self.input_shape, tuple(self.options.items()))

    def build(self, **settings: Any) -> "keras.Model":
        """Builds one with random weights."""
        import keras

        from zoo.models.building import build

        keras.utils.set_random_seed(0)
        settings = {"weights": None, "input_shape": self.input_shape, **self.options, **settings}
        return build(self.name, **settings)

    def _check_probabilities(self, found: "np.ndarray", when: str) -> None:
        import numpy as np

        self._require(bool(np.isfinite(found).all()), f"{when}the output holds numbers that are not finite")
        ok = found.min() >= 0 and np.allclose(found.sum(-1), 1, atol=TOLERANCE)
        self._require(ok, f"{when}the output is {found.tolist()}; expected probabilities")

    def _equal(self, what: str, found: object, expected: object, advice: str = "") -> None:
        self._require(found == expected, f"{what} is {found}; expected {expected}{'; ' if advice else ''}{advice}")

    def _require(self, ok: bool, fault: str) -> None:
        if not ok:
            raise AssertionError(f"{self.name}: {fault}")


@functools.lru_cache(maxsize=1)
def _shared(
    _: registry.Builder,
    name: str,
    input_shape: tuple[int, ...] | None,
    options: tuple[tuple[str, object], ...],
) -> "keras.Model":
    contract = ArchitectureContract()
    contract.name, contract.input_shape, contract.options = name, input_shape, dict(options)
    return contract.build()
