"""The allocator's settings are the process's: they are made by training and the command line, and by nothing else."""

import ctypes

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.cli import main

RUNS = keras.backend.backend() == "tensorflow"


class Library:
    """The C library, whose calls of mallopt are written down instead of made."""

    def __init__(self):
        self.calls = []

    def mallopt(self, setting, value):
        self.calls.append((setting, value))
        return 1


@pytest.fixture
def library(monkeypatch):
    opened, library = ctypes.CDLL, Library()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *rest, **more: opened(name, *rest, **more) if name else library)
    return library


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = write_npz(folder / "data.npz", count=16)
    return zoo.finetune(recipe(phase("all", "all", epochs=1), model="mnist_conv_tiny"), data, run=folder / "run").path


def test_a_process_that_only_predicts_keeps_its_allocator(run, library):
    images = np.zeros((2, 28, 28, 1), np.uint8)
    classifier = zoo.load(run)
    classifier.predict(images)
    zoo.features(classifier.model, images)
    zoo.evaluate(run)
    assert library.calls == []


@pytest.mark.skipif(not RUNS, reason="other backends bring an allocator of their own")
def test_training_and_the_command_line_keep_freed_memory(run, library, tmp_path, capsys):
    # From glibc's malloc.h: nothing by mmap, no trimming, 64 MiB at a time.
    settings = [(-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)]
    zoo.finetune(str(run), run=tmp_path / "again")
    assert library.calls[:3] == settings
    library.calls.clear()
    photo = tmp_path / "photo.png"
    Image.new("L", (28, 28)).save(photo)
    with pytest.raises(SystemExit):
        main(["predict", str(run), str(photo)])
    assert library.calls == settings
