"""A model zoo and transfer-learning toolkit on Keras 3.

    import zoo

    model = zoo.build("mnist_conv")
    run = zoo.finetune("quickstart")
    run.classifier.predict(["photo.png"])

Every name is loaded when it is first used, so that importing zoo stays quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.errors import ZooError
    from zoo.evaluation.measuring import evaluate
    from zoo.foreign.saved_models import trust
    from zoo.freezing.plans import freeze, unfreeze
    from zoo.freezing.stages import stages
    from zoo.inference.classifier import load
    from zoo.inference.features import features
    from zoo.jobs.estimator import Estimator
    from zoo.jobs.finetuning import Run, finetune
    from zoo.models.building import build
    from zoo.recipe.schema import Recipe
    from zoo.registry import info, list_models, register

__version__ = "0.1.0"

__all__ = [
    "Estimator",
    "Recipe",
    "Run",
    "ZooError",
    "build",
    "evaluate",
    "features",
    "finetune",
    "freeze",
    "info",
    "list_models",
    "load",
    "register",
    "stages",
    "trust",
    "unfreeze",
]

_HOMES = {
    "Estimator": "zoo.jobs.estimator",
    "Recipe": "zoo.recipe.schema",
    "Run": "zoo.jobs.finetuning",
    "ZooError": "zoo.errors",
    "build": "zoo.models.building",
    "evaluate": "zoo.evaluation.measuring",
    "features": "zoo.inference.features",
    "finetune": "zoo.jobs.finetuning",
    "freeze": "zoo.freezing.plans",
    "info": "zoo.registry.entries",
    "list_models": "zoo.registry.entries",
    "load": "zoo.inference.classifier",
    "register": "zoo.registry.entries",
    "stages": "zoo.freezing.stages",
    "trust": "zoo.foreign.saved_models",
    "unfreeze": "zoo.freezing.plans",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
