"""What a family of `keras.applications` and a variant of it have to say, and the card that this makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.architectures.keras_applications.pixels import Preprocessing
from zoo.architectures.keras_applications.protocols import BY_KERAS, Measured
from zoo.registry import Accuracy, Card, Download, Protocol, WeightSet
from zoo.registry.figures import measured

if TYPE_CHECKING:
    import keras
    import numpy as np

WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
ACCURACY_SOURCE = "https://keras.io/api/applications"
ACCURACY_PROTOCOL = "single center crop, 50,000 ImageNet validation images"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model function of `keras.applications`.

    Attributes:
        function: Its name there.
        size: The default height and width.
        top1: Published top-1 accuracy in percent.
        ends: The last layer of each stage but the head, from the stem on.
        file: Of the weights, below the family's address.
        hash: MD5 or SHA-256 of that file, as Keras has it; empty where it has none.
        dropout: The rate before the classifier.
        others: Options that have weights of their own, with file and hash.
        pixels: Where the variant differs from its family.
        accuracy_note: What else is to be known of the source of its accuracy.
    """

    function: str
    size: int = 224
    top1: float
    ends: str
    file: str
    hash: str = ""
    dropout: float = 0.0
    others: tuple[tuple[Mapping[str, object], str, str], ...] = ()
    pixels: Preprocessing | None = None
    accuracy_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the variants of one paper have in common.

    Attributes:
        name: On the cards.
        paper: Where it was published.
        pixels: How they go in.
        variants: By registered name.
        classifier: The layer that gives the logits.
        dropout_layer: The layer whose rate is that before the classifier, where the family has one.
        min_size: The smallest height and width.
        arguments: What Keras' function is given besides.
        options: The user's options and their defaults.
        url: Where the files lie.
        accuracy_source: Who published the accuracies.
        measured: How photos were brought to the input for them.
        licence: Of the weights, as their first publishers gave them to Keras' authors.
        convert: Turns the file's arrays into those of our graph.
        graph: Builds a variant from normalised pixels to logits, in place of Keras' function.
    """

    name: str
    paper: str
    pixels: Preprocessing
    variants: Mapping[str, Variant]
    classifier: str = "predictions"
    dropout_layer: str = ""
    min_size: int = 32
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    url: str = WEIGHTS_URL
    accuracy_source: str = ACCURACY_SOURCE
    measured: Measured = BY_KERAS
    licence: str = "Apache-2.0"
    convert: "Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] | None" = None
    graph: "Callable[..., keras.Model] | None" = None


def _weight_set(family: Family, size: int, file: str, digest: str, options: Mapping[str, object]) -> WeightSet:
    return WeightSet(
        name="imagenet",
        source=Download(url=family.url + file),
        sha256=digest if len(digest) == 64 else "",
        md5=digest if len(digest) == 32 else "",
        licence=family.licence,
        classes="imagenet_classes.txt",
        options=options,
        convert=family.convert,
        protocol=Protocol(size=size, fit=family.measured.fit(size), source=family.measured.source),
    )


def card(family: Family, name: str) -> Card:
    """Makes the card of one of a family's variants."""
    variant = family.variants[name]
    pixels = variant.pixels or family.pixels
    figures = measured(name)
    files = ((family.options, variant.file, variant.hash), *variant.others)
    return Card(
        name=name,
        family=family.name,
        description=f"{variant.function} of keras.applications",
        input_shape=(variant.size, variant.size, 3),
        min_size=family.min_size,
        classes=1000,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages(variant.ends.split()),
        preprocessing=pixels.words,
        dropout=variant.dropout,
        weights=tuple(
            _weight_set(family, variant.size, file, digest, {**family.options, **options})
            for options, file, digest in files
        ),
        accuracy=Accuracy(
            top1=variant.top1, source=family.accuracy_source + variant.accuracy_note, protocol=ACCURACY_PROTOCOL
        ),
        paper=family.paper,
        options=family.options,
    )
