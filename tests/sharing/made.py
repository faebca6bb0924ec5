"""Locks and receipts made by hand, and what goes through their every bit."""

import hashlib
from dataclasses import replace

import numpy as np

from zoo.runs.images import RunImages
from zoo.runs.record import EnvironmentRecord, ExactnessRecord, ResultRecord
from zoo.sharing.locks.data import DataLock
from zoo.sharing.locks.lock import (
    ExpectedLock,
    ExpectedMetric,
    Lock,
    ParentLock,
    PreprocessingLock,
    RecipeLock,
    WeightsLock,
)
from zoo.sharing.receipt import DataCounts, Receipt, SecondsRecord

RESOLVED = 'name = "pets"\n\n[train]\nseed = 0\n\n[[phases]]\nname = "head"\nepochs = 2\n'
ENVIRONMENT = EnvironmentRecord(
    python="3.11.7",
    platform="Linux",
    backend="tensorflow",
    device="cpu",
    cpus=2,
    processor="A processor",
    threads=2,
)
VERSIONS = {"zoo": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0", "numpy": "2.4.6", "pillow": None}


def sha256(content):
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


PARENTS = (ParentLock(name="finetune/default", sha256="a" * 64),)


def recipe_lock(resolved=RESOLVED, parents=PARENTS):
    return RecipeLock(name="pets", sha256=sha256(resolved), resolved=resolved, parents=parents)


def make_lock(**changes):
    images = RunImages({"train": {"cat": ("1", "2"), "dog": ("3",)}, "validation": {"cat": ("4",), "dog": ("5",)}})
    lock = Lock(
        recipe=recipe_lock(),
        weights=WeightsLock(model="mnist_conv_tiny", set="mnist", sha256="b" * 64, licence="Apache-2.0"),
        data=DataLock.of_images(images, "c" * 64),
        classes=("cat", "dog"),
        preprocessing=PreprocessingLock(
            height=28,
            width=28,
            channels=1,
            resize="crop",
            crop_share=1.0,
            interpolation="bilinear",
            white=0,
            pixels="divided by 255",
        ),
        seeds=(0,),
        precision="float32",
        versions=VERSIONS,
        code={"zoo": "e" * 64},
        environment=ENVIRONMENT,
        expected=ExpectedLock(
            split="validation",
            runs=1,
            metrics={"accuracy": ExpectedMetric(value=0.75, interval=(0.3, 0.95))},
            model_sha256="d" * 64,
            first_losses=("0x1.8000000000000p-1", "0x1.0000000000000p-1"),
            exactness=ExactnessRecord(claim="bitwise"),
        ),
    )
    return replace(lock, **changes)


def make_receipt(**changes):
    receipt = Receipt(
        zoo="0.1.0",
        time="2026-11-27T00:00:00Z",
        recipe="pets",
        model="mnist_conv_tiny",
        classes=("cat", "dog"),
        data=DataCounts(fingerprint="c" * 64, train=3, validation=2, test=0, skipped=0),
        result=ResultRecord(
            split="validation",
            metrics={"accuracy": 0.75},
            intervals={"accuracy": (0.3, 0.95)},
            per_class={"cat": {"accuracy": 1.0}, "dog": {"accuracy": None}},
        ),
        seconds=SecondsRecord(training=1.5, data_wait=0.25, epochs=2),
        environment=ENVIRONMENT,
        versions=VERSIONS,
        seed=0,
        precision="float32",
        phases=(),
        sha256={"recipe.toml": sha256(RESOLVED)},
    )
    return replace(receipt, **changes)


def flips(content, count, seed=0):
    """Yields a text with one bit changed, at places by chance."""
    generator = np.random.default_rng(seed)
    for place, bit in zip(generator.integers(0, len(content), count), generator.integers(0, 8, count), strict=True):
        changed = bytearray(content)
        changed[place] ^= 1 << int(bit)
        yield int(place), bytes(changed)
