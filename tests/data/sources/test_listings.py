import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.data import open_dataset
from zoo.errors import DataError

ROWS = "path,label\na.png,cat\nb.png,dog\n"


def images(folder: Path, *names: str) -> Path:
    for name in names or ("a.png", "b.png", "c.png", "d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def write(folder: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = images(folder) / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def named(dataset, split="train"):
    found = dataset.splits()[split]
    return [(path.name, dataset.classes[label]) for path, label in zip(found.images, found.labels, strict=True)]


def fault(path: Path, group: str = "") -> str:
    with pytest.raises(DataError) as raised:
        open_dataset("folder", path, group=group)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(str(path))


CSV = (
    "path,label,split,weight,group\n"
    "b.png,dog,train,0.5,anna\n"
    "a.png,cat,,,ben\n"
    "c.png, cat ,Valid,1,\n"
    "d.png,dog,test,2,ben\n"
)
JSONL = lines(
    {"path": "b.png", "label": "dog", "split": "train", "weight": 0.5, "group": "anna"},
    {"path": "a.png", "label": "cat", "group": "ben"},
    {"path": "c.png", "label": "cat", "split": "Valid", "weight": 1, "group": None},
    {"path": "d.png", "label": "dog", "split": "test", "weight": 2, "group": "ben"},
)


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("csv", "list.csv", CSV),
        ("csv", "list.txt", CSV.replace(",", ";")),
        ("folder", "list.tsv", CSV.replace(",", "\t")),
        ("folder", "list.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("folder", "list.CSV", CSV.replace("\n", "\r")),
        ("jsonl", "list.jsonl", JSONL),
        ("folder", "list.jsonl", "\ufeff" + JSONL.replace("\n", "\r\n\r\n")),
    ],
)
def test_all_that_a_row_says(tmp_path, source, name, text):
    dataset = open_dataset(source, write(tmp_path, text, name))
    assert dataset.classes == ("cat", "dog")
    assert named(dataset) == [("b.png", "dog"), ("a.png", "cat")]
    assert named(dataset, "validation") == [("c.png", "cat")]
    assert named(dataset, "test") == [("d.png", "dog")]
    assert (dataset.train.labels.dtype, dataset.train.weights.dtype) == (np.int64, np.float32)
    assert dataset.train.weights.tolist() == [0.5, 1]
    assert dataset.test.weights.tolist() == [2]
    assert dataset.train.groups == ("anna", "ben")
    assert dataset.root == tmp_path
    path = tmp_path / name
    assert dataset.warnings == (
        f"{path}: validation has no images of the classes 'dog'",
        f"{path}: test has no images of the classes 'cat'",
        f"{path}: train and test both have images of the groups 'ben': what is measured on test is too good",
    )


def test_a_path_and_a_label_are_enough(tmp_path):
    dataset = open_dataset("folder", write(tmp_path, ROWS))
    assert (dataset.validation, dataset.test, dataset.train.weights, dataset.train.groups) == (None,) * 4
    assert dataset.warnings == ()


def test_quotes_hold_what_would_divide(tmp_path):
    images(tmp_path, "a, b.png", 'say "x".png')
    dataset = open_dataset("folder", write(tmp_path, 'path,label\n"a, b.png",cat\n"say ""x"".png","dog\u2028;"\n'))
    assert named(dataset) == [("a, b.png", "cat"), ('say "x".png', "dog\u2028;")]


def test_labels_are_text(tmp_path):
    text = lines({"path": "a.png", "label": 10}, {"path": "b.png", "label": "9"}, {"path": "c.png", "label": 9})
    assert named(open_dataset("folder", write(tmp_path, text, "x.jsonl"))) == [
        ("a.png", "10"),
        ("b.png", "9"),
        ("c.png", "9"),
    ]


def test_an_absolute_path_and_one_above(tmp_path):
    elsewhere = images(tmp_path / "elsewhere")
    path = write(tmp_path / "lists", f"path,label\n{elsewhere / 'a.png'},cat\n../elsewhere/b.png,dog\n")
    dataset = open_dataset("folder", path)
    assert all(image.is_file() for image in dataset.train.images)
    assert dataset.root == tmp_path / "lists"
    assert len(dataset.fingerprint()) == 64


def test_the_fingerprint_is_of_all_that_trains_and_not_of_the_place(tmp_path):
    def of(folder: str, text: str) -> str:
        return open_dataset("folder", write(tmp_path / folder, text)).fingerprint()

    assert of("one", CSV) == of("two", CSV)
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    assert of("three", CSV) == of("one", CSV)
    changed = [CSV, CSV.replace("0.5", "0.25"), CSV.replace("anna", "carl"), CSV.replace("Valid", "train"), ROWS]
    assert len({of("one", text) for text in changed}) == len(changed)


def test_unknown_columns_are_said_once(tmp_path):
    path = write(tmp_path, "path,label,width,note\na.png,cat,3,x\nb.png,dog,3,y\n")
    assert open_dataset("folder", path).warnings == (f"{path}: ignored columns: 'width', 'note'",)


def test_a_group_by_another_column(tmp_path):
    path = write(tmp_path, "path,label,patient,group\na.png,cat,p1,x\nb.png,dog,,y\nc.png,dog,p1,z\n")
    dataset = open_dataset("folder", path, group="patient")
    assert dataset.train.groups[0] == dataset.train.groups[2] == "p1"
    assert len(set(dataset.train.groups)) == 2
    assert dataset.warnings == ()
    assert fault(path, "patients") == (
        ": has no column 'patients', which data.group names; it has 'path', 'label', 'patient', 'group'. "
        "Did you mean 'patient'?"
    )


def test_a_class_that_weighs_nothing_is_said(tmp_path):
    path = write(tmp_path, "path,label,weight\na.png,cat,0\nb.png,dog,1\nc.png,dog,0\n")
    dataset = open_dataset("folder", path)
    assert dataset.train.weights.tolist() == [0, 1, 0]
    assert dataset.warnings == (f"{path}: all images of the classes 'cat' weigh 0: they are not learnt",)


def test_some_missing_images_are_left_to_packing(tmp_path):
    assert len(open_dataset("folder", write(tmp_path, ROWS + "lost.png,cat\n")).train) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": is empty; expected a row for each image."),
        (" \n\n", ": is empty; expected a row for each image."),
        ("\npath,label\n", ":1: has no column 'path'; it has nothing. The first row names the columns"),
        (
            "path,lable\na.png,cat\n",
            ":1: has no column 'label'; it has 'path', 'lable'. Did you mean 'lable'? The first",
        ),
        ("Path;label\na.png;cat\n", ":1: has no column 'path'; it has 'Path', 'label'. Did you mean 'Path'?"),
        ("a.png,cat\nb.png,dog\n", ":1: has no column 'path'; it has 'a.png', 'cat'."),
        ("path,label,label\n", ":1: has two columns of the name 'label'; expected each once. Rename one."),
        ("path,label\n", ": lists no image of train; expected one or more."),
        (ROWS + "c.png\n", ":4: has 1 values; expected 2, one for each column. Put a value that holds ','"),
        (ROWS + "c.png,cat,x\n", ":4: has 3 values; expected 2, one for each column."),
        (ROWS + '"c.png,cat\n', ":4: is no row of values (unexpected end of data). Close each quote"),
        (ROWS + "c.png, \n", ":4: label is empty; expected a class, such as cat. Fill it in, or remove the row."),
        (ROWS + "\n,cat\n", ":5: path is empty; expected an image's path, such as cat/1.jpg. Fill it in"),
        (ROWS + "c.png,c\tt\n", ":4: label is 'c\\tt'; expected text without control characters."),
        (
            "path,label,split\na.png,cat,trian\n",
            ":2: split is 'trian'; expected train, validation or test. Did you mean 'train'?",
        ),
        ("path,label,weight\na.png,cat,heavy\n", ":2: weight is 'heavy'; expected a number, 0 or more, such as 0.5."),
        ("path,label,weight\na.png,cat,-1\n", ":2: weight is '-1'; expected a number"),
        ("path,label,weight\na.png,cat,nan\n", ":2: weight is 'nan'; expected a number"),
        ("path,label,weight\na.png,cat,1e39\n", ":2: weight is '1e39'; expected a number"),
        ("path,label,weight\na.png,cat,0\nb.png,dog,0\n", ": all images of train weigh 0; expected a weight above 0."),
        (
            ROWS + "./a.png,dog\n",
            ":4: './a.png' is 'dog', and 'cat' in line 2; expected each image once. Remove one row.",
        ),
        (ROWS + "x/../b.png,dog\n", ":4: 'x/../b.png' is there already in line 3; expected each image once."),
        (
            "path,label,split\na.png,cat,\nb.png,dog,\na.png,cat,test\n",
            ":4: 'a.png' is in test, and in train in line 2; expected each image once.",
        ),
        (
            "path,label,split\na.png,cat,\nb.png,dog,\nc.png,Cat,val\nd.png,dgo,val\n",
            ":4: validation has classes that train has not: 'Cat' (train has 'cat'), 'dgo' (train has 'dog'); "
            "expected classes of train only. Correct these labels",
        ),
        ("path,label,split\na.png,cat,test\n", ": lists no image of train; expected one or more."),
        ("path,label\na.png,cat\n", ": has one class only, 'cat'; expected two or more."),
        (b"path,label\na.png,caf\xe9\n", ":2: is no UTF-8 text (byte 0xe9). Save the file again as UTF-8."),
    ],
)
def test_csv_faults(tmp_path, text, message):
    assert fault(write(tmp_path, text)).startswith(message)


GOOD = lines({"path": "a.png", "label": "cat"}, {"path": "b.png", "label": "dog"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "{'path': 1}\n", ":3: is no JSON (Expecting property name enclosed in double quotes"),
        (GOOD + "[" * 100_000, ":3: is no JSON (maximum recursion depth exceeded"),
        (
            GOOD + '["a.png", "cat"]',
            ':3: is a list; expected an object, such as {"path": "cat/1.jpg", "label": "cat"}.',
        ),
        (
            GOOD + '{"path": "c.png", "lable": "cat"}',
            ":3: has no 'label'; it has 'path', 'lable'. Did you mean 'lable'?",
        ),
        (GOOD + "{}", ":3: has no 'path'; it has nothing."),
        (GOOD + lines({"path": 3, "label": "cat"}), ":3: path is a number; expected text."),
        (GOOD + lines({"path": "c.png", "label": 1.5}), ":3: label is a number with a point; expected text."),
        (GOOD + lines({"path": "c.png", "label": True}), ":3: label is true or false; expected text."),
        (GOOD + lines({"path": "c.png", "label": None}), ":3: label is empty; expected a class"),
        (GOOD + lines({"path": "c.png", "label": "\ud800"}), ":3: label is '\\ud800'; expected text without control"),
        (GOOD + lines({"path": "c.png", "label": "cat", "weight": True}), ":3: weight is 'True'; expected a number"),
        (GOOD + '{"path": "c.png", "label": "cat", "weight": NaN}', ":3: weight is 'nan'; expected a number"),
        (GOOD + lines({"path": "a.png", "label": "dog"}), ":3: 'a.png' is 'dog', and 'cat' in line 1; expected each"),
    ],
)
def test_jsonl_faults(tmp_path, text, message):
    assert fault(write(tmp_path, text, "list.jsonl")).startswith(message)


def test_a_file_whose_images_are_all_elsewhere(tmp_path):
    path = write(tmp_path, "path,label\nphotos/1.png,cat\nphotos/2.png,dog\n")
    assert fault(path) == (
        f":2: 'photos/1.png' and the other images are not there (2 rows); expected paths relative to {tmp_path}, or "
        "absolute ones. Move the file beside its images."
    )


def test_a_folder_is_no_listing(tmp_path):
    for source in ("csv", "jsonl"):
        with pytest.raises(DataError) as raised:
            open_dataset(source, tmp_path)
        assert str(raised.value) == (
            f"{tmp_path}: is a folder; expected a .{source} file. Use data.source 'folder' for a folder."
        )
