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
    images(tmp_path, "a, b.png", 'say "x"\u2028.png')
    dataset = open_dataset("folder", write(tmp_path, 'path,label\n"a, b.png",cat\n"say ""x""\u2028.png","dog;"\n'))
    assert named(dataset) == [("a, b.png", "cat"), ('say "x"\u2028.png', "dog;")]


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
        ("a.png,cat\nb.png,dog\n", ":1: has no column 'path'; it has 'a.png', 'cat'."),
        ("path,label,label\n", ":1: has two columns of the name 'label'; expected each once. Rename one."),
        ("path,label\n", ": lists no images, it holds only the names of columns; expected a row for each image."),
        (ROWS + "c.png\n", ":4: has 1 values; expected 2, one for each column. Put a value that holds ','"),
        (ROWS + "c.png,cat,x\n", ":4: has 3 values; expected 2, one for each column."),
        (ROWS + '"c.png,cat\n', ":4: is not a row of values (unexpected end of data). Close each quote"),
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
            ":4: validation has classes that are not in train: 'Cat' (train has 'cat'), 'dgo' (train has 'dog'); "
            "expected classes of train only. Correct these labels",
        ),
        ("path,label,split\na.png,cat,test\n", ": lists no image of train; expected one or more."),
        ("path,label\na.png,cat\n", ": has one class only, 'cat'; expected two or more."),
        (b"path,label\na.png,caf\xe9\n", ":2: is not UTF-8 text (byte 0xe9). Save the file again as UTF-8."),
    ],
)
def test_csv_faults(tmp_path, text, message):
    assert fault(write(tmp_path, text)).startswith(message)


GOOD = lines({"path": "a.png", "label": "cat"}, {"path": "b.png", "label": "dog"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "{'path': 1}\n", ":3: is not JSON (Expecting property name enclosed in double quotes"),
        (GOOD + "[" * 100_000, ":3: is not JSON (maximum recursion depth exceeded"),
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


# Columns


def opened(path: Path, **keys: object):
    return open_dataset("folder", path, **keys)


@pytest.mark.parametrize(
    "text",
    [
        "Path,Label\na.png,cat\nb.png,dog\n",
        " PATH ; LABEL\na.png;cat\nb.png;dog\n",
        "\ufeff\ufeffpath,label\na.png,cat\nb.png,dog\n",
        "sep=,\r\npath,label\r\na.png,cat\r\nb.png,dog\r\n",
        "sep=|\npath|label\na.png|cat\nb.png|dog\n",
        "path|label\na.png|cat\nb.png|dog\n",
        "path,label\r\n.\\a.png,cat\r\nsub\\..\\b.png,dog\r\n",
    ],
)
def test_how_others_write_a_list(tmp_path, text):
    (tmp_path / "sub").mkdir()
    dataset = opened(write(tmp_path, text))
    assert named(dataset) == [("a.png", "cat"), ("b.png", "dog")]
    assert all(path.is_file() for path in dataset.train.images)
    assert dataset.warnings == ()


def test_a_list_that_excel_wrote_as_unicode_text(tmp_path):
    dataset = opened(write(tmp_path, "path\tlabel\r\na.png\tcaf\u00e9\r\nb.png\tdog\r\n".encode("utf-16"), "list.tsv"))
    assert named(dataset) == [("a.png", "caf\u00e9"), ("b.png", "dog")]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lists").mkdir()
    dataset = opened(write(tmp_path, "path,label\n~/a.png,cat\n~/b.png,dog\n", "lists.csv"))
    assert dataset.train.images == (tmp_path / "a.png", tmp_path / "b.png")


@pytest.mark.parametrize("header", ["filename,class", "image,species", "file_name,category", "img_path,target"])
def test_usual_names_of_columns_are_read_and_said(tmp_path, header):
    path = write(tmp_path, f"{header}\na.png,cat\nb.png,dog\n")
    dataset = opened(path)
    assert named(dataset) == [("a.png", "cat"), ("b.png", "dog")]
    first, second = header.split(",")
    assert dataset.warnings == (
        f"{path}: reads the columns '{first}' as path, '{second}' as label; data.columns names others",
    )


def test_columns_are_named_by_the_recipe(tmp_path):
    text = "id,what,part,how_much,who,path\na.png,cat,train,2,anna,x\nb.png,dog,,,ben,y\nc.png,cat,val,1,,z\n"
    columns = {"path": "id", "label": "What", "split": "part", "weight": "how_much", "group": "who"}
    path = write(tmp_path, text)
    dataset = opened(path, columns=columns)
    assert named(dataset) == [("a.png", "cat"), ("b.png", "dog")]
    assert named(dataset, "validation") == [("c.png", "cat")]
    assert dataset.train.weights.tolist() == [2, 1]
    assert dataset.train.groups == ("anna", "ben")
    assert dataset.warnings == (
        f"{path}: ignored columns: 'path'",
        f"{path}: validation has no images of the classes 'dog'",
    )
    with pytest.raises(DataError) as raised:
        opened(path, columns={"path": "idd"})
    assert str(raised.value) == (
        f"{path}:1: has no column 'idd', which data.columns.path names; it has 'id', 'what', 'part', 'how_much', "
        "'who', 'path'. Did you mean 'id'?"
    )
    with pytest.raises(DataError, match=r"data\.columns is set, and the data is .*, a folder, which has no"):
        opened(tmp_path, columns=columns)


def test_columns_of_json_lines(tmp_path):
    text = lines({"file_name": "a.png", "Label": "cat"}, {"file_name": "b.png", "Label": "dog"})
    path = write(tmp_path, text, "metadata.jsonl")
    assert (
        named(opened(path))
        == named(opened(path, columns={"path": "file_name"}))
        == [("a.png", "cat"), ("b.png", "dog")]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,image,label\na.png,b.png,cat\n",
            ":1: 'file', 'image' may each hold the path; expected one such column. Say which: --set "
            "data.columns.path=file",
        ),
        (
            "path,label,subset\na.png,cat,train\nb.png,dog,test\n",
            ": the column 'subset' names splits, and none is called 'split'; expected to know which images train. Type "
            "--set data.columns.split=subset, or remove the column.",
        ),
        (
            "a.png,cat\nb.png,dog\n",
            ":1: has no column 'path'; it has 'a.png', 'cat'. These look like the values of a row:",
        ),
        (
            "path,label,is_valid\na.png,cat,False\nb.png,dog,True\n",
            ": the column 'is_valid' says which images train, and none is called 'split'; expected a column split with",
        ),
        (
            "path,label\n/nowhere/1.png,cat\n",
            ":2: '/nowhere/1.png' and the other images are not there (1 rows); expected paths relative to {folder}, or "
            "absolute ones. It is an absolute path: write the paths as they are on this machine, or relative to the",
        ),
        ("path,label\na.png,c\0at\n", ": is not UTF-8 text (it has zero bytes). Save the file again as UTF-8."),
        ("x/1,cat\nb.png,dog\n", ":1: has no column 'path'; it has 'x/1', 'cat'. The first row names the columns"),
        ("path,label\n", ": lists no images, it holds only the names of columns; expected a row for each image."),
        (
            "path,label\nhttps://x.org/1.png,cat\n",
            ":2: path is the address 'https://x.org/1.png'; expected the path of a file. Download the images first.",
        ),
        (
            "path,label\nfile:///x/1.png,cat\n",
            ":2: path is the address 'file:///x/1.png'; expected the path of a file. Write the path without file://.",
        ),
        (
            "path,label\nC:\\photos\\1.png,cat\n",
            ":2: 'C:\\photos\\1.png' and the other images are not there (1 rows); expected paths relative to {folder}, "
            "or absolute ones. It is a path of Windows: write the paths as they are on this machine.",
        ),
        (
            "path,label\na,cat\nb,dog\n",
            ":2: 'a' and the other images are not there (2 rows); expected paths relative to {folder}, or absolute "
            "ones. There is 'a.png': write the paths with their suffix.",
        ),
        (
            "path,label\n9.png,cat\n",
            ":2: '9.png' and the other images are not there (1 rows); expected paths relative to {folder}, or absolute "
            "ones. There is 'deep/9.png': write the paths so.",
        ),
    ],
)
def test_what_a_list_lacks_is_named(tmp_path, text, message):
    images(tmp_path / "deep", "9.png")
    assert fault(write(tmp_path, text)).startswith(message.format(folder=tmp_path))


def test_a_label_that_may_be_missing_is_said(tmp_path):
    path = write(tmp_path, "path,label\na.png,cat\nb.png,nan\nc.png,dog\n")
    assert opened(path).warnings == (f"{path}: 'nan' is a class; if it stands for a missing label, remove these rows",)
    assert opened(write(tmp_path, "path,label\na.png,-1\nb.png,1\n")).warnings == ()


def test_what_is_measured_need_not_train(tmp_path):
    dataset = opened(write(tmp_path, "path,label,split\na.png,cat,test\n"), measuring=True)
    assert (dataset.classes, len(dataset.train), named(dataset, "test")) == (("cat",), 0, [("a.png", "cat")])


def test_a_folder_is_not_a_listing(tmp_path):
    for source in ("csv", "jsonl"):
        with pytest.raises(DataError) as raised:
            open_dataset(source, tmp_path)
        assert str(raised.value) == (
            f"{tmp_path}: is a folder; expected a .{source} file. Use data.source 'folder' for a folder."
        )
