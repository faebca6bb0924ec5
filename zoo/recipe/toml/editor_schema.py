"""The JSON schema of recipe files, for editors: what a file may say, with the names of models, weights and options.

It is of draft 7, which editors of TOML know, and lists what is installed where it is printed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from zoo import registry
from zoo.recipe.finding import shipped_recipes
from zoo.recipe.reference import TABLES
from zoo.recipe.schema import recipe_file_schema
from zoo.registry import augmentations, sources
from zoo.registry.tables import Option, Table

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_BOUNDS = {"above": "exclusiveMinimum", "at_least": "minimum", "below": "exclusiveMaximum", "at_most": "maximum"}


def editor_schema() -> dict[str, Any]:
    """Returns the schema of a recipe file; what it inherits by `extends` may be left out."""
    schema = recipe_file_schema()
    parts = schema["$defs"]
    _name_models(parts["ModelSection"])
    _name_sources(parts["DataSection"])
    _name_layers(parts["AugmentSection"])
    for dotted, table in TABLES.items():
        section, key = dotted.split(".")
        part = parts[{"train": "TrainSection", "phases": "Phase"}[section]]
        part["properties"][key]["x-taplo"] = {"docs": {"enumValues": [row.summary for row in table.rows()]}}
        part.setdefault("allOf", []).extend(_options_by_name(key, table, is_whole=section == "phases"))
    schema["properties"]["extends"] = _extends()
    schema["properties"]["set"] = _tweaks(schema)
    schema["properties"]["phases"].setdefault("description", "Stretches of training, one after the other.")
    return {
        "$schema": DRAFT,
        **schema,
        "title": "A recipe of zoo",
        "description": "All that decides how a model is trained, but the images themselves.",
    }


def _name_models(section: dict[str, Any]) -> None:
    """Lists the models, and for each the weights and options that its card knows."""
    properties = section["properties"]
    names = registry.list_models()
    properties["name"]["enum"] = names
    alike: dict[tuple[Any, ...], list[str]] = {}
    for name in names:
        card = registry.info(name)
        weights = dict.fromkeys(one.name for one in card.weights)
        alike.setdefault((card.own_weights, (*weights,), (*card.options.items(),)), []).append(name)
    section["allOf"] = [
        {
            "if": {"properties": {"name": {"enum": models}}, "required": ["name"]},
            "then": {
                "properties": {
                    "weights": {"enum": ["default", *([] if has_own else ["none"]), *weights]},
                    "options": {
                        "properties": {key: _typed(default) for key, default in options if key != "handle"},
                        "additionalProperties": False,
                    },
                    **({} if any(key == "handle" for key, _ in options) else {"handle": {"enum": [""]}}),
                }
            },
        }
        for (has_own, weights, options), models in alike.items()
    ]


def _typed(default: object) -> dict[str, Any]:
    kind = _TYPES.get(type(default))
    return {"default": default, **({"type": kind} if kind else {})}


def _name_sources(section: dict[str, Any]) -> None:
    """Lists the sources that have a name each; others are named as their pattern says."""
    source = section["properties"]["source"]
    kinds = sources.kinds()
    named = [one for one in sources.listed() if ":NAME" not in one]
    open_kinds = [one.partition(":")[0] for one in sources.listed() if one.endswith(":NAME")]
    pattern = source.pop("pattern")
    others = [{"pattern": f"^({'|'.join(open_kinds)}):"}] if open_kinds else []
    source["anyOf"] = [{"enum": named}, *others]
    source["pattern"] = pattern
    source["$comment"] = f"one of {', '.join(kinds)}"


def _name_layers(section: dict[str, Any]) -> None:
    layers = section["properties"]["layers"]
    layers["properties"] = {
        row.name: {"description": row.summary, **_options(row.options)} for row in augmentations.AUGMENTATIONS.rows()
    }
    layers["additionalProperties"] = False


def _options_by_name(key: str, table: Table[Any], *, is_whole: bool) -> Iterator[dict[str, Any]]:
    """Yields what the options may be for each name; of a whole table also where the name is left out."""
    default = table.names()[0]
    for row in table.rows():
        named: dict[str, Any] = {"properties": {key: {"const": row.name}}, "required": [key]}
        left_out = {"not": {"required": [key]}}
        asked = {"anyOf": [named, left_out]} if is_whole and row.name == _default_of(key, default) else named
        yield {"if": asked, "then": {"properties": {f"{key}_options": _options(row.options)}}}


def _default_of(key: str, first: str) -> str:
    from zoo.recipe.schema import Phase

    field = Phase.model_fields.get(key)
    return first if field is None else str(field.default)


def _options(options: Mapping[str, Option]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _option(option) for name, option in options.items()},
        "additionalProperties": False,
    }


def _option(option: Option) -> dict[str, Any]:
    described = {"description": option.meaning} if option.meaning else {}
    if isinstance(option.default, tuple):
        return {
            **described,
            "default": list(option.default),
            "type": "array",
            "items": _values(option, option.default[0]),
        }
    return {**described, "default": option.default, **_values(option, option.default)}


def _values(option: Option, like: object) -> dict[str, Any]:
    bounds = {word: bound for name, word in _BOUNDS.items() if (bound := getattr(option, name)) is not None}
    choices = {"enum": list(option.choices)} if option.choices else {}
    return {"type": _TYPES[type(like)], **bounds, **choices}


def _extends() -> dict[str, Any]:
    shipped = shipped_recipes()
    folders = "|".join(sorted({name.partition("/")[0] for name in shipped if "/" in name}))
    version = "(@([1-9][0-9]*|sha256:[0-9a-f]{64}))?"
    one = {
        "anyOf": [
            {"enum": shipped},
            {"type": "string", "pattern": "^(?![/\\\\])(?!.*\\.\\.)(?!.*://).+\\.toml$"},
            # On a shelf: its name is none of those of the folders that ship.
            {"type": "string", "pattern": f"^(?!({folders})/)[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*{version}$"},
        ]
    }
    return {
        "description": "The recipe that this one builds on, or a list of them, later ones over earlier ones: names, "
        ".toml files beside this one, or recipes on a shelf, such as vision/pets@3.",
        "anyOf": [*one["anyOf"], {"type": "array", "items": one, "uniqueItems": True}],
    }


def _tweaks(schema: dict[str, Any]) -> dict[str, Any]:
    """Describes `[set]`: dotted keys, or tables as in the recipe, in which phases go by name or number."""
    sections = {name: entry for name, entry in schema["properties"].items() if name not in ("extends", "set", "schema")}
    dotted: dict[str, Any] = {}
    by_pattern: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for name, entry in sections.items():
        part = _part(schema, entry)
        if part is None:
            dotted[name] = entry
            continue
        definition = f"#/$defs/{part}/properties"
        for key, value in schema["$defs"][part]["properties"].items():
            place = {"$ref": f"{definition}/{key}"}
            if name == "phases":
                by_pattern[f"^phases\\.[^.]+\\.{key}$"] = place
            else:
                dotted[f"{name}.{key}"] = place
            if value.get("type") == "object":
                before = "phases\\.[^.]+" if name == "phases" else name
                by_pattern[f"^{before}\\.{key}\\."] = {}
        inside = {
            "type": "object",
            "properties": {key: {"$ref": f"{definition}/{key}"} for key in schema["$defs"][part]["properties"]},
            "additionalProperties": False,
        }
        nested[name] = {"type": "object", "additionalProperties": inside} if name == "phases" else inside
    return {
        "description": 'Tweaks to inherited values, as --set takes them, such as "phases.head.epochs" = 3.',
        "type": "object",
        "properties": {**dotted, **nested},
        "patternProperties": by_pattern,
        "additionalProperties": False,
    }


def _part(schema: dict[str, Any], entry: dict[str, Any]) -> str | None:
    """Returns the definition of a section's keys; None for a key that is a value."""
    options = [entry, *entry.get("anyOf", ()), entry.get("items", {})]
    found = [str(option["$ref"]).rpartition("/")[2] for option in options if "$ref" in option]
    return found[0] if found and found[0] in schema["$defs"] else None
