"""Data frames and data sets of Hugging Face, given in code."""

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo.data import read_in_code
from zoo.errors import DataError

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = write_photos(tmp_path_factory.mktemp("photos"), count=8)
    return sorted(folder.rglob("*.png"))


@pytest.fixture(scope="module")
def frame(photos):
    return pd.DataFrame({"path": [str(path) for path in photos], "label": [path.parent.name for path in photos]})


def fault(data, **options):
    with pytest.raises(DataError) as raised:
        read_in_code(data, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_frame_of_paths_and_labels(photos, frame):
    dataset = read_in_code(frame)
    assert (dataset.classes, dataset.train.images) == (("cat", "dog"), tuple(photos))
    assert dataset.train.labels.tolist() == [0] * 8 + [1] * 8
    filtered = frame[frame.label == "dog"].iloc[::-1]
    both = pd.concat([filtered, frame[:2]])
    assert read_in_code(both).train.images == (*reversed(photos[8:]), *photos[:2])


def test_all_columns_of_a_list_count(photos, frame):
    full = frame.assign(
        path=photos,
        label=pd.Categorical(frame.label),
        split=["train"] * 6 + ["val"] * 2 + ["train"] * 6 + ["test"] * 2,
        weight=[1.0, 0.5, np.nan, *[1.0] * 13],
        group=[1.0, 1.0, 2.0, *[None] * 13],
    )
    dataset = read_in_code(full)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 2, 2)
    assert dataset.train.weights.tolist()[:4] == [1, 0.5, 1, 1]
    assert dataset.train.groups[:3] == ("1", "1", "2")
    renamed = full.rename(columns={"path": "datei", "label": "klasse", "group": "patient"})
    named = read_in_code(renamed, group="patient", columns={"path": "datei", "label": "klasse"})
    assert (named.train.images, named.train.groups) == (dataset.train.images, dataset.train.groups)


def test_a_column_of_true_and_false_has_these_two_classes(frame):
    dataset = read_in_code(frame.assign(label=frame.label == "dog"))
    assert dataset.classes == ("False", "True")
    assert dataset.train.labels.tolist() == [0] * 8 + [1] * 8


def test_numbers_are_labels_and_what_is_missing_is_named(frame):
    numbered = frame.assign(label=[0.0] * 8 + [1.0] * 8)
    assert read_in_code(numbered).classes == ("0", "1")
    numbered.loc[3, "label"] = np.nan
    assert fault(numbered).startswith("data:3: label is empty; expected a class, such as cat.")
    assert "has no column 'label'; it has 'path', 'breite'" in fault(frame.rename(columns={"label": "breite"}))


def test_frames_by_split_are_asked_for_one_column(frame):
    assert "expected one frame with a column 'split'" in fault({"train": frame, "test": frame})


@pytest.fixture(scope="module")
def table(photos):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])})
    rows = {"image": [str(path) for path in photos], "label": [path.parent.name for path in photos]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_dataset_of_hugging_face_has_its_names_and_rows(photos, table):
    dataset = read_in_code(table)
    assert dataset.classes == ("dog", "cat")
    assert dataset.train.labels.tolist() == [1] * 8 + [0] * 8
    assert np.array_equal(np.asarray(dataset.train.images[9]), np.asarray(Image.open(photos[9])))
    part = table.select([9, 0])
    assert read_in_code(part).train.labels.tolist() == [0, 1]
    assert read_in_code(table.with_format("numpy")).train.labels.tolist() == dataset.train.labels.tolist()
    one, other = (read_in_code(table.select(rows)).fingerprint() for rows in ([0, 9], [1, 10]))
    assert one != other


def test_a_dict_of_datasets_has_splits(table):
    parts = table.train_test_split(test_size=4, seed=0, stratify_by_column="label")
    dataset = read_in_code(parts)
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (12, None, 4)
    given = {"train": table, "valid": table.select([0, 9])}
    assert len(read_in_code(given).validation) == 2


def test_what_gives_rows_only_in_a_row_or_is_transformed_is_named(table):
    assert "of type IterableDataset for train, which only streams its rows" in fault(table.to_iterable_dataset())
    turned = table.with_transform(lambda row: row)
    assert "has a transform for train (set_transform), which is not applied here" in fault(turned)
    assert "expected one frame with a column 'split', or a Hugging Face Dataset" in fault({"train": table, "test": [1]})


def test_runs_on_a_frame_and_on_a_table_are_one(tmp_path, photos, frame):
    plan = recipe(phase("all", "all", epochs=2, learning_rate=5e-3), model="mnist_conv_tiny")
    table = datasets.Dataset.from_dict(
        {"image": [str(path) for path in photos], "label": [path.parent.name for path in photos]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}),
    )
    runs = [zoo.finetune(plan, data, run=tmp_path / str(number)) for number, data in enumerate((frame, table))]
    assert runs[0].metrics == runs[1].metrics
