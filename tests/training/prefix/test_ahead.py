"""A first pass leaves what later phases need: no image goes through a frozen layer twice in a run."""

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, stopping_bar, write_photos
from zoo.freezing.plans import train_only
from zoo.inference import batches
from zoo.inference.batches import predict_each_batch
from zoo.system import cache
from zoo.system.partial_entries import held, partial_of
from zoo.training.prefix import caching, feeding, policy
from zoo.training.prefix.ahead import look_ahead
from zoo.training.prefix.engine import PassEngine
from zoo.training.prefix.feeding import frozen_prefixes
from zoo.training.prefix.splitting import frozen_prefix, joined

pytestmark = pytest.mark.usefixtures("fresh_cache")

CLASSES = ("cat", "dog")
NEVER = "nothing is frozen below what is trained"
ONCE = "one epoch runs the prefix once anyway"


def phases(*described):
    return [
        phase(name, train, epochs=epochs, learning_rate=1e-2, batchnorm=mode) for name, train, epochs, mode in described
    ]


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ([("a", "head", 3, "frozen"), ("b", "stage3+", 2, "frozen")], [("", "b"), ("", "")]),
        # Neither would be worth a pass of its own.
        ([("a", "head", 1, "frozen"), ("b", "stage3+", 1, "frozen")], [("", "b"), ("", "")]),
        ([("a", "head", 1, "frozen")], [(ONCE, "")]),
        # What an earlier phase trains cannot be computed before it.
        ([("a", "stage3+", 2, "frozen"), ("b", "head", 2, "frozen")], [("", ""), ("", "")]),
        (
            [("a", "head", 2, "frozen"), ("b", "all", 2, "frozen"), ("c", "head", 2, "frozen")],
            [("", ""), (NEVER, ""), ("", "")],
        ),
        ([("a", "re:stage1_1_bn", 2, "train"), ("b", "head", 2, "frozen")], [("", ""), ("", "")]),
        ([("a", "re:stage3_1_bn", 2, "train"), ("b", "stage3+", 2, "frozen")], [("", "b"), ("", "")]),
        ([("a", "re:stage3_1_bn", 2, "affine"), ("b", "head", 2, "frozen")], [("", ""), ("", "")]),
        # The last one's cut is frozen in all before it.
        (
            [("a", "stage3+", 2, "frozen"), ("b", "head", 2, "frozen"), ("c", "stage3+", 2, "frozen")],
            [("", "c"), ("", ""), ("", "")],
        ),
        (
            [("a", "head", 2, "frozen"), ("b", "stage3+", 1, "frozen"), ("c", "stage2+", 2, "frozen")],
            [("", "b c"), ("", "c"), ("", "")],
        ),
    ],
)  # fmt: skip
def test_a_phase_leaves_to_later_ones_what_nothing_trains_until_then(described, expected):
    plan = recipe(*phases(*described), model="mnist_conv")
    found = look_ahead(zoo.build("mnist_conv", classes=CLASSES, weights=None), plan)
    assert len(found) == len(expected)
    for one, (reason, later) in zip(found, expected, strict=True):
        assert one.reason.startswith(reason)
        assert bool(one.reason) == bool(reason)
        assert " ".join(each.phase.name for each in one.later) == later


@pytest.mark.parametrize(
    ("costs", "views", "reason"),
    [
        ([(2, 100)], 0, ""),
        ([(1, 100)], 0, ONCE),
        ([(1, 100), (1, 10)], 0, ""),
        ([(3, 100)], 3, "3 views of each image cost as much as the phase's 3 epochs"),
        ([(3, 100), (3, 10)], 3, ""),
        # 300 for a pass of three views, beside 100 in the first phase and 30 in the second.
        ([(1, 100), (30, 10)], 3, ONCE),
    ],
)
def test_passes_are_counted_against_what_the_phases_would_compute(costs, views, reason):
    assert policy.why_not_once(costs, views=views) == reason


THREE = phases(("head", "head", 2, "frozen"), ("top", "stage3+", 1, "frozen"), ("more", "stage2+", 2, "frozen"))


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "photos", count=20)


@pytest.fixture
def through(monkeypatch):
    """Lists the models that images went through outside of training, and how many."""
    seen = []

    def counting(model, images, take, **keys):
        seen.append((model.name, len(images)))
        return predict_each_batch(model, images, take, **keys)

    for module in (caching, batches, feeding):
        monkeypatch.setattr(module, "predict_each_batch", counting)
    return seen


@pytest.mark.parametrize("place", ["on disk", "in memory"])
def test_no_image_goes_through_a_frozen_layer_twice(data, tmp_path, monkeypatch, through, capsys, place):
    if place == "in memory":
        monkeypatch.setattr(cache, "MAX_BYTES", 100)
    plan = recipe(*THREE, model="mnist_conv")
    for number, count in enumerate([40, 0] if place == "on disk" else [40]):
        through.clear()
        run = zoo.finetune(plan, data, run=tmp_path / f"run{number}")
        assert sum(images for name, images in through if name == "prefix") == count
        # What is measured at the end begins at the last phase's cut.
        assert {name for name, _ in through} <= {"prefix", "suffix"}
        caches = [done["prefix_cache"] for done in run.record["phases"]]
        assert [(one["cut"], one["computed"]) for one in caches] == [
            ("head_pool", count), ("stage2_2_activation", 0), ("stage1_1_activation", 0)
        ]  # fmt: skip
    said = capsys.readouterr().err
    # 40 activations of 128, of 7 x 7 x 64 and of 14 x 14 x 32 numbers of 4 bytes.
    assert (
        f"head: runs up to head_pool once: 0.0 MB {place}; stage2_2_activation is kept for top, 0.5 MB; "
        "stage1_1_activation is kept for more, 1.0 MB\n"
    ) in said
    assert "top: what comes up to stage2_2_activation is in the cache\n" in said


def split(*selectors):
    model = zoo.build("mnist_conv", classes=CLASSES, weights=None)
    found = []
    for selector in selectors:
        train_only(model, selector, batchnorm="frozen")
        found.append(frozen_prefix(model))
    return found


def images(count=200):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype("uint8")


def keep(prefixes, pixels, *, stop_at=None):
    """Computes and keeps activations in one pass; Ctrl-C comes when so many are done."""

    bar = stopping_bar(stop_at)
    folders = [caching.folder_of(prefix, pixels) for prefix in prefixes]
    return caching.get_or_compute(joined(prefixes), pixels, folders, bar=bar, what="train")


def contents():
    return {
        (entry.path.name, file.name): file.read_bytes()
        for entry in cache.entries("activations")
        for file in entry.path.iterdir()
    }


def clear():
    for entry in cache.entries("activations"):
        cache.remove(entry.path)


def test_entries_of_one_pass_are_those_of_a_pass_for_each_to_the_bit():
    prefixes, pixels = split("head", "stage3+", "stage2+"), images()
    for prefix in prefixes:
        keep([prefix], pixels)
    alone = contents()
    assert len(alone) == 2 * 3
    clear()
    assert keep(prefixes, pixels).computed == 200
    assert contents() == alone


def test_an_interrupted_pass_is_taken_up_by_all_of_its_entries():
    prefixes, pixels = split("head", "stage3+"), images()
    keep(prefixes, pixels)
    whole = contents()
    clear()
    with pytest.raises(KeyboardInterrupt):
        keep(prefixes[:1], pixels, stop_at=64)
    with pytest.raises(KeyboardInterrupt):
        keep(prefixes, pixels, stop_at=128)  # begins anew for the second
    assert keep(prefixes, pixels).computed == 200 - 128
    assert contents() == whole
    clear()
    with pytest.raises(KeyboardInterrupt):
        keep(prefixes, pixels, stop_at=160)
    cache.remove(partial_of(caching.folder_of(prefixes[0], pixels)))
    assert keep(prefixes, pixels).computed == 200
    assert contents() == whole
    assert not cache.unfinished_entries("activations")


def test_what_another_process_computes_for_a_later_phase_is_not_waited_for():
    prefixes, pixels = split("head", "stage3+"), images(40)
    head, top = (caching.folder_of(prefix, pixels) for prefix in prefixes)
    head.parent.mkdir(parents=True)
    with held(top):
        assert set(keep(prefixes, pixels).activations) == {head}
    assert [entry.path for entry in cache.entries("activations")] == [head]


def test_an_entry_that_is_there_is_not_written_again():
    prefixes, pixels = split("head", "stage3+"), images(40)
    keep(prefixes[1:], pixels)
    top = caching.folder_of(prefixes[1], pixels)
    before = (top / caching.ARRAY_FILE).stat().st_ino
    assert set(keep(prefixes, pixels).activations) == {caching.folder_of(prefixes[0], pixels)}
    assert (top / caching.ARRAY_FILE).stat().st_ino == before
    assert keep(prefixes, pixels).computed == 0


def test_without_room_a_later_phase_computes_again(data, tmp_path, monkeypatch, through, capsys):
    monkeypatch.setattr(cache, "MAX_BYTES", 800_000)
    run = zoo.finetune(recipe(*THREE, model="mnist_conv"), data, run=tmp_path / "run")
    said = capsys.readouterr().err
    assert "stage2_2_activation is kept for top, 0.5 MB; stage1_1_activation is computed again for more, 1.0 MB" in said
    assert [done["prefix_cache"]["computed"] for done in run.record["phases"]] == [40, 0, 40]
    assert sum(images for name, images in through if name == "prefix") == 40 + 40


def test_a_run_that_goes_on_in_a_later_phase_computes_that_alone_to_the_same_bits(data, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    plan = recipe(*THREE, model="mnist_conv", train={"deterministic": True})
    straight = zoo.finetune(plan, data, run=tmp_path / "straight")
    assert [done["prefix_cache"]["computed"] for done in straight.record["phases"]] == [40, 0, 0]
    clear()
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[Stop()])
    clear()
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    assert [done["prefix_cache"]["computed"] for done in again.record["phases"]] == [40, 0, 40]
    for one, other in zip(straight.model.weights, again.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path
    assert [row["val_loss"] for row in straight.history] == [row["val_loss"] for row in again.history]


def test_where_bits_are_promised_and_would_differ_each_is_computed_alone(data, tmp_path, monkeypatch, capsys):
    def rounding(prefixes):
        model = joined(prefixes)
        if len(prefixes) == 1:
            return model
        return keras.Model(model.input, [output * 1.0000001 for output in model.outputs], name="prefix")

    monkeypatch.setattr(feeding, "joined", rounding)
    computed = {}
    for deterministic in (True, False):
        plan = recipe(*THREE, model="mnist_conv", train={"deterministic": deterministic})
        run = zoo.finetune(plan, data, run=tmp_path / str(deterministic))
        computed[deterministic] = [done["prefix_cache"]["computed"] for done in run.record["phases"]]
    assert computed == {True: [40, 40, 40], False: [40, 0, 0]}
    assert "head: one pass for top, more too would round otherwise" in capsys.readouterr().err


def test_what_no_phase_needs_any_more_is_let_go():
    model = zoo.build("mnist_conv", classes=CLASSES, weights=None)
    prefixes = frozen_prefixes(model, recipe(*THREE, model="mnist_conv"), PassEngine())
    activations = prefixes.activations
    for one in prefixes.phases:
        activations.add(one.prefix.cut, cache.cache_folder() / one.prefix.cut, np.zeros(1))
    activations.keep_only([one.prefix.cut for one in prefixes.phases[1:]])
    kept = [activations.find(cache.cache_folder() / one.prefix.cut) is not None for one in prefixes.phases]
    assert kept == [False, True, True]
