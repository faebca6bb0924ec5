"""What images may take while they are decoded, and that large ones give what small ones would."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.data.images import large
from zoo.data.images.decoding import decode
from zoo.data.images.facts import BadImageError
from zoo.data.images.flattening import flatten, lower_bytes
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.structure import MAX_SCANS, NoPixelsError, check_structure

SIDES = (61, 47)
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F")


def picture(mode):
    noise = np.random.default_rng(1).integers(0, 256, (SIDES[1], SIDES[0], 4), np.uint8)
    if mode == "F":
        return Image.fromarray(noise[..., 0].astype(np.float32) / 255)
    if mode.startswith("I"):
        grey = (noise[..., 0].astype(np.uint16) << 8) + noise[..., 1]
        return Image.fromarray(grey).convert("I") if mode == "I" else Image.frombytes(mode, SIDES, grey.tobytes())
    if mode in ("PA", "LAB", "HSV", "P"):
        return Image.fromarray(noise[..., :3]).convert("P" if mode == "PA" else mode).convert(mode)
    if mode == "LA":
        return Image.fromarray(noise[..., :2])
    return Image.fromarray(noise if mode in ("RGBA", "CMYK") else noise[..., :3]).convert(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("factor", [1, 3])
def test_an_image_in_parts_is_what_it_is_as_a_whole(mode, factor, monkeypatch):
    monkeypatch.setattr(large, "_PIXELS_AT_ONCE", 500)
    monkeypatch.setattr("zoo.data.images.flattening._PIXELS_AT_ONCE", 500)
    image = picture(mode)
    assert image.mode == mode
    whole = flatten(image, raw=mode)
    in_parts = large.flatten_in_parts(image, side=min(SIDES) // (large.RESERVE * factor), raw=mode, white=0, lower=None)
    expected = whole.reduce(factor) if factor > 1 else whole
    assert in_parts.mode == whole.mode
    np.testing.assert_array_equal(np.asarray(in_parts), np.asarray(expected))


def test_colours_of_16_bits_in_parts(monkeypatch):
    monkeypatch.setattr(large, "_PIXELS_AT_ONCE", 500)
    deep = np.random.default_rng(2).integers(0, 4000, (47, 61, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    content = png(61, 47, 16, 2, rows)

    def opened():
        return Image.open(io.BytesIO(content))

    lower = lower_bytes(opened(), "RGB;16B")
    expected = np.rint(deep / (4000 / 255)).astype(np.uint8)
    found = large.flatten_in_parts(opened(), side=0, raw="RGB;16B", white=4000, lower=lower)
    np.testing.assert_array_equal(np.asarray(found), expected)


def png(width, height, bits, kind, rows):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_large_image_is_averaged_where_far_fewer_pixels_are_needed(monkeypatch):
    monkeypatch.setattr("zoo.data.images.decoding.LARGE_PIXELS", 1000)
    buffer = io.BytesIO()
    source = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8))
    source.save(buffer, "PNG")
    with quiet_pillow():
        image, facts = decode(buffer.getvalue(), side=15)
    assert (facts.width, facts.height) == (120, 90)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(source.reduce(3)))


def test_what_takes_too_much_is_refused_by_its_header_with_the_limit(monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGBA", (100, 50)).save(buffer, "PNG")
    monkeypatch.setattr(large, "MAX_BYTES", 19_999)
    with pytest.raises(BadImageError) as raised, quiet_pillow():
        decode(buffer.getvalue(), side=8)
    assert str(raised.value) == ("has 100 x 50 pixels, which take 0 MB to decode (PNG, RGBA); expected at most 0 MB")
    assert (raised.value.facts.width, raised.value.facts.height) == (100, 50)


def test_what_may_stand_before_the_pixels_of_a_jpeg_is_passed_over():
    buffer = io.BytesIO()
    Image.new("L", (20, 20), 77).save(buffer, "JPEG")
    plain = buffer.getvalue()
    for more in (b"\xff\x01" * 3, b"\xff" * 9, b"\xff\xfe\0\6note", b"\xff\xe5\0\2"):
        check_structure(plain, io.BytesIO(plain[:2] + more + plain[2:]))
    for some in (
        plain[:2] + b"\xff\x01",
        plain[:2] + b"\xff",
        plain[:2] + b"\xff\xe5",
        plain[:2] + b"\xff\xe5\xff\xff",
        plain[:2] + b"\xff\xda",
        *(plain[:end] for end in range(2, 700)),
    ):
        check_structure(plain, io.BytesIO(some))  # Pillow says what is wrong
    scans = plain[:-2] + plain[plain.find(b"\xff\xda") : -2] * MAX_SCANS + plain[-2:]
    with pytest.raises(NoPixelsError, match="is a JPEG of too many scans; expected at most 100"):
        check_structure(plain, io.BytesIO(scans))
    # What looks like scans in metadata, or behind the image, is none.
    for more in (plain[:2] + b"\xff\xe5\1\x92" + b"\xff\xda" * 200 + plain[2:], plain + b"\xff\xda" * 200):
        check_structure(plain, io.BytesIO(more))


def test_large_images_wait_for_one_another_and_small_ones_do_not(monkeypatch):
    monkeypatch.setattr(large, "available_bytes", lambda: 0)
    inside, most, lock = 0, 0, threading.Lock()
    begun = threading.Barrier(4)

    def work():
        nonlocal inside, most
        begun.wait()
        with large.reserved(large.MAX_BYTES):
            with lock:
                inside += 1
                most = max(most, inside)
            with large.reserved(large.LARGE_BYTES):  # goes on at once
                pass
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with large.reserved(large.LARGE_BYTES + 1), large.reserved(large.LARGE_BYTES + 1):
        pass  # both together are less than the largest


def test_an_error_gives_back_what_an_image_took(monkeypatch):
    monkeypatch.setattr(large, "available_bytes", lambda: 0)
    with pytest.raises(ValueError, match="broken"), large.reserved(large.MAX_BYTES):
        raise ValueError("broken")
    with large.reserved(large.MAX_BYTES):
        pass
