"""Images, recipes and ways to type commands, so small that a run takes seconds."""

import contextlib
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.recipe.schema import Recipe
from zoo.runs.folder import RunFolder
from zoo.runs.record import DataRecord, EnvironmentRecord, InputsRecord, ResultRecord, RunRecord, Status
from zoo.system.sealing import sealed

HERE = Path(__file__).parents[1]
CLASSES = ("cat", "dog")


def pixels(count: int, *, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Makes images that a model can learn: class k has its own bright band on a noisy ground."""
    labels = np.arange(count, dtype=np.int64) % classes
    images = np.random.default_rng(seed).integers(0, 90, (count, 28, 28)).astype(np.uint8)
    band = 28 // classes
    for image, label in zip(images, labels, strict=True):
        image[label * band : (label + 1) * band] += 150
    return images, labels


# Of a line of metrics.jsonl, what differs from run to run.
TIMED = ("seconds", "data_wait_seconds", "images_per_second", "data_wait_share", "mfu")


def untimed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leaves out of the lines of metrics.jsonl what differs from run to run."""
    return [{name: value for name, value in row.items() if name not in TIMED} for row in rows]


def write_npz(path: Path, *, count: int = 32, classes: Sequence[str] = CLASSES, **splits: int) -> Path:
    """Writes an archive of training images; `val=8, test=8` adds splits."""
    arrays: dict[str, np.ndarray] = {"classes": np.array(classes)}
    for seed, (split, size) in enumerate({"train": count, **splits}.items()):
        arrays[f"x_{split}"], arrays[f"y_{split}"] = pixels(size, classes=len(classes), seed=seed)
    np.savez(path, **arrays)
    return path


def write_photos(folder: Path, *, count: int = 16, classes: Sequence[str] = CLASSES, seed: int = 0) -> Path:
    """Writes a folder of PNG files per class; class k of the names looks like label k of `pixels`."""
    images, labels = pixels(count * len(classes), classes=len(classes), seed=seed)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / classes[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def phase(name: str, train: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "train": train, "epochs": 2, **keys}


def recipe(*phases: Mapping[str, Any], model: str = "mnist_simple", **sections: Mapping[str, Any]) -> Recipe:
    """Builds a recipe of random weights, a quarter of the images for validation, and batches of 8."""
    return Recipe.model_validate(
        {
            "name": "tiny",
            "model": {"name": model, "weights": "none"},
            "phases": [dict(one) for one in phases] or [phase("head", "head")],
            **sections,
            "data": {"validation": 0.25, **sections.get("data", {})},
            "train": {"batch_size": 8, **sections.get("train", {})},
        }
    )


def tiny_recipe(**train: Any) -> Recipe:
    """Builds the recipe of the fixture `trained`: the head of a net of 9,066 parameters, to the same bits each time."""
    head = phase("head", "head", batchnorm="frozen")
    return recipe(head, model="mnist_conv_tiny", train={"deterministic": True, **train})


def record(status: Status = "running", **changes: Any) -> RunRecord:
    """Makes the record of a run at its beginning, as `zoo.finetune` writes it."""
    keys = {
        "recipe": "tiny",
        "model": "mnist_simple",
        "inputs": InputsRecord(data="/photos"),
        "environment": EnvironmentRecord(
            python="3.11.7", platform="Linux", backend="tensorflow", device="2 CPU cores", cpus=2
        ),
        "versions": {"keras": "3.15.1", "jax": None},
        "seed": 0,
        "precision": "float32",
        "data": DataRecord(fingerprint="3f0c" * 16, train=3068, validation=341),
        "classes": CLASSES,
    }
    return RunRecord(status=status, **{**keys, **changes})


def result(**metrics: float) -> ResultRecord:
    """Makes what a run came to; the interval of each metric is 0.1 to either side."""
    intervals = {name: (value - 0.1, value + 0.1) for name, value in metrics.items()}
    return ResultRecord(split="validation", metrics=metrics, intervals=intervals, per_class={})


def write_run(name: str, of: Recipe, status: Status = "done", **changes: Any) -> str:
    """Writes the recipe and the record of a run without training it; returns its folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    run = RunFolder.create(Path(name))
    run.recipe_path.write_text(of.to_toml(), encoding="utf-8")
    run.write_record(record(status, **changes))
    return name


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


def start(code: str, *arguments: object, **extra: str) -> "subprocess.Popen[str]":
    """Starts Python code in a process of its own, which hears Ctrl-C even where the tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment(**extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def as_typed(path: Path) -> str:
    """Returns a path as a message has it in what is to be typed next."""
    return shlex.quote(str(path))


def make_socket(path: Path) -> None:
    """Leaves a socket's file at `path`, however long that is: the name that is bound may be 108 bytes long."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)


def rewrite(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a sealed document of a run anew, as if zoo had written it so: its hash goes into the run's manifest."""
    values = {key: value for key, value in document.items() if key not in ("sealed", "seal")}
    path.write_text(sealed(values), encoding="utf-8")
    for run in (path.parent, path.parent.parent):
        manifest = run / "manifest.json"
        if manifest.is_file() and manifest != path:
            listed = json.loads(manifest.read_text(encoding="utf-8"))
            name = path.relative_to(run).as_posix()
            if name in listed["sha256"]:
                content = path.read_bytes()
                listed["sha256"][name], listed["bytes"][name] = hashlib.sha256(content).hexdigest(), len(content)
                rewrite(manifest, listed)


def stopping_bar(stop_at):
    """Returns what opens a progress bar on which Ctrl-C comes when so many are done; never for None."""

    @contextlib.contextmanager
    def bar(description, total):
        def move(done, detail):
            if stop_at is not None and done >= stop_at:
                raise KeyboardInterrupt

        yield move

    return bar
