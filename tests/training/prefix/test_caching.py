"""A frozen prefix is run once for each image, gives what it would have given, and is never mistaken for another."""

import itertools
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import zoo
from tests.pixels import sized
from tests.tiny import phase, recipe, write_photos
from zoo.data import Packing, Split, pack
from zoo.data.augmentation.building import augmentation_layers, seed_augmentation
from zoo.errors import RecipeError
from zoo.freezing.plans import train_only
from zoo.inference import batches
from zoo.inference.batches import predict_each_batch
from zoo.recipe.schema import AugmentSection
from zoo.system import cache
from zoo.training.prefix import caching, policy
from zoo.training.prefix.keys import key_of
from zoo.training.prefix.splitting import frozen_prefix
from zoo.training.prefix.views import fixed_views

CLASSES = ("cat", "dog")


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def split(name, selector, *, batchnorm="frozen", **settings):
    model = zoo.build(name, classes=CLASSES, weights=None, **settings)
    train_only(model, selector, batchnorm=batchnorm)
    return model, frozen_prefix(model)


@pytest.mark.parametrize(
    ("name", "selector", "batchnorm", "cut", "silenced"),
    [
        # The pooling of the head draws nothing; its dropout goes on to.
        ("mnist_conv", "head", "frozen", "head_pool", ()),
        ("mnist_conv", "stage3+", "frozen", "stage2_2_activation", ()),
        ("mnist_conv", "stage2,head", "train", "stage1_1_activation", ()),
        ("mnist_conv", "layers:-3", "frozen", "stage2_2_activation", ()),
        ("mnist_conv", "re:stage3_1_bn", "train", "stage3_1_conv", ()),
        ("mnist_conv", "re:stage3_1_bn", "affine", "stage3_1_conv", ()),
        ("mnist_conv", "all", "train", None, ()),
        ("mnist_conv", "stem,head", "frozen", None, ()),
        ("mnist_pooling", "head", "frozen", "head_flatten", ("stem_1_dropout", "stage1_1_dropout")),
        ("mnist_pooling", "stage1+", "frozen", "stem_1_pool", ("stem_1_dropout",)),
        ("mnist_conv_tiny", "last:2", "frozen", "stage1_2_activation", ()),
    ],
)
def test_the_cut_is_the_last_place_below_which_nothing_is_trained(name, selector, batchnorm, cut, silenced):
    model, found = split(name, selector, batchnorm=batchnorm)
    if cut is None:
        assert found is None
        return
    assert (found.cut, found.silenced) == (cut, silenced)
    assert not any(weight.trainable for weight in found.prefix.weights)
    assert {weight.path for weight in found.suffix.trainable_weights} == {
        weight.path for weight in model.trainable_weights
    }
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype("uint8")
    np.testing.assert_allclose(found.suffix(found.prefix(images)), model(images), atol=1e-5)


def settings(cache, **train):
    return {"model": "mnist_conv", "train": {"prefix_cache": cache, **train}}


def two_phases(**keys):
    return [
        phase("head", "head", epochs=3, learning_rate=1e-2, batchnorm="frozen", **keys),
        phase("top", "stage3+", epochs=2, learning_rate=1e-3, batchnorm="frozen", **keys),
    ]


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "photos", count=20)


def test_a_cached_run_is_the_uncached_one_to_rounding(data, tmp_path):
    runs = {
        cache: zoo.finetune(recipe(*two_phases(), **settings(cache)), data, run=tmp_path / cache)
        for cache in ("off", "required")
    }
    for cached, live in zip(runs["required"].history, runs["off"].history, strict=True):
        for metric in ("loss", "val_loss"):
            assert cached[metric] == pytest.approx(live[metric], rel=1e-4)
    for cached, live in zip(runs["required"].model.weights, runs["off"].model.weights, strict=True):
        np.testing.assert_allclose(cached.value, live.value, atol=1e-4, err_msg=cached.path)
    caches = [done["prefix_cache"] for done in runs["required"].record["phases"]]
    assert caches == [
        {"cut": "head_pool", "views": 1, "computed": 40},
        {"cut": "stage2_2_activation", "views": 1, "computed": 0},  # the head's pass went through it
    ]
    assert [done["prefix_cache"] for done in runs["off"].record["phases"]] == [None, None]


def test_moving_averages_of_what_is_frozen_next_come_before_the_cache(data, tmp_path):
    phases = [phase("all", "all", epochs=2, learning_rate=1e-2), phase("head", "head", batchnorm="frozen")]
    runs = [
        zoo.finetune(recipe(*phases, **settings(cache, ema=0.9)), data, run=tmp_path / cache)
        for cache in ("off", "auto")
    ]
    assert [run.record["phases"][1]["prefix_cache"] is None for run in runs] == [True, False]
    live, cached = (run.history[-1]["val_loss"] for run in runs)
    assert cached == pytest.approx(live, rel=1e-4)


def test_the_prefix_is_run_once_for_each_image_and_in_a_second_run_not_at_all(data, tmp_path, monkeypatch):
    seen = []

    def counting(model, images, take, **keys):
        seen.append((model.name, len(images)))
        return predict_each_batch(model, images, take, **keys)

    for module in (caching, batches):
        monkeypatch.setattr(module, "predict_each_batch", counting)
    probe = recipe(phase("head", "head", epochs=10, batchnorm="frozen"), **settings("auto"))
    for number, images in enumerate([40, 0]):
        seen.clear()
        run = zoo.finetune(probe, data, run=tmp_path / f"run{number}")
        assert sum(count for name, count in seen if name == "prefix") == images
        assert {name for name, _ in seen} <= {"prefix", "suffix"}
        assert run.record["phases"][0]["prefix_cache"] == {"cut": "head_pool", "views": 1, "computed": images}


def test_a_cached_run_that_was_stopped_goes_on_bit_by_bit(data, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    plan = recipe(*two_phases(), **settings("required", ema=0.9))
    straight = zoo.finetune(plan, data, run=tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[Stop()])
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    for one, other in zip(straight.model.weights, again.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path
    assert [row["val_loss"] for row in straight.history] == [row["val_loss"] for row in again.history]


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (recipe(phase("all", "all"), **settings("required")), "nothing is frozen below"),
        (recipe(phase("head", "head", epochs=1, batchnorm="frozen"), **settings("required")), "one epoch"),
        (
            recipe(phase("head", "head", batchnorm="frozen"), augment={"rotation": 5.0}, **settings("required")),
            "draws the images anew",
        ),
        (recipe(phase("s", "stage1+", batchnorm="frozen"), **settings("required")), "takes longer than computing"),
        (
            recipe(
                phase("head", "head", epochs=3, batchnorm="frozen"),
                augment={"rotation": 5.0, "views": 3},
                **settings("required"),
            ),
            "3 views of each image cost as much as the phase's 3 epochs",
        ),
        (
            recipe(
                phase("head", "head", epochs=3, batchnorm="frozen"),
                augment={"rotation": 5.0, "views": 2, "mixup": 0.2},
                **settings("required"),
            ),
            "draws the images anew",
        ),
    ],
)
def test_where_it_cannot_be_it_says_why(data, tmp_path, capsys, plan, reason):
    with pytest.raises(RecipeError, match=reason):
        zoo.finetune(plan, data, run=tmp_path / "run")
    auto = plan.model_copy(update={"train": plan.train.model_copy(update={"prefix_cache": "auto"})})
    zoo.finetune(auto, data, run=tmp_path / "auto")
    assert reason in capsys.readouterr().err


def test_it_is_on_disk_or_in_memory_or_nowhere(data, tmp_path, monkeypatch, capsys):
    probe = phase("head", "head", epochs=3, learning_rate=1e-2, batchnorm="frozen")
    live = zoo.finetune(recipe(probe, **settings("off")), data, run=tmp_path / "off")
    monkeypatch.setattr(cache, "MAX_BYTES", 100)
    assert policy.place_for(50) == "on disk"
    in_memory = zoo.finetune(recipe(probe, **settings("required")), data, run=tmp_path / "memory")
    assert in_memory.record["phases"][0]["prefix_cache"]["computed"] == 40
    assert in_memory.history[-1]["val_loss"] == pytest.approx(live.history[-1]["val_loss"], rel=1e-4)
    assert " MB in memory" in capsys.readouterr().err
    assert cache.entries("activations") == []
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 1000)
    with pytest.raises(RecipeError, match=r"0\.0 GB fit neither in .*zoo, where 0\.0 GB may be taken, nor in memory"):
        zoo.finetune(recipe(probe, **settings("required")), data, run=tmp_path / "nowhere")


def test_what_is_there_is_used_also_when_the_disk_is_full(data, tmp_path, monkeypatch):
    probe = recipe(phase("head", "head", epochs=3, batchnorm="frozen"), **settings("required"))
    zoo.finetune(probe, data, run=tmp_path / "first")
    monkeypatch.setattr(cache, "MAX_BYTES", 100)
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 1000)
    run = zoo.finetune(probe, data, run=tmp_path / "second")
    assert run.record["phases"][0]["prefix_cache"]["computed"] == 0


def test_a_cache_that_cannot_be_written_costs_no_run(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "cache" / "zoo").mkdir(parents=True)
    (tmp_path / "cache" / "zoo" / "activations").write_text("a file where the folder should be")
    probe = phase("head", "head", batchnorm="frozen")
    run = zoo.finetune(recipe(probe, **settings("required")), data, run=tmp_path / "run")
    assert run.record["phases"][0]["prefix_cache"]["computed"] == 40
    said = capsys.readouterr().err
    assert f" MB in memory, since {tmp_path}/cache/zoo/activations cannot be written\n" in said
    assert "on disk" not in said
    monkeypatch.setattr("zoo.backend.memory.available_bytes", lambda: 0)
    run = zoo.finetune(recipe(probe, **settings("auto")), data, run=tmp_path / "auto")
    assert run.record["phases"][0]["prefix_cache"] is None
    assert "head: no prefix cache: " in capsys.readouterr().err
    with pytest.raises(RecipeError, match=r"activations cannot be written, and its 0\.0 GB do not fit in memory"):
        zoo.finetune(recipe(probe, **settings("required")), data, run=tmp_path / "refused")


def images(seed=0, count=12):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1)).astype("uint8")


def no_bar(description, total):
    import contextlib

    return contextlib.nullcontext(lambda done, detail: None)


def keep(found, pixels, views=()):
    folder = caching.folder_of(found, pixels, views)
    output = caching.get_or_compute(found.prefix, pixels, [folder], views=views, bar=no_bar, what="train")
    return SimpleNamespace(activations=output.activations[folder], computed=output.computed)


def test_an_entry_is_checked_when_it_is_read():
    _, found = split("mnist_conv", "head")
    first = keep(found, images())
    values = np.array(first.activations)  # the array itself is the file
    np.testing.assert_allclose(values, found.prefix(images()), atol=1e-5)
    assert (first.computed, keep(found, images()).computed) == (12, 0)
    (entry,) = caching.entries_folder().iterdir()
    file = entry / caching.ARRAY_FILE
    for damaged in (file.read_bytes()[:-4] + b"\0\0\0\1", file.read_bytes()[:50], b""):
        file.write_bytes(damaged)
        again = keep(found, images())
        assert again.computed == 12
        np.testing.assert_array_equal(again.activations, values)


def test_bfloat16_is_kept_as_it_is():
    _, found = split("mnist_conv", "head", precision="mixed_bfloat16")
    first, again = keep(found, images()), keep(found, images())
    assert (again.computed, again.activations.dtype.name) == (0, "bfloat16")
    np.testing.assert_array_equal(
        np.asarray(again.activations).astype("float32"), np.asarray(found.prefix(images())).astype("float32")
    )
    assert first.activations.dtype == again.activations.dtype


def test_the_least_recently_used_goes_when_it_is_full(monkeypatch):
    _, found = split("mnist_conv", "head")
    for seed in range(3):
        keep(found, images(seed))
    size = cache.entries("activations")[0].bytes
    for age, entry in enumerate(cache.entries("activations")):
        os.utime(entry.path, (1000 + age, 1000 + age))
    keep(found, images(0))  # used again
    kept = {key_of(found, images(seed)) for seed in (0, 3)}
    monkeypatch.setattr(cache, "MAX_BYTES", int(2.9 * size))
    keep(found, images(3))
    assert {entry.path.name for entry in cache.entries("activations")} == kept


# Views


def flips(**keys):
    return fixed_views(AugmentSection(flip="horizontal", views=2, **keys), seed=0)


def test_two_views_of_flipped_images_are_they_and_their_mirror_images():
    _, found = split("mnist_conv", "head")
    kept = keep(found, images(), views=flips())
    assert kept.computed == 24
    straight, mirrored = np.split(np.array(kept.activations), 2)
    np.testing.assert_allclose(straight, found.prefix(images()), atol=1e-5)
    np.testing.assert_allclose(mirrored, found.prefix(images()[:, :, ::-1]), atol=1e-5)


def test_other_views_are_what_the_augmentation_draws_and_stay_so():
    _, found = split("mnist_conv", "head")
    augment = AugmentSection(rotation=30.0, translation=0.1, views=3)
    kept = np.split(np.array(keep(found, images(), views=fixed_views(augment, seed=5)).activations), 3)
    for number, view in enumerate(kept):
        layers = augmentation_layers(augment, channels=1)
        seed_augmentation(layers, seed=5, epoch=number)
        pixels = keras.Sequential(layers)(images().astype("float32"), training=True)
        np.testing.assert_allclose(view, found.prefix(pixels), atol=1e-4)
    assert not any(np.allclose(one, other, atol=1e-3) for one, other in itertools.combinations(kept, 2))
    assert keep(found, images(), views=fixed_views(augment, seed=5)).computed == 0


def test_views_without_augmentation_are_the_images():
    assert fixed_views(AugmentSection(views=3), seed=0) == []
    assert fixed_views(AugmentSection(rotation=3.0), seed=0) == []


def test_a_run_on_views_computes_each_once_and_goes_on_bit_by_bit(data, tmp_path, monkeypatch):
    plan = recipe(
        phase("head", "head", epochs=4, learning_rate=1e-2, batchnorm="frozen"),
        augment={"rotation": 20.0, "views": 3},
        **settings("required"),
    )
    straight = zoo.finetune(plan, data, run=tmp_path / "straight")
    # 30 images train and 10 validate.
    assert straight.record["phases"][0]["prefix_cache"] == {"cut": "head_pool", "views": 3, "computed": 3 * 30 + 10}

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[Stop()])
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    assert again.record["phases"][0]["prefix_cache"]["computed"] == 0
    for one, other in zip(straight.model.weights, again.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path


def test_photos_that_are_cut_or_scaled_otherwise_are_other_images(tmp_path, fresh_cache):
    _, found = split("mnist_conv", "head")
    paths = sorted(write_photos(tmp_path / "photos", count=4).rglob("*.png"))
    photos = Split(images=paths, labels=np.zeros(len(paths), np.int64))
    keys = [
        key_of(found, pack(photos, sized(height=28, width=28, channels=1, **fit), Packing(keep=True)).images)
        for fit in ({}, {"crop_share": 0.875}, {"interpolation": "bicubic"}, {"crop_share": 1.0})
    ]
    assert len(set(keys)) == 3
    assert keys[0] == keys[3]


def test_no_change_goes_unnoticed():
    """200 random changes of weights, pixels, order, policy, boundary and options: each has a key of its own."""
    random = np.random.default_rng(0)
    model, found = split("mnist_conv", "head")
    pixels = images()
    keys = {key_of(found, pixels)}
    assert key_of(found, pixels.copy()) in keys

    def note(prefix, given, views=()):
        key = key_of(prefix, given, views)
        assert key not in keys
        keys.add(key)

    for _ in range(88):
        weight = found.prefix.weights[random.integers(len(found.prefix.weights))]
        before = weight.numpy().copy()
        changed = before.copy()
        place = tuple(random.integers(side) for side in before.shape)
        changed[place] = np.nextafter(changed[place], np.float32(9 + random.random()))
        weight.assign(changed)
        note(found, pixels)
        weight.assign(changed + random.normal() * 0.01)
    for _ in range(90):
        changed = pixels.copy()
        place = random.integers(changed.size)
        changed.flat[place] = (int(changed.flat[place]) + random.integers(1, 256)) % 256
        note(found, changed)
    for views in (flips(), flips(zoom=0.1), flips(zoom=0.2), fixed_views(flips(zoom=0.2)[0].augment, seed=1)):
        note(found, pixels, views)
    note(found, pixels[::-1])
    note(found, pixels[:-1])
    note(found, pixels.transpose(0, 2, 1, 3))
    note(found, pixels.reshape(12, 14, 56, 1))
    for selector in ("stage3+", "stage2+", "stage1+", "re:stage3_1_bn"):
        train_only(model, selector, batchnorm="train")
        note(frozen_prefix(model), pixels)
    for precision in ("mixed_bfloat16", "mixed_float16", "bfloat16"):
        other = zoo.build("mnist_conv", classes=CLASSES, weights=None, precision=precision)
        for mine, theirs in zip(other.weights, model.weights, strict=True):
            mine.assign(theirs)
        train_only(other, "head", batchnorm="frozen")
        note(frozen_prefix(other), pixels)
    train_only(model, "head", batchnorm="frozen")
    for name, value in (("epsilon", 1e-5), ("epsilon", 1e-2)):
        layer = model.get_layer("stage2_1_bn")
        before = getattr(layer, name)
        setattr(layer, name, value)
        note(frozen_prefix(model), pixels)
        setattr(layer, name, before)
    for shape in ((28, 28, 1), (32, 32, 1)):
        note(split("mnist_striding_batchnorm", "head", input_shape=shape)[1], pixels)
    for seed in range(1, 4):
        keras.utils.set_random_seed(seed)
        note(split("mnist_conv", "head")[1], pixels)
    assert len(keys) == 1 + 200
