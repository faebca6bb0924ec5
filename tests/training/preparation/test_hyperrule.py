import math

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo.data import Split
from zoo.recipe.loading import load_recipe
from zoo.training.preparation import hyperrule
from zoo.training.preparation.hyperrule import BySize, typical_area, with_hyperrule


def split(count, side):
    # One byte that is looked at as if it were many images.
    images = np.broadcast_to(np.uint8(0), (count, side, side, 3))
    return Split(images=images, labels=np.zeros(count, np.int64))


@pytest.mark.parametrize(
    ("count", "side", "epochs", "image_size", "crop", "mixup"),
    [
        # ceil(1000 / 512) = 2 steps an epoch: 500 / 2.
        (1_000, 95, 250, 128, 0.2, 0.0),
        (19_999, 96, round(500 / 40), 384, 1 / 7, 0.0),
        # ceil(20000 / 512) = 40: 10,000 / 40.
        (20_000, 32, 250, 128, 0.2, 0.1),
        (499_999, 300, round(10_000 / 977), 384, 1 / 7, 0.1),
        (500_000, 300, round(20_000 / 977), 384, 1 / 7, 0.1),
        (12_000_000, 300, 1, 384, 1 / 7, 0.1),
    ],
)
def test_it_is_the_papers(count, side, epochs, image_size, crop, mixup):
    bit = load_recipe("finetune/bit")
    filled = with_hyperrule(bit, split(count, side))
    assert [one.epochs for one in filled.phases] == [epochs]
    assert (filled.data.image_size, filled.augment.mixup) == (image_size, mixup)
    assert filled.augment.crop == pytest.approx(crop)
    assert (filled.phases[0].optimizer, filled.phases[0].learning_rate, filled.train.batch_size) == ("sgd", 3e-3, 512)


def test_its_steps_are_the_optimizers_where_batches_are_accumulated():
    bit = load_recipe("finetune/bit", overrides=["train.batch_size=64", "train.accumulate=8"])
    # ceil(1000 / 64) = 16 batches an epoch, 2 steps: 500 / 2, as with batches of 512.
    assert with_hyperrule(bit, split(1_000, 95)).phases[0].epochs == 250


def test_without_it_nothing_changes():
    default = load_recipe("finetune/default")
    assert with_hyperrule(default, split(1_000, 30)) is default


def test_the_size_of_files_is_their_median_and_faulty_ones_are_left_out(tmp_path):
    for number, side in enumerate((10, 20, 90)):
        Image.new("L", (side, 2 * side)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    assert typical_area(sorted(tmp_path.iterdir())) == 20 * 40
    assert typical_area([tmp_path / "3.png"]) == math.inf


def test_a_run_follows_it_and_its_recipe_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(hyperrule, "BY_SIZE", (BySize(fewer_than=math.inf, steps=9, mixup=0.1),))
    plan = recipe(phase("all", "all", epochs=7, schedule="bit"), train={"hyperrule": "bit"})
    # 24 of the 32 photos train, in batches of 8: 3 steps an epoch.
    run = zoo.finetune(plan, write_photos(tmp_path / "photos"), run=tmp_path / "run")
    assert [row["step"] for row in run.history] == [3, 6, 9]
    assert run.model.input_shape == (None, 128, 128, 1)
    kept = load_recipe(run.path / "recipe.toml")
    assert (kept.train.hyperrule, kept.phases[0].epochs, kept.data.image_size) == ("bit", 7, 0)
