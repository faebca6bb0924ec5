"""The table of architectures: cards, the builders behind them, and how a name is found.

A family's file in `zoo/architectures/` holds its cards and one builder, and registers both:

    @register(*CARDS)
    def build(inputs, *, card, classes, dropout, **options):
        ...
        return logits
"""

import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from zoo.errors import NotFoundError, ZooError, did_you_mean, shown
from zoo.registry.cards import Card
from zoo.registry.loading import Loader

if TYPE_CHECKING:
    from keras import KerasTensor

ENTRY_POINT_GROUP = "zoo.architectures"
# A name is a word of a command line, of a recipe and of a file's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
FAMILIES = "zoo.architectures"


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
            return my_net(inputs, classes)

    Raises:
        ZooError: A card's name is taken by another builder or is not a model's name, or it is not a card.
    """

    for given in cast("tuple[object, ...]", cards):
        if not isinstance(given, Card):
            raise ZooError(f"register: found {shown(given)}; expected a zoo.registry.Card for each variant")
        if not _NAME.fullmatch(given.name):
            raise ZooError(
                f"register: a card's name is {shown(given.name)}; expected letters, digits, '_', '-' and '.', "
                "a letter or digit first"
            )

    def add(build: B) -> B:
        if not build.__module__.startswith(f"{FAMILIES}."):
            _loader.load_built_in()
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


def _import_families() -> None:
    families = importlib.import_module(FAMILIES)
    for module in pkgutil.iter_modules(families.__path__, f"{FAMILIES}."):
        try:
            importlib.import_module(module.name)
        except Exception as fault:  # one file may be damaged in any way; the other families must still be found
            _loader.leave_out(f"family '{module.name.rpartition('.')[2]}'", module.name, fault)


def _forget(module: str) -> None:
    for name, entry in list(_entries.items()):
        if f"{entry.build.__module__}.".startswith(f"{module}."):
            del _entries[name]


_loader = Loader(ENTRY_POINT_GROUP, built_in=_import_families, forget=_forget)


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
    patterns, excluded = _patterns("pattern", pattern), _patterns("exclude", exclude)
    _loader.load()
    return sorted(
        name
        for name in list(_entries)
        if (pattern is None or _matches(name, patterns)) and not _matches(name, excluded)
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
    return any(fits_wildcard(name.lower(), pattern) for pattern in patterns)


# Beyond, reading one takes long: the time goes by the square of its length.
LONGEST_WILDCARD = 1_000


def fits_wildcard(name: str, wildcard: str) -> bool:
    """Whether a name is of the form of a shell's wildcard, such as `mnist*`; one that is too long fits none."""
    return len(wildcard) <= LONGEST_WILDCARD and fnmatch.fnmatchcase(name, wildcard)


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
    _loader.load()
    if name not in _entries:
        with_weights = [one for one, entry in list(_entries.items()) if entry.card.weights]
        missing = "".join(f" {line}." for line in _loader.left_out)
        raise NotFoundError(
            f"Unknown model '{name}'.{did_you_mean(name, _entries, preferred=with_weights)} See 'zoo list'.{missing}"
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
