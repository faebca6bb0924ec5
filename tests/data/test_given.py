"""Whatever a caller holds of images is read as what it is, or refused by name."""

import collections
import io
import itertools
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from zoo.data.given import EXPECTED, given_images, read_batches
from zoo.data.images.settings import Settings
from zoo.errors import DataError

RGB = Settings(height=8, width=8, channels=3)
GREY = Settings(height=8, width=8, channels=1)
NARROW = Settings(height=4, width=4, channels=1)


def noise(*shape, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def read(images, settings=RGB):
    """Paths and pixels of all, in one."""
    batches = list(read_batches(images, settings, size=3))
    return [path for paths, _ in batches for path in paths], [one for _, pixels in batches for one in pixels]


def error_of(images, settings=RGB):
    with pytest.raises(DataError) as raised:
        read(images, settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(noise(12, 10, 3)).save(path)
    return path


# An array's shape, the model's input -> how many images it is.
COUNTS = [
    ((12, 10), RGB, 1),
    ((12, 10), GREY, 1),
    ((40, 40, 3), RGB, 1),
    ((40, 40, 3), GREY, 1),
    ((40, 40, 4), RGB, 1),
    ((40, 40, 4), GREY, 1),
    ((40, 40, 1), RGB, 1),
    ((40, 40, 1), GREY, 1),
    ((480, 640, 3), RGB, 1),
    ((1, 9, 3), RGB, 1),
    ((3, 9, 3), RGB, 1),
    ((3, 3, 3), GREY, 1),
    ((5, 12, 10), RGB, 5),
    ((5, 12, 10), GREY, 5),
    ((5, 8, 8), GREY, 5),
    ((2, 12, 10), RGB, 2),
    ((1, 12, 10), RGB, 1),
    ((3, 8, 8), GREY, 3),
    ((4, 12, 10), GREY, 4),
    ((5, 12, 10, 3), RGB, 5),
    ((3, 12, 10, 3), GREY, 3),
    ((3, 12, 10, 4), RGB, 3),
    ((7, 12, 10, 1), RGB, 7),
    ((1, 12, 10, 3), RGB, 1),
    ((0, 12, 10), RGB, 0),
    ((0, 12, 10, 3), RGB, 0),
    ((0,), RGB, 0),
]


@pytest.mark.parametrize(("shape", "settings", "count"), COUNTS, ids=lambda value: str(value).replace(" ", ""))
def test_the_sides_of_an_array_say_how_many_images_it_is(shape, settings, count):
    paths, pixels = read(noise(*shape), settings)
    assert (len(paths), len(pixels)) == (count, count)
    assert {one.shape for one in pixels} <= {settings.shape}


AMBIGUOUS = [
    ((40, 4, 4), NARROW, "one image of 4 channels, or 40 grey images of 4 x 4; add an axis: images[None] or"),
    (
        (3, 12, 10),
        RGB,
        "3 grey images, or one with its channels first; expected channels last: image.transpose(1, 2, 0)",
    ),
    ((4, 12, 10), RGB, "4 grey images, or one with its channels first"),
    ((3, 8, 8), RGB, "3 grey images, or one with its channels first"),
    ((12, 10, 2), RGB, "12 grey images of 10 x 2, or one of grey and alpha; write images[..., None], or take"),
    ((12, 10, 2), GREY, "12 grey images of 10 x 2, or one of grey and alpha"),
    ((12, 10, 7), RGB, "12 grey images of 10 x 7, or one of 7 channels; write images[..., None], or take channels of"),
]


@pytest.mark.parametrize(("shape", "settings", "text"), AMBIGUOUS)
def test_an_array_that_can_be_read_in_two_ways_is_refused_with_the_axis_to_add(shape, settings, text):
    assert f"uint8{list(shape)}: {text}" in error_of(noise(*shape), settings)


def test_with_the_axis_that_is_advised_each_reading_is_taken():
    images = noise(40, 4, 4)
    assert len(read(images[None], NARROW)[1]) == 1
    assert len(read(images[..., None], NARROW)[1]) == 40
    assert len(read(noise(3, 12, 10)[..., None], RGB)[1]) == 3
    assert len(read(noise(3, 12, 10).transpose(1, 2, 0), RGB)[1]) == 1


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (noise(5, 12, 10, 2), "The images are uint8[5, 12, 10, 2]; expected uint8[n, height, width] or"),
        (noise(5, 3, 12, 10), "channels come last: images.transpose(0, 2, 3, 1)"),
        (noise(2, 2, 2, 2, 3), "The images are uint8[2, 2, 2, 2, 3]; expected"),
        (noise(9), "The images are uint8[9]; expected"),
        (np.uint8(3), "The images are uint8[]; expected"),
        (noise(5, 0, 9), "The images are uint8[5, 0, 9], without any pixels; expected"),
        (noise(5, 0, 3), "The images are uint8[5, 0, 3], without any pixels; expected"),
        (noise(2, 12, 10) / 255, "Its values are 0 to 1; scale them: (255 * images).round().astype('uint8')"),
        (noise(12, 10, 3).astype("int64"), "Its values are 0 to 255; convert them: images.round().astype('uint8')"),
        (noise(12, 10, 3) / 127.5 - 1, "Its values are -1 to 1; expected [0, 255]: undo their normalisation"),
        (noise(12, 10, 3) > 9, "The images are bool[12, 10, 3]; expected"),
        (noise(12, 10).astype("uint16") * 257, "Its values are 0 to 65535; expected [0, 255]"),
        (np.full((2, 9, 9), np.nan), "The images are float64[2, 9, 9]; expected"),
    ],
    ids=str,
)
def test_an_array_of_another_kind_is_refused(images, text):
    assert text in error_of(images)


def test_one_image_is_the_same_in_every_form(photo):
    content = photo.read_bytes()
    expected = read(photo)[1][0]
    with Image.open(photo) as opened, photo.open("rb") as file, zipfile.ZipFile(photo.parent / "z.zip", "w") as archive:
        archive.writestr("inner.png", content)
        for given in (
            str(photo),
            photo,
            content,
            bytearray(content),
            memoryview(content),
            io.BytesIO(content),
            file,
            archive.open("inner.png"),
            opened,
            np.asarray(opened),
            np.asarray(opened)[None],
        ):
            (found,) = read(given)[1]
            np.testing.assert_array_equal(found, expected)


def test_a_row_of_all_forms_keeps_its_order(photo):
    content, array = photo.read_bytes(), noise(12, 10)
    row = [photo, str(photo), content, io.BytesIO(content), Image.open(photo), array, array[..., None]]
    paths, pixels = read(row)
    assert paths == [str(photo), str(photo), None, None, None, None, None]
    for given in (tuple(row[5:]), iter(row[5:]), (one for one in row[5:]), collections.deque(row[5:])):
        np.testing.assert_array_equal(read(given)[1], pixels[5:])
    assert not any(len(part) for part in read([]))


def test_an_image_in_a_list_is_one_image_whatever_its_first_side():
    for shape in ((3, 9, 3), (40, 4, 4), (12, 10)):
        assert len(read([noise(*shape)] * 2, NARROW)[1]) == 2


def test_paths_in_an_array_or_a_column_are_paths(photo):
    class Column:
        """What pandas' Series is to NumPy."""

        def __array__(self, dtype=None, copy=None):
            return np.array([str(photo)] * 2, dtype=object)

    for given in (np.array([str(photo)] * 2), Column(), np.array([photo, photo])):
        assert read(given)[0] == [str(photo)] * 2
    assert read(np.array(str(photo)))[0] == [str(photo)]


def test_a_tensor_of_another_library_is_the_array_that_it_gives():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return noise(12, 10, 3)

    class OnADevice:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

    np.testing.assert_array_equal(read(Tensor())[1], read(noise(12, 10, 3))[1])
    assert len(read([Tensor(), Tensor()])[1]) == 2
    assert "an OnADevice gives no array (can't convert cuda:0 device" in error_of(OnADevice())


def test_an_iterator_is_asked_for_no_more_than_it_is_read(photo):
    asked = itertools.count()
    endless = (photo for _ in asked)
    batches = read_batches(endless, RGB, size=4)
    next(batches)
    assert next(asked) == 4


def test_a_folder_stands_for_its_images(photo):
    (photo.parent / "more").mkdir()
    Image.fromarray(noise(9, 9)).save(photo.parent / "more" / "b.png")
    both = [str(photo.parent / "more" / "b.png"), str(photo)]
    assert sorted(read(photo.parent)[0]) == both
    assert sorted(read([photo.parent / "more", photo])[0]) == both
    (photo.parent / "none").mkdir()
    assert "none: holds no images; expected some in the folder or below it" in error_of(photo.parent / "none")


class Frame:
    """What pandas' DataFrame is to Python: passing through it gives the names of its columns."""

    columns, iloc = ("path", "label"), None

    def __iter__(self):
        return iter(self.columns)

    def __array__(self, dtype=None, copy=None):
        return np.zeros((2, 2), np.uint8)


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        (None, "None"),
        ({"a.png"}, "a set"),
        (frozenset(["a.png"]), "a frozenset"),
        ({"a.png": 1}, "a dict"),
        ({"a.png": 1}.keys(), "a dict_keys"),
        (3, "an int"),
        (0.5, "a float"),
        (True, "a bool"),
        (object(), "an object"),
        (Frame(), "a Frame"),
        (np.ndarray, "a type"),
    ],
)
def test_what_is_not_an_image_is_refused_by_its_name(images, kind):
    assert error_of(images) == f"the images are {kind}; {EXPECTED}"
    assert error_of([noise(9, 9), images]).startswith(f"image 1 is {kind}; expected a path, uint8[height, width(, cha")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (noise(4, 9, 9, 3), "image 1 is uint8[4, 9, 9, 3]; expected one image, uint8[height, width] or"),
        (noise(5, 9, 9), "image 1 is uint8[5, 9, 9]; expected one image"),
        (noise(3, 9, 9), "channels come last: image.transpose(1, 2, 0)."),
        (noise(9, 9) / 255, "image 1 is float64[9, 9]; expected one image"),
        (noise(9), "image 1 is uint8[9]; expected one image"),
        (noise(0, 9, 3), "image 1 is uint8[0, 9, 3]; expected one image"),
        (["a.png"], "image 1 is a list; expected a path"),
        ((noise(9, 9), 1), "image 1 is a tuple; expected a path"),
        ([[1, 2], [3, 4]], "image 1 is a list; expected a path"),
        (b"no image", "image 1: is a text, not an image"),
        (b"", "image 1: is empty (0 bytes)"),
        (io.StringIO("text"), "image 1: is open as text; open it with 'rb'"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str | np.ndarray) else type(value).__name__,
)
def test_an_item_that_is_not_an_image_is_refused_by_its_number(item, text):
    assert text in error_of([noise(9, 9), item])


def test_a_file_that_cannot_be_read_is_reported(photo, tmp_path):
    with photo.open("rb") as file:
        pass
    assert error_of(file) == (
        f"{photo}: cannot be read (read of closed file); expected a file open for reading, with 'rb'"
    )
    with (tmp_path / "new").open("wb") as file:
        assert error_of([file]).startswith(f"{tmp_path}/new: cannot be read (read); expected a file open for reading")


def test_an_image_without_pixels_is_reported():
    assert error_of(Image.new("L", (0, 0))) == "the image: cannot be read (has 0 x 0 pixels)"
    assert error_of([Image.new("RGB", (0, 9))]) == "image 0: cannot be read (has 0 x 9 pixels)"


def test_a_file_that_is_read_already_says_to_go_back(photo):
    with photo.open("rb") as file:
        file.read()
        assert error_of(file) == f"{photo}: is read to its end already; go back to its beginning with seek(0)"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "the path is empty; expected a file or folder"),
        ("https://example.org/cat.jpg", "https://example.org/cat.jpg: is an address, which is not read; download it"),
        (f"https://example.org/{'x' * 300}?signed={'y' * 300}", "https://example.org/xxx"),
        ("s3://bucket/cat.jpg", "s3://bucket/cat.jpg: is an address"),
        ("data:image/png;base64,iVBORw0KGgo" + "A" * 5000, "data:image/png;base64,iVBORw0KGgo"),
        ("file:///home/me/cat.jpg", "file:///home/me/cat.jpg: is an address; expected a path; leave out file://"),
        ("gone.jpg", "gone.jpg: there is no such file; expected an image; check the path"),
        ("a\0b.jpg", "the path is 'a\\x00b.jpg'; expected a path without a zero byte"),
        ("x" * 300, f"{'x' * 200}: cannot be read (File name too long); check the path"),
    ],
)
def test_a_path_that_leads_nowhere_is_reported_with_what_is_meant(path, text):
    message = error_of(path)
    assert message.startswith(text)
    assert len(message) < 1000
    assert text in error_of([path])


def test_the_home_folder_may_be_meant(photo, monkeypatch):
    monkeypatch.setenv("HOME", str(photo.parent))
    assert read("~/photo.png")[0] == [str(photo)]


def test_an_entry_of_a_folder_is_a_path_also_where_it_is_bytes(photo):
    with os.scandir(photo.parent) as entries, os.scandir(os.fsencode(photo.parent)) as encoded:
        assert read(entries)[0] == read(encoded)[0] == [str(photo)]


def test_a_model_of_one_channel_and_one_of_three_read_grey_alike():
    image = noise(8, 8)
    (grey,) = read(image, GREY)[1]
    (rgb,) = read(image, RGB)[1]
    np.testing.assert_array_equal(grey, image[..., None])
    np.testing.assert_array_equal(rgb, np.repeat(image[..., None], 3, axis=2))


def test_a_batch_stays_a_batch():
    images = noise(5, 8, 8, 3)
    assert given_images(images, settings=RGB) is images
