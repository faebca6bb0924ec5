"""What is not an image that can be read is named for what it is."""

import io
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from tests.tiny import make_socket
from zoo.data import image_files, read_image
from zoo.data.images import index
from zoo.errors import DataError


def reason(path, content=None):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_image(path, sized(height=4, width=4, channels=3))
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def ftyp(major, *compatible):
    brands = b"".join([major, bytes(4), *compatible])
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(100)


NAMED = [
    (ftyp(b"isom", b"mp42"), "is a video"),
    (ftyp(b"qt  "), "is a video"),
    (ftyp(b"M4A "), "is a sound recording"),
    (ftyp(b"crx "), "is a camera's raw photo: convert it to JPEG or PNG"),
    (b"RIFF\x24\0\0\0AVI LIST", "is a video"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "is a sound recording"),
    (b"\x1aE\xdf\xa3\x01", "is a video"),
    (b"OggS\0\x02", "is an Ogg recording"),
    (b"ID3\x03\0", "is a sound recording"),
    (b"8BPS\0\x01", "is a Photoshop document: convert it to JPEG or PNG"),
    (b"gimp xcf v011", "is a GIMP document"),
    (b"FUJIFILMCCD-RAW 0201", "is a camera's raw photo"),
    (b"II*\0\x10\0\0\0CR\x02\0", "is a camera's raw photo"),
    (b"\xff\x0a\xfa\x1f", "is a JPEG XL image: convert it"),
    (bytes(128) + b"DICM" + bytes(90), "is a DICOM image: convert it"),
    (b"\x93NUMPY\x01\0", "is a NumPy array (.npy), not an image"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a pointer of Git LFS, not the image"),
    (b"\x1f\x8b\x08\0", "is a gzip archive"),
    (b"Rar!\x1a\x07", "is a RAR archive"),
    (b"SQLite format 3\0", "is an SQLite database"),
    (b"\0\x05\x16\x07\0\x02", "is what macOS keeps beside a file"),
    ("ein kurzer Brief über Katzen".encode(), "is a text, not an image"),
    (("ä" * 400).encode(), "is a text, not an image"),
    (b"BM" + bytes(60), "cannot be decoded (Unsupported BMP header type (0))"),
    (b"\xff\xd8\xff\xe0", "is a damaged JPEG, or one without pixels"),
    (b"P6 0 0 255\n", "is a damaged PPM, or one without pixels"),
    (ftyp(b"avif"), "is a damaged AVIF"),
    (b"\x00\x01\x02\x03\x04", "is not a JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF, JPEG 2000, HEIC or PPM image"),
]


@pytest.mark.parametrize(("content", "says"), NAMED, ids=[says for _, says in NAMED])
def test_content_is_named_by_its_first_bytes(tmp_path, content, says):
    assert reason(tmp_path / "x.jpg", content).startswith(says)


def test_the_way_out_is_said_once(tmp_path):
    assert reason(tmp_path / "x.jpg", b"8BPS\0\x01") == "is a Photoshop document: convert it to JPEG or PNG"
    assert reason(tmp_path / "x.jpg", b"OggS") == "is an Ogg recording, not an image. Repair or replace the file."


# Formats of phones and cameras


def test_avif_and_jpeg_2000_are_read(tmp_path):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32] = (200, 30, 30)
    for suffix, options in (("avif", {"quality": 90}), ("jp2", {}), ("j2k", {})):
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(pixels).save(path, **options)
        read = read_image(path, sized(height=48, width=64, channels=3))
        assert np.abs(read.astype(int) - pixels)[:, (*range(24), *range(40, 64))].max() <= 12


def test_deep_jpeg_2000_is_scaled_by_its_own_depth(tmp_path):
    Image.fromarray(np.full((8, 8), 32896, np.uint16)).save(tmp_path / "x.jp2")
    assert read_image(tmp_path / "x.jp2", sized(height=1, width=1, channels=1)).tolist() == [[[128]]]


def test_heic_photos_are_read_upright(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32] = (200, 30, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = heif.from_pillow(Image.fromarray(pixels))
    photo[0].info["exif"] = exif.tobytes()
    photo.save(tmp_path / "x.heic", quality=95)
    read = read_image(tmp_path / "x.heic", sized(height=96, width=64, channels=3))
    # Turned by 90 degrees to the right, what was above is at the right.
    assert read[:, 40:].mean((0, 1))[0] > 180
    assert read[:, :24].mean() < 12
    assert not [format for format in Image.OPEN if "HEI" in format]  # Pillow itself is as it was


@pytest.mark.parametrize("brands", [(b"heic",), (b"mif1", b"heic"), (b"msf1", b"hevc"), (b"heix",), (b"mif1",)])
def test_heic_without_its_reader_is_named_with_what_to_type(tmp_path, monkeypatch, brands):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert reason(tmp_path / "x.jpg", ftyp(*brands)) == (
        "is a HEIC photo: pip install 'zoo[heic]', or convert it to JPEG"
    )


# TIFF


def tiff(*entries, size=0):
    """A little-endian TIFF of one directory of (tag, value) as 16-bit numbers, and zeros after it."""
    table = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + bytes(size)


def kind(tmp_path, *, bits=8, samples=1, format=1, compression=1, photometric=1, extra=()):
    entries = [(256, 4), (257, 4), (258, bits), (259, compression), (262, photometric), (273, 200), (277, samples)]
    entries += [(278, 4), (279, 99), (339, format), *extra]
    return reason(tmp_path / "x.tif", tiff(*entries, size=2000))


def test_a_tiff_that_cannot_be_read_is_called_one(tmp_path):
    beginning = "is a TIFF of a kind that cannot be read"
    assert kind(tmp_path, bits=10) == f"{beginning} (1 channel of 10-bit integers): convert it to JPEG or PNG"
    assert kind(tmp_path, bits=16, format=3).startswith(f"{beginning} (1 channel of 16-bit floats)")
    assert kind(tmp_path, bits=32, samples=3, format=3, photometric=2).startswith(f"{beginning} (3 channels of 32-bit")
    assert kind(tmp_path, bits=16, samples=5).startswith(f"{beginning} (5 channels of 16-bit integers)")
    assert kind(tmp_path, bits=8, samples=3, format=2, photometric=2).startswith(f"{beginning} (3 channels of 8-bit si")
    assert "compression 50002" in kind(tmp_path, compression=50002)
    assert reason(tmp_path / "x.tif", b"II*\0\xff\xff\xff\x7f").startswith("is a TIFF that is damaged")


def test_the_preview_of_a_raw_photo_is_not_taken_for_it(tmp_path):
    buffer = io.BytesIO()
    info = {50706: b"\1\4\0\0"}
    Image.new("RGB", (16, 16)).save(buffer, "TIFF", tiffinfo=info)
    assert reason(tmp_path / "x.dng", buffer.getvalue()).startswith("is a camera's raw photo: convert it")


def test_twelve_bits_of_a_tiff_are_whole_greys(tmp_path):
    # 4095, 0, 2048, 4095: two samples in three bytes.
    table = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 300), (277, 1), (278, 1), (279, 6)]
    content = tiff(*table)
    content += bytes(300 - len(content)) + bytes([0xFF, 0xF0, 0x00, 0x80, 0x0F, 0xFF])
    (tmp_path / "x.tif").write_bytes(content)
    assert read_image(tmp_path / "x.tif", sized(height=1, width=4, channels=1)).ravel().tolist() == [255, 0, 128, 255]


# What is not a file


def test_nothing_that_would_wait_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    make_socket(tmp_path / "socket.jpg")
    names = ["pipe.jpg", "zero.jpg", "folder.jpg", "loop.jpg", "socket.jpg"]
    reasons = [reason(tmp_path / name) for name in names]
    whats = ("named pipe", "device")
    assert reasons[:2] == [f"is a {what}; expected a regular file. Repair or replace the file." for what in whats]
    assert reasons[2].startswith("is a folder")
    assert reasons[3].startswith("is one of links in a circle; expected a regular file")
    assert reasons[4].startswith("is a socket; expected a regular file")
    assert all(content.startswith(index.UNREADABLE) for content in index.contents([tmp_path / name for name in names]))
    assert [path.name for path in image_files(tmp_path)] == ["loop.jpg"]


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300 + ".png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_a_fault_of_that_file(tmp_path, fresh_cache, name):
    (content,) = index.contents([tmp_path / name])
    assert content.startswith(index.UNREADABLE)
    with pytest.raises(DataError, match="cannot be decoded"):
        read_image(tmp_path / name, sized(height=4, width=4, channels=3))
