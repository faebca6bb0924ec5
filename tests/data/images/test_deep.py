"""Pixels of more than 8 bits: by hand, for each kind of file that holds them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from zoo.data import Packing, Split, fit_image, pack, read_image
from zoo.data.images.facts import BadImageError
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.packs.conversions import dark_warning
from zoo.errors import DataError
from zoo.registry.fitting import ImageFit


def png(path, values, *, clear=None):
    """Writes uint16[height, width(, 2, 3 or 4)] as Pillow cannot."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    transparency = b"" if clear is None else chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    body = transparency + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    return path


def read(path, width, channels=1, **options):
    return (
        read_image(path, sized(height=1, width=width, channels=channels, **options)).reshape(width, channels).tolist()
    )


# Transparency


def test_the_one_grey_of_sixteen_bits_that_is_seen_through_is_white(tmp_path):
    path = png(tmp_path / "x.png", np.array([[0, 30000, 1]]), clear=(0,))
    assert read(path, 3) == [[255], [117], [0]]  # 30000 / 257 = 116.7
    assert read(path, 3, 3) == [[255] * 3, [117] * 3, [0] * 3]


def test_the_one_colour_of_sixteen_bits_is_known_by_all_its_bits(tmp_path):
    colours = np.array([[[1, 2, 3], [1, 2, 4], [257, 514, 771], [65535, 0, 0]]])
    # The third has the upper bytes 1, 2 and 3.
    assert read(png(tmp_path / "x.png", colours, clear=(1, 2, 3)), 4, 3) == [[255] * 3, [0] * 3, [1, 2, 3], [255, 0, 0]]


# White


def test_white_is_what_becomes_255(tmp_path):
    path = png(tmp_path / "x.png", np.array([[0, 4095, 2048, 16]]))
    assert read(path, 4, white=4095) == [[0], [255], [128], [1]]  # 255 v / 4095
    assert read(path, 4) == [[0], [16], [8], [0]]
    Image.fromarray(np.array([[0, 4095, 2048, 16]], np.uint16)).save(tmp_path / "x.tif")
    assert read(tmp_path / "x.tif", 4, white=4095) == [[0], [255], [128], [1]]
    Image.fromarray(np.array([[0, 100_000]], np.int32)).save(tmp_path / "i.tif")
    assert read(tmp_path / "i.tif", 2, white=100_000) == [[0], [255]]


def test_white_is_that_of_colours_too(tmp_path):
    colours = np.array([[[0, 4095, 2048], [16, 1000, 4000]]])
    expected = [[0, 255, 128], [1, 62, 249]]
    assert read(png(tmp_path / "x.png", colours), 2, 3, white=4095) == expected
    see_through = np.concatenate([colours, np.array([[[65535], [0]]])], axis=2)
    assert read(png(tmp_path / "x.png", see_through), 2, 3, white=4095) == [expected[0], [255] * 3]


@pytest.mark.parametrize("order", "<>")
def test_white_is_that_of_coloured_tiffs(tmp_path, order):
    values = np.array([[[0, 4095, 2048], [16, 1000, 4000]]])
    data = values.astype(f"{order}u2").tobytes()
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 300)]
    entries += [(277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, len(data))]
    table = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if (kind, count) == (3, 1) else struct.pack(f"{order}I", value))
        for tag, kind, count, value in entries
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries)) + table + bytes(4)
    content = start + bytes(200 - len(start)) + struct.pack(f"{order}HHH", 16, 16, 16)
    (tmp_path / "x.tif").write_bytes(content + bytes(300 - len(content)) + data)
    assert read(tmp_path / "x.tif", 2, 3, white=4095) == [[0, 255, 128], [1, 62, 249]]


def test_what_is_brighter_than_white_is_a_fault_of_that_file_and_these_settings(tmp_path, fresh_cache):
    paths = [png(tmp_path / f"{number}.png", np.array([[0, 4095]])) for number in range(3)]
    paths.append(png(tmp_path / "bright.png", np.array([[0, 5000]])))
    with pytest.raises(DataError, match=r"bright.png: has pixels of 5000, more than data.white = 4095. Repair"):
        read(paths[3], 2, white=4095)
    split = Split(images=paths, labels=np.array([0, 1, 0, 1]))
    size = {"height": 1, "width": 2, "channels": 1}
    packed = pack(split, sized(**size, white=4095), Packing(keep=True))
    assert [(one.path.name, one.reason) for one in packed.skipped] == [
        ("bright.png", "has pixels of 5000, more than data.white = 4095")
    ]
    assert packed.images[:][0].ravel().tolist() == [0, 255]
    # With another white it is as good as any, and another pack.
    assert pack(split, sized(**size), Packing(keep=True)).skipped == ()
    assert pack(split, sized(**size), Packing(keep=True)).images[:][3].ravel().tolist() == [0, 19]
    assert len(pack(split, sized(**size, white=4095), Packing(keep=True)).skipped) == 1


def test_white_changes_nothing_of_eight_bits(tmp_path):
    Image.fromarray(np.array([[0, 100, 255]], np.uint8)).save(tmp_path / "x.png")
    assert read(tmp_path / "x.png", 3, white=4095) == [[0], [100], [255]]
    assert fit_image(Image.new("I;16", (2, 2), 4095), sized(height=1, width=1, channels=1, white=4095)).tolist() == [
        [[255]]
    ]


def test_white_out_of_range_is_refused():
    for white in (-1, 2**31):
        with pytest.raises(DataError, match=rf"data.white is {white}; expected 0 to 2147483647, such as 4095"):
            ImageFit(white=white)


def test_deep_colours_in_code_need_no_more_than_their_file(tmp_path):
    path = png(tmp_path / "x.png", np.array([[[0, 4095, 2048]]]))
    settings = Settings(height=1, width=1, channels=3, fit=ImageFit(white=4095))
    assert read_pixels(path, settings)[0].tolist() == [[[0, 255, 128]]]
    with pytest.raises(ValueError, match="colours of 16 bits, whose lower bytes are read from files only"):
        fit_image(Image.open(path), sized(height=1, width=1, channels=3, white=4095))
    path = png(tmp_path / "y.png", np.array([[[2048, 65535]]]))  # grey and alpha: Pillow gives no lower bytes
    with pytest.raises(BadImageError, match=r"has pixels of the kind LA;16B, whose lower bytes are not read"):
        read_pixels(path, settings)


@pytest.mark.parametrize("room", ["cache", "memory", "none"])
def test_a_white_that_is_not_for_a_file_is_forgotten_with_it(tmp_path, fresh_cache, monkeypatch, room):
    if room != "cache":
        monkeypatch.setattr("zoo.data.packs.packing.has_room", lambda *_, **__: False)
    if room == "none":
        monkeypatch.setattr("zoo.data.packs.packing.has_memory", lambda *_: False)
    paths = [png(tmp_path / "alpha.png", np.array([[[2048, 65535]]]))]
    paths.append(png(tmp_path / "between.png", np.array([[[4090, 0, 0]]])))  # by its upper bytes up to 4095
    paths.append(png(tmp_path / "bright.png", np.array([[60000]])))
    paths += [png(tmp_path / f"{number}.png", np.array([[number]])) for number in range(5)]
    split = Split(images=paths, labels=np.zeros(len(paths), np.int64))
    size = {"height": 1, "width": 1, "channels": 1}
    for white, skipped in ((4000, ["alpha", "between", "bright"]), (0, []), (4090, ["alpha", "bright"]), (0, [])):
        packed = pack(split, sized(**size, white=white), Packing(keep=True, on_bad="leave_out"))
        assert [one.path.stem for one in packed.skipped] == skipped, white
        assert len(packed.images[:]) == len(paths) - len(skipped)


# What is said


@pytest.mark.parametrize(
    ("peaks", "says"),
    [
        ([], None),
        ([0, 0], None),
        ([4095], "deep greys are at most 4095 of 65535: 16 greys are left; set data.white = 4095"),
        ([4000, 17], "deep greys are at most 4000 of 65535: 16 greys are left; set data.white = 4095"),
        ([1023], "deep greys are at most 1023 of 65535: 4 greys are left; set data.white = 1023"),
        ([255], "deep greys are at most 255 of 65535: 1 grey is left; set data.white = 255"),
        ([8191], "deep greys are at most 8191 of 65535: 32 greys are left; set data.white = 8191"),
        ([16383], "deep greys are at most 16383 of 65535: 64 greys are left; set data.white = 16383"),
        ([16384], None),
        ([4095, 60000], None),
    ],
)
def test_greys_that_use_little_of_their_range_are_warned_of(peaks, says):
    assert dark_warning(peaks) == says


def kept(folder, images, **options):
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"{number}.{'jpg' if image.info.get('turn') else 'png'}")
        if turn := image.info.get("turn"):
            exif = Image.Exif()
            exif[0x0112] = turn
            image.save(paths[-1], exif=exif)
        else:
            image.save(paths[-1])
    split = Split(images=paths, labels=np.arange(len(paths)) % 2)
    return pack(split, sized(height=4, width=4, channels=3), Packing(**options))


@pytest.mark.parametrize("room", ["cache", "memory", "none"])
def test_what_was_changed_is_counted_wherever_images_are_kept(tmp_path, fresh_cache, monkeypatch, decoded, room):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 4096, (8, 8)).astype(np.uint16)) for _ in range(3)]
    images += [Image.fromarray(rng.integers(0, 256, (8, 8, 4), np.uint8)) for _ in range(2)]
    images += [Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(4)]
    images[5].info["turn"], images[6].info["turn"] = 6, 0
    if room != "cache":
        monkeypatch.setattr("zoo.data.packs.packing.has_room", lambda *_, **__: False)
    if room == "none":
        monkeypatch.setattr("zoo.data.packs.packing.has_memory", lambda *_: False)
    for _ in range(2):  # and again, where it was there already
        converted = kept(tmp_path, images, keep=True).converted
        assert converted.counts == {"deep": 3, "turned": 1, "transparent": 2}
        assert list(converted.lines(0)) == [
            "converted: 3 images of more than 8 bits, scaled to 8 (65535 becomes white)",
            "converted: 1 image turned upright, as EXIF says",
            "converted: 2 images with transparency, put on white",
            f"warning: deep greys are at most {converted.peak} of 65535: 16 greys are left; set data.white = 4095",
        ]
        assert not [line for line in converted.lines(4095) if line.startswith("warning")]
    if room == "cache":
        assert set(decoded.values()) == {1}


def test_white_is_that_of_arrays_in_code_of_any_size():
    from zoo.data.packs.loading import fit_item

    settings = Settings(height=1, width=2, channels=1, fit=ImageFit(white=4095, crop_share=0.5))
    assert fit_item(np.array([[0, 4095]], np.uint16), settings).ravel().tolist() == [0, 255]
    assert fit_item(np.full((9, 9), 2048, np.uint16), settings).ravel().tolist() == [128, 128]
