from pathlib import Path

import pytest

import zoo
from zoo.errors import DataError, NotFoundError
from zoo.system.paths import given_path


@pytest.mark.parametrize("given", ["", " ", "\t"])
def test_an_empty_path_is_not_the_current_folder(given):
    with pytest.raises(DataError) as raised:
        given_path(given, "the path of the images")
    assert str(raised.value) == (
        "the path of the images is empty; expected a file or folder, such as photos/ (. is the current folder)"
    )


@pytest.mark.parametrize(
    ("given", "shown", "steps"),
    [
        ("https://x.org/y.zip", "https://x.org/y.zip", "download it, unpack it, and"),
        (Path("https://x.org/y.zip"), "https://x.org/y.zip", "download it, unpack it, and"),
        ("s3://bucket/photos", "s3://bucket/photos", "download it, and"),
        ("https://x.org/cat.jpg", "https://x.org/cat.jpg", "download it, and"),
        # Longer than the name of a file may be.
        (f"https://x.org/{'y' * 300}", f"https://x.org/{'y' * 300}", "download it, and"),
    ],
)
def test_an_address_is_named_whole(given, shown, steps):
    with pytest.raises(DataError) as raised:
        given_path(given)
    assert str(raised.value) == f"{shown}: is an address, which is not read; {steps} give its path"


def test_what_else_is_not_a_path_says_what_it_is():
    with pytest.raises(DataError, match="file:///tmp/photos: is an address; expected a path; leave out file://"):
        given_path("file:///tmp/photos")
    with pytest.raises(DataError, match=r"hf:beans: is a source, not a path; type --set data\.source=hf:beans"):
        given_path("hf:beans")
    with pytest.raises(DataError, match="expected a path without a zero byte"):
        given_path("a\0b")


def test_a_tilde_is_the_home_folder_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert given_path("~/photos") == tmp_path / "home" / "photos"
    assert given_path("~nobody-of-this-name/photos") == Path("~nobody-of-this-name/photos")
    (tmp_path / "~").mkdir()
    assert given_path("~") == Path("~")
    assert given_path(".") == Path()
    assert given_path(r"C:\photos") == Path(r"C:\photos")


def test_every_public_function_refuses_an_empty_path(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.run.path)  # a run folder and, below it, images: all that could be taken by mistake
    classifier = finished.run.classifier
    for call in (
        lambda: classifier.predict(""),
        lambda: classifier.predict(["", "x.png"]),
        lambda: classifier.read(""),
        lambda: zoo.load(""),
        lambda: zoo.features(classifier.model, [""]),
        lambda: zoo.finetune("mnist_conv_tiny", ""),
        lambda: zoo.finetune("mnist_conv_tiny", finished.data, run=""),
    ):
        with pytest.raises(DataError, match="is empty; expected a file or"):
            call()
    with pytest.raises(NotFoundError, match="the recipe's name is empty"):
        zoo.finetune("", finished.data)
