"""Archives that somebody built to harm who opens them: each is refused in one line, and nothing is written."""

import hashlib
import json
import resource
import stat
import struct
import time
import zipfile

import pytest

from tests.sharing.made import flips
from tests.shelves.bundles.made import FILES, MARK, document, entries, sealed, write, zipped
from zoo.errors import ContractError
from zoo.shelves.bundles.manifest import bundle_text
from zoo.shelves.bundles.opened import open_bundle

MOST_SECONDS, MOST_MEMORY = 10, 500_000_000
OTHER_WEIGHTS = "bundle.json: weights.file and weights.sha256 are not those of a file that it lists"


def refused(path):
    """Opens a bundle, and gives the one line that it is refused with, within the limits of time and memory."""
    begun, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ContractError) as caught:
        open_bundle(path)
    message = str(caught.value)
    assert time.process_time() - begun < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def cache(fresh_cache):
    yield fresh_cache
    unpacked = [path for path in fresh_cache.rglob("*") if path.is_file() and not path.name.startswith(".lock-")]
    assert unpacked == []


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../outside.toml", "file name '../outside.toml' is not allowed"),
        ("/etc/passwd", "file name '/etc/passwd' is not allowed"),
        ("a/../../b", "file name 'a/../../b' is not allowed"),
        ("C:\\windows", "file name 'C:\\windows' is not allowed"),
        ("weights/", "file name 'weights/' is not allowed"),
        ("a\x00b", "file name 'a\\x00b' is not allowed"),
        ("a\x1b[2Jb", "file name 'a\\x1b[2Jb' is not allowed"),
        ("recipe.toml/x", "'recipe.toml' is a file and the folder of 'recipe.toml/x'"),
        ("RECIPE.toml", "'RECIPE.toml' and 'recipe.toml' are one file where capitals do not count"),
        ("n" * 300, "file name"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, cache, name, said):
    # As it is written: the library would clean it on the way in.
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name
    assert refused(write(tmp_path / "a.zip", zipped([*entries(), (entry, b"x")]))).startswith(said)


def test_a_link_is_refused(tmp_path, cache):
    content = zipped([*entries(), (link("weights/net.h5"), b"/etc/passwd")])
    said = refused(write(tmp_path / "a.zip", content))
    assert said.startswith("its entry 'weights/net.h5' is a link, a folder or a device; expected files")


def test_what_is_packed_is_refused_so_that_nothing_can_grow(tmp_path, cache):
    bomb = zipped([*entries(), ("weights/net.h5", bytes(50_000_000))], compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    assert "is packed; expected all of them stored" in refused(write(tmp_path / "a.zip", bomb))


@pytest.mark.parametrize("count", [2_001, 100_000])
def test_far_too_many_entries_are_refused(tmp_path, cache, count):
    content = zipped([*entries(), *((f"f{number:06d}", b"") for number in range(count))])
    said = refused(write(tmp_path / "a.zip", content))
    assert said.startswith("has 2,005 entries" if count == 2_001 else "has a directory of more than 1,048,576 bytes")


def test_entries_that_overlap_are_refused(tmp_path, cache):
    def overlap(archive):
        archive.filelist[2].header_offset = archive.filelist[1].header_offset + 10

    said = refused(write(tmp_path / "a.zip", zipped(entries(), alter=overlap)))
    assert said.startswith("its entry 'README.md' overlaps another")


def test_entries_of_one_place_under_many_names_are_refused(tmp_path, cache):
    def share(archive):
        first = archive.filelist[-1]
        for number in range(500):
            again = zipfile.ZipInfo(f"again{number}")
            for field in ("header_offset", "file_size", "compress_size", "CRC", "external_attr", "create_system"):
                setattr(again, field, getattr(first, field))
            archive.filelist.append(again)

    content = zipped([*entries(), ("weights/large.bin", bytes(1_000_000))], alter=share)
    assert "overlaps another" in refused(write(tmp_path / "a.zip", content))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path, cache):
    content = zipped([*entries(), ("recipe.toml", b"name = 'other'\n")])
    assert refused(write(tmp_path / "a.zip", content)).startswith("has two entries named 'recipe.toml'")


def test_an_encrypted_entry_is_refused(tmp_path, cache):
    def encrypt(archive):
        archive.filelist[1].flag_bits |= 1

    content = zipped(entries(), alter=encrypt)
    assert refused(write(tmp_path / "a.zip", content)).startswith("its entry 'recipe.toml' is encrypted")


def test_an_entry_that_reaches_beyond_the_end_is_refused(tmp_path, cache):
    def stretch(archive):
        archive.filelist[-1].file_size = archive.filelist[-1].compress_size = 1 << 31

    content = zipped(entries(), alter=stretch)
    assert refused(write(tmp_path / "a.zip", content)).startswith("has entries that reach beyond its end")


def test_a_wrong_hash_is_refused_by_the_name_of_the_file(tmp_path, cache):
    changed = {**FILES, "recipe.toml": FILES["recipe.toml"].replace(b"epochs = 2", b"epochs = 9")}
    content = zipped([entries()[0], *changed.items()])
    said = refused(write(tmp_path / "a.zip", content))
    assert said.startswith("recipe.toml is damaged or was changed: its SHA-256 is not the one in bundle.json")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**FILES, "extra.txt": b"x"}, "extra.txt is not listed in bundle.json"),
        ({name: content for name, content in FILES.items() if name != "README.md"}, "README.md is missing in bundle"),
        ({**FILES, "README.md": b"# longer\n"}, "README.md has another size in bundle.json"),
    ],
)
def test_other_files_than_are_listed_are_refused(tmp_path, cache, files, said):
    content = zipped([entries()[0], *files.items()])
    assert refused(write(tmp_path / "a.zip", content)).startswith(said)


@pytest.mark.parametrize("name", ["recipe.toml", "model/card.json", "source/a.toml", "lock.json"])
def test_a_huge_text_is_refused_before_it_is_unpacked(tmp_path, cache, name):
    files = {**FILES, name: b" " * 16_000_001}
    values = json.loads(bundle_text(document()))
    values["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name])}
    said = refused(write(tmp_path / "a.zip", zipped([("bundle.json", dumped(values)), *files.items()])))
    assert said.startswith(f"bundle.json: {name} has 16,000,001 bytes; expected at most 16,000,000")


def dumped(values):
    """Writes a document whose seal holds, whatever it says."""
    text = json.dumps({key: value for key, value in values.items() if key != "seal"} | {"seal": "0" * 64}, indent=2)
    return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest())


def test_a_huge_manifest_is_refused(tmp_path, cache):
    content = zipped([("bundle.json", b" " * 4_000_001), *FILES.items()])
    assert refused(write(tmp_path / "a.zip", content)) == "bundle.json has 4,000,001 bytes; expected at most 4,000,000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "recipe"}, "bundle.json: is not a sealed document of a bundle"),
        ({"schema": 7}, "bundle.json: schema is 7; expected 1; use a newer zoo"),
        ({"name": "../a"}, "bundle.json: name '../a' is not allowed"),
        ({"files": {"../a": {"sha256": "1" * 64, "size": 1}}}, "bundle.json: file name '../a' is not allowed"),
        ({"files": {"bundle.json": {"sha256": "1" * 64, "size": 1}}}, "bundle.json: 'bundle.json' and 'bundle.json'"),
        ({"files": {"a": {"sha256": "0", "size": 1}}}, "bundle.json: files.a has no SHA-256 or size"),
        ({"files": {"a": {"sha256": "1" * 64, "size": -1}}}, "bundle.json: files.a has no SHA-256 or size"),
        ({"weights": {"model": "m", "set": "s", "file": "weights/x.h5"}}, OTHER_WEIGHTS),
        (
            {"weights": {"model": "m", "set": "s", "file": "README.md", "sha256": "1" * 64}},
            OTHER_WEIGHTS,
        ),
        ({"weights": {"model": "m", "set": "s", "file": "..", "sha256": "1" * 64}}, OTHER_WEIGHTS),
        ({"weights": None}, "bundle.json: weights is None; expected an object"),
        ({"origin": {"name": "/", "version": 1, "sha256": "1" * 64}}, "bundle.json: origin does not name a version"),
        ({"files": float("nan")}, "bundle.json: cannot be read as JSON"),
    ],
)
def test_a_manifest_that_zoo_does_not_write_is_refused(tmp_path, cache, change, said):
    text = dumped(json.loads(bundle_text(document())) | change)
    assert refused(write(tmp_path / "a.zip", zipped([("bundle.json", text), *FILES.items()]))).startswith(said)


def test_a_manifest_without_its_seal_is_refused(tmp_path, cache):
    text = bundle_text(document()).replace(b'"name": "pets"', b'"name": "cats"')
    said = refused(write(tmp_path / "a.zip", zipped([("bundle.json", text), *FILES.items()])))
    assert said.startswith("bundle.json: was changed after it was written")


def test_another_archive_is_refused(tmp_path, cache):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("bundle.json", "{}")
    assert refused(tmp_path / "a.zip").startswith("has no seal at its end, as other zip archives")
    assert "is not a zip archive" in refused(write(tmp_path / "b.zip", MARK + b"0" * 64))
    assert "is not a zip archive" in refused(write(tmp_path / "c.zip", b""))


def test_a_directory_that_claims_more_than_there_is_is_refused(tmp_path, cache):
    content = bytearray(zipped(entries()))
    end = content.rfind(b"PK\5\6")
    struct.pack_into("<I", content, end + 12, 1_100_000)
    content += bytes(1_100_000)
    content += MARK + b"0" * 64
    refused(write(tmp_path / "a.zip", sealed(bytes(content))))


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(tmp_path, fresh_cache, count):
    content = zipped(entries())
    open_bundle(write(tmp_path / "a.zip", content))
    missed = []
    for place, changed in flips(content, count):
        try:
            open_bundle(write(tmp_path / "a.zip", changed))
        except ContractError as fault:
            assert "\n" not in str(fault)
        else:
            missed.append(place)
    assert missed == []
