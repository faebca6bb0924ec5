"""Environments of their own for what is measured beside the toolkit: made once by pip, found again by their pins.

PyTorch's builds without CUDA are on an index of their own: where pip does not find them, set
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
torchvision's builds with CUDA, which other indexes have, are imported all the same: see `OPERATIONS`.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

import click

# What all of PyTorch's sides have, so that their figures differ by what is built on it.
TORCH = ("torch==2.13.0+cpu", "torchvision==0.28.0")
FINISHED = "made.json"
# A torchvision with CUDA does not find its operations beside a PyTorch without, and cannot be imported then, since it
# says of two of them what shape they give. They select boxes, which nothing here has.
OPERATIONS = """

if not _has_ops():
    _declared = torch.library.Library("torchvision", "DEF")
    _declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


class CannotInstallError(Exception):
    """pip did not install a side's packages; the text is its last line."""


def key_of(pins: Sequence[str]) -> str:
    """Returns what tells the environment of some packages from others: of the interpreter, and of all pins."""
    text = json.dumps([sys.version, *sorted(pins)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_environment(folder: Path, name: str, pins: Sequence[str]) -> Path:
    """Makes an environment with pinned packages, or finds the one that was made.

    Args:
        folder: Where environments lie.
        name: What it is for.
        pins: What pip installs, as `torch==2.13.0+cpu`, or the folder of a project.

    Returns:
        Its interpreter.

    Raises:
        CannotInstallError: pip cannot install the packages.
    """
    place = folder.absolute() / f"{name}-{key_of(pins)}"
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (place / FINISHED).is_file():
        return python
    shutil.rmtree(place, ignore_errors=True)  # one that was not finished
    click.echo(f"makes {place}: pip install {' '.join(pins)}", err=True)
    began = time.perf_counter()
    venv.create(place, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        shutil.rmtree(place, ignore_errors=True)
        raise CannotInstallError(last_line(ran.stderr) or "pip said nothing")
    for extension in place.glob("lib/*/site-packages/torchvision/extension.py"):
        with extension.open("a", encoding="utf-8") as file:
            file.write(OPERATIONS)
    frozen = subprocess.run([str(python), "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    seconds = round(time.perf_counter() - began)
    document = {"pins": list(pins), "seconds": seconds, "packages": frozen.stdout.splitlines()}
    (place / FINISHED).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return python


def last_line(text: str) -> str:
    """Returns the last line of what a program said that has words in it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
