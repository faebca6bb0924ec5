"""What computes a forward pass in place of Keras, where it is faster and proves equal: rows of a table.

The environment variable `ZOO_ENGINE` chooses: `auto`, `keras` or the name of a row. An engine takes the graph that
TensorFlow traced, computes in float32 on the CPU, and is compared with Keras on the first images.
"""

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.backend import devices
from zoo.backend.determinism import fixed_threads, threads
from zoo.errors import ZooError, shown

if TYPE_CHECKING:
    import keras

VARIABLE = "ZOO_ENGINE"
AUTO, KERAS = "auto", "keras"
# How far an engine may be from Keras, as a share of the largest number that Keras gives. What rounds in another order
# differs by some 1e-6, what computes in float16 or bfloat16 by 1e-3 and more.
TOLERANCE = 1e-4
# Images at once; the first of them both compute.
BATCH = 32
# Images that a stream of OpenVINO computes at once: with a stream for each core, that is a fifth more images a second
# than a batch that all cores divide among them.
_AT_ONCE = 4

# From a batch to what each output of a model gives for it.
Run = Callable[[np.ndarray], list[np.ndarray]]


class EngineFaultError(Exception):
    """An engine that had proved equal failed at a later batch; the text says which and how."""


@dataclass(frozen=True)
class Engine:
    """Something that computes what Keras traced.

    Attributes:
        name: As `ZOO_ENGINE` has it; also the module's, the package's and the extra's.
        prepare: Takes over a model, and returns what runs it on batches of up to as many images as a first one has.
    """

    name: str
    prepare: Callable[["keras.Model", np.ndarray], Run]

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.name) is not None

    def __str__(self) -> str:
        return f"{self.name} {version(self.name)}"


@dataclass(frozen=True)
class Compiled:
    """A model that an engine has taken over.

    Attributes:
        name: The model's.
        run: Computes a batch.
    """

    name: str
    run: Run


def _openvino(model: "keras.Model", first: np.ndarray) -> Run:
    """Converts in memory, by the parts that `openvino.convert_model` has inside: that one reports its use over a net.

    https://docs.openvino.ai/2025/about-openvino/additional-resources/telemetry.html
    """
    openvino: Any = importlib.import_module("openvino")
    frontends: Any = importlib.import_module("openvino.frontend")
    iterators: Any = importlib.import_module("openvino.frontend.tensorflow.graph_iterator")
    graph = iterators.GraphIteratorTFGraph(devices.traced(model, first).graph, False)
    frontend = frontends.FrontEndManager().load_by_framework("tf")
    loaded = frontend.load(graph)
    converted = frontend.convert(loaded)
    converted.reshape([_AT_ONCE, *first.shape[1:]])
    streams = min(threads(), BATCH // _AT_ONCE)
    how = {"INFERENCE_NUM_THREADS": threads(), "NUM_STREAMS": streams}
    # Left alone it computes in bfloat16 where the processor can, which is another result.
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32", **how})
    queue = openvino.AsyncInferQueue(compiled, streams)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        filled = np.concatenate([batch, np.repeat(batch[-1:], -len(batch) % _AT_ONCE, axis=0)])
        parts: dict[int, list[np.ndarray]] = {}

        def keep(request: Any, start: int) -> None:
            parts[start] = [np.array(request.get_output_tensor(number).data) for number in range(len(model.outputs))]

        queue.set_callback(keep)
        for start in range(0, len(filled), _AT_ONCE):
            queue.start_async([filled[start : start + _AT_ONCE]], start)
        queue.wait_all()
        in_order = [parts[start] for start in sorted(parts)]
        return [np.concatenate(outputs)[: len(batch)] for outputs in zip(*in_order, strict=True)]

    return run


ENGINES = {engine.name: engine for engine in (Engine("openvino", _openvino),)}


def asked() -> str:
    """Returns what `ZOO_ENGINE` says: `auto`, `keras` or the name of an engine that is installed.

    Raises:
        ZooError: It says something else.
    """
    choice = os.environ.get(VARIABLE, "") or AUTO
    if choice not in (AUTO, KERAS, *ENGINES):
        raise ZooError(f"{VARIABLE} is {shown(choice)}; expected {AUTO}, {KERAS} or {', '.join(ENGINES)}")
    if choice in ENGINES and not ENGINES[choice].is_installed:
        raise ZooError(f"{VARIABLE} is '{choice}', which is not installed; type pip install 'zoo[{choice}]'")
    return choice


def by_version(name: str) -> Engine | None:
    """Returns the engine that calls itself so, as `openvino 2026.4.1`; None where that is not installed."""
    return next((engine for engine in ENGINES.values() if engine.is_installed and str(engine) == name), None)


def why_keras(model: "keras.Model") -> str:
    """Says why only Keras may compute a model here; empty where an engine may."""
    if devices.name() != "tensorflow":
        return f"the backend is {devices.name()}"
    if devices.accelerator().kind != "cpu":
        return f"it runs on {devices.accelerator().name}"
    if fixed_threads() is not None:
        return "train.deterministic promises the bits that Keras gives"
    dtype = next((output.dtype for output in model.outputs if output.dtype != "float32"), "")
    return f"it computes in {dtype}" if dtype else ""


def prove(engine: Engine, model: "keras.Model", images: np.ndarray) -> Compiled | str:
    """Lets an engine take over a model, and compares it with Keras on some images.

    Args:
        engine: The engine.
        model: Gives float32.
        images: uint8[n, height, width, channels], some of those that are to be computed; at most `BATCH` are.

    Returns:
        What computes in place of Keras; or why it does not, for a line.
    """
    compared = images[:BATCH]
    # A whole batch, also of fewer images: others may come in whole ones.
    batch = compared[np.arange(BATCH) % len(compared)]
    keras_run = devices.predictor(model)
    devices.traced(model, batch)  # both take it
    with ThreadPoolExecutor(1, thread_name_prefix="zoo-prove") as beside:
        expected = beside.submit(lambda: devices.listed(keras_run(compared)))
        try:
            run = engine.prepare(model, batch)
            given = run(compared)
        except Exception as fault:  # whatever it is: Keras computes then
            return f"{engine} cannot compute it ({_said(fault)})"
        for mine, theirs in zip(expected.result(), given, strict=True):
            difference = _difference(mine, theirs)
            if not difference <= TOLERANCE:  # nor where one is NaN
                return (
                    f"{engine} differs from Keras by {difference:.1g} of the largest number; "
                    f"expected at most {TOLERANCE:.0e}"
                )
    return Compiled(model.name, _naming(engine, run))


def _naming(engine: Engine, run: Run) -> Run:
    """Lets a fault of an engine be told from those of files and of Keras."""

    def named(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return run(batch)
        except Exception as fault:
            raise EngineFaultError(f"{engine} failed ({_said(fault)})") from fault

    return named


def _said(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}"


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the largest difference of two arrays as a share of the largest number of the first."""
    if one.shape != other.shape:
        return float("inf")
    largest = max(float(np.max(np.abs(one))), float(np.finfo(np.float32).tiny))
    return float(np.max(np.abs(one - other))) / largest
