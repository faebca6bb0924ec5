"""A proposed recipe as a file: each key with a short comment, and above them what it was fitted to."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import tomlkit

from zoo.errors import printable
from zoo.jobs.proposing.draft import Draft, Keys
from zoo.jobs.proposing.facts import DataFacts, MachineFacts
from zoo.jobs.proposing.forecast import Forecast
from zoo.system.text_tables import counted

_WIDTH = 118
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is said above the keys.

    Attributes:
        name: The recipe's name.
        data: What the images' folder or file is called, without where it is.
        asked: What was typed, without the images' place.
        date: Of the forecast, as `2026-11-27`.
        facts: Of the images.
        machine: That the forecast is for.
        versions: Of the backend that it was measured with, as `tensorflow 2.21.0`.
        forecast: Of the time.
        given_up: For a budget, a line each.
        notes: What the user should know, a sentence each.
    """

    name: str
    data: str
    asked: str
    date: str
    facts: DataFacts
    machine: MachineFacts
    versions: str
    forecast: Forecast
    given_up: Sequence[str] = ()
    notes: Sequence[str] = ()


def recipe_name(data: str) -> str:
    """Makes a recipe's name of what the images are called."""
    name = _NOT_IN_A_NAME.sub("-", data.lower()).strip("-")
    return name[:60].strip("-") or "images"


def recipe_text(draft: Draft, header: Header) -> str:
    """Writes a recipe."""
    lines = [*_comment(header), "", "schema = 1", f"name = {_toml(header.name)}"]
    lines.append(f"description = {_toml(description(draft, header.facts))}")
    for section, keys in draft.sections().items():
        lines += ["", f"[{section}]", *_keys(keys)]
    for name, keys in draft.phases.items():
        lines += ["", "[[phases]]", f"name = {_toml(name)}", *_keys(keys)]
    return "\n".join(lines) + "\n"


def description(draft: Draft, facts: DataFacts) -> str:
    """Says in a line what a recipe does."""
    phases = ", then ".join(f"{keys['epochs'].value} epochs of {keys['train'].value}" for keys in draft.phases.values())
    return f"{draft.model['name'].value} for {counted(facts.train, 'image')} of {facts.classes} classes: {phases}."


def _comment(header: Header) -> list[str]:
    facts, machine = header.facts, header.machine
    sides = f"{facts.short_side} x {facts.long_side} pixels"
    kind = "grey" if facts.grey else "in colours"
    own = f"; {facts.validation:,} validate" if facts.validation else ""
    lines = [
        f"zoo finetune {header.name}.toml --data {shlex.quote(header.data)}",
        "",
        f"Proposed by '{header.asked}' for {counted(facts.train, 'image')} of {facts.classes} classes{own}; "
        f"{kind}, {sides} (median). Why each value is what it is, at length: docs/recipe-new.md of zoo.",
        "",
        f"Forecast of {header.date}: {header.forecast}.",
        f"Of a first run on {counted(machine.cores, 'core')} of {machine.name}"
        if machine.kind == "cpu"
        else f"Of a first run on {machine.name}",
    ]
    lines[-1] += f", {header.versions}; measured on some batches of each phase."
    if header.given_up:
        lines += ["", "Given up for the budget:", *(f"- {line}." for line in header.given_up)]
    if header.notes:
        lines += ["", *(f"Note: {note}." for note in header.notes)]
    return [f"# {line}".rstrip() for one in lines for line in _folded(printable(one, at_most=1_000))]


def _folded(text: str) -> list[str]:
    """Folds a text between words."""
    lines, line = list[str](), ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > _WIDTH - 2:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _keys(keys: Keys) -> list[str]:
    return [f"{key} = {_toml(chosen.value)}  # {printable(chosen.why)}" for key, chosen in keys.items()]


def _toml(value: object) -> str:
    return tomlkit.item(value).as_string()  # pyright: ignore[reportArgumentType] -- texts, numbers and truths
