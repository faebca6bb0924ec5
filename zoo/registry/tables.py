"""Open tables: what a recipe names and a plug-in can add rows to, such as optimizers, losses and sources.

A table lists its rows without Keras and NumPy, so that a recipe is checked and help is printed without them; only a
row's builder imports what it needs. A package adds a row in a module that its entry point names:

    [project.entry-points."zoo.optimizers"]
    my-package = "my_package.optimizers"

and there, as in a script or a notebook, `OPTIMIZERS.register(OptimizerRow(name="mine", ...))`.
"""

import functools
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, cast

from zoo.backend.float32 import SMALLEST, in_float32
from zoo.errors import NotFoundError, ZooError, did_you_mean, in_one_line, printable, shown
from zoo.registry.loading import Loader

Value = bool | int | float | str | tuple["Value", ...]
"""What an option can be: a recipe is data, and these are TOML's values; a tuple is a list of them."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a row.

    Attributes:
        default: What holds where a recipe leaves it out; its type is the option's. A tuple takes a list of values of
            its first item's type.
        meaning: A sentence for the user.
        above: The value, or each number of a list, is greater.
        at_least: It is greater or equal.
        below: It is less.
        at_most: It is less or equal.
        choices: The only values there are; empty allows all.
    """

    default: Value
    meaning: str = ""
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    choices: Sequence[Value] = ()

    def __post_init__(self) -> None:
        """Refuses a default that is not of TOML's values, or that the option itself does not take."""
        default: object = self.default
        like: object = default
        if isinstance(default, tuple):
            items = cast("tuple[object, ...]", default)
            like = items[0] if items else None
        if type(like) not in _WORDS:
            raise ZooError(
                f"Option: default is {shown(default)}; expected true or false, a number, a text, or a tuple of these "
                "with at least one"
            )
        if not self.takes(default):
            raise ZooError(f"Option: default is {shown(default)}; expected {self.expected}, as the option itself says")

    @property
    def expected(self) -> str:
        """What the value has to be, in words."""
        if self.choices:
            *others, last = map(json.dumps, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        bounds = [f"{sign} {bound:g}" for sign, bound in self._bounds() if bound is not None]
        is_list = isinstance(self.default, tuple)
        words = _LISTS[type(self.default[0])] if isinstance(self.default, tuple) else _WORDS[type(self.default)]
        return f"{words}{', each' if is_list and bounds else ''} {' and '.join(bounds)}".rstrip()

    def expected_of(self, value: object) -> str:
        """What a value that it does not take has to be; where float64 would have it and float32 has not, that too."""
        is_list = isinstance(self.default, tuple)
        like = self.default[0] if isinstance(self.default, tuple) else self.default
        items: Sequence[object] = value if is_list and isinstance(value, list | tuple) else () if is_list else [value]
        if len(items) > LONGEST_LIST:
            return f"{self.expected}, at most {LONGEST_LIST} of them"
        numbers = [one for one in items if isinstance(one, int | float) and not isinstance(one, bool)]
        if isinstance(like, float) and items and len(numbers) == len(items) and all(map(self._is_within, numbers)):
            return f"{self.expected}, as float32 has it, from {SMALLEST:.2g} on"
        return self.expected

    def takes(self, value: object) -> bool:
        """Returns whether a value is of the option's type and within its bounds; a whole number is a number too."""
        if isinstance(self.default, tuple):
            items: Sequence[object] = value if isinstance(value, list | tuple) else ()
            return 0 < len(items) <= LONGEST_LIST and all(self._fits(item, self.default[0]) for item in items)
        return self._fits(value, self.default)

    def typed(self, value: Any) -> Any:
        """Converts a value that it accepts to its default's type: whole numbers as floats, and lists as tuples."""
        if isinstance(self.default, tuple):
            kind = type(self.default[0])
            return tuple(kind(item) for item in value)
        return float(value) if isinstance(self.default, float) else value

    def _fits(self, value: object, like: Value) -> bool:
        kind = type(like)
        if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
            return False
        if self.choices:
            return value in self.choices
        if isinstance(value, str):
            return len(value) <= LONGEST_TEXT
        if not isinstance(value, int | float) or kind is bool:
            return True
        if not isinstance(like, float):
            return abs(value) <= LARGEST_WHOLE and self._is_within(value)
        # As it is computed with: 0.99999999 is 1 there, which is not below 1.
        rounded = in_float32(value)
        return rounded is not None and self._is_within(value) and self._is_within(rounded, of=in_float32)

    def _is_within(self, value: float, *, of: Callable[[float], float | None] = lambda bound: bound) -> bool:
        bounds = [(sign, of(bound)) for sign, bound in self._bounds() if bound is not None]
        return all(_COMPARED[sign](value, bound) for sign, bound in bounds if bound is not None)

    def _bounds(self) -> tuple[tuple[str, float | None], ...]:
        return (">", self.above), (">=", self.at_least), ("<", self.below), ("<=", self.at_most)


# Of an option, where nothing else limits it: a whole number is one that float64 has exactly.
LARGEST_WHOLE, LONGEST_LIST, LONGEST_TEXT = 2**53, 100, 1_000
_LISTS: dict[type, str] = {
    bool: "a list of true or false",
    int: "a list of whole numbers",
    float: "a list of numbers",
    str: "a list of texts",
}
_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What every row of a table says; a table's own row type adds the facts of its kind.

    Attributes:
        name: As a recipe writes it.
        summary: One line for the user.
        options: By name; what a recipe may set.
        build: Makes the thing; the table says from what. It imports Keras and NumPy itself.
    """

    name: str
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])
    build: Callable[..., Any]

    # What a name may be. It is a key of a recipe and a word of `--set`, where a dot would part it.
    name_pattern: ClassVar[str] = "[A-Za-z0-9][A-Za-z0-9_-]*"
    name_words: ClassVar[str] = "letters, digits, '_' and '-', a letter or digit first"

    @property
    def module(self) -> str:
        """The module that the builder is of, which is whose row it is."""
        build = self.build
        while isinstance(build, functools.partial):
            build = build.func
        return str(getattr(build, "__module__", ""))

    @property
    def is_shipped(self) -> bool:
        """Whether zoo itself has it; what the builder of another gives is checked."""
        return self.module.startswith("zoo.")

    def faults(self) -> Iterator[str]:
        """Yields what is wrong about the row itself, beside its name."""
        if not callable(self.build):
            yield f"build is {shown(self.build)}; expected a function"
        for name, option in cast("Mapping[object, object]", self.options).items():
            if not (isinstance(name, str) and name.isidentifier()):
                yield f"an option's name is {shown(name)}; expected the name of an argument of build"
            elif not isinstance(option, Option):
                yield f"option '{name}' is {shown(option)}; expected an Option(default=...)"

    def filled(self, options: Mapping[str, object]) -> dict[str, Any]:
        """Returns every option in the type of its default: those that are given, and the defaults of the others."""
        return {name: option.typed(options.get(name, option.default)) for name, option in self.options.items()}


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """Rows by name, of which plug-ins, scripts and notebooks add their own.

    The first question loads the built-in rows, then the plug-ins; others that ask meanwhile wait. A plug-in that fails
    is named at every question, and stops nothing else.

    Args:
        kind: What a row is, in a message: `optimizer`.
        group: The entry points of plug-ins: `zoo.optimizers`.
        row: The type of a row.
        built_in: Modules that register our own rows when they are imported, where the table's own module does not.
        left_out: Names that one may look for in vain, each with the reason.
    """

    def __init__(
        self,
        kind: str,
        *,
        group: str,
        row: type[R],
        built_in: Sequence[str] = (),
        left_out: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.kind = kind
        self.group = group
        self._row = row
        self._built_in = tuple(built_in)
        self._left_out = left_out
        self._rows: dict[str, R] = {}
        self._loader = Loader(group, built_in=self._import_built_in, forget=_forget_everywhere)
        _TABLES.append(self)

    def register(self, row: R) -> R:
        """Adds a row; the same module may register its own again, as a notebook's cell does.

        Raises:
            ZooError: It is not a row of this table, or its name is taken by another module.
        """
        given: object = row
        if not isinstance(given, self._row):
            raise ZooError(f"register: found {shown(given)}; expected a {self._row.__name__} for the {self.kind}")
        for fault in _row_faults(row):
            raise ZooError(f"register: {self.kind} {shown(row.name)}: {fault}")
        module = row.module
        if module not in self._built_in:
            self._loader.load_built_in()
        taken = self._rows.get(row.name)
        if taken is not None and taken.module != module:
            raise ZooError(
                f"register: {self.kind} '{row.name}' is already registered by {taken.module}; expected a new name"
            )
        self._rows[row.name] = row
        return row

    def names(self) -> list[str]:
        """Lists the names: ours as they stand in their modules, then those of plug-ins."""
        self._loader.load()
        return list(self._rows)

    def rows(self) -> list[R]:
        """Lists the rows in the order of their names' list."""
        self._loader.load()
        return list(self._rows.values())

    def lookup(self, name: object) -> R:
        """Finds a row.

        Raises:
            NotFoundError: There is no row of this name; the message offers the nearest, and lists what there is.
            ZooError: The name is not a text.
        """
        if not isinstance(name, str):
            raise ZooError(f"the name of a {self.kind} is {shown(name)}; expected a text such as '{self.names()[0]}'")
        self._loader.load()
        if name not in self._rows:
            raise NotFoundError(f"Unknown {self.kind} '{name}'.{self.hint(name)} There are: {', '.join(self._rows)}.")
        return self._rows[name]

    def hint(self, name: str) -> str:
        """Says of a name that is not there why it is left out, or which name is near; may be empty."""
        reason = self._left_out.get(name.casefold())
        return f" It is left out: {reason}." if reason else did_you_mean(name, self.names())

    def option_faults(self, name: str, options: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Yields the options that do not hold for a row: their name, and a text that follows the name.

        Raises:
            NotFoundError: There is no such row.
        """
        known = self.lookup(name).options
        for option, value in options.items():
            if option not in known:
                listed = ", ".join(known) or "none"
                hint = did_you_mean(option, known)
                yield option, f": {self.kind} '{name}' has no such option.{hint} It has: {listed}."
            elif not known[option].takes(value):
                yield option, f" is {_written(value)}; expected {known[option].expected_of(value)}"

    def _import_built_in(self) -> None:
        for module in self._built_in:
            importlib.import_module(module)

    def forget(self, module: str) -> None:
        """Takes back the rows that a module, or one below it, has registered."""
        for name, row in list(self._rows.items()):
            if f"{row.module}.".startswith(f"{module}."):
                del self._rows[name]

    def built(self, row: R, *given: Any, **options: Any) -> Any:
        """Calls a row's builder.

        Raises:
            ZooError: The builder of a plug-in fails; the message names the row and its module.
        """
        if row.is_shipped:
            return row.build(*given, **options)
        try:
            return row.build(*given, **options)
        except ZooError:
            raise
        except Exception as fault:
            raise self.fault(row, f"its builder fails: {in_one_line(fault)}") from fault

    def fault(self, row: R, text: str) -> ZooError:
        """Returns what to raise where a plug-in's row does not do what its table expects."""
        return ZooError(f"{self.kind} '{row.name}' ({row.module or 'a plug-in'}): {text}")


def _written(value: object) -> str:
    try:
        return printable(json.dumps(value, default=str)[:80])
    except (RecursionError, ValueError):  # ValueError: circles, and whole numbers of too many digits
        return f"a {type(value).__name__} that cannot be shown"


def _row_faults(row: Row) -> Iterator[str]:
    name = cast("object", row.name)
    if not (isinstance(name, str) and re.fullmatch(row.name_pattern, name)):
        yield f"its name is {shown(name)}; expected {row.name_words}"
    yield from row.faults()


# Every table there is: a module that fails may have registered rows in several.
_TABLES: list[Table[Any]] = []


def _forget_everywhere(module: str) -> None:
    for table in _TABLES:
        table.forget(module)
