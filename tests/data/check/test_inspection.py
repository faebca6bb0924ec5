import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.data.check.odd_files import PLAIN, encoded, odd_files, photo
from tests.pixels import sized
from zoo.data import Packing, Split, open_dataset
from zoo.data.check.alike import clusters
from zoo.data.check.findings import KINDS, Sizes
from zoo.data.check.inspection import inspect
from zoo.data.check.perceptual_hash import perceptual_hash_of
from zoo.data.dataset import Dataset
from zoo.data.images import decoding

pytestmark = pytest.mark.usefixtures("fresh_cache")

ODD = odd_files()


def checked(folder):
    return inspect(open_dataset("folder", folder), on_progress=lambda *_: None)


def found(report, kind):
    return [finding.images for finding in report.findings if finding.kind == kind]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def photos(tmp_path):
    """Two classes of a dozen photos each, no two alike."""
    for number in range(24):
        write(tmp_path / "photos" / f"{'ab'[number % 2]}" / f"{number}.jpg", encoded(photo(1000 + number), "JPEG"))
    return tmp_path / "photos"


def test_there_are_more_than_thirty_kinds():
    assert len(ODD) >= 40
    assert {odd.kind for odd in ODD} <= set(KINDS)


def test_each_odd_file_is_named_and_none_is_decoded_twice(photos, decoded):
    for odd in ODD:
        write(photos / "a" / odd.name, odd.content)
    for name, make in PLAIN.items():
        write(photos / "b" / name, make())
    report = checked(photos)
    for odd in ODD:
        said = [finding.detail for finding in report.findings if finding.images == (f"a/{odd.name}",)]
        kinds = [finding.kind for finding in report.findings if finding.images == (f"a/{odd.name}",)]
        assert odd.kind in kinds, (odd.name, kinds)
        assert any(odd.says in detail for detail in said), (odd.name, said)
    named = {name for finding in report.findings for name in finding.images}
    assert named == {f"a/{odd.name}" for odd in ODD}
    assert set(decoded.values()) == {1}
    assert report.decoded == decoded.total() == 24 + len(ODD) + len(PLAIN)
    assert report.faults == sum(odd.kind == "unreadable" for odd in ODD)
    assert set(report.exclude) == {f"a/{odd.name}" for odd in ODD if odd.kind == "unreadable"}
    again = checked(photos)
    assert again.decoded == 0
    assert again.findings == report.findings
    assert set(decoded.values()) == {1}


def test_formats_and_sizes_are_summed_up(tmp_path):
    for name, size in {"a/1.png": (40, 30), "a/2.png": (30, 40), "b/3.jpg": (10, 90), "b/4.png": (200, 100)}.items():
        write(tmp_path / name, encoded(photo(1, *size), "JPEG" if name.endswith("jpg") else "PNG"))
    write(tmp_path / "b" / "bad.jpg", b"no image")
    report = checked(tmp_path)
    assert report.formats == {"PNG": 3, "JPEG": 1}
    # By area: 900, 1200 twice, 20000.
    assert report.sizes == Sizes(smallest=(10, 90), median=(30, 40), largest=(200, 100))
    pixels = np.zeros((3, 5, 7), np.uint8)
    arrays = Dataset(
        classes=("a", "b"), train=Split(images=pixels, labels=np.array([0, 1, 1])), validation=None, test=None
    )
    report = inspect(arrays, on_progress=lambda *_: None)
    assert (report.formats, report.sizes.median) == ({}, (7, 5))


def test_a_changed_file_is_looked_at_again(photos, decoded):
    checked(photos)
    write(photos / "a" / "0.jpg", b"no longer")
    report = checked(photos)
    assert report.decoded == 1
    assert found(report, "unreadable") == [("a/0.jpg",)]


def test_a_fault_of_the_system_is_forgotten(photos, monkeypatch):
    real = decoding.check_content

    def failing(file):
        if file.name.endswith("4.jpg"):
            raise OSError(5, "Input/output error")
        return real(file)

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "check_content", failing)
        report = checked(photos)
    assert found(report, "unreadable") == [("a/14.jpg",), ("a/4.jpg",)]
    report = checked(photos)
    assert (report.decoded, found(report, "unreadable")) == (2, [])


def test_what_was_not_readable_is_not_tried_again_by_packing(photos, decoded):
    from zoo.data import pack

    write(photos / "a" / "bad.jpg", b"no image")
    checked(photos)
    split = open_dataset("folder", photos).train
    packed = pack(split, sized(height=8, width=8, channels=3), Packing(keep=True))
    assert [skipped.path.name for skipped in packed.skipped] == ["bad.jpg"]
    assert decoded["bad.jpg"] == 1


# Near duplicates


def test_planted_leaks_are_found(tmp_path, decoded):
    clothing = tmp_path / "photos"
    rng = np.random.default_rng(7)
    for number in range(500):
        split = "train" if number < 400 else "val"
        label = "ab"[number % 2]
        write(clothing / split / label / f"{number}.jpg", encoded(photo(number, 200, 160), "JPEG", quality=90))
    exact, near = set(), set()
    for number in range(20):
        shutil.copy(
            clothing / f"train/{'ab'[number % 2]}/{number}.jpg", clothing / f"val/{'ab'[number % 2]}/copy{number}.jpg"
        )
        exact.add(number)
    for number in range(20, 40):
        image = Image.open(clothing / f"train/{'ab'[number % 2]}/{number}.jpg")
        scale = float(rng.uniform(0.5, 2))
        format, options = [("JPEG", {"quality": 50}), ("PNG", {}), ("WEBP", {"quality": 60})][number % 3]
        changed = image.resize((round(200 * scale), round(160 * scale)))
        write(clothing / f"val/{'ab'[number % 2]}/near{number}.{format.lower()}", encoded(changed, format, **options))
        near.add(number)
    report = checked(clothing)

    def planted(kind, prefix):
        pairs = [sorted(images) for images in found(report, kind)]
        right = {int(one.split("/")[-1].split(".")[0]) for one, other in pairs if prefix in other}
        false = [pair for pair in pairs if not any(prefix in name for name in pair)]
        return right, false

    assert planted("leak", "copy") == (exact, [])
    right, false = planted("near_leak", "near")
    assert len(right & near) >= 18
    assert len(false) <= 2
    assert found(report, "near_duplicate") == []
    # Of a leak, what trains goes.
    assert {name for name in report.exclude if name.startswith("val")} == set()
    assert len(report.exclude) >= 38


def test_conflicts_and_duplicates(photos):
    shutil.copy(photos / "a/0.jpg", photos / "b/other-class.jpg")
    shutil.copy(photos / "a/2.jpg", photos / "a/same-class.jpg")
    Image.open(photos / "b/1.jpg").resize((60, 50)).save(photos / "a/near.png")
    Image.open(photos / "b/3.jpg").resize((140, 120)).save(photos / "b/near.png")
    report = checked(photos)
    assert found(report, "conflict") == [("a/0.jpg", "b/other-class.jpg")]
    assert found(report, "duplicate") == [("a/2.jpg", "a/same-class.jpg")]
    assert report.exclude == ("a/0.jpg", "a/same-class.jpg", "b/other-class.jpg")
    assert report.faults == 1


def test_the_same_shape_in_another_colour_is_not_alike():
    image = photo(5, 120, 120)
    red, green, blue = image.split()
    assert clusters([perceptual_hash_of(image), perceptual_hash_of(image.resize((90, 90)))]) == [[0, 1]]
    assert clusters([perceptual_hash_of(image), perceptual_hash_of(Image.merge("RGB", (green, blue, red)))]) == []


def test_all_pairs_are_compared():
    hashes = [perceptual_hash_of(photo(number, 80, 80)) for number in range(150)]
    hashes += [hashes[3], hashes[70], hashes[149]]
    assert clusters(hashes) == [[3, 150], [70, 151], [149, 152]]
    assert clusters([]) == []


def test_arrays_are_checked_too(tmp_path):
    pixels = np.stack([np.asarray(photo(number, 64, 64)) for number in range(12)])
    train = Split(images=pixels[:10], labels=np.arange(10) % 2)
    validation = Split(images=pixels[[3, 10, 11]], labels=np.array([0, 1, 0]))
    dataset = Dataset(classes=("a", "b"), train=train, validation=validation, test=None)
    report = inspect(dataset, on_progress=lambda *_: None)
    assert found(report, "leak") == [("train[3]", "validation[0]")]
    assert found(report, "conflict") == [("train[3]", "validation[0]")]
    assert inspect(dataset, on_progress=lambda *_: None).decoded == 0


# What lies beside


def test_links_and_what_is_passed_over(photos, tmp_path):
    outside = write(tmp_path / "elsewhere" / "x.jpg", encoded(photo(77), "JPEG"))
    (photos / "a" / "out.jpg").symlink_to(outside)
    (photos / "a" / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (photos / "a" / "loop").symlink_to(photos)
    (photos / "a" / "self.jpg").symlink_to(photos / "a" / "self.jpg")
    (photos / "a" / "linked").symlink_to(outside.parent)
    write(photos / "a" / ".hidden.jpg", encoded(photo(78), "JPEG"))
    write(photos / "a" / "readme.txt", b"about")
    write(photos / ".git" / "objects" / "x", b"about")
    (photos / "b" / "linked.txt").symlink_to(photos / "a" / "readme.txt")
    os.mkfifo(photos / "b" / "pipe.jpg")
    report = checked(photos)
    details = {(finding.kind, name): finding.detail for finding in report.findings for name in finding.images}
    assert details["link", "a/out.jpg"] == f"leads out of the folder, to {outside}"
    assert details["link", "a/loop"].startswith("leads back to a folder that it is in")
    assert details["link", "a/self.jpg"] == "leads to itself"
    assert details["passed_over", "a/linked"] == "a link to a folder inside a class"
    assert details["passed_over", "a/.hidden.jpg"] == "hidden"
    assert details["passed_over", "a/readme.txt"] == "named .txt"
    assert details["passed_over", "b/pipe.jpg"] == "not a file"
    assert details["passed_over", ".git"] == "hidden folder"
    assert details["passed_over", "b/linked.txt"] == "named .txt"
    assert not [name for _, name in details if name.startswith(".git/")]
    assert details["unreadable", "a/lost.jpg"] == "cannot be decoded (No such file or directory)"


def test_what_is_passed_over_for_its_place_is_said_to_be(photos):
    for name in ("LICENSE", "cover.png"):
        write(photos / name, encoded(photo(81), "PNG"))
    for name in ("a/Thumbs.db", "a/1.ogg"):
        write(photos / name, b"x")
    (photos / "lost+found").mkdir()
    report = checked(photos)
    details = {finding.images[0]: finding.detail for finding in report.findings if finding.kind == "passed_over"}
    assert details == {
        "LICENSE": "not in the folder of a class",
        "cover.png": "not in the folder of a class",
        "a/Thumbs.db": "named .db",
        "a/1.ogg": "named .ogg",
    }
    assert sum(report.counts["train"].values()) == 24


def test_a_name_that_is_not_utf8(photos):
    name = os.fsdecode(b"caf\xe9.jpg")
    write(photos / "a" / name, encoded(photo(79), "JPEG"))
    report = checked(photos)
    assert found(report, "name") == [("a/caf\\xe9.jpg",)]
    write(photos / "a" / name, b"no image")
    assert checked(photos).exclude == (f"a/{name}",)


def test_imbalance_is_said(photos):
    for number in range(2, 24, 2):
        (photos / "a" / f"{number}.jpg").unlink()
    (layout,) = [finding.detail for finding in checked(photos).findings if finding.kind == "imbalance"]
    assert layout == "train has 1 images of 'a' and 12 of 'b'"


def test_a_list_says_nothing_of_what_lies_around_it(photos):
    (photos / "list.csv").write_text("path,label\na/0.jpg,a\na/2.jpg,a\nb/1.jpg,b\n")
    report = checked(photos / "list.csv")
    assert report.counts == {"train": {"a": 2, "b": 1}}
    assert report.findings == ()
