"""Runs model.onnx by ONNX Runtime on the CPU."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


def open_model(folder: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model: uint8[n, height, width, channels] in, float32[n, classes] out; for one thread at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Said, because ONNX Runtime would bind threads to cores that a container may not use.
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run(["probabilities"], {"pixels": pixels})[0])
