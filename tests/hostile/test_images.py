"""Images that others made, by every way in: each is read or named with its reason, and the others go on."""

import os

import pytest

from tests.hostile.cases import Case, Place, name_of
from tests.hostile.image_files import BOMBS, DAMAGED, FLIPPED, ODD, ImageFile, noise, png
from tests.tiny import make_socket

QUICK = {
    "texts.png",
    "empty-idats.png",
    "scans.jpg",
    "segments.jpg",
    "tags.tif",
    "P-300.gif",
    "1-300.png",
    "PA-300.tif",
}


def photos(place: Place) -> None:
    """Two classes of two photos."""
    for label in "ab":
        (place.inside / "photos" / label).mkdir(parents=True)
        for number in range(2):
            noise(side=40 + number + 9 * (label == "b"), seed=ord(label) + number).save(
                place.inside / "photos" / label / f"{number}.png"
            )


def checked(file: ImageFile) -> Case:
    def make(place: Place) -> None:
        photos(place)
        (place.inside / "photos" / "a" / file.name).write_bytes(file.content())

    refused = None if file.reason == "?" else bool(file.reason)
    says = "" if file.reason == "?" else file.reason
    return Case(name=file.name, make=make, words=("data", "check", "photos"), is_refused=refused, says=says)


def special(name, make_it):
    """A special file named in a list, and what must be said of it."""

    def make(place: Place) -> None:
        photos(place)
        make_it(place.inside / "photos" / "a" / "special.png")
        rows = ["path,label", *(f"photos/{name},{name[0]}" for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"))]
        (place.inside / "list.csv").write_text("\n".join([*rows, "photos/a/special.png,a"]) + "\n")

    return Case(name=f"list of {name}", make=make, words=("data", "check", "list.csv"), says="expected a regular file")


def sparse(path, size):
    with path.open("wb") as file:
        file.write(png(64, 64))
        file.truncate(size)


SPECIAL = (
    special("a pipe", os.mkfifo),
    special("a device", lambda path: path.symlink_to("/dev/zero")),
    special("a terminal", lambda path: path.symlink_to("/dev/tty")),
    special("links in a circle", lambda path: path.symlink_to(path.name)),
    special("a socket", make_socket),
)


def sparse_photo(place: Place) -> None:
    photos(place)
    sparse(place.inside / "photos" / "a" / "sparse.png", 40 << 30)


CASES = (
    *map(checked, (*BOMBS, *ODD, *DAMAGED, *FLIPPED)),
    *SPECIAL,
    Case(name="a sparse file", make=sparse_photo, words=("data", "check", "photos"), says="42,949,672,960 bytes"),
)
SLOW = [case for case in CASES if case.name not in QUICK and case not in SPECIAL]


@pytest.mark.parametrize("case", [case for case in CASES if case not in SLOW], ids=name_of)
def test_hostile_images_are_named_and_the_others_checked(case, tried):
    assert tried(case) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW, ids=name_of)
def test_more_hostile_images_are_named_and_the_others_checked(case, tried):
    assert tried(case) == []
