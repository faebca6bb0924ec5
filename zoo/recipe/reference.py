"""Every key of a recipe with what it may be, its default and its meaning, read off the schema.

`python -m zoo.recipe.reference` prints docs/recipe.md.
"""

import json
from dataclasses import dataclass
from typing import Any

from zoo.errors import NotFoundError, did_you_mean, printable
from zoo.recipe.schema import recipe_file_schema
from zoo.registry.entries import fits_wildcard
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS
from zoo.registry.schedules import SCHEDULES
from zoo.registry.tables import Row, Table

# The order of a recipe file; the words stand above each table of docs/recipe.md.
SECTIONS = ("", "model", "data", "augment", "train", "phases", "checkpoint", "expect")
PHASE = "phases.NAME"
# Keys that name a row of a table.
TABLES: dict[str, Table[Any]] = {
    "train.loss": LOSSES,
    "phases.optimizer": OPTIMIZERS,
    "phases.schedule": SCHEDULES,
}


@dataclass(frozen=True, kw_only=True)
class RecipeKey:
    """One key.

    Attributes:
        name: As `--set` takes it: `train.batch_size`; a phase's stand below `phases.NAME`.
        expected: What its value may be.
        default: Its value where the recipe leaves it out, as TOML; None where it is required.
        meaning: A sentence or two.
        choices: Where the value is the name of something that has options: a line for each, with the options.
    """

    name: str
    expected: str
    default: str | None
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def may_be_set(self) -> bool:
        """Whether `--set` takes it as it stands here."""
        return "." in self.name and not self.name.startswith(PHASE)


def recipe_keys(pattern: str | None = None) -> list[RecipeKey]:
    """Returns the keys in the order of a recipe file.

    Args:
        pattern: Keeps keys that match a wildcard, or in whose name or meaning the text occurs; None keeps all.

    Raises:
        NotFoundError: No key does.
    """
    schema = recipe_file_schema()
    keys = [key for section in SECTIONS for key in _keys_of(schema, section)]
    if pattern is None:
        return keys
    sought = pattern.lower()
    if sought.startswith("phases.") and sought.count(".") == 2:  # `phases.head.epochs`
        sought = f"{PHASE}.{sought.rpartition('.')[2]}".lower()
    found = [
        key for key in keys if fits_wildcard(key.name.lower(), sought) or sought in f"{key.name} {key.meaning}".lower()
    ]
    if not found:
        names = [key.name for key in keys]
        near = did_you_mean(pattern, [*names, *(name.rpartition(".")[2] for name in names)])
        raise NotFoundError(f"No recipe key matches '{printable(pattern)}'.{near} See 'zoo recipe keys'.")
    return found


def _keys_of(schema: dict[str, Any], section: str) -> list[RecipeKey]:
    if not section:
        nested = set(SECTIONS)
        return [
            _key(name, entry, required=name == "name")
            for name, entry in sorted(schema["properties"].items(), key=lambda item: _ROOT.index(item[0]))
            if name not in nested
        ]
    table = schema["$defs"][_definition(schema["properties"][section])]
    required = {*table.get("required", ()), *(("name",) if section == "model" else ())}
    before = PHASE if section == "phases" else section
    return [
        _key(f"{before}.{name}", entry, required=name in required, dotted=f"{section}.{name}")
        for name, entry in table["properties"].items()
    ]


_ROOT = ("schema", "name", "description", "extends", "set", *SECTIONS[1:])


def _definition(entry: dict[str, Any]) -> str:
    options = [entry, *entry.get("anyOf", ()), *entry.get("allOf", ()), entry.get("items", {})]
    (reference,) = [option["$ref"] for option in options if "$ref" in option]
    return str(reference).rpartition("/")[2]


def _key(name: str, entry: dict[str, Any], *, required: bool, dotted: str = "") -> RecipeKey:
    meaning = " ".join(str(entry.get("description", "")).split())
    expected = _expected(entry)
    default = None if required else json.dumps(entry["default"]) if "default" in entry else "none"
    rows = TABLES[dotted].rows() if dotted in TABLES else ()
    choices = tuple(f"{row.name}: {row.summary} {_options(row)}".rstrip() for row in rows)
    return RecipeKey(name=name, expected=expected, default=default, meaning=meaning, choices=choices)


def _options(row: Row) -> str:
    """Lists the options of a row with their defaults and what they may be; empty where it has none."""
    listed = [f"{name} = {json.dumps(option.default)} ({option.expected})" for name, option in row.options.items()]
    return f"Options: {', '.join(listed)}." if listed else ""


def _expected(entry: dict[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_expected(one) for one in entry["anyOf"]))
    if "enum" in entry:
        words = [json.dumps(value) for value in entry["enum"]]
        return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    if "const" in entry:
        return json.dumps(entry["const"])
    if "$comment" in entry:
        return str(entry["$comment"])
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "a text",
        "array": "a list",
        "object": "a table",
    }[entry["type"]]
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {entry[bound]:.10g}" for bound, sign in signs.items() if bound in entry]
    return " ".join([words, " and ".join(bounds)]).strip()


_HEAD = """# Every key of a recipe

A recipe is one TOML file. What is left out has the default shown here; `zoo recipe show RECIPE` prints a recipe with
every key, `zoo recipe keys PATTERN` prints what is on this page, and `zoo recipe check` finds what is wrong, with its
line. On the command line `--set KEY=VALUE` changes any of them; a phase goes by its name or its number, as in
`--set phases.head.epochs=3`. How a recipe builds on others, editors, and what differs between two:
[recipe files](recipe-files.md).

<!-- Generated by `python -m zoo.recipe.reference`; a test compares it. -->
"""

_WORDS = {
    "": "The recipe itself",
    "model": "`[model]`: what is trained",
    "data": "`[data]`: the images and how they are read",
    "augment": "`[augment]`: random changes to the training images",
    "train": "`[train]`: what holds for all phases",
    "phases": "`[[phases]]`: one table for each stretch of training",
    "checkpoint": "`[checkpoint]`: what is saved, and which model is kept",
    "expect": "`[expect]`: what the best model must reach, or the exit code is 3",
}

_SELECTORS = """
`train` names layers: `head`, `all`, `none`, a stage such as `stage4`, `stage3+` (it and every later one), `last:2` (the
last two stages, the head counted), `layers:-20` (the last twenty layers that have weights), `params:30%` (the fewest
last layers that hold at least 30 % of the parameters), `re:REGEX` (layers whose name contains a match of RE2's, see
[data.md](data.md)). Terms are
joined by commas; `!` takes layers away. `zoo show MODEL` lists a model's stages.
"""


def page() -> str:
    """Writes docs/recipe.md."""
    schema = recipe_file_schema()
    parts = [_HEAD]
    for section in SECTIONS:
        rows = [
            f"| `{key.name.replace(f'{PHASE}.', '').removeprefix(f'{section}.')}` "
            f"| {'**required**' if key.default is None else f'`{key.default}`'} "
            f"| {_cell(key.expected)} | {_cell(key.meaning)} |"
            for key in _keys_of(schema, section)
        ]
        table = ["| key | default | expected | meaning |", "| --- | --- | --- | --- |", *rows]
        parts.append(f"\n## {_WORDS[section]}\n\n" + "\n".join(table) + "\n")
        if section == "phases":
            parts.append(_SELECTORS)
        parts += [_page_of(table) for key, table in TABLES.items() if key.startswith(f"{section}.")]
    return "".join(parts)


def _page_of(table: Table[Any]) -> str:
    """Writes what there is of a kind, with its options."""
    lines = [f"\n### What may be {'an' if table.kind[0] in 'aeiou' else 'a'} {table.kind}\n"]
    lines += ["| name | what it is | options |", "| --- | --- | --- |"]
    for row in table.rows():
        options = [
            f"`{name} = {json.dumps(option.default)}` {option.expected}. {option.meaning}".rstrip()
            for name, option in row.options.items()
        ]
        lines.append(f"| `{row.name}` | {_cell(row.summary)} | {_cell('<br>'.join(options))} |")
    added = f"A package adds its own by the entry points `{table.group}`."
    return "\n".join([*lines, "", added, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
