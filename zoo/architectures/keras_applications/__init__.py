"""Every model of `keras.applications`: an adapter, and beside it a file of variants for each line of architectures.

A module in this folder that has `FAMILIES` is such a file; adding one touches no other.
"""

import importlib
import pkgutil

from zoo.architectures.keras_applications.building import builder
from zoo.architectures.keras_applications.families import Family, card
from zoo.registry import register

_modules = [importlib.import_module(module.name) for module in pkgutil.iter_modules(__path__, f"{__name__}.")]
FAMILIES: tuple[Family, ...] = tuple(family for module in _modules for family in getattr(module, "FAMILIES", ()))

for _family in FAMILIES:
    register(*(card(_family, name) for name in _family.variants))(builder(_family))
