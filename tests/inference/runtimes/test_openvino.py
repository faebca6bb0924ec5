"""OpenVINO runs what it has read."""

import subprocess
import sys

import pytest

from tests.tiny import environment

# A convolution, whose weights stand in model.bin.
CODE = """
import sys
from pathlib import Path

import numpy as np
import openvino
from openvino import opset8 as layers

from zoo.inference.runtimes.openvino import open_model

folder = Path(sys.argv[1])
pixels = layers.parameter([-1, 8, 8, 3], np.uint8, name="pixels")
planes = layers.transpose(layers.convert(pixels, np.float32), layers.constant(np.array([0, 3, 1, 2])))
weights = np.random.default_rng(0).random((256, 3, 5, 5), np.float32) / 1000
seen = layers.convolution(planes, layers.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
probabilities = layers.softmax(layers.reduce_mean(seen, layers.constant(np.array([2, 3])), False), 1)
probabilities.output(0).set_names({"probabilities"})
openvino.save_model(openvino.Model([probabilities], [pixels], "tiny"), folder / "model.xml", compress_to_fp16=False)

run = open_model(folder, 1)
given = np.full((1, 8, 8, 3), 7, np.uint8)
(folder / "model.bin").write_bytes(b"")
first = run(given)
assert np.array_equal(run(np.repeat(given, 2, 0))[1], first[0])
"""


def test_a_file_that_is_written_over_the_one_that_is_open_changes_nothing(tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
