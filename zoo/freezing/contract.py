"""The proof that what is frozen stayed so, and that what is to be trained is.

Keras decides what `fit` updates when a model is compiled. Changing `trainable` afterwards is silently ignored there;
here `Contract` notices.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.backend.distribution.copies import first_copy
from zoo.backend.keras_internals.optimizers import inner_optimizer, trained_variables
from zoo.errors import ContractError
from zoo.freezing.plans import batchnorm_mode_of, holds_batchnorm, is_batchnorm, layers_of

if TYPE_CHECKING:
    import keras


def fingerprint(variables: Iterable[Any]) -> dict[str, str]:
    """Hashes each variable's values: path to BLAKE2b hex. Equal hashes mean bit-identical values."""
    import numpy as np

    def contents(variable: Any) -> Any:
        # Bytes as they lie, without a copy.
        return first_copy(variable).reshape(-1).view(np.uint8).data

    return {variable.path: hashlib.blake2b(contents(variable), digest_size=16).hexdigest() for variable in variables}


class Contract:
    """The promise of a phase: what is frozen does not move, what is trained is in the optimizer.

    Made after compile and before fit. Checked whole after the first step and at the phase's end, and within what `fit`
    trains at each epoch's end.

    Attributes:
        frozen: Hash of each frozen tensor by path: frozen weights, and the statistics of frozen BatchNorms.
        trained: Hash of each trainable tensor by path.
    """

    def __init__(self, model: "keras.Model", optimizer: Any, *, phase: str) -> None:
        self._model = model
        self._optimizer = optimizer
        self._phase = phase
        self.frozen = fingerprint(frozen_variables(model))
        self.trained = fingerprint(model.trainable_weights)

    def check(self, *, within: "keras.Model | None" = None) -> None:
        """Checks the promise.

        Args:
            within: Compares only the frozen tensors of this model, which `fit` trains: a prefix that was run once is
                not in it, no step comes to it, and checkpoints hold it as it was.

        Raises:
            ContractError: A frozen tensor moved, the trainable set changed, or the optimizer lacks a tensor.
        """
        weights = (self._model if within is None else within).weights
        found = fingerprint(weight for weight in weights if weight.path in self.frozen)
        moved = [path for path, now in found.items() if now != self.frozen[path]]
        trainable = {weight.path for weight in self._model.trainable_weights}
        changed = sorted(trainable ^ set(self.trained))
        in_optimizer = {weight.path for weight in trained_variables(inner_optimizer(self._optimizer))}
        missing = sorted(set(self.trained) - in_optimizer)
        for paths, fault in (
            (moved, "frozen, yet moved"),
            (changed, "set trainable or frozen after the phase was compiled"),
            (missing, "to be trained, yet unknown to the optimizer"),
        ):
            if paths:
                raise contract_error(self._phase, paths, fault)

    def unchanged(self) -> list[str]:
        """Lists the trainable tensors that have not changed so far.

        Never fatal, since a bias before BatchNorm or a warm-up from 0 leaves them where they are.
        """
        now = fingerprint(weight for weight in self._model.weights if weight.path in self.trained)
        return [path for path in self.trained if now[path] == self.trained[path]]


def contract_error(phase: str, paths: Sequence[str], fault: str) -> ContractError:
    """Words a broken promise: which tensors, and what happened to them."""
    listed = f"{', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}"
    return ContractError(f"phase '{phase}': {len(paths)} tensors are {fault}: {listed}; no checkpoint holds it")


def moving_variables(model: "keras.Model") -> list[Any]:
    """Lists the weights that a forward pass in training moves: the moving statistics of BatchNorms that train."""
    still = {id(weight) for weight in (*frozen_variables(model), *model.trainable_weights)}
    return [weight for weight in model.weights if id(weight) not in still]


def frozen_variables(model: "keras.Model") -> list[Any]:
    """Lists the weights that training must not move: all but the trainable ones and moving statistics."""
    moving = {id(weight) for weight in model.trainable_weights}
    for layer in layers_of(model):
        if (is_batchnorm(layer) or holds_batchnorm(layer)) and batchnorm_mode_of(layer) == "train":
            moving |= {id(weight) for weight in layer.weights}
    return [weight for weight in model.weights if id(weight) not in moving]
