"""What the values of a recipe may be: texts that fit a pattern, names of rows of tables, paths beside the recipe."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from zoo.backend.float32 import in_float32
from zoo.errors import LONGEST_PATH, UNSHOWABLE
from zoo.registry import augmentations, sources
from zoo.registry.tables import Table

# A name is also that of a folder; a path is as long as Linux takes one; a table has as many keys as a person writes.
LONGEST_WORD, LONGEST_TEXT, MOST_KEYS = 200, 10_000, 200
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


@dataclass(frozen=True)
class Matching:
    """Marks a text that matches a pattern as a whole; the words say what such a text is.

    Those that are known only with the rows of a table are functions: plug-ins add rows later.
    """

    pattern: str | Callable[[], str]
    words: str | Callable[[], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._matched, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^({_now(self.pattern)})$", "$comment": _now(self.words)}

    def _matched(self, text: str) -> str:
        if len(text) > LONGEST_WORD:
            longest = f"at most {LONGEST_WORD} characters"
            raise PydanticCustomError("matching", "{words}; {longest}", {"words": _now(self.words), "longest": longest})
        if not re.fullmatch(_now(self.pattern), text):
            raise PydanticCustomError("matching", "{words}", {"words": _now(self.words)})
        return text


def _now(text: str | Callable[[], str]) -> str:
    return text if isinstance(text, str) else text()


def _either(words: Sequence[str]) -> str:
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


@dataclass(frozen=True)
class OneOf:
    """Marks one of a few texts, which are asked for when they are needed: plug-ins add rows later."""

    choices: Callable[[], Sequence[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "enum": list(self.choices())}

    def _known(self, text: str) -> str:
        if text not in self.choices():
            raise PydanticCustomError("one_of", "{words}", {"words": _either(self.choices())})
        return text


@dataclass(frozen=True)
class NameIn:
    """Marks the name of a row of a table, of a plug-in's too."""

    table: Table[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "enum": self.table.names()}

    def _known(self, name: str) -> str:
        names = self.table.names()
        if name not in names:
            *others, last = (f'"{one}"' for one in names)
            hint = self.table.hint(name)
            words = f"{', '.join(others)} or {last}{'.' if hint else ''}{hint}".removesuffix(".")
            raise PydanticCustomError("name", "{words}", {"words": words})
        return name


@dataclass(frozen=True)
class OptionsOf:
    """Marks the options of the row that another key of the section names, which stands before.

    Attributes:
        key: The key with the row's name.
        table: Where the row is looked up.
        row_name: Turns the key's value into the name, or None where there is no such row.
    """

    key: str
    table: Table[Any]
    row_name: Callable[[str], str | None] = lambda value: value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._fitting, handler(source))

    def _fitting(self, options: dict[str, Any], info: core_schema.ValidationInfo) -> dict[str, Any]:
        value = info.data.get(self.key)
        name = None if value is None else self.row_name(value)
        if name is not None:  # else it is at fault itself
            _raise([((option,), text) for option, text in self.table.option_faults(name, options)], options)
        return options


@dataclass(frozen=True)
class RowsWithOptions:
    """Marks a table of names of rows, each with its options."""

    table: Table[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._fitting, handler(source))

    def _fitting(self, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        names = self.table.names()
        faults: list[tuple[tuple[str, ...], str]] = []
        for name, options in rows.items():
            if name in names:
                faults += [((name, option), text) for option, text in self.table.option_faults(name, options)]
            else:
                listed = f"{self.table.hint(name)} There are: {', '.join(names)}."
                faults.append(((name,), f": unknown {self.table.kind}.{listed}"))
        _raise(faults, rows)
        return rows


def _raise(faults: list[tuple[tuple[str, ...], str]], value: Any) -> None:
    """Raises the faults of several options at once, each at its place below the key."""
    if faults:
        errors = [
            InitErrorDetails(type=PydanticCustomError("option", "{text}", {"text": text}), loc=place, input=value)
            for place, text in faults
        ]
        raise ValidationError.from_exception_data("options", errors)


RecipeName = Annotated[
    str, Matching("[a-z0-9][a-z0-9-]*", "lower-case letters, digits and '-', such as \"pets-lite0\"")
]
PhaseName = Annotated[str, Matching("[a-z][a-z0-9_]*", "lower-case letters, digits and '_', such as \"head\"")]
ModelName = Annotated[
    str,
    Matching(
        "[A-Za-z][A-Za-z0-9_.-]*",
        'the name of a model, such as "resnet50"; a recipe cannot name code, a path or a URL',
    ),
]
WeightsName = Annotated[
    str,
    Matching(
        "[A-Za-z0-9][A-Za-z0-9_.-]*",
        '"default", "none" or the name of a set; a recipe cannot name a path or a URL',
    ),
]
SplitName = Annotated[str, Matching("[A-Za-z][A-Za-z0-9_.-]*", 'the name of a split, such as "validation"')]
SourceName = Annotated[str, Matching(sources.kinds_pattern, lambda: _either(sources.kinds()))]


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Makes what a file reader has wrapped plain, since recipes are compared and written."""
    return {
        key: _plain(value) if isinstance(value, dict) else list(value) if isinstance(value, list | tuple) else value
        for key, value in options.items()
    }


COLUMN_ROLES = ("path", "label", "split", "weight", "group")


def _by_role(columns: dict[str, str]) -> dict[str, str]:
    if not (set(columns) <= set(COLUMN_ROLES) and all(name.strip() for name in columns.values())):
        raise PydanticCustomError(
            "columns", 'names of columns by path, label, split, weight or group, such as {path = "file_name"}'
        )
    return columns


Columns = Annotated[dict[str, Text], Field(max_length=MOST_KEYS), AfterValidator(_by_role)]
PolicyName = Annotated[str, OneOf(augmentations.policies)]
Interval = Annotated[
    str,
    Matching(
        "epoch|epoch_end|[1-9][0-9]{0,8} steps|[1-9][0-9]{0,5}[smh]",
        '"epoch", "epoch_end", a number of steps such as "200 steps" or a time such as "30s" or "5m"',
    ),
]


def _in_float32(number: float) -> float:
    """Refuses what is not a number any more where models are computed."""
    if in_float32(number) is None:
        raise PydanticCustomError("float32", "0 or a number from {least} on, as float32 has it", {"least": "1.2e-38"})
    return number


# Limits are far beyond what trains; what is larger is a slip, and would end in NaN or never.
_IN_FLOAT32 = AfterValidator(_in_float32)
LearningRate = Annotated[float, Field(gt=0, le=100), _IN_FLOAT32]
WeightDecay = Annotated[float, Field(ge=0, le=10), _IN_FLOAT32]
Norm = Annotated[float, Field(ge=0, le=1_000_000), _IN_FLOAT32]
BetaParameter = Annotated[float, Field(ge=0, le=100), _IN_FLOAT32]
Factor = Annotated[float, Field(gt=0, le=1), _IN_FLOAT32]
Share = Annotated[float, Field(ge=0, le=1), _IN_FLOAT32]
# Nearer to 1 there is nothing left, of a warm-up's steps or of an image.
ShareBelowOne = Annotated[float, Field(ge=0, le=0.999), _IN_FLOAT32]
Momentum = Annotated[float, Field(ge=0, le=0.999999), _IN_FLOAT32]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Views = Annotated[int, Field(ge=0, le=1_000)]
CountFromOne = Annotated[int, Field(ge=1, le=1_000_000)]


def _inside_the_recipe_folder(path: str, option: str = "--data") -> str:
    """Refuses what would make a shared recipe read elsewhere than beside itself."""
    if len(path) > LONGEST_PATH or UNSHOWABLE.search(path):
        raise PydanticCustomError(
            "recipe_path",
            "a path without control characters, of at most {longest} characters",
            {"longest": LONGEST_PATH},
        )
    if "://" in path:
        raise PydanticCustomError("recipe_path", "a relative path; a recipe cannot name a URL")
    if re.match(r"[/\\~]|[A-Za-z]:", path):
        raise PydanticCustomError(
            "recipe_path",
            "a relative path; a recipe names no place on a machine: pass it as {option}",
            {"option": option},
        )
    if ".." in re.split(r"[/\\]", path):
        raise PydanticCustomError(
            "recipe_path",
            "a path without '..'; a recipe stays in its folder: pass others as {option}",
            {"option": option},
        )
    return path


HASH = re.compile(r"#sha256=[0-9a-f]{64}")


def _handle_of_a_recipe(handle: str) -> str:
    """Refuses what another machine would resolve otherwise, or could be made to."""
    if not handle or re.fullmatch(r"sha256:[0-9a-f]{64}", handle):
        return handle
    if len(handle) > LONGEST_PATH or UNSHOWABLE.search(handle):
        raise PydanticCustomError("handle", "the address or the path of a module")
    place, hashed = HASH.subn("", handle)
    if "://" in place and (not hashed or not place.startswith("https://")):
        raise PydanticCustomError(
            "handle", "https://...#sha256=HEX: what an address gives can change, so a recipe says which hash it means"
        )
    if "://" not in place:
        _inside_the_recipe_folder(place, "--set model.handle=...")
    return handle


def _without_handle(options: dict[str, Any]) -> dict[str, Any]:
    if "handle" in options:
        raise PydanticCustomError("options", "options of the architecture; say the module as model.handle")
    return options


PathInRecipeFolder = Annotated[str, AfterValidator(_inside_the_recipe_folder)]
ModelHandle = Annotated[str, AfterValidator(_handle_of_a_recipe)]
ArchitectureOptions = Annotated[
    dict[str, bool | int | float | Text], Field(max_length=MOST_KEYS), AfterValidator(_without_handle)
]
RowOptions = Annotated[dict[str, Any], Field(max_length=MOST_KEYS)]
SourceOptions = Annotated[RowOptions, AfterValidator(_plain), OptionsOf("source", sources.SOURCES, sources.row_name)]
AugmentationLayers = Annotated[
    dict[str, RowOptions],
    Field(max_length=MOST_KEYS),
    AfterValidator(_plain),
    RowsWithOptions(augmentations.AUGMENTATIONS),
]
