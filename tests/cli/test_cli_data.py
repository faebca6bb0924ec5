import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.tiny import write_photos
from zoo.cli.data import data
from zoo.errors import NotFoundError
from zoo.recipe.loading import load_recipe
from zoo.training.preview import preview


def run(*arguments):
    return CliRunner().invoke(data, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


def no_bar(description, total):
    import contextlib

    return contextlib.nullcontext(lambda done, detail: None)


def seen(photos, *overrides, count=4, epochs=3):
    recipe = load_recipe("finetune/default", ["model.name=mnist_simple", "model.weights=none", *overrides])
    return preview(recipe, photos, count=count, epochs=epochs, bar=no_bar)


def test_the_sheet_is_drawn_and_its_figures_told(photos, tmp_path):
    sheet = tmp_path / "sheet.png"
    settings = ("--set", "model.name=mnist_simple", "--set", "augment.rotation=20", "--out", sheet)
    result = run("preview", "finetune/default", "--data", photos, "--count", 4, "--epochs", 2, *settings)
    assert "4 images of 28x28x1, pixels 0 to " in result.stdout
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 50
    document = json.loads(
        run(
            "preview",
            "finetune/default",
            "--data",
            photos,
            "--set",
            "model.name=mnist_simple",
            "--out",
            sheet,
            "--json",
        ).stdout
    )
    assert (document["kind"], document["images"], document["augmented"]) == ("data-preview", 8, False)
    assert document["shape"] == [28, 28, 1]


def test_images_are_spread_over_the_classes_and_are_what_trains(photos):
    plain = seen(photos)
    assert (plain.labels, len(plain.after)) == (("cat", "cat", "dog", "dog"), 0)
    assert plain.before.dtype == np.uint8
    # A bright band in the upper half is a cat, in the lower half a dog.
    upper, lower = plain.before[:, :14].mean(axis=(1, 2, 3)), plain.before[:, 14:].mean(axis=(1, 2, 3))
    assert list(upper > lower) == [True, True, False, False]


def test_augmentation_differs_by_epoch_and_not_by_call(photos):
    settings = ("augment.rotation=30", "augment.translation=0.2")
    first, again = seen(photos, *settings), seen(photos, *settings)
    assert first.after.shape == (3, 4, 28, 28, 1)
    np.testing.assert_array_equal(first.after, again.after)
    assert not np.array_equal(first.after[0], first.after[1])
    assert first.mixed == (first.labels,) * 3


def test_mixed_images_are_captioned_with_their_shares(photos):
    mixed = seen(photos, "augment.mixup=1.0")
    # Each cat is mixed with the dog on the other side of the batch.
    captions = [caption for epoch in mixed.mixed for caption in epoch if "%" in caption]
    assert len(captions) >= 4
    for caption in captions:
        assert sum(int(word) for word in caption.split() if word.isdecimal()) == 100
        assert {line.split()[0] for line in caption.splitlines()} == {"cat", "dog"}


def test_a_flip_of_digits_is_warned_of(tmp_path):
    digits = write_photos(tmp_path / "digits", classes=("1", "2"))
    assert any("mirrors characters" in warning for warning in seen(digits, "augment.flip=horizontal").warnings)


def test_a_wrong_path_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="there is no such file or folder"):
        run("preview", "finetune/default", "--data", tmp_path / "gone")
