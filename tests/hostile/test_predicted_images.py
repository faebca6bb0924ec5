"""Images and other files that others made, given to `zoo predict` and `zoo features` by name, or in a folder."""

import functools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.hostile.cases import Case, Place, name_of
from tests.hostile.image_files import BOMBS, DAMAGED, ODD, ImageFile, noise
from tests.hostile.test_images import sparse
from tests.tiny import make_socket

FEW = {"I16-300.png", "PA-300.tif", "F-300.tif", "CMYK-300.jpg", "LAB-300.tif", "exif-circle.jpg", "exif-noise.jpg"}


@functools.cache
def run() -> str:
    """The folder of a model that was never trained."""
    import zoo
    from zoo.models.saving import save_model

    folder = Path(tempfile.mkdtemp()) / "model"
    save_model(zoo.build("mnist_conv_tiny", weights=None, classes=["a", "b"]), folder)
    return str(folder)


def warm_up() -> None:
    """Imports Keras and predicts once before anything is measured."""
    import zoo

    zoo.load(run()).predict(noise())


def given(file: ImageFile, *words: str) -> Case:
    def make(place: Place) -> Sequence[object]:
        (place.inside / file.name).write_bytes(file.content())
        return [run(), file.name, *words[1:]]

    said = file.name if "training" in file.reason else file.reason
    return Case(name=f"{words[0]} {file.name}", make=make, words=words[:1], is_refused=bool(file.reason), says=said)


def special(name, make_it, says="expected a regular file"):
    def make(place: Place) -> Sequence[object]:
        make_it(place.inside / "x.png")
        return [run(), "x.png"]

    return Case(name=f"predict {name}", make=make, words=("predict",), says=says)


def folder_of_odd_files(place: Place) -> Sequence[object]:
    folder = place.inside / "photos"
    folder.mkdir()
    noise().save(folder / "good.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    make_socket(folder / "socket.png")
    return [run(), "photos"]


FILES = [file for file in (*BOMBS, *DAMAGED, *ODD) if file not in ODD or file.name in FEW]
CASES = (
    *(given(file, "predict") for file in FILES),
    *(given(file, "features", "--out", "vectors.npz") for file in FILES[::4]),
    special("a pipe", os.mkfifo),
    special("a device", lambda path: path.symlink_to("/dev/zero")),
    special("links in a circle", lambda path: path.symlink_to(path.name), "x.png"),
    special("a socket", make_socket),
    special("nothing", lambda path: None, "no such file"),
    special("a sparse file", lambda path: sparse(path, 40 << 30), "42,949,672,960 bytes"),
    Case(name="predict a folder", make=folder_of_odd_files, words=("predict",), is_refused=None),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_hostile_images_are_refused_or_predicted(case, tried):
    assert tried(case) == []
