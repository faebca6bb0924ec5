import numpy as np
import pytest
from PIL import Image

from tests.tiny import write_npz, write_photos
from zoo.data.inputs import open_source
from zoo.errors import DataError
from zoo.jobs.proposing.facts import data_facts, model_facts, spread
from zoo.recipe.schema import DataSection


def facts_of(path):
    return data_facts(open_source(DataSection(validation=0), path, seed=0), "photos")


def test_images_are_counted_by_class_and_measured(tmp_path):
    chance = np.random.default_rng(0)
    for name, count in {"cat": 9, "dog": 3}.items():
        (tmp_path / name).mkdir()
        for number in range(count):
            colours = chance.integers(0, 255, (40, 60, 3), np.uint8)
            Image.fromarray(colours).rotate(90 * (number % 2), expand=True).save(tmp_path / name / f"{number}.png")
    found = facts_of(tmp_path)
    assert (found.train, found.validation, found.classes, found.smallest, found.largest) == (12, 0, 2, 3, 9)
    assert (found.short_side, found.long_side, found.grey, found.imbalance) == (40, 60, False, 3.0)


def test_grey_images_are_grey_whatever_they_are_saved_as(tmp_path):
    photos = write_photos(tmp_path / "photos", count=8)
    assert facts_of(photos).grey
    for path in photos.rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    assert facts_of(photos).grey


def test_arrays_and_the_datas_own_validation(tmp_path):
    found = facts_of(write_npz(tmp_path / "images.npz", count=20, val=6))
    assert (found.train, found.validation, found.short_side, found.grey) == (20, 6, 28, True)


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^photos: 9 training images of 3 classes; expected 10 or more"):
        facts_of(write_photos(tmp_path, count=3, classes=("a", "b", "c")))


def test_more_unreadable_images_than_training_takes_are_refused_and_fewer_are_not(tmp_path):
    photos = write_photos(tmp_path / "photos", count=20)
    (photos / "cat" / "000.png").write_text("not an image")
    assert facts_of(photos).train == 40
    (photos / "dog" / "001.png").write_text("not an image")
    with pytest.raises(DataError, match=r"^photos: 2 of 40 images .* such as .*000\.png \(.*\); expected at most 1 %"):
        facts_of(photos)


def test_a_sample_is_spread_over_all():
    assert spread(9, 3).tolist() == [0, 4, 8]
    assert spread(2, 10).tolist() == [0, 1]


def test_what_needs_more_than_a_name_is_refused():
    assert (model_facts("mnist_conv").weights, model_facts("mnist_conv").size) == ("mnist", 28)
    with pytest.raises(DataError, match="model 'tfhub' cannot be proposed by its name alone"):
        model_facts("tfhub")
