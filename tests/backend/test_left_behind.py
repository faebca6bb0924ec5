"""What a run held is freed when it ends: the tenth in a process takes what the second took."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe
from zoo.data.batches import Batches

ROOT = Path(__file__).parents[2]


class Images:
    """28 x 28 pixels of noise, in memory."""

    def __init__(self, count):
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype("uint8")

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, row):
        return self.pixels[row], row % 2


PLAN = recipe(
    phase("head", "head", epochs=1, batchnorm="frozen"), phase("all", "all", epochs=1), model="mnist_conv_tiny"
)


def left_behind():
    """Counts what holds images, weights or graphs."""
    gc.collect()
    found = gc.get_objects()
    counts = {kind: sum(type(one).__name__ == kind for one in found) for kind in ("FuncGraph", "Functional")}
    counts["Batches"] = sum(isinstance(one, Batches) for one in found)
    counts["bytes"] = sum(one.nbytes for one in found if isinstance(one, np.ndarray) and one.base is None)
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.ops import script_ops

        counts["functions"] = script_ops._py_funcs.size()
    return counts


@pytest.mark.slow
def test_a_run_leaves_no_batches_functions_and_graphs(tmp_path):
    data = {"train": Images(40), "validation": Images(16)}
    counts = []
    for number in range(4):
        zoo.finetune(PLAN, data, run=tmp_path / str(number), verbose=0)
        counts.append(left_behind())
    assert counts[1]["Batches"] == 0
    assert counts[1] == counts[3]


_MANY = """
import ctypes, gc, os, sys, tempfile
sys.path.insert(0, os.getcwd())
import numpy as np, zoo
from tests.backend.test_left_behind import PLAN, Images
data = {"train": Images(int(sys.argv[1])), "validation": Images(100)}
folder = tempfile.mkdtemp()
plan = PLAN.model_copy(update={"train": PLAN.train.model_copy(update={"batch_size": 1024})})
for number in range(10):
    run = zoo.finetune(plan, data, run=f"{folder}/{number}", verbose=0)
    for _ in range(3):
        zoo.load(run).predict(data["train"].pixels[:40])
    gc.collect()
    # glibc keeps what was freed, up to a fifth of all, for as long as it likes: what is held is asked for here.
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 10**6, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what a process takes")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("backend", "count"), [("tensorflow", 40), ("tensorflow", 20_000), ("jax", 40)])  # 16 MB
def test_memory_is_flat_after_the_second_of_ten_runs(tmp_path, backend, count):
    env = os.environ | {"KERAS_BACKEND": backend, "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", _MANY, str(count)], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    megabytes = [int(line) for line in ended.stdout.split()]
    assert len(megabytes) == 10
    # Without its data, of which 16 MB would stay for each of four runs: what JAX's caches and what lies between keep.
    assert max(megabytes[5:]) - megabytes[1] < 60, megabytes
