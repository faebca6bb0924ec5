"""What run.json says of a run before it trains."""

import os
import platform
from importlib import metadata
from pathlib import Path

import keras

from zoo.data import InCode
from zoo.data.inputs import Inputs
from zoo.runs.record import DataRecord, EnvironmentRecord, InputsRecord, RunRecord, SkippedRecord
from zoo.training.preparation.preparing import Prepared

RECORDED_PACKAGES = ("zoo", "keras", "tensorflow", "jax", "numpy", "pillow")


def first_record(prepared: Prepared, inputs: Inputs) -> RunRecord:
    """Returns what is known of a run once its images are decoded."""
    recipe, source, weights = prepared.recipe, prepared.source, prepared.weights
    return RunRecord(
        status="running",
        recipe=recipe.name,
        model=recipe.model.name,
        inputs=_inputs(prepared.data),
        environment=EnvironmentRecord(
            python=platform.python_version(),
            platform=platform.platform(),
            backend=keras.backend.backend(),
            device=prepared.device.name,
            cpus=os.cpu_count(),
        ),
        versions={name: _version(name) for name in RECORDED_PACKAGES},
        seed=recipe.train.seed,
        precision=prepared.policy,
        data=DataRecord(
            fingerprint=source.dataset.fingerprint(),
            train=len(inputs.train.labels),
            validation=len(inputs.validation.labels) if inputs.validation else 0,
            test=len(source.dataset.test) if source.dataset.test else 0,
            skipped=tuple(SkippedRecord(path=str(bad.path), reason=bad.reason) for bad in inputs.skipped),
        ),
        classes=tuple(source.dataset.classes),
        weights=weights.record if weights else None,
    )


def _inputs(data: Path | InCode | None) -> InputsRecord:
    if data is None or isinstance(data, Path):
        return InputsRecord(data=None if data is None else str(data.resolve()))
    return InputsRecord(data=None, in_code=f"{type(data).__module__}.{type(data).__qualname__}")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
