"""What `seed/fast` is for: one epoch of MNIST's training images teaches to read its test images."""

import json
import os
from pathlib import Path

import pytest

import zoo

# Where Keras keeps what `builtin:mnist` downloads.
MNIST = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"


def test_the_recipe_leaves_nothing_to_choose_by_the_test_images():
    recipe = zoo.Recipe.load("seed/fast")
    assert [phase.epochs for phase in recipe.phases] == [1]
    assert (recipe.data.validation, recipe.train.early_stopping, recipe.model.weights) == ("test", 0, "none")


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_file(), reason=f"needs MNIST in {MNIST}")
def test_one_epoch_reads_the_digits(tmp_path):
    run = zoo.finetune("seed/fast", MNIST, run=tmp_path / "run")
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 1
    assert lines[-1]["val_accuracy"] >= 0.988


@pytest.mark.slow
def test_as_many_images_of_clothes_teach_to_tell_clothes_apart(tmp_path):
    # 5,000 images train; a classifier that finds nothing has 0.1.
    sample = ["data.source=builtin:fashion_sample", "data.validation=validation", "phases.all.epochs=12"]
    run = zoo.finetune("seed/fast", run=tmp_path / "run", overrides=sample)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["val_accuracy"] >= 0.8
