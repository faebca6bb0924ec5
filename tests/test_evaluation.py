import shutil

import numpy as np
import pytest
from sklearn import metrics

import zoo
from tests.tiny import phase, recipe, write_npz, write_photos
from zoo.errors import DataError, NotFoundError
from zoo.evaluation import evaluate, score, wilson_interval
from zoo.training.progress import Display


def measure(*arguments, **options):
    with Display() as display:
        return evaluate(*arguments, display=display, **options)


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_are_scikit_learns(classes):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 200)
    probabilities = random.dirichlet(np.ones(classes), 200)
    names = [f"class {k}" for k in range(classes)]
    result = score(probabilities, labels, names)
    called = probabilities.argmax(axis=1)
    assert result.images == 200
    assert result.metrics == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(labels, called),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, called),
            "loss": metrics.log_loss(labels, probabilities),
        },
        rel=1e-6,
    )
    assert list(result.per_class) == names
    assert [one.precision for one in result.per_class.values()] == pytest.approx(
        metrics.precision_score(labels, called, average=None)
    )
    assert [one.accuracy for one in result.per_class.values()] == pytest.approx(
        metrics.recall_score(labels, called, average=None)
    )
    assert [one.correct for one in result.per_class.values()] == np.diag(
        metrics.confusion_matrix(labels, called)
    ).tolist()
    assert [one.images for one in result.per_class.values()] == np.bincount(labels).tolist()


def test_a_class_without_images_or_calls_has_no_figure():
    # Two images of a, both called a: of b there are none, and nothing was called c.
    result = score(np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.5, 0.1, 0.4]]), np.array([0, 0, 2]), ("a", "b", "c"))
    assert (result.per_class["b"].accuracy, result.per_class["b"].precision) == (None, None)
    assert (result.per_class["c"].accuracy, result.per_class["c"].precision) == (0, None)
    assert result.per_class["a"].precision == pytest.approx(2 / 3)
    assert result.metrics["balanced_accuracy"] == 0.5  # of a and c


def test_a_probability_of_0_has_a_finite_loss():
    assert np.isfinite(score(np.array([[1.0, 0.0]]), np.array([1]), ("a", "b")).metrics["loss"])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3, has the first, third and fourth.
        (81, 263, 0.2553, 0.3662),
        (0, 10, 0.0, 0.2775),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_the_interval_is_wilsons(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_a_run_is_measured_on_its_own_validation_images(finished):
    result = measure(finished.run.path)
    assert result.images == 10
    assert result.metrics == pytest.approx(finished.run.metrics, rel=1e-5)
    assert measure(finished.run.path, split="train").images == 30


def test_a_split_that_is_not_there_is_refused(finished):
    with pytest.raises(DataError) as raised:
        measure(finished.run.path, split="test")
    assert str(raised.value) == "the data has no split 'test'; it has train, validation; choose one with --split"


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A run on three classes that knows them all."""
    folder = tmp_path_factory.mktemp("three")
    data = write_npz(folder / "data.npz", count=48, classes=("ant", "bee", "cow"), test=12)
    return zoo.finetune(recipe(phase("all", "all", epochs=3)), data, run=folder / "run")


def test_a_test_split_is_measured_where_there_is_one(three):
    result = measure(three.path)
    assert (result.images, result.metrics["accuracy"]) == (12, 1)


def test_other_images_may_have_fewer_classes_in_another_order(three, tmp_path):
    # Of the archive label 0 is the cow and 1 the ant: their pictures are those of the labels 2 and 0 in training.
    from tests.tiny import pixels

    images, labels = pixels(30, classes=3, seed=5)
    cows, ants = images[labels == 2][:7], images[labels == 0][:3]
    np.savez(
        tmp_path / "other.npz",
        x_train=np.concatenate([cows, ants]),
        y_train=np.array([0] * 7 + [1] * 3),
        classes=np.array(["cow", "ant"]),
    )
    result = measure(three.path, tmp_path / "other.npz")
    assert (result.images, result.metrics["accuracy"]) == (10, 1)
    assert {name: one.images for name, one in result.per_class.items()} == {"ant": 3, "bee": 0, "cow": 7}


def test_all_of_other_images_are_measured(three, tmp_path):
    photos = write_photos(tmp_path / "photos", count=5, classes=("ant", "bee", "cow"), seed=9)
    assert measure(three.path, photos).images == 15


def test_an_unknown_class_is_refused(three, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2, classes=("ant", "dodo"))
    with pytest.raises(DataError) as raised:
        measure(three.path, photos)
    assert str(raised.value) == (
        "the data has classes that the classifier does not know: 'dodo'; expected some of 'ant', 'bee', 'cow'"
    )


def test_a_run_that_kept_no_images_says_so(tmp_path):
    data = write_npz(tmp_path / "data.npz", count=16)
    run = zoo.finetune(recipe(phase("head", "head", epochs=1), data={"validation": 0.0}), data, run=tmp_path / "run")
    with pytest.raises(DataError) as raised:
        measure(run.path)
    assert str(raised.value) == (
        "the run kept no images to measure on; give others with --data PATH, or measure on those that it was "
        "trained on with --split train"
    )
    assert measure(run.path, split="train").images == 16


def test_data_that_is_gone_is_named(three, tmp_path):
    with pytest.raises(NotFoundError, match=f"^{tmp_path / 'gone'}: no such file or folder"):
        measure(three.path, tmp_path / "gone")
    with pytest.raises(NotFoundError, match="is no run folder"):
        measure(tmp_path)


def test_images_of_one_class_and_empty_class_folders_are_measured(three, tmp_path):
    photos = write_photos(tmp_path / "photos", count=5, classes=("ant", "bee", "cow"), seed=9)
    shutil.rmtree(photos / "cow")
    for image in (photos / "bee").iterdir():
        image.unlink()
    result = measure(three.path, photos)
    assert (result.images, result.metrics["accuracy"]) == (5, 1)
    assert {name: one.images for name, one in result.per_class.items()} == {"ant": 5, "bee": 0, "cow": 0}


@pytest.mark.parametrize("name", ["test", "Testing", "test_set", "val"])
def test_a_split_alone_is_measured(three, tmp_path, name):
    write_photos(tmp_path / "photos" / name, count=5, classes=("ant", "cow"), seed=9)
    assert measure(three.path, tmp_path / "photos").images == 10


def test_a_test_split_of_an_archive_or_a_list_alone_is_measured(three, tmp_path):
    from tests.tiny import pixels

    images, labels = pixels(6, classes=3, seed=5)
    np.savez(tmp_path / "x.npz", x_test=images, y_test=np.array(["ant", "bee", "cow"])[labels])
    assert measure(three.path, tmp_path / "x.npz").metrics["accuracy"] == 1
    write_photos(tmp_path / "photos", count=1, classes=("ant", "bee", "cow"))
    (tmp_path / "list.csv").write_text("file_name,label,split\nphotos/cow/002.png,cow,test\n")
    assert measure(three.path, tmp_path / "list.csv").images == 1


def test_any_number_of_bad_files_is_left_out_of_what_is_measured(three, tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=4, classes=("ant", "cow"), seed=9)
    for image in sorted((photos / "ant").iterdir()):
        image.write_bytes(b"broken")
    assert measure(three.path, photos).images == 4
    assert capsys.readouterr().err.count("skipped: ") == 4
    for image in (photos / "cow").iterdir():
        image.write_bytes(b"broken")
    with pytest.raises(DataError, match="none of 8 files can be read"):
        measure(three.path, photos)


def test_a_class_of_another_spelling_is_named_with_the_near_one(three, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2, classes=("Ant", "cow"))
    with pytest.raises(DataError) as raised:
        measure(three.path, photos)
    assert str(raised.value) == (
        "the data has classes that the classifier does not know: 'Ant' (the classifier has 'ant'); expected some of "
        "'ant', 'bee', 'cow'"
    )
