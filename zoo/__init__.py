"""A model zoo and transfer-learning toolkit on Keras 3.

    import zoo

    model = zoo.build("mnist_conv")
    run = zoo.finetune("quickstart")
    run.classifier.predict(["photo.png"])

Every name is loaded when it is first used, so that importing zoo stays quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors read; a test compares it with the table
    from zoo.errors import ContractError as ContractError
    from zoo.errors import DataError as DataError
    from zoo.errors import MissingWeightsError as MissingWeightsError
    from zoo.errors import NotFoundError as NotFoundError
    from zoo.errors import RecipeError as RecipeError
    from zoo.errors import RunError as RunError
    from zoo.errors import TrustError as TrustError
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.evaluation.measuring import evaluate as evaluate
    from zoo.evaluation.scores import Evaluation as Evaluation
    from zoo.export.exporting import Export as Export
    from zoo.export.exporting import export_run as export_run
    from zoo.foreign.saved_models import trust as trust
    from zoo.freezing.plans import freeze as freeze
    from zoo.freezing.plans import unfreeze as unfreeze
    from zoo.freezing.stages import stages as stages
    from zoo.inference.classifier import Classifier as Classifier
    from zoo.inference.classifier import load as load
    from zoo.inference.features import features as features
    from zoo.inference.prediction import Prediction as Prediction
    from zoo.jobs.estimator import Estimator as Estimator
    from zoo.jobs.finetuning import Run as Run
    from zoo.jobs.finetuning import finetune as finetune
    from zoo.models.building import build as build
    from zoo.recipe.schema import Recipe as Recipe
    from zoo.registry.cards import Card as Card
    from zoo.registry.cards import Protocol as Protocol
    from zoo.registry.cards import Stage as Stage
    from zoo.registry.cards import WeightSet as WeightSet
    from zoo.registry.entries import info as info
    from zoo.registry.entries import list_models as list_models
    from zoo.registry.entries import register as register
    from zoo.sharing.reproduction.reproducing import Reproduction as Reproduction
    from zoo.sharing.reproduction.reproducing import reproduce as reproduce
    from zoo.sharing.verification.verifying import verify as verify

__version__ = "0.1.0"

_NAMES_OF = {
    "zoo.errors": (
        "ContractError DataError MissingWeightsError NotFoundError RecipeError RunError TrustError WeightsError "
        "ZooError"
    ),
    "zoo.evaluation.measuring": "evaluate",
    "zoo.evaluation.scores": "Evaluation",
    "zoo.export.exporting": "Export export_run",
    "zoo.foreign.saved_models": "trust",
    "zoo.freezing.plans": "freeze unfreeze",
    "zoo.freezing.stages": "stages",
    "zoo.inference.classifier": "Classifier load",
    "zoo.inference.features": "features",
    "zoo.inference.prediction": "Prediction",
    "zoo.jobs.estimator": "Estimator",
    "zoo.jobs.finetuning": "Run finetune",
    "zoo.models.building": "build",
    "zoo.recipe.schema": "Recipe",
    "zoo.registry.cards": "Card Protocol Stage WeightSet",
    "zoo.registry.entries": "info list_models register",
    "zoo.sharing.reproduction.reproducing": "Reproduction reproduce",
    "zoo.sharing.verification.verifying": "verify",
}
_HOMES = {name: module for module, names in _NAMES_OF.items() for name in names.split()}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] -- the aliases above tell it the names


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
