"""What run.json says of a run before it trains."""

import os
import platform
from dataclasses import replace
from pathlib import Path

import keras

from zoo.backend import determinism
from zoo.backend.compute.precision import uses_tf32
from zoo.backend.distribution.engines import ENGINES
from zoo.backend.distribution.placement import current
from zoo.backend.keras_internals import native_operations
from zoo.data import InCode
from zoo.data.inputs import Inputs
from zoo.runs.exactness import claim_of
from zoo.runs.packages import code_hashes, installed_versions
from zoo.runs.record import DataRecord, EnvironmentRecord, InputsRecord, PlacementRecord, RunRecord, SkippedRecord
from zoo.training.preparation.preparing import Prepared


def record_before_reading(prepared: Prepared) -> RunRecord:
    """Returns what is known of a run before its images are decoded; how many there are is not."""
    recipe, source, weights = prepared.recipe, prepared.source, prepared.weights
    record = RunRecord(
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
            processor=determinism.processor(),
            threads=determinism.threads(),
            native_operations=native_operations.is_used(),
            tf32=uses_tf32(prepared.device) if prepared.device.kind == "gpu" else None,
        ),
        versions=installed_versions(recipe),
        seed=recipe.train.seed,
        precision=prepared.policy,
        data=DataRecord(
            fingerprint=source.dataset.fingerprint(),
            train=0,
            validation=0,
            test=len(source.dataset.test) if source.dataset.test else 0,
        ),
        classes=tuple(source.dataset.classes),
        weights=weights.record if weights else None,
        code=code_hashes(recipe),
        placement=_placement(),
        origin=prepared.origin,
        recipe_files=prepared.recipe_files,
    )
    claim = claim_of(record, deterministic=recipe.train.deterministic, device_kind=prepared.device.kind)
    return replace(record, exactness=claim)


def first_record(prepared: Prepared, inputs: Inputs) -> RunRecord:
    """Returns what is known of a run once its images are decoded."""
    record = record_before_reading(prepared)
    data = replace(
        record.data,
        train=len(inputs.train.labels),
        validation=len(inputs.validation.labels) if inputs.validation else 0,
        skipped=tuple(SkippedRecord(path=str(bad.path), reason=bad.reason) for bad in inputs.skipped),
    )
    return replace(record, data=data)


def _placement() -> PlacementRecord | None:
    placement = current()
    if not placement.is_spread:
        return None
    engine = ENGINES[keras.backend.backend()]
    return PlacementRecord(
        processes=placement.processes,
        devices=placement.devices,
        engine=engine.name,
        batchnorm=engine.batchnorm,
        launcher=placement.launcher,
    )


def _inputs(data: Path | InCode | None) -> InputsRecord:
    if data is None or isinstance(data, Path):
        return InputsRecord(data=None if data is None else str(data.resolve()))
    return InputsRecord(data=None, in_code=f"{type(data).__module__}.{type(data).__qualname__}")
