"""What the zoo knows: cards, the builders behind them, and how a name is found."""

from zoo.registry.cards import Accuracy, Card, Download, PackageFile, Protocol, ShippedFile, Stage, WeightSet
from zoo.registry.entries import (
    ENTRY_POINT_GROUP,
    FAMILIES,
    Adapter,
    Builder,
    Entry,
    info,
    list_models,
    lookup,
    register,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "FAMILIES",
    "Accuracy",
    "Adapter",
    "Builder",
    "Card",
    "Download",
    "Entry",
    "PackageFile",
    "Protocol",
    "ShippedFile",
    "Stage",
    "WeightSet",
    "info",
    "list_models",
    "lookup",
    "register",
]
