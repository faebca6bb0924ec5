import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.tiny import as_typed, write_photos
from zoo.cli.data import data
from zoo.data.inputs import open_source
from zoo.errors import NotFoundError
from zoo.recipe.loading import load_recipe
from zoo.training.preparation.preparing import prepare
from zoo.training.tools.preview import preview


def run(*arguments):
    return CliRunner().invoke(data, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


def no_bar(description, total):
    import contextlib

    return contextlib.nullcontext(lambda done, detail: None)


def seen(photos, *overrides, count=4, epochs=3):
    recipe = load_recipe("finetune/default", ["model.name=mnist_simple", "model.weights=none", *overrides])
    return preview(prepare(recipe, photos), count=count, epochs=epochs, bar=no_bar)


def test_the_sheet_is_drawn_and_its_figures_reported(photos, tmp_path):
    sheet = tmp_path / "sheet.png"
    settings = ("--set", "model.name=mnist_simple", "--set", "augment.rotation=20", "--out", sheet)
    result = run("preview", "finetune/default", "--data", photos, "--count", 4, "--epochs", 2, *settings)
    assert "4 images of 28x28x1, pixels 0 to " in result.stdout
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 50
    document = json.loads(
        run(
            "preview",
            "finetune/default",
            "--data",
            photos,
            "--set",
            "model.name=mnist_simple",
            "--out",
            sheet,
            "--json",
        ).stdout
    )
    assert (document["kind"], document["images"], document["augmented"]) == ("data-preview", 8, False)
    assert document["shape"] == [28, 28, 1]


def test_images_are_spread_over_the_classes_and_are_what_trains(photos):
    plain = seen(photos)
    assert (plain.labels, len(plain.after)) == (("cat", "cat", "dog", "dog"), 0)
    assert plain.before.dtype == np.uint8
    # A bright band in the upper half is a cat, in the lower half a dog.
    upper, lower = plain.before[:, :14].mean(axis=(1, 2, 3)), plain.before[:, 14:].mean(axis=(1, 2, 3))
    assert list(upper > lower) == [True, True, False, False]


def test_augmentation_differs_by_epoch_and_not_by_call(photos):
    settings = ("augment.rotation=30", "augment.translation=0.2")
    first, again = seen(photos, *settings), seen(photos, *settings)
    assert first.after.shape == (3, 4, 28, 28, 1)
    np.testing.assert_array_equal(first.after, again.after)
    assert not np.array_equal(first.after[0], first.after[1])
    assert first.mixed == (first.labels,) * 3


def test_fixed_views_are_shown_as_they_are(photos):
    flipped = seen(photos, "augment.flip=horizontal", "augment.views=2", epochs=7)
    assert flipped.draws == ("view 1", "view 2")
    np.testing.assert_array_equal(flipped.after[0], flipped.before)
    np.testing.assert_array_equal(flipped.after[1], flipped.before[:, :, ::-1])
    turned = seen(photos, "augment.rotation=30", "augment.views=3")
    assert (turned.draws, turned.mixed) == (("view 1", "view 2", "view 3"), (turned.labels,) * 3)
    assert not np.array_equal(turned.after[0], turned.after[1])
    # Where images are mixed, which no view is, they are drawn anew in each epoch.
    assert seen(photos, "augment.mixup=1.0", "augment.views=2").draws == ("epoch 1", "epoch 2", "epoch 3")


def test_mixed_images_are_captioned_with_their_shares(photos):
    mixed = seen(photos, "augment.mixup=1.0")
    # Each cat is mixed with the dog on the other side of the batch.
    captions = [caption for epoch in mixed.mixed for caption in epoch if "%" in caption]
    assert len(captions) >= 4
    for caption in captions:
        assert sum(int(word) for word in caption.split() if word.isdecimal()) == 100
        assert {line.split()[0] for line in caption.splitlines()} == {"cat", "dog"}


def test_a_flip_of_digits_is_warned_of(tmp_path):
    digits = write_photos(tmp_path / "digits", classes=("1", "2"))
    assert any("mirrors characters" in warning for warning in seen(digits, "augment.flip=horizontal").warnings)


def test_a_wrong_path_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="there is no such file or folder"):
        run("preview", "finetune/default", "--data", tmp_path / "gone")


# Check


def test_a_clean_folder_passes(photos, typed, fresh_cache):
    code, out, err = typed("data", "check", photos)
    assert (code, err) == (0, "")
    assert out.splitlines()[:4] == ["class   train", "cat        16", "dog        16", "in all     32"]
    assert "\n\n32 PNG, all of 28 x 28 pixels\n\n" in out
    assert out.splitlines()[-1] == "32 images, 0 faults, 32 decoded for this check"
    assert typed("data", "check", photos)[1].splitlines()[-1] == "32 images, 0 faults, 0 decoded for this check"


def test_faults_are_reported_with_their_files_and_listed_for_removal(photos, tmp_path, typed, fresh_cache):
    first = next((photos / "cat").iterdir())
    (photos / "dog" / "same.png").write_bytes(first.read_bytes())
    (photos / "dog" / "page.jpg").write_text("<html>not found</html>")
    code, out, err = typed("data", "check", photos, "--fix-list", tmp_path / "out.txt")
    assert code == 3
    assert (
        "fault: unreadable (1): cannot be read; training leaves it out (data.on_bad)\n  dog/page.jpg: is an HTML" in out
    )
    assert f"  cat/{first.name} = dog/same.png: the same content, as cat and dog" in out
    assert err == f"zoo: {photos}: 2 faults in 34 images\n"
    assert sorted((tmp_path / "out.txt").read_text().splitlines()) == [
        f"cat/{first.name}",
        "dog/page.jpg",
        "dog/same.png",
    ]
    code, out, _ = typed("data", "check", photos, "--json")
    document = json.loads(out)
    assert code == 3
    assert (document["kind"], document["ok"], document["images"], document["faults"]) == ("data-check", False, 34, 2)
    assert document["counts"] == {"train": {"cat": 16, "dog": 18}}
    assert document["formats"] == {"PNG": 33}
    assert document["sizes"] == {"smallest": [28, 28], "median": [28, 28], "largest": [28, 28]}
    assert {
        "kind": "unreadable",
        "fault": True,
        "images": ["dog/page.jpg"],
        "detail": "is an HTML page, not an image",
    } in (document["findings"])
    # What the list names is removed as the help says, and then nothing is wrong.
    for name in (tmp_path / "out.txt").read_text().splitlines():
        (photos / name).unlink()
    assert typed("data", "check", photos)[0] == 0


def test_what_cannot_be_opened_fails_the_check(tmp_path, typed):
    (tmp_path / "empty").mkdir()
    code, out, err = typed("data", "check", tmp_path / "empty", "--json")
    assert code == 3
    assert json.loads(out)["refused"].startswith(f"{tmp_path}/empty: no images and no class folders")
    assert err.startswith("zoo: ")
    assert typed("data", "check", tmp_path / "nowhere")[0] == 1


def test_a_file_that_cannot_be_written_is_reported_before_any_work(photos, tmp_path, typed, decoded):
    nowhere = tmp_path / "no" / "such.txt"
    for command in (
        ("data", "check", photos, "--fix-list", nowhere),
        ("data", "preview", "finetune/default", "--data", photos, "--out", nowhere),
        ("features", "mnist_simple", photos, "--out", nowhere),
        ("lr-find", "finetune/default", "--data", photos, "--out", nowhere),
        ("recipe", "show", "finetune/default", "--plot", nowhere),
    ):
        code, _, err = typed(*command)
        assert (code, f"there is no folder '{nowhere.parent}'" in err) == (2, True), err
    assert typed("data", "check", photos, "--fix-list", tmp_path)[0] == 2  # a folder
    assert decoded.total() == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("data preview finetune/default --data photos --out sheet.svg", "'sheet.svg' ends in .svg; expected .png"),
        ("lr-find finetune/default --data photos --out rates.pdf", "'rates.pdf' ends in .pdf; expected .png"),
        ("recipe show finetune/default --plot rates.jpg", "'rates.jpg' ends in .jpg; expected .png"),
        ("evaluate run --plot confusion.svg", "'confusion.svg' ends in .svg; expected .png"),
        ("predict run photos --csv seen.xlsx", "'seen.xlsx' ends in .xlsx; expected .csv or .txt"),
        ("features mnist_simple photos --out seen.txt", "'seen.txt' ends in .txt; expected .npz or .csv"),
    ],
)
def test_a_name_that_promises_another_kind_of_file_is_refused(photos, typed, words, expected, monkeypatch, decoded):
    monkeypatch.chdir(photos.parent)
    code, _, err = typed(*words.split())
    assert (code, expected in err) == (2, True), err
    assert decoded.total() == 0


def test_a_check_without_a_path_is_wrong_usage(typed):
    code, _, err = typed("data", "check")
    assert code == 2
    assert "PATH is missing; expected a folder" in err


# Pack


def test_all_splits_are_packed_ahead_and_training_decodes_nothing(photos, tmp_path, typed, fresh_cache, monkeypatch):
    settings = ("--set", "model.name=mnist_simple", "--set", "model.weights=none", "--set", "phases.head.epochs=1")
    code, out, err = typed("data", "pack", "finetune/default", "--data", photos, *settings)
    assert (code, out) == (0, "train: 32 images of 28x28x1\n")
    assert f"packs 32 images of 28x28x1: 0.0 MB in {tmp_path}/cache/zoo/packs" in err
    document = json.loads(typed("data", "pack", "finetune/default", "--data", photos, *settings, "--json")[1])
    assert document == {
        "schema": 1,
        "kind": "data-pack",
        "splits": {"train": {"images": 32, "skipped": 0, "shape": [28, 28, 1]}},
    }

    def decoded(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr("zoo.data.images.reading.decode", decoded)
    run = ("finetune", "finetune/default", "--data", photos, *settings, "--set", "data.validation=0.3")
    assert typed(*run, "--run", tmp_path / "run")[0] == 0
    # Another seed takes another share, of the same pack.
    assert typed(*run, "--set", "train.seed=5", "--run", tmp_path / "other")[0] == 0


def test_packing_ahead_without_room_is_refused(photos, typed, fresh_cache, monkeypatch, decoded):
    monkeypatch.setattr("zoo.system.cache.MAX_BYTES", 100)
    settings = ("--set", "model.name=mnist_simple", "--set", "model.weights=none")
    code, out, err = typed("data", "pack", "finetune/default", "--data", photos, *settings)
    assert (code, out) == (1, "")
    assert f"{fresh_cache}/packs: the pack of 32 images of 28x28x1: 0.0 MB cannot be kept there: it has no room" in err
    assert decoded.total() == 0


# What is said of deep greys, and of many unreadable files


@pytest.fixture
def deep(tmp_path):
    """Twelve bits in files of sixteen."""
    for number in range(16):
        label = "ab"[number % 2]
        values = np.random.default_rng(number).integers(0, 4096, (28, 28)) // (number % 2 + 1)
        values[0, 0] = 4095
        (tmp_path / "deep" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep" / label / f"{number}.png")
    return tmp_path / "deep"


DARK = "deep greys are at most 4095 of 65535: 16 greys are left; set data.white = 4095"


def test_greys_that_use_little_of_their_range_are_reported_by_check_and_training(deep, tmp_path, typed, fresh_cache):
    code, out, _ = typed("data", "check", deep)
    assert code == 0
    assert f"note: dark (1): pixels of more than 8 bits of which little is left in 8; see data.white\n  {DARK}" in out
    settings = ("--set", "model.name=mnist_simple", "--set", "model.weights=none", "--set", "phases.head.epochs=1")
    run = ("finetune", "finetune/default", "--data", deep, *settings)
    for number in range(2):  # the second finds the pack
        code, _, err = typed(*run, "--run", tmp_path / f"run{number}")
        assert code == 0, err
        assert "converted: 16 images of more than 8 bits, scaled to 8 (65535 becomes white)\n" in err
        assert f"warning: {DARK}\n" in err
    code, _, err = typed(*run, "--set", "data.white=4095", "--run", tmp_path / "white")
    assert code == 0, err
    assert "converted: 16 images of more than 8 bits, scaled to 8 (4095 becomes white)\n" in err
    assert DARK not in err
    card = json.loads((tmp_path / "white" / "model" / "card.json").read_text())
    assert card["preprocessing"]["white"] == 4095
    # What predicts reads as training did.
    import zoo

    read = zoo.load(tmp_path / "white").read(deep / "a" / "0.png")
    expected = np.rint(np.asarray(Image.open(deep / "a" / "0.png")).astype(float) * 255 / 4095)
    np.testing.assert_array_equal(read[..., 0], expected)
    assert zoo.load(tmp_path / "run0").read(deep / "a" / "0.png").max() == 16


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ["nowhere"],
            1,
            "nowhere: no such file or folder. Give a folder with one subfolder of images per class as PATH.",
        ),
        (
            ["README.md"],
            3,
            "README.md: is a file; expected a folder with one subfolder per class, or a file that ends in .csv, .tsv, "
            ".jsonl, .npz. Unpack it if it is an archive, and give the folder.",
        ),
        (["one.PNG"], 3, "It is one image: give the folder of all."),
        (["my photos/cat"], 3, "or type zoo data check 'my photos' if 'cat' is a class"),
        (["empty"], 3, "Give the folder that holds the class folders."),
        (["idx.gz", "--source", "idx"], 3, "Give .."),
        (["empty", "--source", "builtin:fashion_sample"], 3, "Leave PATH out, or"),
        (["empty", "--source", "builtin:cifar10"], 3, "x_test, y_test. Give the file."),
    ],
    ids=lambda words: words if isinstance(words, str) else None,
)
def test_the_check_advises_to_give_a_bare_path(tmp_path, monkeypatch, typed, words, code, message):
    monkeypatch.chdir(tmp_path)
    for name in ("README.md", "one.PNG", "idx.gz"):
        (tmp_path / name).write_text("nothing")
    (tmp_path / "empty").mkdir()
    write_photos(tmp_path / "my photos", count=1)
    found, out, err = typed("data", "check", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert "--data" not in err
    assert "--data" not in typed("data", "check", *words, "--json")[1]


def test_the_check_that_messages_name_can_be_typed_as_it_is(tmp_path):
    write_photos(tmp_path / "my photos", count=20)
    section = load_recipe("finetune/default", ["model.name=mnist_simple", "model.weights=none"]).data
    source = open_source(section, tmp_path / "my photos", seed=0)
    assert source.check == f"zoo data check '{tmp_path}/my photos'"
    sample = section.model_copy(update={"source": "builtin:fashion_sample"})
    assert open_source(sample, None, seed=0).check == "zoo data check --source builtin:fashion_sample"


def test_the_check_says_when_training_will_stop(photos, tmp_path, typed, fresh_cache):
    for number in range(2):
        (photos / "dog" / f"page{number}.jpg").write_text("<html>not found</html>")
    _, out, _ = typed("data", "check", photos)
    stops = "training will stop: 2 of 34 images of train cannot be read, more than 1 %"
    assert f"\n  {stops}; --fix-list names what to leave out\n" in out
    assert json.loads(typed("data", "check", photos, "--json")[1])["stops"] == [stops]
    settings = ("--set", "model.name=mnist_simple", "--set", "model.weights=none")
    code, _, err = typed("finetune", "finetune/default", "--data", photos, *settings, "--run", tmp_path / "run")
    assert code == 1
    assert "2 of 34 files cannot be read, more than 1 %" in err
    assert f"'zoo data check {as_typed(photos)} --fix-list out.txt' lists all" in err
    (photos / "dog" / "page1.jpg").unlink()
    assert "will stop" not in typed("data", "check", photos)[1]
    assert typed("data", "check", photos, "--json")[0] == 3  # one is a fault still; training leaves it out


def test_long_lists_are_cut_with_what_they_hold(photos, typed, fresh_cache):
    for number in range(60):
        (photos / "dog" / f"x{number:02}.q{'abc'[number % 3]}").write_bytes(b"\x01\x02\x03")
    (photos / "dog" / "y.ogg").write_bytes(b"OggS")
    _, out, _ = typed("data", "check", photos)
    unreadable = out[out.index("fault: unreadable (60)") :].split("\n\n")[0].splitlines()
    assert len(unreadable) == 1 + 20 + 1 + 1
    assert unreadable[21] == "  and 40 more (14 .qc, 13 .qa, 13 .qb); --json has them all"
    assert "passed over files that are not images: 1 .ogg" in out
    assert len(json.loads(typed("data", "check", photos, "--json")[1])["findings"]) > 60


def test_a_list_that_would_empty_a_class_is_warned_of(photos, tmp_path, typed, fresh_cache):
    split = tmp_path / "split"
    for label in ("cat", "dog"):
        (split / "train" / label).mkdir(parents=True)
        (split / "val" / label).mkdir(parents=True)
        for path in (photos / label).iterdir():
            (split / "train" / label / path.name).write_bytes(path.read_bytes())
            if label == "dog":
                (split / "val" / label / path.name).write_bytes(path.read_bytes())
        if label == "cat":
            first = next((photos / label).iterdir())
            Image.open(first).rotate(90).save(split / "val" / label / "x.png")
    _, out, _ = typed("data", "check", split, "--fix-list", tmp_path / "out.txt")
    assert "16 images to leave out" in out
    assert "warning: without them train has no images of the classes 'dog'" in out
