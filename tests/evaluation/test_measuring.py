import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

import zoo
from tests.tiny import phase, pixels, recipe, rewrite, write_npz, write_photos
from zoo.errors import DataError, NotFoundError
from zoo.evaluation.measuring import evaluate, score, wilson_interval
from zoo.report.progress import Display
from zoo.runs.images import read_images
from zoo.system.files import sha256


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
            "macro_precision": metrics.precision_score(labels, called, average="macro"),
            "macro_recall": metrics.recall_score(labels, called, average="macro"),
            "macro_f1": metrics.f1_score(labels, called, average="macro"),
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
    assert [one.recall for one in result.per_class.values()] == [one.accuracy for one in result.per_class.values()]
    assert [one.f1 for one in result.per_class.values()] == pytest.approx(
        metrics.f1_score(labels, called, average=None)
    )
    assert np.array_equal(result.confusion, metrics.confusion_matrix(labels, called))
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


@pytest.mark.parametrize(("labels", "called"), [([0, 0, 2], [0, 0, 0]), ([0, 0], [0, 3]), ([1], [1])])
def test_macro_means_are_scikit_learns_where_classes_have_no_images_or_calls(labels, called):
    result = score(np.eye(4)[called], np.array(labels), ("a", "b", "c", "d"))
    for name, figure in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert result.metrics[f"macro_{name}"] == pytest.approx(
            figure(labels, called, average="macro", zero_division=0)
        )


def test_the_images_that_are_wrong_are_listed_most_confident_first():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    result = score(probabilities, np.array([1, 1, 1, 0]), ("cat", "dog"), ["a.png", "b.png", "c.png", "d.png"])
    assert [(one.path, one.truth, one.called, one.probability) for one in result.wrong] == [
        ("b.png", "dog", "cat", 0.9),
        ("d.png", "cat", "dog", 0.8),
        ("a.png", "dog", "cat", 0.6),
    ]
    assert "wrong" not in result.to_json()
    assert result.to_json(wrong=True)["wrong"][0] == {
        "path": "b.png",
        "truth": "dog",
        "called": "cat",
        "probability": 0.9,
    }


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
    with pytest.raises(NotFoundError, match="is not a run folder"):
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


# The images that a run kept


@pytest.fixture
def grown(tmp_path):
    """A run on a folder that the test may change."""
    photos = write_photos(tmp_path / "photos", count=12)
    noisy = np.random.default_rng(0)
    for file in photos.rglob("*.png"):  # hard enough that no two splits have the same loss
        Image.fromarray(noisy.integers(0, 256, (28, 28), dtype=np.uint8)).save(file)
    return photos, zoo.finetune(recipe(phase("all", "all", epochs=1)), photos, run=tmp_path / "run")


def test_the_images_that_validated_are_measured_however_the_folder_has_changed(grown, tmp_path):
    photos, run = grown
    before = zoo.evaluate(run.path)
    assert (before.split, before.images, before.run, before.data) == ("validation", 6, str(run.path), str(photos))
    assert before.metrics == pytest.approx(run.metrics, rel=1e-5)
    for name in ("cat", "dog"):
        for number, file in enumerate(sorted((photos / name).iterdir())):
            file.rename(file.with_name(f"z{99 - number}.png"))  # other names, in another order
    write_photos(photos, count=9, seed=5)  # and more images, which sort before
    after = zoo.evaluate(run.path)
    assert after.metrics == pytest.approx(before.metrics, rel=1e-6)
    assert (after.images, after.missing, after.warnings) == (6, 0, ())
    assert (before.newer, after.newer) == (0, 18)
    trained = zoo.evaluate(run.path, split="train")
    assert (trained.split, trained.images, trained.trained_on) == ("train", 18, 18)


def test_images_that_are_gone_are_counted_and_none_at_all_is_refused(grown, capsys):
    photos, run = grown
    validated = [key for keys in read_images(run.path).splits["validation"].values() for key in keys]
    files = {sha256(file)[:24]: file for file in photos.rglob("*.png")}
    files[validated[0]].unlink()
    result = zoo.evaluate(run.path, verbose=2)
    assert (result.images, result.missing) == (5, 1)
    said = "1 of the 6 validation images of the run is no longer in the data: measured on the others"
    assert result.warnings == (said,)
    assert f"warning: {said}\n" in capsys.readouterr().err
    for key in validated[1:]:
        files[key].unlink()
    with pytest.raises(DataError) as raised:
        zoo.evaluate(run.path)
    assert str(raised.value) == (
        f"{run.path}: none of the 6 validation images of the run is in the data any more; put them back, "
        "or measure others with --data PATH"
    )


def test_images_that_were_put_into_another_class_are_said_and_a_renamed_class_is_the_same(grown):
    photos, run = grown
    before = zoo.evaluate(run.path)
    key = read_images(run.path).splits["validation"]["cat"][0]
    moved = next(file for file in photos.rglob("*.png") if sha256(file)[:24] == key)
    moved.rename(photos / "dog" / "was a cat.png")
    result = zoo.evaluate(run.path)
    assert result.warnings == ("1 of the validation images has another class now than when the run was made",)
    assert [one.images for one in result.per_class.values()] == [2, 4]
    (photos / "dog" / "was a cat.png").rename(moved)
    (photos / "dog").rename(photos / "hound")
    renamed = zoo.evaluate(run.path)
    assert renamed.metrics == pytest.approx(before.metrics, rel=1e-6)
    assert renamed.warnings == ("3 of the validation images have another class now than when the run was made",)


def test_a_class_that_the_run_does_not_know_is_a_renamed_one_only_where_nothing_else_can_be_meant(grown):
    photos, run = grown
    (photos / "dog").rename(photos / "hound")
    (photos / "cat").rename(photos / "dog")  # what is called dog now are cats, and the hounds would be dogs too
    refused = (
        f"{run.path}: images of its class 'dog' are in 'hound' now, which the classifier does not know, and it is not "
        "'dog' renamed; put them back, or measure others with --data PATH"
    )
    with pytest.raises(DataError) as raised:
        zoo.evaluate(run.path)
    assert str(raised.value) == refused
    for file in (photos / "dog").iterdir():
        file.rename(photos / "hound" / f"cat-{file.name}")  # both classes in one
    (photos / "dog").rmdir()
    write_photos(photos, count=1, classes=("bird", "hound"), seed=9)
    with pytest.raises(DataError, match="it is not 'dog' renamed"):
        zoo.evaluate(run.path)


def test_a_copy_at_another_place_gives_the_images_that_validated(grown, tmp_path):
    photos, run = grown
    photos.rename(tmp_path / "moved")
    with pytest.raises(NotFoundError) as raised:
        zoo.evaluate(run.path)
    assert str(raised.value) == (
        f"{run.path}: its images are no longer at {photos}; say where they are now: "
        "--data PATH --split validation measures those that validated"
    )
    result = zoo.evaluate(run.path, tmp_path / "moved", "validation")
    assert (result.split, result.images) == ("validation", 6)
    assert result.metrics == pytest.approx(run.metrics, rel=1e-5)


def test_other_data_that_holds_images_of_training_is_warned_of(grown, tmp_path):
    photos, run = grown
    other = write_photos(tmp_path / "other", count=3, seed=7)
    assert zoo.evaluate(run.path, other).warnings == ()
    assert (zoo.evaluate(run.path, other).split, zoo.evaluate(run.path, other).trained_on) == ("all", 0)
    with pytest.raises(DataError) as raised:
        zoo.evaluate(run.path, other, "validation")
    assert str(raised.value) == (
        "the data has no split 'validation' and none of the validation images of the run; it has train; choose one "
        "with --split"
    )
    assert zoo.evaluate(run.path, other, "train").images == 6
    assert zoo.evaluate(run.path, photos, "train").images == 18
    shutil.copytree(photos, other, dirs_exist_ok=True)
    result = zoo.evaluate(run.path, other)
    assert (result.images, result.trained_on) == (24, 18)  # three of each class have the names of copied ones
    assert result.warnings == (
        "the run was trained on 18 of these 24 images: its figures are optimistic; those that validated it: "
        "--split validation",
    )


def test_a_run_of_an_earlier_zoo_measures_unchanged_data_and_refuses_changed(grown):
    photos, run = grown
    known = zoo.evaluate(run.path)
    # Nothing lists the file that it did not write.
    written = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    (run.path / "manifest.json").unlink()
    rewrite(run.path / "run.json", {key: value for key, value in written.items() if key != "sha256"})
    (run.path / "images.json").unlink()
    assert zoo.evaluate(run.path).metrics == pytest.approx(known.metrics, rel=1e-6)
    write_photos(photos, count=1, seed=3)
    with pytest.raises(DataError, match=r"fingerprint .*this run, of an earlier zoo, does not say which images it had"):
        zoo.evaluate(run.path)


def test_images_of_a_test_split_that_grew_are_those_that_the_run_had(tmp_path):
    write_photos(tmp_path / "data" / "train", count=8)
    write_photos(tmp_path / "data" / "test", count=3, seed=4)
    run = zoo.finetune(recipe(phase("head", "head", epochs=1)), tmp_path / "data", run=tmp_path / "run")
    before = zoo.evaluate(run.path)
    assert (before.split, before.images) == ("test", 6)
    images, _ = pixels(2, seed=9)
    Image.fromarray(images[0]).save(tmp_path / "data" / "test" / "cat" / "0new.png")
    assert zoo.evaluate(run.path).metrics == pytest.approx(before.metrics, rel=1e-6)
    assert zoo.evaluate(run.path, split="validation").images == 4


def test_a_test_split_that_chose_the_epoch_is_said(tmp_path):
    write_photos(tmp_path / "data" / "train", count=8)
    write_photos(tmp_path / "data" / "test", count=3, seed=4)
    plan = recipe(phase("head", "head", epochs=1), data={"validation": "test"})
    run = zoo.finetune(plan, tmp_path / "data", run=tmp_path / "run")
    assert zoo.evaluate(run.path).warnings == ("6 of the test images validated too: the best epoch is chosen on them",)


def test_arrays_are_known_by_their_pixels(tmp_path):
    images, labels = pixels(32)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels)
    run = zoo.finetune(recipe(phase("head", "head", epochs=1)), tmp_path / "data.npz", run=tmp_path / "run")
    order = np.random.default_rng(1).permutation(32)
    more, more_labels = pixels(10, seed=8)
    np.savez(
        tmp_path / "data.npz",
        x_train=np.concatenate([more, images[order]]),
        y_train=np.concatenate([more_labels, labels[order]]),
    )
    result = zoo.evaluate(run.path)
    assert (result.images, result.warnings) == (8, ())
    assert result.metrics == pytest.approx(run.metrics, rel=1e-5)


def test_images_given_in_code_are_known_by_their_pixels(tmp_path):
    images, labels = pixels(32)
    pairs = list(zip(images, labels.tolist(), strict=True))
    run = zoo.finetune(recipe(phase("head", "head", epochs=1)), pairs, run=tmp_path / "run")
    result = zoo.evaluate(run.path, pairs[::-1], "validation")
    assert (result.split, result.images, result.data) == ("validation", 8, None)
    assert result.metrics == pytest.approx(run.metrics, rel=1e-5)
    assert zoo.evaluate(run.path, pairs).trained_on == 24
    with pytest.raises(DataError, match=r"give them again: zoo.evaluate\(run, data\)"):
        zoo.evaluate(run.path)


def test_an_image_that_is_there_twice_counts_as_it_did(tmp_path):
    photos = write_photos(tmp_path / "photos", count=12)
    for file in sorted((photos / "cat").iterdir())[:8]:
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
    run = zoo.finetune(recipe(phase("head", "head", epochs=1)), photos, run=tmp_path / "run")
    result = zoo.evaluate(run.path)
    assert result.images == run.record["data"]["validation"]
    assert result.metrics == pytest.approx(run.metrics, rel=1e-5)
    assert result.warnings[0].endswith("of the validation images are in train too, so its figures are optimistic")
