"""Figures of the cards that ship, as `python -m zoo.models.measuring --write` measured them on the built models.

A family's file holds what a person decides, and these are counts. They are read once, when the first family is loaded.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.registry.cards import Stage

PATH = Path(__file__).parents[1] / "assets" / "figures.json"
STEM = "stem"
HEAD = "head"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was counted in one variant; a variant that was not measured yet has none.

    Attributes:
        params: Number of parameters.
        madds: Multiply-adds of one forward pass.
        by_stage: `layers` and `params` of each stage, by its name.
    """

    params: int | None = None
    madds: int | None = None
    by_stage: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])

    def stages(self, last_layers: Sequence[str]) -> tuple[Stage, ...]:
        """Returns a card's stages.

        Args:
            last_layers: The last layer of each stage but the head, from the stem on.
        """
        names = [STEM, *(f"stage{number}" for number in range(1, len(last_layers))), HEAD]
        counted = [self.by_stage.get(name, {}) for name in names]
        return tuple(
            Stage(name=name, last_layer=last_layer, layers=counts.get("layers", 0), params=counts.get("params"))
            for name, last_layer, counts in zip(names, (*last_layers, ""), counted, strict=True)
        )


def measured(name: str) -> Figures:
    """Returns the figures of a variant that ships."""
    return Figures(**read().get(name, {}))


@functools.cache
def read() -> Mapping[str, Mapping[str, Any]]:
    """Reads all figures, by the variant's name."""
    return json.loads(PATH.read_text(encoding="utf-8"))["figures"]


def write(figures: Mapping[str, Figures]) -> None:
    """Writes all figures, a line for each stage, in the order of the names."""
    models = ",\n".join(f"    {json.dumps(name)}: {_lines(figures[name])}" for name in sorted(figures))
    text = f'{{\n  "schema": 1,\n  "kind": "figures",\n  "figures": {{\n{models}\n  }}\n}}\n'
    PATH.write_text(text, encoding="utf-8")
    read.cache_clear()


def _lines(figures: Figures) -> str:
    stages = ",\n".join(
        f"        {json.dumps(name)}: {json.dumps(dict(counts))}" for name, counts in figures.by_stage.items()
    )
    return (
        f'{{\n      "params": {json.dumps(figures.params)},\n      "madds": {json.dumps(figures.madds)},\n'
        f'      "by_stage": {{\n{stages}\n      }}\n    }}'
    )
