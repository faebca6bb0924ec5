import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, pixels, recipe
from zoo.data import open_dataset
from zoo.data.images.facts import BadImageError
from zoo.errors import DataError
from zoo.evaluation.measuring import evaluate
from zoo.report.progress import Display


def fault(source, path=None, **options):
    with pytest.raises(DataError) as raised:
        open_dataset(source, path, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(("extra", "package"), [("hf", "datasets"), ("tfds", "tensorflow_datasets")])
def test_a_library_that_is_missing_is_named(extra, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert fault(f"{extra}:beans") == (
        f"data.source '{extra}:' needs the package {package.replace('_', '-')}, which cannot be imported "
        f"(import of {package} halted; None in sys.modules). Type: pip install 'zoo[{extra}]'"
    )


# Hugging Face


@pytest.fixture
def hf():
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    datasets.disable_progress_bars()
    return datasets


def table(datasets, count=32, *, seed=0, given=None, **columns):
    images, known = pixels(count, seed=seed)
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])}
    values = {
        "image": [Image.fromarray(image) for image in images],
        "label": known.tolist() if given is None else given,
    }
    for name, (feature, column) in columns.items():
        features[name], values[name] = feature, column
    kept = {name: feature for name, feature in features.items() if feature is not None}
    return datasets.Dataset.from_dict({name: values[name] for name in kept}, features=datasets.Features(kept))


def save(datasets, folder, **splits):
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return folder


def test_hf_from_disk(hf, tmp_path):
    path = save(
        hf,
        tmp_path / "saved",
        train=table(hf),
        valid=table(hf, 8, seed=1),
        test=table(hf, 4, given=[-1] * 4),
        extra=table(hf, 4),
    )
    dataset = open_dataset("hf:pets", path)
    assert dataset.classes == ("dog", "cat")
    images, labels = pixels(32)
    assert dataset.train.labels.tolist() == labels.tolist()
    for row in (0, 5, 31):
        np.testing.assert_array_equal(np.asarray(dataset.train.images[row]), images[row])
    assert (len(dataset.validation), dataset.test) == (8, None)
    assert dataset.warnings == (
        f"{path}: ignored the splits 'extra'",
        f"{path}: 'test' has no labels and is not used",
    )
    assert dataset.fingerprint() == open_dataset("hf:pets", path).fingerprint()


def test_hf_groups_and_one_split_alone(hf, tmp_path):
    who = [f"p{number // 4}" for number in range(31)] + [None]
    table(hf, who=(hf.Value("string"), who)).save_to_disk(str(tmp_path / "saved"))
    dataset = open_dataset("hf:pets", tmp_path / "saved", group="who")
    assert dataset.train.groups[:5] == ("p0", "p0", "p0", "p0", "p1")
    assert len(set(dataset.train.groups)) == 9
    assert fault("hf:pets", tmp_path / "saved", group="whom") == (
        f"{tmp_path / 'saved'}: has no column 'whom', which data.group names; it has 'image', 'label', 'who'. "
        "Did you mean 'who'?"
    )


@pytest.mark.parametrize("values", [["b", "a"] * 2, [7, 3] * 2])
def test_hf_labels_that_are_plain_values(hf, tmp_path, values):
    kind = "string" if isinstance(values[0], str) else "int64"
    data = table(hf, 4, label=(None, None), labels=(hf.Value(kind), values))
    path = save(hf, tmp_path / "saved", train=data)
    dataset = open_dataset("hf:pets", path)
    assert dataset.classes == tuple(sorted({str(value) for value in values}))
    assert dataset.train.labels.tolist() == [1, 0, 1, 0]


def test_hf_faults(hf, tmp_path):
    second = (hf.ClassLabel(names=["x", "y"]), [0, 1] * 2)
    path = save(hf, tmp_path / "two", train=table(hf, 4, coarse=second))
    assert fault("hf:pets", path) == (
        f"{path}: has 2 label columns: 'label', 'coarse'; expected one. Say which is meant, such as "
        "--set data.columns.label=label"
    )
    path = save(hf, tmp_path / "none", train=table(hf, 4, label=(None, None), kind=second))
    assert open_dataset("hf:pets", path).classes == ("x", "y")
    path = save(hf, tmp_path / "blind", train=table(hf, 4, image=(None, None)))
    assert fault("hf:pets", path).startswith(f"{path}: has 0 image columns; expected one.")
    path = save(hf, tmp_path / "tests", test=table(hf, 4))
    assert fault("hf:pets", path) == f"{path}: has no split 'train'; it has 'test'. Rename one of them."
    assert fault("hf:pets", tmp_path).startswith(f"{tmp_path}: cannot be opened (Directory {tmp_path} is neither a")
    assert fault("hf:a/../../b").startswith("hf:a/../../b: expected the name of a data set")


def test_hf_splits_of_longer_names_are_read_and_said(hf, tmp_path):
    path = save(hf, tmp_path / "saved", training_set=table(hf, 4), test_set=table(hf, 4), dev=table(hf, 4))
    dataset = open_dataset("hf:pets", path)
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (4, 4, None)
    assert dataset.warnings == (
        f"{path}: reads the split 'training_set' as train",
        f"{path}: reads the split 'test_set' as test",
        f"{path}: ignored the splits 'dev'",
    )


def test_hf_columns_are_named_by_the_recipe(hf, tmp_path):
    second = (hf.ClassLabel(names=["x", "y"]), [0, 1, 1, 0])
    path = save(hf, tmp_path / "two", train=table(hf, 4, coarse=second, picture=(hf.Image(), [None] * 4)))
    dataset = open_dataset("hf:pets", path, columns={"path": "image", "label": "coarse"})
    assert (dataset.classes, dataset.train.labels.tolist()) == (("x", "y"), [0, 1, 1, 0])
    assert fault("hf:pets", path, columns={"path": "image", "label": "corse"}) == (
        f"{path}: has no column 'corse', which data.columns.label names; it has 'image', 'label', 'coarse', 'picture'. "
        "Did you mean 'coarse'?"
    )
    assert "names 'label', which does not hold images; expected one of 'image', 'picture'." in fault(
        "hf:pets", path, columns={"path": "label"}
    )


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([[1, 0], [0, 1]] * 2, ("0", "1")),
        ([0.0, 1.0] * 2, ("0", "1")),
        ([2, 1] * 2, ("1", "2")),
        ([[0], [1]] * 2, ("0", "1")),
    ],
)
def test_hf_labels_in_every_shape(hf, tmp_path, values, classes):
    data = table(hf, 4, label=(None, None)).add_column("label", values)
    assert open_dataset("hf:pets", save(hf, tmp_path / "saved", train=data)).classes == tuple(classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, 0, 1, 1], "the label column of train has no label in 1 rows, such as 0 (None); expected one for each"),
        (
            [-1, 0, 1, 1],
            "the label column of train has no label in 1 rows, such as 0 (-1); expected one for each",
        ),
        (["a\nb", "c", "c", "c"], "the class 'a\\nb' has a control character in its name"),
        ([[0], [1, 0], [0], [1]], "the labels are lists of different lengths, as of images of several classes;"),
    ],
)
def test_hf_labels_that_are_refused(hf, tmp_path, values, message):
    data = table(hf, 4, label=(None, None)).add_column("label", values)
    assert message in fault("hf:pets", save(hf, tmp_path / "saved", train=data))


def test_hf_names_a_data_set_and_no_folder_that_is_here(hf, tmp_path, monkeypatch):
    (tmp_path / "beans").mkdir()
    monkeypatch.chdir(tmp_path)
    assert fault("hf:beans").startswith("hf:beans: here is a file or folder 'beans', which the library would read")


def test_hf_runs_no_program_that_an_image_is(hf, tmp_path):
    data = hf.Dataset.from_dict(
        {"image": [{"bytes": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "path": None}] * 2, "label": [0, 1]},
        features=hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=["a", "b"])}),
    )
    images = open_dataset("hf:pets", save(hf, tmp_path / "saved", train=data)).train.images
    with pytest.raises(BadImageError, match="is a PostScript program, not an image"):
        images[0]


def learnt(source, path, tmp_path):
    plan = recipe(phase("all", "all", epochs=6, learning_rate=5e-3), data={"source": source})
    run = zoo.finetune(plan, path, run=tmp_path / "run")
    assert run.metrics["accuracy"] == 1
    assert run.classifier.classes == ("dog", "cat")
    with Display() as display:
        assert evaluate(run.path, split="train", display=display).metrics["accuracy"] == 1


def test_a_run_on_hf(hf, tmp_path):
    learnt("hf:pets", save(hf, tmp_path / "saved", train=table(hf), validation=table(hf, 8, seed=1)), tmp_path)


# tensorflow-datasets


@pytest.fixture
def tfds():
    pytest.importorskip("array_record", reason="needs the extra tfds")
    return pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")


def prepare(tfds, folder, *, file_format="array_record", train=32):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["dog", "cat"]),
            "who": tfds.features.Text(),
        }
    )

    def rows(count, seed):
        images, labels = pixels(count, seed=seed)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield number, {"image": image[..., None], "label": int(label), "who": f"p{number // 4}"}

    class Pets(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": rows(train, 0), "test": rows(8, 1)}

        def _generate_examples(self):
            raise NotImplementedError

    Pets(data_dir=str(folder), file_format=file_format).download_and_prepare()
    return folder


def test_tfds_that_is_prepared(tfds, tmp_path):
    path = prepare(tfds, tmp_path / "data")
    dataset = open_dataset("tfds:pets", path, group="who")
    assert dataset.classes == ("dog", "cat")
    images, labels = pixels(32)
    # The library shuffles what it prepares: each image is one of ours, with its label.
    ours = {
        image.tobytes(): (label, f"p{row // 4}") for row, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    for row in range(32):
        found = ours.pop(np.asarray(dataset.train.images[row]).tobytes())
        assert found == (dataset.train.labels[row], dataset.train.groups[row])
    assert not ours
    assert (dataset.validation, len(dataset.test)) == (None, 8)
    assert dataset.fingerprint() == open_dataset("tfds:pets", path, group="who").fingerprint()


def test_tfds_faults(tfds, tmp_path):
    path = prepare(tfds, tmp_path / "data")
    assert fault("tfds:pest", path).startswith(f"{path}: cannot be opened (")
    assert fault("tfds:pets", path, group="patient").startswith(f"{path}: has no column 'patient', which data.group")
    assert fault("tfds:mnist", path).startswith(f"{path}: tensorflow-datasets has prepared no 'mnist' there;")


def test_a_run_on_tfds(tfds, tmp_path):
    learnt("tfds:pets", prepare(tfds, tmp_path / "data"), tmp_path)
