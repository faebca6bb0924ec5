"""Runs model.tflite by LiteRT on the CPU."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


def open_model(folder: Path, threads: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model: uint8[n, height, width, channels] in, float32[n, classes] out; for one thread at a time."""
    from ai_edge_litert.interpreter import Interpreter

    # Read, since a newer file that is written over a mapped one ends the process.
    content = (folder / "model.tflite").read_bytes()
    interpreter = Interpreter(model_content=content, num_threads=threads or os.cpu_count() or 1)
    pixels_in = interpreter.get_input_details()[0]["index"]
    probabilities_out = interpreter.get_output_details()[0]["index"]
    shape: tuple[int, ...] = ()

    def run(pixels: np.ndarray) -> np.ndarray:
        nonlocal shape
        if pixels.shape != shape:
            shape = ()
            interpreter.resize_tensor_input(pixels_in, pixels.shape, strict=True)  # else it takes photos of any size
            interpreter.allocate_tensors()
            shape = pixels.shape
        interpreter.set_tensor(pixels_in, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities_out)

    return run
