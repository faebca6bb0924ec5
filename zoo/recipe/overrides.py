"""Overrides of single values: `--set KEY=VALUE` and a recipe's own `[set]` table."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import did_you_mean
from zoo.foreign.toml_documents import DEEPEST
from zoo.recipe.overlays import Fault, KeyPath, Overlay, SourceLocation
from zoo.recipe.toml.values import toml_value, unfit_values

# As a caller gives them: also a single text, or none.
GivenOverrides = str | Sequence[str] | Mapping[str, object] | None
# As they go on from there.
Overrides = tuple[str, ...] | Mapping[str, object]
# Each is laid over the whole recipe.
MOST_OVERRIDES = 1_000


@dataclass(frozen=True)
class Override:
    """A value for a dotted key, in which a phase goes by its name or its index."""

    key: str
    value: Any
    location: SourceLocation


class _UnreachableError(Exception):
    """An override's key leads nowhere, or its value cannot be in a recipe.

    Attributes:
        is_unknown_phase: Whether no phase has the name that the key gives.
    """

    def __init__(self, message: str, *, is_unknown_phase: bool = False) -> None:
        super().__init__(message)
        self.is_unknown_phase = is_unknown_phase


def read_overrides(
    overrides: Sequence[str] | Mapping[str, object],
) -> tuple[list[Override], list[Fault]]:
    """Reads overrides as the command line or a caller gives them.

    Args:
        overrides: Texts `KEY=VALUE`, whose values are TOML or else bare strings; or values by key.

    Returns:
        The overrides in order, and a fault for each text that is none.
    """
    if isinstance(overrides, Mapping):
        flat = ((".".join(path), _plain(value)) for path, value in _flattened(overrides))
        named = [
            (key, value, SourceLocation(f"--set {key}", typed=n, key=key)) for n, (key, value) in enumerate(flat, 1)
        ]
        return [Override(*one) for one in named], []
    read: list[Override] = []
    faults: list[Fault] = []
    for number, text in enumerate([overrides] if isinstance(overrides, str) else overrides, 1):
        key, equals, value = (part.strip() for part in text.partition("="))
        if key and equals:
            of_text = read_overrides({key: toml_value(value)})[0]
            read += [replace(one, location=replace(one.location, typed=number)) for one in of_text]
        else:
            missing = "key before '='" if equals else "'='"
            advice = "expected KEY=VALUE, such as train.batch_size=64"
            faults.append(Fault(SourceLocation(f"--set {text}", typed=number), f"has no {missing}", advice))
    return read, faults


def overrides_in(overlay: Overlay) -> tuple[list[Override], list[Fault]]:
    """Reads the `[set]` table of a recipe file, each tweak with its line."""
    table = overlay.values.get("set", {})
    if not isinstance(table, dict):
        advice = 'expected [set] and lines such as "train.batch_size" = 64'
        return [], [Fault(overlay.location(("set",)), "set is not a table", advice, ("set",))]
    tweaks = _flattened(table)
    return [
        Override(".".join(path), value, replace(overlay.location(("set", *path)), key=".".join(path)))
        for path, value in tweaks
    ], []


def apply_overrides(overlay: Overlay, overrides: Sequence[Override]) -> tuple[Overlay, list[Fault]]:
    """Sets the values in an overlay, the last one of a key winning.

    Whether a key exists and its value fits is left to validation, which knows the schema.

    Returns:
        The overlay with the values, and a fault for each key that leads nowhere or value that no recipe can hold.
    """
    if len(overrides) > MOST_OVERRIDES:
        found = f"{len(overrides):,} values are set"
        return overlay, [Fault(overrides[0].location, found, f"expected at most {MOST_OVERRIDES:,}")]
    faults: list[Fault] = []
    for override in overrides:
        try:
            path = _path(overlay.values, override.key)
            for _, unfit in unfit_values(override.value):
                raise _UnreachableError(unfit)
            overlay = overlay.with_value(path, override.value, override.location)
        except _UnreachableError as error:
            if not (error.is_unknown_phase and overlay.may_hold(("phases",))):  # else it may be in what was not read
                faults.append(Fault.of_message(override.location, str(error), tuple(override.key.split("."))))
    return overlay, faults


def _plain(value: Any) -> Any:
    """Returns Python's own value for one of NumPy's numbers, texts and truth values, also in lists."""
    if isinstance(value, list | tuple):
        listed: list[Any] | tuple[Any, ...] = value
        return [_plain(one) for one in listed]
    # Asked by what it offers: NumPy itself is not imported for it.
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _flattened(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields path and value; `phases.head.epochs = 3` is three nested tables in TOML, unless quoted."""
    for name, value in table.items():
        if isinstance(value, Mapping) and value and len(path) < DEEPEST:
            yield from _flattened(value, (*path, name))
        else:
            yield (*path, name), value


def _path(values: dict[str, Any], key: str) -> KeyPath:
    """Turns a dotted key into a path, phases by name into indices."""
    path: KeyPath = ()
    inside: Any = values
    if key.count(".") >= DEEPEST:
        raise _UnreachableError(f"a key has {key.count('.') + 1:,} parts; expected at most {DEEPEST}")
    if key.split(".")[0] in ("extends", "set"):
        raise _UnreachableError(f"'{key}' cannot be overridden; write it in a recipe file")
    for name in key.split("."):
        part = _phase_index(inside, name) if path == ("phases",) else name
        if isinstance(inside, list) and isinstance(part, int):
            inside = inside[part]
        elif isinstance(inside, dict):
            inside = inside.get(part, {})
        else:
            raise _UnreachableError(f"'{'.'.join(map(str, path))}' is not a table")
        path = (*path, part)
    return path


def _phase_index(phases: Any, name: str) -> int:
    listed = phases if isinstance(phases, list) else []
    names = [str(phase.get("name")) if isinstance(phase, dict) else "?" for phase in listed]
    if name in names:
        return names.index(name)
    if name in map(str, range(len(names))):
        return int(name)
    known = ", ".join(names) or "none"
    hint = did_you_mean(name, names)
    raise _UnreachableError(f"no phase '{name}'; phases are {known}.{hint}", is_unknown_phase=True)
