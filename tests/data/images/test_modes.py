"""Every Pillow mode, in every format that can hold it, at sizes around every limit: read, or named, never a crash."""

import contextlib
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

from tests.pixels import sized
from zoo.data.check.findings import CheckedImage
from zoo.data.check.inspection import _inspect_content
from zoo.data.images.decoding import decode
from zoo.data.images.facts import BadImageError
from zoo.data.images.pillow import RASTER_FORMATS, quiet_pillow
from zoo.data.images.reading import fit_image, read_pixels
from zoo.data.images.settings import Settings

SUFFIXES = dict.fromkeys(RASTER_FORMATS, "img")
SIZES = [(1, 1), (2, 3), (31, 33), (255, 255), (256, 256), (257, 300), (1, 300), (300, 1), (512, 511)]


def written(folder, mode, size):
    """Writes an image of a mode in all formats that take it."""
    image = Image.new(mode, size)
    for format in RASTER_FORMATS:
        path = folder / f"{format}.img"
        try:
            image.save(path, format)
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield path


@pytest.mark.parametrize("size", SIZES)
def test_all_modes_in_all_formats_are_read_and_checked(tmp_path, size):
    count = 0
    with quiet_pillow():
        for mode in Image.MODES:
            for path in written(tmp_path, mode, size):
                count += 1
                image, _ = decode(path, side=32)
                assert image.mode in ("L", "RGB"), (mode, path.name)
                for channels in (1, 3):
                    pixels, _ = read_pixels(path, Settings(height=16, width=16, channels=channels))
                    assert pixels.shape == (16, 16, channels)
                listed = CheckedImage(name="x", raw="x", split="train", label="a", content="x", path=path)
                assert _inspect_content(listed, {}).facts.reason == "", (mode, path.name)
    assert count > 50


@pytest.mark.parametrize("mode", Image.MODES)
def test_images_of_all_modes_are_taken_in_code(mode):
    for size in [(1, 1), (256, 257)]:
        assert fit_image(Image.new(mode, size), sized(height=8, width=8, channels=3)).shape == (8, 8, 3)
        assert fit_image(Image.new(mode, size), sized(height=8, width=8, channels=1)).shape == (8, 8, 1)


def test_lab_is_read_as_its_colour(tmp_path):
    # By CIE's formulas L* 54.29, a* 80.81, b* 69.89 is sRGB red under D50; a* and b* are kept from 128 on.
    lab = Image.new("LAB", (40, 40), (round(54.29 * 2.55), 128 + 81, 128 + 70))
    lab.save(tmp_path / "x.tif")
    for channels, expected in ((3, (255, 0, 0)), (1, (76,))):
        pixels, facts = read_pixels(tmp_path / "x.tif", Settings(height=4, width=4, channels=channels))
        assert facts.mode == "LAB"
        assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 6


def test_premultiplied_grey_is_put_on_white():
    premultiplied = Image.new("LA", (1, 1), (0, 51)).convert("La")
    assert fit_image(premultiplied, sized(height=1, width=1, channels=1)).tolist() == [[[204]]]  # 255 * (1 - 51 / 255)


def test_no_class_of_error_passes_a_file_by(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    Image.new("RGB", (9, 9)).save(path)
    settings = Settings(height=4, width=4, channels=3)
    for fault in (
        *(MemoryError(), RecursionError("deep"), KeyError("tag"), OverflowError("long"), SystemError("error return")),
        *(
            Image.DecompressionBombError("bomb"),
            AssertionError(),
            EOFError(),
            UnicodeDecodeError("utf-8", b"", 0, 1, ""),
        ),
        *(
            ZeroDivisionError(),
            NotImplementedError(),
            StopIteration(),
            AttributeError("x"),
            Image.DecompressionBombWarning(),
        ),
    ):

        def failing(*_, fault=fault, **__):
            raise fault

        for place in ("zoo.data.images.decoding.flatten", "zoo.data.images.reading.fitted"):
            with monkeypatch.context() as patch:
                patch.setattr(place, failing)
                with pytest.raises(BadImageError) as raised:
                    read_pixels(path, settings)
                assert str(raised.value).startswith("cannot be decoded ("), fault
                # What takes too much memory today may be read on another day.
                assert raised.value.facts.passing == isinstance(fault, MemoryError)


def test_what_a_program_has_set_in_pillow_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with quiet_pillow(), pytest.raises(BadImageError, match="truncated"):
        decode(path, side=8)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_regions_of_several_threads_give_back_what_was_before_the_first(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    before = list(warnings.filters)
    first, second = quiet_pillow(), quiet_pillow()
    first.__enter__()
    second.__enter__()
    warnings.simplefilter("ignore", BytesWarning)  # by another thread meanwhile
    mine = warnings.filters[0]
    first.__exit__(None, None, None)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    second.__exit__(None, None, None)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert warnings.filters == [mine, *before]


def test_what_pillow_logs_of_a_file_that_it_cannot_decode_is_not_shown(tmp_path, caplog):
    """Of 13 channels it logs an error beside raising one."""
    path = tmp_path / "bands.tif"
    tags = {256: 4, 257: 4, 258: 16, 259: 1, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 13, 278: 4, 279: 4 * 4 * 13 * 2}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(4 * 4 * 13 * 2))
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)
    assert "More samples per pixel" in caplog.text
    caplog.clear()
    with quiet_pillow(), pytest.raises(BadImageError, match="a TIFF of a kind that cannot be read"):
        decode(path, side=8)
    assert not caplog.text


def test_libtiff_writes_nothing_past_python(tmp_path, capfd):
    path = tmp_path / "x.tif"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (99, 99, 3), np.uint8)).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[40:4000] = rng.integers(0, 256, 3960, np.uint8).tobytes()
    path.write_bytes(content)
    for quiet in (False, True, False):  # and what others hear is as before
        with quiet_pillow() if quiet else contextlib.nullcontext(), pytest.raises(BadImageError):
            decode(path, side=8)
        assert bool(capfd.readouterr().err) != quiet
