"""An image's weight multiplies its loss in training, and nothing else."""

from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import CLASSES, phase, pixels, recipe
from zoo.report.progress import Display
from zoo.training.compiling.schedules import RisingRate
from zoo.training.preparation.preparing import prepare
from zoo.training.tools.range_test import find_rate


def write_list(folder: Path, rows, name: str = "list.csv") -> Path:
    """Writes photos and a list of them; a row is (number, label, weight or None, split)."""
    from PIL import Image

    images, _ = pixels(32)
    lines = ["path,label,split,weight" if any(row[2] is not None for row in rows) else "path,label,split"]
    for number, label, weight, split in rows:
        Image.fromarray(images[number]).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{CLASSES[label]},{split}" + ("" if weight is None else f",{weight}"))
    (folder / name).write_text("\n".join(lines))
    return folder / name


class Weights(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.seen = [np.array(weight.numpy()) for weight in self.model.trainable_weights]


def trained(folder, rows, name, *, rate=1e-3, **sections):
    """One step of plain gradient descent on all images at once; the model's weights after it."""
    plan = recipe(
        phase("head", "all", epochs=1, optimizer="sgd", learning_rate=rate, schedule="constant", batchnorm="frozen"),
        train={"batch_size": 64, **sections.pop("train", {})},
        **sections,
    )
    watch = Weights()
    run = zoo.finetune(plan, write_list(folder, rows, f"{name}.csv"), run=folder / name, callbacks=[watch])
    return watch.seen, run


VALIDATION = [(number, number % 2, None, "val") for number in range(24, 32)]


def test_mislabelled_images_of_weight_0_train_as_if_they_were_absent(tmp_path):
    right = [(number, number % 2, 1, "train") for number in range(12)]
    wrong = [(number, 1 - number % 2, 0, "train") for number in range(12, 16)]
    validation = [(number, label, 1, split) for number, label, _, split in VALIDATION]
    with_wrong, run = trained(tmp_path, right + wrong + validation, "wrong")
    # The loss is a mean over all images of the batch, 16 in place of 12.
    without, _ = trained(tmp_path, right + validation, "absent", rate=1e-3 * 12 / 16)
    misled, _ = trained(tmp_path, [(*row[:2], 1, row[3]) for row in right + wrong] + validation, "misled")
    for one, other in zip(with_wrong, without, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert max(np.abs(one - other).max() for one, other in zip(with_wrong, misled, strict=True)) > 5e-5
    # Twelve images count, and validation is of eight, whatever they weigh.
    assert run.history[0]["accuracy"] * 12 == pytest.approx(round(run.history[0]["accuracy"] * 12))
    assert run.record["data"]["validation"] == 8


def test_weights_of_1_change_nothing_and_validation_has_none(tmp_path):
    train = [(number, number % 2, 1, "train") for number in range(16)]
    light = [(number, label, 0.25, split) for number, label, _, split in VALIDATION]
    weighted, run = trained(tmp_path, train + light, "weighted")
    plain, bare = trained(tmp_path, [(*row[:2], None, row[3]) for row in train + light], "plain")
    for one, other in zip(weighted, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert run.history[0][key] == pytest.approx(bare.history[0][key], rel=1e-5), key
    assert run.metrics == pytest.approx(bare.metrics, rel=1e-5)


def test_a_weighted_run_with_mixing_learns(tmp_path):
    rows = [(number, number % 2, 0.5 + number % 3, "train") for number in range(24)]
    validation = [(number, label, 1, split) for number, label, _, split in VALIDATION]
    plan = recipe(
        phase("all", "all", epochs=12, learning_rate=5e-3, schedule="constant"),
        augment={"mixup": 0.2},
        train={"label_smoothing": 0.05},
    )
    run = zoo.finetune(plan, write_list(tmp_path, rows + validation), run=tmp_path / "run")
    assert run.metrics["accuracy"] == 1


def test_the_range_test_weighs_too(tmp_path):
    def losses(weight):
        rows = [(number, number % 2, weight, "train") for number in range(16)]
        with Display() as display:
            return find_rate(
                prepare(recipe(data={"validation": 0.0}), write_list(tmp_path, rows)),
                rate=RisingRate(lowest=1e-12, highest=1e-11, steps=10),
                display=display,
            ).losses

    # At such rates nothing is learnt: only the weight differs.
    assert losses(3) == pytest.approx([3 * loss for loss in losses(1)], rel=1e-4)
