"""call.py reads photos without zoo, and to the bit as training does; what training refuses it refuses too."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.odd_images import picture, png, saved, write_no_images, write_odd_images
from tests.pixels import sized
from zoo.data.images import content as image_content
from zoo.data.images import decoding, flattening, large, pillow
from zoo.data.images.facts import BadImageError
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.export.call import reader
from zoo.export.call.reader import read_photo

HEIGHT, WIDTH = 23, 29
WHOLE = {"crop_share": 1.0, "white": 0}
FITS = [
    {"resize": "crop", "interpolation": "bilinear", **WHOLE},
    {"resize": "crop", "interpolation": "bicubic", **WHOLE, "crop_share": 0.875},
    {"resize": "pad", "interpolation": "bicubic", **WHOLE},
    {"resize": "stretch", "interpolation": "bilinear", **WHOLE, "crop_share": 0.8},
    {"resize": "crop", "interpolation": "bilinear", **WHOLE, "white": 4095},
]
ALL_FITS = pytest.mark.parametrize("fit", FITS, ids=lambda fit: f"{fit['resize']}-{fit['crop_share']}-{fit['white']}")
KINDS = pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])


@pytest.fixture(scope="module")
def odd_images(tmp_path_factory):
    return write_odd_images(tmp_path_factory.mktemp("odd"))


@pytest.fixture(scope="module")
def no_images(tmp_path_factory):
    return write_no_images(tmp_path_factory.mktemp("none"))


def by_training(path: Path | bytes, channels: int, fit: dict) -> np.ndarray | None:
    """Reads as training does; None where it refuses."""
    try:
        return read_pixels(path, sized(height=HEIGHT, width=WIDTH, channels=channels, **fit))[0]
    except BadImageError:
        return None


def by_call(path: Path | bytes, channels: int, fit: dict) -> np.ndarray | None:
    """Reads as call.py does; None where it refuses, with a message of one line."""
    try:
        return read_photo(path, (HEIGHT, WIDTH, channels), fit)
    except ValueError as fault:
        assert "\n" not in str(fault)
        return None


def departures(paths: list[Path], channels: int, fit: dict) -> list[str]:
    """Names the files of which the two readers give other pixels, or one gives none."""
    found = []
    with quiet_pillow():
        for path in paths:
            expected, called = by_training(path, channels, fit), by_call(path, channels, fit)
            if (expected is None) != (called is None):
                found.append(f"{path.name}: refused by {'training' if expected is None else 'call.py'} alone")
            elif expected is not None and not np.array_equal(expected, called):
                found.append(f"{path.name}: {np.count_nonzero(expected != called)} values differ")
    return found


@ALL_FITS
@KINDS
def test_a_hundred_odd_images_have_equal_pixels(odd_images, channels, fit):
    assert departures(odd_images, channels, fit) == []


def test_nearly_all_odd_images_are_read_and_what_is_no_image_is_not(odd_images, no_images):
    with quiet_pillow():
        assert [path.name for path in odd_images if by_training(path, 3, FITS[0]) is None] == []
        assert [path.name for path in no_images if by_training(path, 3, FITS[0]) is not None] == []


@ALL_FITS
@KINDS
def test_what_training_refuses_is_refused(no_images, channels, fit):
    assert departures(no_images, channels, fit) == []


def test_a_white_that_is_not_for_a_file_is_refused_by_both():
    bright = png(np.full((9, 9), 5000))
    for channels in (1, 3):
        assert by_training(bright, channels, FITS[4]) is None
        assert by_call(bright, channels, FITS[4]) is None
        assert by_call(bright, channels, FITS[0]) is not None


def test_bytes_are_read_as_the_file_is(odd_images):
    path = odd_images[0]
    assert np.array_equal(by_call(path.read_bytes(), 3, FITS[0]), by_call(path, 3, FITS[0]))


def test_a_message_names_the_file_and_the_reason(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.jpg: cannot be read as a photo \(No such file or directory"):
        read_photo(tmp_path / "nowhere.jpg", (8, 8, 3), FITS[0])
    with pytest.raises(ValueError, match=r"bytes: cannot be read as a photo \(cannot identify image file"):
        read_photo(b"a letter", (8, 8, 3), FITS[0])


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    done = threading.Thread(target=by_call, args=(tmp_path / "pipe.jpg", 3, FITS[0]), daemon=True)
    done.start()
    done.join(20)
    assert not done.is_alive()


@ALL_FITS
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_large_images_are_averaged_alike(monkeypatch, mode, fit):
    content = saved(picture(mode, size=(400, 301)), "TIFF")
    with quiet_pillow():
        as_small = by_call(content, 3, fit)
        for place in (decoding, large, reader):
            monkeypatch.setattr(place, "LARGE_PIXELS", 1000)
        for place in (large, flattening):
            monkeypatch.setattr(place, "_PIXELS_AT_ONCE", 3000)
        expected, called = by_training(content, 3, fit), by_call(content, 3, fit)
    if mode == "I;16" and fit["white"]:
        assert expected is None and called is None and as_small is None
        return
    assert np.array_equal(expected, called)
    assert not np.array_equal(called, as_small)


@pytest.mark.parametrize("most", [1_000_000, 6_000_000, 100_000_000])
def test_large_jpeg_2000_images_are_decoded_to_fewer_pixels_alike(monkeypatch, most):
    for place, bytes_of in ((large, "MAX_BYTES"), (reader, "MOST_BYTES")):
        monkeypatch.setattr(place, bytes_of, most)
        monkeypatch.setattr(place, "LARGE_BYTES", most // 4)
    content = saved(picture(size=(700, 500)), "JPEG2000")
    expected, called = by_training(content, 3, FITS[0]), by_call(content, 3, FITS[0])
    assert (expected is None) == (called is None)
    assert expected is None or np.array_equal(expected, called)


def test_limits_and_formats_are_those_of_training():
    """Of all that files of a test do not reach: larger ones, and what Pillow would read beside."""
    assert (reader.MOST_FILE_BYTES, reader.MOST_PIXELS) == (image_content.MAX_FILE_BYTES, large.MAX_PIXELS)
    assert (reader.MOST_BYTES, reader.LARGE_BYTES) == (large.MAX_BYTES, large.LARGE_BYTES)
    assert (reader.LARGE_PIXELS, reader.RESERVE) == (large.LARGE_PIXELS, large.RESERVE)
    assert (reader.MODE_BYTES, reader.FORMAT_BYTES) == (large._MODE_BYTES, large._READER_BYTES)
    assert (reader.HEIC_BRANDS, reader.TURNS) == (image_content._HEIC_BRANDS, flattening._TURNS)
    assert set(reader.FORMATS) == set(pillow.RASTER_FORMATS)


def test_memory_is_counted_alike(monkeypatch, odd_images):
    """By a limit that is for each file as much as training counts that it takes, and one byte less."""
    taken: list[int] = []

    @contextlib.contextmanager
    def noted(size: int):
        taken.append(size)
        yield

    monkeypatch.setattr(decoding, "reserved", noted)
    with quiet_pillow():
        for path in odd_images:
            by_training(path, 3, FITS[0])
            for limit, is_read in ((taken[-1], True), (taken[-1] - 1, False)):
                monkeypatch.setattr(reader, "MOST_BYTES", limit)
                assert (by_call(path, 3, FITS[0]) is not None) == is_read, path.name
    assert len(taken) == len(odd_images)


def test_heic_photos_have_equal_pixels(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = heif.from_pillow(picture(size=(96, 64)))
    photo[0].info["exif"] = exif.tobytes()
    photo.save(tmp_path / "x.heic", quality=90)
    for channels in (1, 3):
        expected = by_training(tmp_path / "x.heic", channels, FITS[0])
        assert expected is not None
        assert np.array_equal(expected, by_call(tmp_path / "x.heic", channels, FITS[0]))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match="a HEIC photo: pip install pillow-heif, or convert it to JPEG"):
        read_photo(tmp_path / "x.heic", (8, 8, 3), FITS[0])


def test_the_reader_needs_pillow_and_numpy_only():
    code = "import sys, runpy; runpy.run_path(sys.argv[1]); print(*{one.split('.')[0] for one in sys.modules})"
    listed = subprocess.run(
        [sys.executable, "-I", "-c", code, reader.__file__], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"numpy", "PIL"} <= set(listed)
    assert not {"zoo", "keras", "tensorflow", "jax"} & set(listed)
