"""Makes the run folders beside this file: what zoo 0.1.0 left, before its modules got new places and names.

    python -m tests.runs.made_before.make

They were made once, and are not to be made anew when the code changes: `tests/runs/test_made_before.py` proves that
later code loads, measures, repeats and resumes them.

photos/            what both runs learn from: three classes, pairs of photos of one thing
unseen/            photos of other sizes that no run saw
recipe.toml        two phases: the head on a frozen, cached prefix, then all layers
finished/          the run as it ends
interrupted/       the same run, ended within the second phase
expected.json      what made them, and what finished/ says of unseen/: labels; the hash of its weights
probabilities.npy  float32[photos, classes], what finished/ gives for unseen/
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
CLASSES = ("T-shirt weiß", "brød", "猫")
PHOTOS = 12
INTERRUPTED_EPOCH = 8  # counted from 0 over both phases
UNSEEN = ((28, 28), (40, 33), (31, 52), (64, 64))
# Variables that change which kernels compute.
SETTINGS = ("TF_ENABLE_ONEDNN", "ONEDNN_", "OMP_", "XLA_FLAGS")
# A run writes down where its images lie and which kernel it ran on: these two say nothing of a machine.
NEUTRAL = Path(tempfile.gettempdir()) / "zoo-fixture"


def machine() -> dict[str, Any]:
    """Describes what decides the last bits of a result: the processor, and what computes on it."""
    import keras

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    about = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    features = sorted(about.get("flags", about.get("Features", "")).split())
    return {
        "processor": [about.get(name, "") for name in ("model name", "cpu family", "model", "stepping", "cache size")],
        "architecture": platform.machine(),
        "features": hashlib.sha256(" ".join(features).encode()).hexdigest(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)},
        "backend": keras.backend.backend(),
        "versions": {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
    }


def photo(label: int, height: int, width: int, seed: int) -> Image.Image:
    """Draws noise with a brighter third: the upper one of class 0, the middle one of class 1, the lower one of 2."""
    pixels = np.random.default_rng(seed).integers(0, 170, (height, width)).astype(np.uint8)
    pixels[label * height // 3 : (label + 1) * height // 3] += 85
    return Image.fromarray(pixels)


def write_photos(folder: Path) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(PHOTOS):
            path = folder / "photos" / name / f"thing{label * PHOTOS + number // 2:02d}-{number % 2}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            photo(label, 28, 28, seed=100 * label + number).save(path)
    (folder / "unseen").mkdir()
    for number, (height, width) in enumerate(UNSEEN):
        photo(number % len(CLASSES), height, width, seed=1000 + number).save(folder / "unseen" / f"{number}.png")


def make(folder: Path) -> None:
    """Makes it all in a new folder, and copies it to this one."""
    import keras

    import zoo

    class Interrupt(keras.callbacks.Callback):
        """Presses Ctrl-C in the middle of the second phase's third epoch."""

        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if (self.epoch, batch) == (INTERRUPTED_EPOCH, 3):
                raise KeyboardInterrupt

    platform.platform = lambda: f"{platform.system()}-{platform.machine()}"
    folder.mkdir()
    write_photos(folder)
    shutil.copy(HERE / "recipe.toml", folder)
    run = zoo.finetune(folder / "recipe.toml", folder / "photos", run=folder / "finished")
    try:
        zoo.finetune(folder / "recipe.toml", folder / "photos", run=folder / "interrupted", callbacks=[Interrupt()])
    except KeyboardInterrupt:
        print("interrupted, as is meant")
    unseen = sorted((folder / "unseen").iterdir())
    np.save(folder / "probabilities.npy", run.classifier.predict_proba(unseen))
    expected = {
        "zoo": zoo.__version__,
        "machine": machine(),
        "labels": [one.label for one in run.classifier.predict(unseen)],
        "weights": hashlib.sha256((run.path / "model" / "model.safetensors").read_bytes()).hexdigest(),
    }
    text = json.dumps(expected, indent=2, ensure_ascii=False) + "\n"
    (folder / "expected.json").write_text(text, encoding="utf-8")
    for made in folder.iterdir():
        if made.is_dir():
            shutil.rmtree(HERE / made.name, ignore_errors=True)
            shutil.copytree(made, HERE / made.name)
        elif made.name != "recipe.toml":
            shutil.copy(made, HERE)
    shutil.rmtree(folder)


if __name__ == "__main__":
    make(NEUTRAL)
