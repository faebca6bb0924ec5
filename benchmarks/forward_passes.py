"""One side of `engines.py`, in a process of its own: a forward pass of a net, for some seconds.

    python benchmarks/forward_passes.py SIDE NET SIZE BATCH THREADS SECONDS OUTPUTS.npy

Prints how many images a second. What it gives for the first batch is written to OUTPUTS.npy where its weights are those
of the other sides: all that begin with Keras' graph have the same.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TIMM = {"efficientnet_lite0": "tf_efficientnet_lite0", "mobilenet_v2": "mobilenetv2_100", "resnet50": "resnet50"}

Run = Callable[[np.ndarray], Any]


def _keras(net: str, size: int) -> Any:
    import keras

    import zoo

    keras.utils.set_random_seed(0)
    return zoo.build(net, classes=1000, weights=None, input_shape=(size, size, 3))


def tensorflow(net: str, first: np.ndarray, threads: int) -> Run:
    """Runs Keras' graph as zoo does."""
    import tensorflow as tf

    from zoo.backend import devices

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    run = devices.predictor(_keras(net, first.shape[1]))
    return lambda batch: np.asarray(run(batch))


def openvino(net: str, first: np.ndarray, threads: int) -> Run:
    """Takes Keras' graph over as zoo does."""
    from zoo.inference.engines import ENGINES

    run = ENGINES["openvino"].prepare(_keras(net, first.shape[1]), first)
    return lambda batch: run(batch)[0]


def litert(net: str, first: np.ndarray, threads: int) -> Run:
    """Converts Keras' graph, and runs it by XNNPACK."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = _keras(net, first.shape[1])
    traced = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    function = traced.get_concrete_function(tf.TensorSpec(first.shape, tf.uint8))
    # The converter finds no weights in Keras' model, and what it makes then computes with none: slowly, and NaN.
    holder = tf.Module()
    holder.weights = [weight.value for weight in model.weights]
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], holder).convert()
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    given, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(batch: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given, batch)
        interpreter.invoke()
        return interpreter.get_tensor(found)

    return run


def _torch(net: str, threads: int) -> Any:
    import timm
    import torch

    torch.set_num_threads(threads)
    return timm.create_model(TIMM[net]).eval()


def pytorch(net: str, first: np.ndarray, threads: int) -> Run:
    """Runs timm's net in channels_last."""
    import torch

    model = _torch(net, threads).to(memory_format=torch.channels_last)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            # Of NHWC arrays this is a view in channels_last.
            return model(torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255).numpy()

    return run


def onnxruntime(net: str, first: np.ndarray, threads: int) -> Run:
    """Exports timm's net, since Keras' cannot be exported beside its TensorFlow."""
    import onnxruntime as ort
    import torch

    file = f"{net}.onnx"
    pixels = torch.zeros(len(first), 3, *first.shape[1:3])
    torch.onnx.export(_torch(net, threads), (pixels,), file, input_names=["pixels"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(batch: np.ndarray) -> Any:
        scaled = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), "float32") / np.float32(255)
        return session.run(None, {"pixels": scaled})[0]

    return run


SIDES = {side.__name__: side for side in (tensorflow, openvino, litert, onnxruntime, pytorch)}
OF_KERAS = ("tensorflow", "openvino", "litert")


def main(side: str, net: str, *numbers: str) -> None:
    """Prepares, warms up, and counts the batches that end within the seconds."""
    size, batch, threads, seconds = map(int, numbers[:4])
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3)).astype("uint8")
    began = time.perf_counter()
    run = SIDES[side](net, images, threads)
    outputs = run(images)
    prepared = time.perf_counter() - began
    if side in OF_KERAS:
        np.save(Path(numbers[4]), outputs)
    run(images)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        run(images)
        done += 1
    print(json.dumps({"speed": done * batch / (time.perf_counter() - began), "prepared": prepared}))


if __name__ == "__main__":
    main(*sys.argv[1:])
