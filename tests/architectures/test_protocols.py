"""How photos are brought to a model as its weights were measured: stated for all, shown, and used."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import registry
from zoo.cli import main
from zoo.inference.classifier import Classifier
from zoo.registry.fitting import ImageFit

SETS = [(name, weight_set) for name in registry.list_models() for weight_set in registry.info(name).weights]

# From timm's `crop_pct` and `interpolation` of the same weights, and the evaluation code of their authors.
PUBLISHED = {
    "efficientnet_lite0": ("crop", 0.875, "bicubic"),
    "efficientnet_lite1": ("crop", 0.882, "bicubic"),
    "efficientnet_lite2": ("crop", 0.890, "bicubic"),
    "efficientnet_b0": ("crop", 0.875, "bicubic"),
    "efficientnet_b3": ("crop", 0.904, "bicubic"),
    "efficientnet_b7": ("crop", 0.949, "bicubic"),
    "efficientnet_v2_b0": ("crop", 0.875, "bilinear"),
    "efficientnet_v2_b2": ("crop", 0.890, "bilinear"),
    "efficientnet_v2_s": ("stretch", 1.0, "bilinear"),
    "resnet50": ("crop", 0.875, "bicubic"),
    "vgg16": ("crop", 0.875, "bicubic"),
    "xception": ("crop", 0.875, "bicubic"),
    "mobilenet_v3_small": ("stretch", 0.875, "bilinear"),
    "convnext_tiny": ("crop", 0.875, "bicubic"),
    "mnist_conv": ("crop", 1.0, "bilinear"),
}


def test_every_weight_set_says_how_it_was_measured_and_who_says_so():
    assert len(SETS) > 50
    for name, weight_set in SETS:
        protocol = weight_set.protocol
        assert protocol is not None, name
        assert (protocol.size,) * 2 == registry.info(name).input_shape[:2], name
        assert protocol.source, name


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_protocol_is_that_of_the_published_figures(name):
    fit = registry.info(name).weights[0].protocol.fit
    resize, share, interpolation = PUBLISHED[name]
    assert (fit.resize, fit.interpolation) == (resize, interpolation)
    assert fit.crop_share == pytest.approx(share, abs=5e-4)


@pytest.fixture
def half(monkeypatch):
    """`mnist_conv_tiny`, as if its weights had been measured on half of the shorter side, bicubic."""
    entry = registry.lookup("mnist_conv_tiny")
    fit = ImageFit(crop_share=0.5, interpolation="bicubic")
    (weight_set,) = entry.card.weights
    measured = replace(weight_set, protocol=registry.Protocol(size=28, fit=fit, source="a test"))
    card = replace(entry.card, weights=(measured,))
    monkeypatch.setitem(registry.entries._entries, "mnist_conv_tiny", replace(entry, card=card))
    return fit


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60)).astype("uint8")).save(path)
    return path


def middle(path):
    """Half of 40 pixels at the centre of 60 x 40, by Pillow alone."""
    small = Image.open(path).resize((28, 28), Image.Resampling.BICUBIC, box=(20, 10, 40, 30))
    return np.asarray(small)[None, ..., None]


def test_a_model_reads_photos_as_its_weights_were_measured(half, photo):
    model = zoo.build("mnist_conv_tiny")
    assert model.blueprint.fit == half
    np.testing.assert_array_equal(Classifier(model).read(photo), middle(photo)[0])
    features = zoo.features(model, photo)
    np.testing.assert_allclose(features, zoo.features(model, middle(photo)), atol=1e-6)
    assert not np.allclose(features, zoo.features(model, photo, resize="crop"))
    assert not np.allclose(features, zoo.features(model, photo, resize="pad"))


def test_random_weights_were_measured_by_nothing(half):
    assert zoo.build("mnist_conv_tiny", weights=None).blueprint.fit == ImageFit()


def test_a_new_head_still_reads_photos_as_the_weights_were_measured(half):
    assert zoo.build("mnist_conv_tiny", classes=["a", "b"]).blueprint.fit == half


def test_the_features_command_reads_photos_so(half, photo, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["features", "mnist_conv_tiny", str(photo), "--out", str(tmp_path / "x.npz")])
    assert stopped.value.code in (0, None)
    with np.load(tmp_path / "x.npz") as written:
        expected = zoo.features(zoo.build("mnist_conv_tiny"), middle(photo))
        np.testing.assert_allclose(written["features"], expected, atol=1e-6)


def test_show_prints_the_protocol_and_who_says_so(capsys):
    with pytest.raises(SystemExit):
        main(["show", "resnet50"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("photos")]
    assert " ".join(line.split()) == (
        "photos 0.875 of the shorter side, centred, bicubic: https://github.com/keras-team/keras-applications/issues/88"
    )
    with pytest.raises(SystemExit):
        main(["show", "efficientnet_v2_s", "--json"])
    assert json.loads(capsys.readouterr().out)["protocols"] == {
        "imagenet": {
            "size": 384,
            "resize": "stretch",
            "crop_share": 1.0,
            "interpolation": "bilinear",
            "source": "preprocess_for_eval of efficientnetv2/preprocessing.py, google/automl",
        }
    }
    with pytest.raises(SystemExit):
        main(["show", "conv2d_small", "--json"])
    assert json.loads(capsys.readouterr().out)["protocols"] == {}
