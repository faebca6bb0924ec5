"""A recipe before it is written: each value with the reason for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zoo.recipe.schema import Recipe

# How much is trained after a new head: all layers, the last stages, or the head alone.
Plan = Literal["all", "top", "head"]


@dataclass(frozen=True)
class Chosen:
    """A value of a key, and why it is that."""

    value: Any
    why: str


Keys = Mapping[str, Chosen]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """How much of what the rule wants is done: all of it, or what a budget leaves.

    Attributes:
        plan: What trains after the head.
        image_size: Side in pixels; None is the rule's.
        asked_size: Side that was asked for; None lets the rule choose.
        epochs: Of phases that have others than the rule's, by name.
    """

    plan: Plan = "all"
    image_size: int | None = None
    asked_size: int | None = None
    epochs: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What the rule decided.

    Attributes:
        model: Keys of `[model]`.
        data: Keys of `[data]`.
        augment: Keys of `[augment]`.
        train: Keys of `[train]`.
        phases: Keys of each phase, by its name.
        notes: What the user should know beside, a sentence each.
    """

    model: Keys
    data: Keys
    augment: Keys
    train: Keys
    phases: Mapping[str, Keys]
    notes: tuple[str, ...] = ()

    def sections(self) -> dict[str, Keys]:
        """Returns the sections that have keys, in the order of a recipe."""
        all_of_them = {"model": self.model, "data": self.data, "augment": self.augment, "train": self.train}
        return {name: keys for name, keys in all_of_them.items() if keys}

    def recipe(self, name: str, description: str = "") -> Recipe:
        """Returns the recipe that it is."""
        sections = {
            section: {key: chosen.value for key, chosen in keys.items()} for section, keys in self.sections().items()
        }
        phases = [
            {"name": phase, **{key: chosen.value for key, chosen in keys.items()}}
            for phase, keys in self.phases.items()
        ]
        return Recipe.model_validate({"name": name, "description": description, **sections, "phases": phases})

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs of each phase, by its name."""
        return {name: keys["epochs"].value for name, keys in self.phases.items()}
