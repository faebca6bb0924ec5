import numpy as np
import pytest

import zoo
from tests.data.check.odd_files import encoded, odd_files, photo
from tests.pixels import sized
from tests.tiny import phase, recipe, untimed, write_photos
from zoo.system import cache

pytestmark = pytest.mark.usefixtures("fresh_cache")


def test_training_completes_on_what_can_be_read_and_decodes_nothing_twice(tmp_path, decoded, capsys):
    odd = odd_files()
    bad = [one.name for one in odd if one.kind == "unreadable"]
    for one in odd:
        (tmp_path / "photos" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "a" / one.name).write_bytes(one.content)
    for number in range(100 * len(bad)):
        path = tmp_path / "photos" / "ab"[number % 2] / f"photo{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(photo(10_000 + number, 8, 8), "PNG"))
    short = recipe(phase("all", "all", epochs=2), train={"batch_size": 256})
    run = zoo.finetune(short, tmp_path / "photos", run=tmp_path / "run")
    assert len(run.history) == 2
    skipped = {entry["path"].rsplit("/", 1)[1]: entry["reason"] for entry in run.record["data"]["skipped"]}
    assert sorted(skipped) == sorted(bad)
    said = capsys.readouterr().err
    for name, reason in skipped.items():
        assert f"skipped: {tmp_path}/photos/a/{name}: {reason}" in said
    assert set(decoded.values()) == {1}
    assert len(decoded) == 100 * len(bad) + len(odd)
    # Another run, with another share, decodes nothing at all.
    zoo.finetune(short, tmp_path / "photos", {"train.seed": 3}, run=tmp_path / "other")
    assert set(decoded.values()) == {1}


def test_a_streamed_run_is_the_same_run(tmp_path, monkeypatch, decoded):
    photos = write_photos(tmp_path / "photos", count=20)
    short = recipe(phase("all", "all", epochs=2))
    packed = zoo.finetune(short, photos, run=tmp_path / "packed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "small"))
    monkeypatch.setattr(cache, "MAX_BYTES", 0)
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 0)
    decoded.clear()
    streamed = zoo.finetune(short, photos, run=tmp_path / "streamed")
    assert decoded.total() > 2 * 40  # each in each epoch
    assert untimed(packed.history) == untimed(streamed.history)


def test_a_validation_share_that_trains_too_is_warned_of(tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=10)
    for path in list((photos / "cat").iterdir()):
        (photos / "cat" / f"copy-{path.name}").write_bytes(path.read_bytes())
    zoo.finetune(recipe(phase("all", "all", epochs=1)), photos, run=tmp_path / "run")
    assert "images of validation are in train too, so its figures are optimistic" in capsys.readouterr().err


def test_what_is_left_of_a_pack_keeps_its_labels(tmp_path):
    from zoo.data import Split, pack

    images = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
    whole = pack(Split(images=images, labels=np.arange(10)), sized(height=2, width=2, channels=1))
    some = whole.subset(np.array([7, 2, 5]))
    assert some.labels.tolist() == [2, 5, 7]
    np.testing.assert_array_equal(some.images[:][..., 0], images[[2, 5, 7]])
    assert some.subset(np.array([5])).labels.tolist() == [5]
