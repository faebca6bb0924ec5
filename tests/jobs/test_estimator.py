"""A recipe as scikit-learn uses a classifier."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted

import zoo
from tests.tiny import phase, pixels, recipe, write_photos
from zoo.errors import DataError, RunError

IMAGES, LABELS = pixels(24)
PLAN = recipe(phase("all", "all", epochs=8, learning_rate=5e-3), data={"validation": 0.0})
QUICK = {"phases.all.epochs": 1}


@pytest.fixture(scope="module")
def fitted():
    return zoo.Estimator(PLAN).fit(IMAGES, np.array([10, 9])[LABELS])


def test_it_learns_and_gives_labels_back_as_they_were(fitted):
    y = np.array([10, 9])[LABELS]
    assert fitted.classes_.tolist() == [9, 10]
    assert fitted.predict(IMAGES).tolist() == y.tolist()
    assert fitted.predict(IMAGES).dtype == y.dtype
    assert fitted.score(IMAGES, y) == 1
    probabilities = fitted.predict_proba(IMAGES)
    assert (probabilities.shape, probabilities.dtype) == ((24, 2), np.float32)
    # Columns are in the order of classes_, though as text "10" comes before "9".
    assert np.array_equal(fitted.classes_[probabilities.argmax(axis=1)], y)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert fitted.predict_proba(IMAGES[:0]).shape == (0, 2)
    np.testing.assert_array_equal(fitted.predict_proba(IMAGES.astype(float)), probabilities)


def test_it_is_cloned_and_its_parameters_are_set(fitted):
    cloned = clone(fitted)
    assert not hasattr(cloned, "classes_")
    assert cloned.get_params() == {"recipe": PLAN, "overrides": None, "runs": None, "callbacks": (), "verbose": "auto"}
    assert cloned.set_params(overrides={"train.seed": 3}, overrides__phases__all__epochs=2) is cloned
    assert cloned.overrides == {"train.seed": 3, "phases.all.epochs": 2}
    with pytest.raises(
        RunError, match="Estimator has no parameter 'epochs'; it has recipe, overrides, runs, callbacks, verbose"
    ):
        cloned.set_params(epochs=3)
    assert is_classifier(cloned)
    with pytest.raises(RunError, match="this Estimator is not fitted yet; call fit"):
        cloned.predict(IMAGES)
    check_is_fitted(fitted)
    assert repr(zoo.Estimator("quickstart")) == (
        "Estimator(recipe='quickstart', overrides=None, runs=None, callbacks=(), verbose='auto')"
    )
    assert zoo.Estimator().get_params()["recipe"] == "finetune/default"


def test_cross_validation_and_a_grid_search():
    names = np.array(["dog", "cat"])[LABELS]
    scores = cross_val_score(zoo.Estimator(PLAN), IMAGES, names, cv=2)
    assert scores.tolist() == [1, 1]
    grid = {"overrides__phases__all__learning_rate": [1e-12, 5e-3]}
    search = GridSearchCV(zoo.Estimator(PLAN, overrides={"train.seed": 1}), grid, cv=2, error_score="raise")
    search.fit(IMAGES, names)
    assert search.best_params_ == {"overrides__phases__all__learning_rate": 5e-3}
    assert search.predict(IMAGES[:2]).tolist() == names[:2].tolist()


def test_paths_in_and_a_run_for_each_fit_out(tmp_path):
    paths = sorted(write_photos(tmp_path / "photos", count=6).rglob("*.png"))
    labels = [path.parent.name for path in paths]
    estimator = zoo.Estimator(PLAN, overrides={**QUICK, "data.validation": 0.25}, runs=tmp_path / "runs")
    for number in (1, 2):
        assert estimator.fit([str(path) for path in paths], labels).run_.path == tmp_path / "runs" / f"fit-{number}"
    assert estimator.run_.record["data"]["validation"] == 4
    assert estimator.metrics_ == estimator.run_.metrics
    assert set(estimator.predict(np.array(paths, object))) <= {"cat", "dog"}
    assert list(Path(tmp_path / "runs").iterdir()) != []


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (IMAGES, LABELS[:3], "y is int64[3] for 24 images; expected one label for each image"),
        (IMAGES, np.eye(2)[LABELS], "y is float64[24, 2] for 24 images; expected one label for each image"),
        (IMAGES / 255, LABELS, "images are numbers in [0, 0.937]; expected pixels in [0, 255]."),
        (IMAGES.reshape(24, -1), LABELS, "data: x is uint8[24, 784]; expected [n, height, width] or"),
        ("photos", LABELS, "X is 'photos', one image or a folder; expected several images, such as [path]"),
    ],
)
def test_what_it_cannot_fit_is_named(x, y, text):
    with pytest.raises(DataError) as raised:
        zoo.Estimator(PLAN).fit(x, y)
    assert text in str(raised.value)


def test_it_survives_pickle_as_it_is_given():
    estimator = zoo.Estimator("quickstart", overrides=QUICK)
    assert pickle.loads(pickle.dumps(estimator)).get_params() == estimator.get_params()
