"""An export is kept only where it proves equal to Keras; why it does not is noted, and it is not tried again."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

import zoo
from tests.tiny import pixels
from zoo.export.keeping import fixed_images, keep, what_to_keep
from zoo.inference.answerer import FirstBatch
from zoo.inference.answering import answerer_of_keras, open_answerer
from zoo.inference.batches import predict_in_batches
from zoo.inference.classifier import Classifier
from zoo.inference.kept_exports import find_kept, identity_of
from zoo.registry.exports import EXPORTS, ExportFormat
from zoo.system.partial_entries import held


@pytest.fixture(scope="module")
def answerer(trained):
    return answerer_of_keras(trained.run)


@pytest.fixture
def asked(answerer):
    """Images that Keras has classified."""
    first = FirstBatch()
    images, _ = pixels(12, seed=5)
    first.noticing(answerer).predict(images)
    assert first.pixels.shape == (12, 28, 28, 1)
    return first


def row(build):
    return ExportFormat(
        name="trial",
        summary="of this test",
        files=("model.tflite",),
        runtime="zoo.inference.runtimes.litert",
        runs_with=("ai-edge-litert",),
        build=build,
    )


def test_what_is_kept_says_what_was_compared(trained, answerer, asked, fresh_cache):
    identity = what_to_keep(trained.run, answerer)
    assert identity == identity_of(trained.run)
    assert keep(answerer, identity, asked) == ""
    found = find_kept(identity.folder(EXPORTS.lookup("litert")))
    assert (found.proof.images, list(found.sha256)) == (12 + 5, ["model.tflite"])
    assert 0 <= found.proof.largest_difference <= 1e-5
    assert what_to_keep(trained.run, answerer) is None
    assert what_to_keep(trained.run, open_answerer(trained.run)) is None
    images = np.random.default_rng(1).integers(0, 256, (7, 28, 28, 1)).astype(np.uint8)
    by_litert = open_answerer(trained.run)
    assert by_litert.runtime.startswith("litert ")
    assert by_litert.weights == answerer.weights != ""
    for count in (7, 1, 3):
        expected = answerer.compute(images[:count])
        np.testing.assert_allclose(by_litert.compute(images[:count]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shift", [2e-5, np.nan])
def test_what_departs_from_keras_is_noted_and_not_tried_again(trained, answerer, asked, fresh_cache, shift):
    asked.probabilities = asked.probabilities + np.float32([shift, 0])
    identity = identity_of(trained.run)
    refused = keep(answerer, identity, asked)
    assert refused == f"litert differs from Keras by {shift:.1g}; expected at most 1e-05"
    folder = identity.folder(EXPORTS.lookup("litert"))
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert find_kept(folder).refused == refused
    assert what_to_keep(trained.run, answerer) is None
    assert keep(answerer, identity, FirstBatch()) == refused
    assert open_answerer(trained.run).runtime == answerer.runtime


def test_an_image_that_would_get_another_label_is_enough(trained, answerer, asked, fresh_cache):
    undecided = zoo.build("mnist_conv_tiny", classes=("cat", "dog"), weights=None)
    for weight in undecided.weights:
        weight.assign(weight * 0)
    by_keras = replace(
        answerer,
        classifier=Classifier(undecided),
        compute=lambda images: predict_in_batches(undecided, images),
    )
    np.testing.assert_allclose(by_keras.compute(asked.pixels), 0.5, rtol=1e-6)  # as vectors are cut, a bit less
    asked.probabilities = np.full((12, 2), 0.5, np.float32) + np.float32([0, 1e-6])
    assert keep(by_keras, identity_of(trained.run), asked) == (
        "litert names another class than Keras for an image of which two are as likely"
    )


def test_what_a_converter_raises_is_the_reason(trained, answerer, asked, fresh_cache):
    def build(request):
        (request.folder / "half").write_text("written before")
        raise ValueError("no such\noperation")

    refused = keep(answerer, identity_of(trained.run), asked, row(build))
    assert refused == "trial cannot take it over (ValueError: no such operation)"
    (entry,) = (fresh_cache / "exports").iterdir()
    assert [path.name for path in entry.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
def test_what_is_of_this_moment_leaves_nothing(trained, answerer, asked, fresh_cache, fault):
    def build(request):
        (request.folder / "half").write_text("written before")
        raise fault

    identity = identity_of(trained.run)
    if isinstance(fault, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            keep(answerer, identity, asked, row(build))
    else:
        assert keep(answerer, identity, asked, row(build))
    assert list((fresh_cache / "exports").iterdir()) == []


def test_nothing_is_kept_while_another_process_writes_it_or_without_the_runtime(
    trained, answerer, fresh_cache, monkeypatch
):
    folder = identity_of(trained.run).folder(EXPORTS.lookup("litert"))
    folder.parent.mkdir(parents=True)
    with held(folder) as partial:
        partial.mkdir()
        assert what_to_keep(trained.run, answerer) is None
    assert what_to_keep(trained.run, answerer) is not None
    monkeypatch.setattr("zoo.registry.exports.version", missing)
    assert what_to_keep(trained.run, answerer) is None


def missing(package):
    raise PackageNotFoundError(package)


def test_the_fixed_images_are_of_every_shape():
    for shape in ((28, 28, 1), (224, 224, 3), (7, 9, 3), (1, 1, 1)):
        images = fixed_images(shape)
        assert (images.shape, images.dtype) == ((5, *shape), np.uint8)
        np.testing.assert_array_equal(images, fixed_images(shape))
