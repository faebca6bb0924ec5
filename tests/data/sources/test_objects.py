"""Data sets of other libraries; those that are not installed are stood in for by what has the same attributes."""

import types

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, pixels, recipe, write_photos
from zoo.data import read_in_code
from zoo.errors import DataError

IMAGES, LABELS = pixels(12)
NAMES = ("cat", "dog")
tf = pytest.importorskip("tensorflow")


def fault(data):
    with pytest.raises(DataError) as raised:
        read_in_code(data)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def rows(dataset):
    """Each image with the name of its class, in an order that only they decide."""
    split = dataset.train
    names = [dataset.classes[label] for label in split.labels]
    return sorted((np.asarray(split.images[row]).tobytes(), name) for row, name in enumerate(names))


RIGHT = sorted((image.tobytes(), NAMES[label]) for image, label in zip(IMAGES, LABELS, strict=True))
NUMBERED = sorted((image.tobytes(), str(label)) for image, label in zip(IMAGES, LABELS, strict=True))


# (x, y)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (IMAGES, LABELS, NUMBERED),
        (IMAGES[..., np.newaxis], LABELS[:, np.newaxis], NUMBERED),
        (IMAGES.astype("float32"), LABELS.tolist(), NUMBERED),
        (IMAGES.astype(int), np.eye(2)[LABELS], NUMBERED),
        (IMAGES, np.array(NAMES)[LABELS], RIGHT),
        (list(IMAGES), [NAMES[label] for label in LABELS], RIGHT),
        ([Image.fromarray(image) for image in IMAGES], LABELS, NUMBERED),
        (IMAGES, np.array([NAMES[label] for label in LABELS], object), RIGHT),
        (tf.constant(IMAGES), tf.constant(LABELS), NUMBERED),
    ],
)
def test_arrays_and_their_labels(x, y, expected):
    assert rows(read_in_code((x, y))) == expected


def test_arrays_as_keras_gives_them_are_train_and_test():
    dataset = read_in_code(((IMAGES, LABELS), (IMAGES[:4], LABELS[:4])))
    assert (len(dataset.train), dataset.validation, len(dataset.test)) == (12, None, 4)
    dataset = read_in_code({"train": (IMAGES, LABELS), "validation": (IMAGES[:2], LABELS[:2])})
    assert (len(dataset.train), len(dataset.validation)) == (12, 2)


def test_a_list_of_two_items_is_not_taken_for_arrays():
    dataset = read_in_code([(IMAGES[0], "cat"), (IMAGES[1], "dog")])
    assert (dataset.classes, len(dataset.train)) == (NAMES, 2)
    assert len(read_in_code(((IMAGES[0], "cat"), (IMAGES[1], "dog"))).train) == 2


def test_paths_and_labels(tmp_path):
    paths = sorted(write_photos(tmp_path, count=3).rglob("*.png"))
    for given in (paths, [str(path) for path in paths], np.array([str(path) for path in paths])):
        dataset = read_in_code((given, [path.parent.name for path in paths]))
        assert (dataset.train.images, dataset.classes) == (tuple(paths), NAMES)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ((IMAGES / 255, LABELS), "data: images are numbers in [0, 0.937]; expected pixels in [0, 255]. Leave out what"),
        (
            (IMAGES / 127.5 - 1, LABELS),
            "data: images are float64 in [-1, 0.875]; expected pixels in [0, 255]. Leave out",
        ),
        ((IMAGES * 300.0, LABELS), "expected pixels in [0, 255]"),
        ((np.where(IMAGES > 9, np.nan, 1.0), LABELS), "data: images are float64 in [nan, nan]; expected pixels"),
        (
            (np.zeros((4, 3, 32, 32), np.uint8), [0, 1] * 2),
            "an image is uint8[3, 32, 32], channels first; expected [height",
        ),
        (
            (np.zeros((4, 32, 32, 5), np.uint8), [0, 1] * 2),
            "an image is uint8[32, 32, 5], 5 channels; expected 1 (grey)",
        ),
        ((np.zeros((4, 64)), [0, 1] * 2), "data: x is float64[4, 64]; expected [n, height, width] or"),
        ((IMAGES, LABELS[:5]), "data: x has 12 images and y has 5 labels; expected as many."),
        ((IMAGES > 5, LABELS), "data: images are bool; expected uint8 in [0, 255]. Convert them."),
        ((IMAGES, np.full((12, 2), 0.5)), "and not one-hot; expected a single 1 in each row."),
        ((IMAGES, IMAGES), "data: the label"),
        (IMAGES, "data is an array [12, 28, 28] without labels; expected (x, y). Give both in a tuple."),
        (iter([(IMAGES[0], 0)]), "which only streams its items; expected an object with len()"),
        ({"a", "b"}, "data is of type set, which only streams its items;"),
        ("photos", "is of type str for train"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(data, text):
    if text == "data: the label":
        text = "expected integers or names [n] or [n, 1], or one-hot rows."
    assert text in fault(data)


def test_channels_first_and_five_channels_are_named_in_items_too():
    text = fault([(np.zeros((3, 32, 32), np.uint8), label) for label in (0, 1)])
    assert text.startswith("data[0]: an image is uint8[3, 32, 32], channels first; expected [height, width, channels].")
    text = fault([(np.zeros((32, 32, 5), np.uint8), label) for label in (0, 1)])
    assert text.startswith("data[0]: an image is uint8[32, 32, 5], 5 channels; expected 1 (grey), 3 (RGB) or 4 (RGBA).")


# One-hot


def test_one_hot_labels_of_items_are_classes_in_the_order_of_each_splits_own_names():
    def items(classes):
        hot = np.eye(2, dtype="float32")
        found = [(image, hot[classes.index(NAMES[label])]) for image, label in zip(IMAGES, LABELS, strict=True)]
        return type("Items", (list,), {"classes": classes})(found)

    dataset = read_in_code({"train": items(["cat", "dog"]), "validation": items(["dog", "cat"])})
    assert rows(dataset) == RIGHT
    assert dataset.validation.labels.tolist() == LABELS.tolist()
    wide = type("Items", (list,), {"classes": ["a", "b", "c"]})([(IMAGES[0], [1, 0]), (IMAGES[1], [0, 1])])
    assert "has one-hot labels of 2 classes, and 3 names; expected as many." in fault(wide)
    assert "labels have the shapes" in fault([(IMAGES[0], [1, 0]), (IMAGES[1], [0, 1, 0])])


# tf.data and Keras


def test_what_keras_reads_from_folders_is_taken_whatever_the_order(tmp_path):
    photos = write_photos(tmp_path, count=6)
    options = {"image_size": (28, 28), "batch_size": 5, "color_mode": "grayscale"}
    fingerprints = set()
    for mode in ("int", "categorical", "binary"):
        for seed in (1, 2):
            given = keras.utils.image_dataset_from_directory(
                photos, label_mode=mode, seed=seed, verbose=False, **options
            )
            dataset = read_in_code(given)
            assert (dataset.classes, dataset.warnings) == (NAMES, ())
            assert rows(dataset) == RIGHT
            assert dataset.train.images.shape == (12, 28, 28, 1)
            fingerprints.add(dataset.fingerprint())
    assert len(fingerprints) == 1


def test_datasets_of_tensorflow_batched_or_not():
    single = tf.data.Dataset.from_tensor_slices((IMAGES[..., np.newaxis], LABELS))
    for given in (
        single,
        single.batch(5),
        single.batch(5).prefetch(1),
        single.shuffle(12),
        single.map(lambda image, label: (tf.cast(image, tf.float32), tf.one_hot(label, 2))),
        tf.data.Dataset.from_tensor_slices((IMAGES, np.array(NAMES)[LABELS])),
        tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4),
        single.repeat().take(12),
        tf.data.Dataset.from_generator(
            lambda: zip(IMAGES, LABELS, strict=True), output_types=(tf.uint8, tf.int64), output_shapes=((28, 28), ())
        ),
    ):
        dataset = read_in_code(given)
        assert rows(dataset) == (RIGHT if "cat" in dataset.classes else NUMBERED)
        told = ("data: has no .class_names; its classes are named by their numbers",)
        assert dataset.warnings == (() if "cat" in dataset.classes else told)
    single.class_names = list(NAMES)
    assert rows(read_in_code(single)) == RIGHT


def test_images_that_were_resized_are_rounded_and_it_is_said():
    given = tf.data.Dataset.from_tensor_slices((IMAGES + np.float32(0.4), np.array(NAMES)[LABELS])).batch(4)
    dataset = read_in_code(given)
    assert rows(dataset) == RIGHT
    assert dataset.warnings == ("data: pixels are rounded to whole numbers",)


def test_images_of_several_sizes_are_read_one_at_a_time():
    given = tf.data.Dataset.from_generator(
        lambda: ((np.full((side, 4, 3), side, np.uint8), side % 2) for side in (4, 5, 6)),
        output_signature=(tf.TensorSpec((None, 4, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    )
    dataset = read_in_code(given)
    assert sorted(np.asarray(dataset.train.images[row]).shape for row in range(3)) == [(4, 4, 3), (5, 4, 3), (6, 4, 3)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda data: data.repeat(),
            "data: the tf.data.Dataset does not end; expected a finite one. Leave out .repeat()",
        ),
        (
            lambda data: data.map(lambda x, y: (tf.cast(x, tf.float32) / 255, y)),
            "data: images are numbers in [0, 0.937]",
        ),
        (lambda data: data.map(lambda x, y: (tf.cast(x, tf.float32) - 100, y)), "data: images are float32 in [-100, "),
        (lambda data: data.map(lambda x, y: x), "data, batch 0: gives a ndarray; expected (images, labels). Map it"),
        (
            lambda data: data.map(lambda x, y: {"image": x, "label": y}),
            "data, batch 0: gives a dict; expected (images,",
        ),
        (lambda data: data.map(lambda x, y: (x, y, 1.0)), "data, batch 0: gives 3 parts; expected (images, labels)."),
        (
            lambda data: data.map(lambda x, y: (tf.transpose(x, [0, 3, 1, 2]), y)),
            "[1, 28, 28], channels first; expected",
        ),
        (lambda data: data.take(0), "data has no items; expected one or more."),
    ],
)
def test_datasets_that_cannot_be_used_are_named(change, text):
    assert text in fault(change(tf.data.Dataset.from_tensor_slices((IMAGES[..., np.newaxis], LABELS)).batch(5)))


def test_a_dataset_larger_than_memory_is_refused_while_it_is_read(monkeypatch):
    monkeypatch.setattr("zoo.data.sources.objects.batches_in_code.available_bytes", lambda: 10_000)
    endless = tf.data.Dataset.from_generator(
        lambda: iter(lambda: (IMAGES[0], 0), None), output_types=(tf.uint8, tf.int64)
    )
    assert "images so far, more than fit into memory; expected a data set that ends." in fault(endless)


def test_two_datasets_are_asked_for_their_names():
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    assert "is 2 data sets; expected their names. Give a dict: {'train': ..., 'validation': ...}" in fault((data, data))


class Batched(keras.utils.PyDataset):
    def __init__(self, count=3, **attributes):
        super().__init__()
        self.count = count
        vars(self).update(attributes)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return IMAGES[4 * index : 4 * index + 4].astype("float32"), np.eye(2)[LABELS[4 * index : 4 * index + 4]]


def test_batches_of_a_keras_dataset():
    assert rows(read_in_code(Batched())) == NUMBERED
    assert rows(read_in_code(Batched(classes=list(NAMES)))) == RIGHT
    endless = type("Endless", (Batched,), {"num_batches": None})
    assert "the PyDataset has no length; expected a finite one" in fault(endless())


# PyTorch


class Torch:
    """As an ImageFolder of torchvision is: a list of samples, names of classes, targets."""

    def __init__(self, images=IMAGES, labels=LABELS, **attributes):
        self.images, self.targets = images, list(labels)
        self.target_transform = None
        vars(self).update(attributes)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        label = self.targets[index]
        return self.images[index], self.target_transform(label) if self.target_transform else label


def subset(dataset, indices):
    return types.SimpleNamespace(dataset=dataset, indices=indices)


def joined(*datasets):
    return types.SimpleNamespace(datasets=list(datasets), cumulative_sizes=[])


def default_collate(batch):
    return batch


def loader(dataset, *, sampler="RandomSampler", batch_size=4, collate_fn=default_collate, **attributes):
    drawn = type(sampler, (), attributes)()
    return types.SimpleNamespace(
        dataset=dataset, batch_size=batch_size, collate_fn=collate_fn, sampler=drawn, batch_sampler=drawn
    )


def test_parts_of_a_dataset_keep_the_names_of_its_classes():
    whole = Torch(classes=["cat", "dog"])
    part = subset(whole, [5, 0, 7])
    dataset = read_in_code({"train": part, "validation": subset(subset(whole, [9, 8, 2]), np.array([2, 0]))})
    assert dataset.classes == NAMES
    assert dataset.train.labels.tolist() == LABELS[[5, 0, 7]].tolist()
    assert dataset.validation.labels.tolist() == LABELS[[2, 9]].tolist()
    assert np.array_equal(dataset.validation.images[1], IMAGES[9])
    by_number = Torch(class_to_idx={"dog": 1, "cat": 0})
    assert read_in_code(subset(by_number, range(12))).classes == NAMES


def test_joined_datasets_bring_classes_together_by_name():
    first, other = Torch(classes=["cat", "dog"]), Torch(labels=1 - LABELS, classes=["dog", "cat"])
    assert rows(read_in_code(joined(first, other))) == sorted(RIGHT * 2)
    assert rows(read_in_code(joined(first, subset(first, [0])))) == sorted([*RIGHT, (IMAGES[0].tobytes(), "cat")])
    text = "data.datasets[1] has no .classes, and another part has; expected the names in all or none"
    assert fault(joined(first, Torch())).startswith(text)


def test_a_loader_stands_for_its_dataset():
    whole = Torch(classes=["cat", "dog"])
    assert rows(read_in_code(loader(whole))) == RIGHT
    assert rows(read_in_code(loader(whole, sampler="SequentialSampler"))) == RIGHT
    chosen = read_in_code(loader(subset(whole, range(8)), sampler="SubsetRandomSampler", indices=[1, 2]))
    assert (chosen.classes, chosen.train.labels.tolist()) == (NAMES, [1, 0])
    assert "draws its images by a WeightedRandomSampler, which is not known here" in fault(
        loader(whole, sampler="WeightedRandomSampler", weights=[1.0] * 12)
    )
    assert "by a BalancedBatches, which is not known" in fault(
        loader(whole, sampler="BalancedBatches", batch_size=None)
    )
    assert read_in_code(loader(whole, collate_fn=lambda batch: batch)).warnings == (
        "data: its collate_fn '<lambda>' is not called; images are taken from its dataset",
    )


def test_labels_that_a_transform_changes_are_read_from_the_items():
    turned = Torch(classes=["cat", "dog"], target_transform=lambda label: 1 - label)
    dataset = read_in_code(subset(turned, range(12)))
    assert (dataset.classes, dataset.train.labels.tolist()) == (("0", "1"), (1 - LABELS).tolist())
    assert dataset.warnings == ("data: a target_transform changes its labels, so that .classes is left out",)


def test_a_run_on_each_kind_is_that_on_arrays(tmp_path):
    plan = recipe(phase("all", "all", epochs=2, learning_rate=5e-3), model="mnist_conv_tiny")
    validation = (IMAGES[:4], np.array(NAMES)[LABELS[:4]])
    kinds = {
        "arrays": (IMAGES, np.array(NAMES)[LABELS]),
        "torch": Torch(classes=["cat", "dog"]),
        "keras": Batched(classes=["cat", "dog"]),
    }
    runs = [
        zoo.finetune(plan, {"train": data, "validation": validation}, run=tmp_path / name)
        for name, data in kinds.items()
    ]
    assert len({(run.path / "model" / "model.safetensors").read_bytes() for run in runs}) == 1
