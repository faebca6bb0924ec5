import json
import os
import subprocess
import sys

import pytest

from tests.tiny import make_socket
from zoo.system.regular_files import NotRegularError, TooLargeError, open_regular, read_regular
from zoo.system.sealing import DamagedDocumentError, parse_document, read_document, sealed

CARD = {"schema": 1, "kind": "card", "classes": ["tench", "Großer Hai", "0" * 64], "rate": 1e-3, "none": None}


def test_a_document_comes_back_as_it_was_written(tmp_path):
    (tmp_path / "card.json").write_text(sealed(CARD), encoding="utf-8")
    read = read_document(tmp_path / "card.json")
    assert read.values == CARD
    assert read.is_sealed
    assert (
        read.sha256
        == subprocess.run(["sha256sum", tmp_path / "card.json"], capture_output=True, text=True, check=True).stdout[:64]
    )


def test_a_document_begins_with_what_it_is_and_ends_with_its_seal():
    assert list(json.loads(sealed({"classes": [], **CARD}))) == [
        "schema", "kind", "sealed", "classes", "rate", "none", "seal",
    ]  # fmt: skip


def test_every_single_flipped_bit_is_noticed():
    content = sealed(CARD).encode()
    unnoticed = []
    for place in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        try:
            parse_document(bytes(flipped))
        except DamagedDocumentError:
            continue
        unnoticed.append(place)
    assert unnoticed == []


def test_every_truncation_is_noticed():
    content = sealed(CARD).encode()
    for length in range(len(content) - 1):  # the last byte is the end of the line
        with pytest.raises(DamagedDocumentError):
            parse_document(content[:length])
    with pytest.raises(DamagedDocumentError):
        parse_document(content[:-1])


def test_a_document_of_an_earlier_zoo_has_no_seal():
    assert not parse_document(json.dumps(CARD).encode()).is_sealed


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"a": 1', b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_not_a_document_is_damaged(content):
    with pytest.raises(DamagedDocumentError):
        parse_document(content)


def test_a_document_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "card.json").open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(TooLargeError, match="holds 3,000,000,000 bytes; expected at most 12,000,000"):
        read_document(tmp_path / "card.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_special_files_are_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    make_socket(tmp_path / "socket")
    for name, what in [
        ("pipe", "a named pipe"),
        ("link", "a device"),
        ("circle", "one of links in a circle"),
        ("socket", "a socket"),
        (".", "a folder"),
    ]:
        with pytest.raises(NotRegularError, match=f"is {what}; expected a regular file"):
            open_regular(tmp_path / name)


def test_a_link_is_followed_only_where_that_is_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"1234")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", limit=4) == b"1234"
    with pytest.raises(NotRegularError, match="is a symbolic link; expected a regular file"):
        read_regular(tmp_path / "link", limit=4, follow_links=False)
    with pytest.raises(TooLargeError, match="holds 4 bytes; expected at most 3"):
        read_regular(tmp_path / "file", limit=3)
