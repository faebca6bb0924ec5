"""Runs model.xml and model.bin by OpenVINO on the CPU."""

from collections.abc import Callable
from pathlib import Path

import numpy as np


def open_model(folder: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model: uint8[n, height, width, channels] in, float32[n, classes] out; for one thread at a time."""
    import openvino

    # Left alone it computes in bfloat16 where the processor can, and differs by 0.05; the file cannot say otherwise.
    how = {"INFERENCE_PRECISION_HINT": "f32", **({"INFERENCE_NUM_THREADS": threads} if threads else {})}
    how["ENABLE_MMAP"] = False  # or a newer file that is written over this one ends the process
    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", how)
    return lambda pixels: compiled([pixels])["probabilities"]
