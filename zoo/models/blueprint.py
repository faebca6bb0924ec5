"""What rebuilds a model's graph."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo import registry
from zoo.errors import ZooError
from zoo.registry import Card
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """All that is needed to build a model's graph again; every model from `build` carries its own.

    Attributes:
        architecture: The registered name.
        input_shape: Height, width and channels.
        classes: The class names in the order of the probabilities.
        weights: The weight set that the graph belongs to, or `none`.
        dropout: The rate before the classifier, or None for the family's own.
        options: The family's further options.
        own_fit: How photos were brought to the input size where it was trained; None for a model that was not.
        own_licence: Of the weights that the model which it began from began from; None where they are the card's.
    """

    architecture: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    weights: str = "none"
    dropout: float | None = None
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    own_fit: ImageFit | None = field(default=None, compare=False)
    own_licence: str | None = field(default=None, compare=False)

    @property
    def card(self) -> Card:
        """The architecture's card."""
        return registry.info(self.architecture)

    @property
    def licence(self) -> str | None:
        """The licence of the weights that it began from; None where they were random, or it is not known."""
        weight_set = None if self.weights == "none" else self.card.weight_set(self.weights, self.options)
        return weight_set.licence if weight_set else self.own_licence

    def to_json(self) -> dict[str, object]:
        """Returns it as plain data, which `from_json` reads."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("own_")}

    @property
    def fit(self) -> ImageFit:
        """How a photo is brought to the input size: as in training, else as its weights were measured with."""
        if self.own_fit is not None or self.weights == "none":
            return self.own_fit or ImageFit()
        weight_set = self.card.weight_set(self.weights, self.options)
        return weight_set.protocol.fit if weight_set and weight_set.protocol else ImageFit()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Blueprint":
        """Reads a blueprint from plain data; other keys are passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if not name.startswith("own_")}
        known["input_shape"] = tuple(known["input_shape"])
        known["classes"] = tuple(known["classes"])
        own_fit = data.get("own_fit")
        return cls(**known, own_fit=ImageFit(**own_fit) if own_fit else None)


def blueprint_of(model: "keras.Model") -> Blueprint:
    """Returns the blueprint that `build` left with a model.

    Raises:
        ZooError: It has none: it is not from `zoo.build`, or is a copy of what was.
    """
    blueprint = getattr(model, "blueprint", None)
    if not isinstance(blueprint, Blueprint):
        name = getattr(model, "name", type(model).__name__)
        raise ZooError(f"model '{name}' has no blueprint; expected a model as zoo.build and zoo.load give it")
    return blueprint
