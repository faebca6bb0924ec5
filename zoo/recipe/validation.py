"""From raw values to a recipe, or to every fault at once, each at the place that causes it."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from zoo.errors import LONGEST_LINE, did_you_mean, printable, shortened
from zoo.recipe.overlays import FAULTS_LISTED, Fault, KeyPath, Overlay, as_typed, recipe_error, tables

M = TypeVar("M", bound=BaseModel)

# pydantic's error type -> what was expected, filled from the error's context.
# https://docs.pydantic.dev/latest/errors/validation_errors/
_EXPECTED: dict[str, str] = {
    "greater_than": "> {gt:g}",
    "greater_than_equal": ">= {ge:g}",
    "less_than": "< {lt:.10g}",
    "less_than_equal": "<= {le:.10g}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "too_long": "at most {max_length} of them",
    "too_short": "at least one [[phases]] table",
    "tuple_type": "a list of [[phases]] tables",
    "dict_type": "a table",
    "model_type": "a table",
}


def validated(model: type[M], overlay: Overlay, faults: Sequence[Fault] = ()) -> M:
    """Builds the recipe that an overlay describes.

    Args:
        model: The schema, whose fields are values and sections.
        overlay: The merged values and where each came from.
        faults: Those found before, to be reported with the others.

    Raises:
        RecipeError: With a line for every fault.
    """
    try:
        recipe, refused = model.model_validate(overlay.values), {}
    except ValidationError as error:
        recipe, refused = None, _by_key(overlay.values, error)
    # A text for each of 10,000 wrong keys would take longer than reading them.
    shown = [path for path in refused if not _is_unread(overlay, path, refused[path][0])]
    in_order = sorted(shown, key=lambda path: (*as_typed(overlay.location(path)), overlay.location(path)))
    found = [
        *faults,
        *(_schema_fault(model, overlay, path, refused[path]) for path in in_order[:FAULTS_LISTED]),
        *_repeated_phase_names(overlay),
        *_share_of_a_pad(overlay),
        *_deterministic_by_xla(overlay),
    ]
    if recipe is None or found:
        raise recipe_error(found, unlisted=max(0, len(shown) - FAULTS_LISTED))
    return recipe


def quoted(value: object) -> str:
    """Returns a value as a message shows it: near to TOML, on one line, shortened."""
    if isinstance(value, str):
        value = shortened(value)  # which is what takes long to escape
    try:
        text = printable(json.dumps(value, default=str, ensure_ascii=False), at_most=LONGEST_LINE)
    except (RecursionError, ValueError):  # ValueError: circles, and whole numbers of too many digits
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else f"{text[:77]}..."


def dotted(path: KeyPath) -> str:
    """Returns a path as a message shows it: `phases[1].learning_rate`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{printable(key, at_most=80)}" for key in path)
    return "".join(parts).removeprefix(".")


def _by_key(values: dict[str, Any], error: ValidationError) -> dict[KeyPath, list[ErrorDetails]]:
    """Groups the errors by key: a key of several types has one for each that its value failed."""
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # pydantic counts the valid phases only; the others have errors of their own
        groups.setdefault(_key_of(values, details), []).append(details)
    return groups


def _key_of(values: Any, details: ErrorDetails) -> KeyPath:
    """Returns the error's location without the names of types that pydantic appends to it."""
    path = details["loc"]
    if details["type"] == "missing":
        return path
    for depth, key in enumerate(path):
        try:
            values = values[key]
        except (KeyError, TypeError):  # no such key in the table, or no table
            return path[:depth]
    return path


def _is_unread(overlay: Overlay, path: KeyPath, details: ErrorDetails) -> bool:
    """Whether a value seems to be missing only because its line, or the file that it stands in, could not be read."""
    return details["type"] in ("missing", "too_short") and overlay.may_hold(path)


def _schema_fault(model: type[BaseModel], overlay: Overlay, path: KeyPath, details: list[ErrorDetails]) -> Fault:
    table, key = path[:-1], str(path[-1])
    inside = f" in {dotted(table)}" if table else ""
    location = overlay.location(path)
    match details[0]["type"]:
        case "missing":
            example = _EXAMPLES.get(tuple(part for part in path if isinstance(part, str)))
            advice = f"write {example}" if example else ""
            return Fault(location, f"required key '{key}' is missing{inside}", advice, path)
        case "extra_forbidden":
            advice = _nearest_key(model, table, key)
            return Fault(location, f"unknown key {printable(repr(key))}{inside}", advice, path)
        case "option":
            return Fault.of_message(location, f"{dotted(path)}{details[0]['msg']}", path)
        case "tuple_type" if named := _named_tables(details[0]["input"]):
            tweaks = " and ".join(f'"phases.{name}.KEY" = ...' for name in named)
            advice = (
                "expected a list of [[phases]] tables, each with a name; "
                f"to change inherited phases write [set] and below it {tweaks}"
            )
            return Fault(location, f"{dotted(path)} is a table", advice, path)
        case _:
            words = list(dict.fromkeys(_expected(one) for one in details))
            advice = f"expected {_either(words)}{_nearest_choice(details)}"
            return Fault(location, f"{dotted(path)} is {quoted(details[0]['input'])}", advice, path)


# Required key -> what one could write.
_EXAMPLES: dict[tuple[str, ...], str] = {
    ("name",): 'name = "my-recipe"',
    ("model",): '[model] and below it name = "efficientnet_lite0"',
    ("model", "name"): "name = \"efficientnet_lite0\"; see 'zoo list'",
    ("phases",): '[[phases]] and below it name = "head" and train = "head"',
    ("phases", "name"): 'name = "head"',
    ("phases", "train"): 'train = "head"',
    ("expect", "value"): "value = 0.9",
}


def _nearest_key(model: type[BaseModel], table: KeyPath, key: str) -> str:
    """Says where a key belongs that a table does not have, or which of its keys is near."""
    known = _keys_of(model, table)
    sections = [name for name, field in model.model_fields.items() if _section(field.annotation)]
    elsewhere = [name for name in sections if table[:1] != (name,) and key in _keys_of(model, (name,))]
    # A recipe and a phase have names too: what is meant by a key of several tables is not known.
    if len(elsewhere) == 1:
        return f"Did you mean '{key}' in {f'[[{elsewhere[0]}]]' if elsewhere[0] == 'phases' else f'[{elsewhere[0]}]'}?"
    return did_you_mean(key, known).lstrip() or f"Known keys: {', '.join(known)}."


def _nearest_choice(details: list[ErrorDetails]) -> str:
    """Hints at the nearest of the words that a value may be."""
    typed, known = (
        details[0]["input"],
        [one.get("ctx", {}) for one in details if one["type"] in ("literal_error", "one_of")],
    )
    choices = [word for said in known for word in _CHOICE.findall(said.get("expected", said.get("words", "")))]
    hint = did_you_mean(typed, choices) if isinstance(typed, str) else ""
    return f".{hint}" if hint else ""


# A word among those that pydantic expects, or a table's rows.
_CHOICE = re.compile(r"""['"]([^'"]+)['"]""")


def _named_tables(phases: object) -> list[str]:
    """Returns the names of `[phases.NAME]` tables, which is how one would write them."""
    return [str(name) for name, value in phases.items() if isinstance(value, dict)] if isinstance(phases, dict) else []


def _keys_of(model: type[BaseModel], table: KeyPath) -> list[str]:
    """Returns the keys that a table may have, in the order of the schema."""
    sections = {name: _section(field.annotation) for name, field in model.model_fields.items()}
    if table and (section := sections[str(table[0])]):
        return list(section.model_fields)
    values = [field.alias or name for name, field in model.model_fields.items() if not sections[name]]
    return [*values, "extends", "set", *(name for name, section in sections.items() if section)]


def _section(annotation: Any) -> type[BaseModel] | None:
    """Returns the section that a field holds, alone, in a list or as an option; None where it holds a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_section, get_args(annotation)) if found), None)


def _expected(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "literal_error":
        return context["expected"].replace("'", '"')
    return _EXPECTED[kind].format(**context) if kind in _EXPECTED else details["msg"]


def _either(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _repeated_phase_names(overlay: Overlay) -> Iterator[Fault]:
    """Finds them in the raw values: a pydantic validator would wait until all else holds."""
    first: dict[object, KeyPath] = {}
    for path, phase in tables(overlay.values, "phases"):
        name = phase.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            at, advice = (*path, "name"), f"expected another name than {dotted(first[name])}"
            yield Fault(overlay.location(at), f"{dotted(path)}.name is {quoted(name)}", advice, at)
        first.setdefault(name, path)


def _share_of_a_pad(overlay: Overlay) -> Iterator[Fault]:
    """Finds a share of a crop where nothing is cropped."""
    data = overlay.values.get("data")
    if not isinstance(data, dict):
        return
    values: dict[str, object] = data
    share = values.get("crop_share", 1.0)
    if values.get("resize") == "pad" and isinstance(share, float) and share != 1.0:
        path, found = ("data", "crop_share"), f'data.crop_share is {quoted(share)} with data.resize "pad"'
        yield Fault(overlay.location(path), f"{found}, which cuts nothing off", "expected 1.0", path)


def _deterministic_by_xla(overlay: Overlay) -> Iterator[Fault]:
    """Finds that XLA is asked for where operations are to be deterministic, for which TensorFlow needs it off."""
    train = overlay.values.get("train")
    if not isinstance(train, dict):
        return
    values: dict[str, object] = train
    if values.get("deterministic") is True and values.get("xla") == "on":
        path, found = ("train", "xla"), 'train.xla is "on" with train.deterministic = true, which keeps XLA off'
        yield Fault(overlay.location(path), found, 'expected "auto" or "off"', path)
