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
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar, cast

from zoo.errors import NotFoundError, ZooError, did_you_mean, in_one_line, shown
from zoo.registry.cards import Card

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
_loaded = False
# What could not be loaded, and why: it is named whenever someone asks for models.
_left_out: list[str] = []
# Two locks: a plug-in that one thread imports may wait in `register` while another thread loads plug-ins.
_loading_families = threading.RLock()
_loading_plug_ins = threading.RLock()
_has_families = False
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
    global _has_families
    with _loading_families:
        if _has_families:
            return
        families = importlib.import_module(FAMILIES)
        for module in pkgutil.iter_modules(families.__path__, f"{FAMILIES}."):
            try:
                importlib.import_module(module.name)
            except Exception as fault:  # one file may be damaged in any way; the other families must still be found
                _leave_out(f"family '{module.name.rpartition('.')[2]}'", module.name, fault)
        _has_families = True


def _load() -> None:
    """Imports our own families, then plug-ins; what fails is named at every call, and stops nothing else.

    The first thread loads, and the others wait until all is there.
    """
    global _loaded, _is_loading
    if not _loaded:
        with _loading_plug_ins:
            if _is_loading:  # this thread: a plug-in asks while it loads
                return
            if not _loaded:
                _is_loading = True
                try:
                    _load_families()
                    _load_plug_ins()
                    _loaded = True
                finally:
                    _is_loading = False
    for line in _left_out:
        warnings.warn(line, stacklevel=3)


def _load_plug_ins() -> None:
    for plug_in in metadata.entry_points(group=ENTRY_POINT_GROUP):
        try:
            plug_in.load()
        except (Exception, SystemExit) as fault:  # a plug-in may fail in any way; the others must still be found
            _leave_out(f"plug-in '{plug_in.name}' ({plug_in.value})", plug_in.module, fault)


def _leave_out(what: str, module: str, fault: BaseException) -> None:
    """Notes what could not be loaded, and takes back what it had registered before it failed."""
    for name, entry in list(_entries.items()):
        if f"{entry.build.__module__}.".startswith(f"{module}."):
            del _entries[name]
    _left_out.append(f"{what} is left out: {in_one_line(fault)}")


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
    _load()
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
        missing = "".join(f" {line}." for line in _left_out)
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
