"""Several devices of TensorFlow take the steps of one: in a process of its own, on two virtual CPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from tests.distribution.two_cpus import BATCH, IMAGES
from tests.tiny import HERE
from zoo.backend.distribution import mirrored
from zoo.backend.distribution.copies import assign_each, copies, differing, first_copy
from zoo.errors import ZooError
from zoo.runs.folder import RunFolder


@pytest.mark.parametrize(("images", "batch", "count"), [(43, 7, 2), (10, 4, 3), (5, 5, 4), (3, 3, 3), (2, 8, 5)])
def test_parts_hold_each_image_once_in_order_and_weigh_it_by_the_batch(images, batch, count):
    import tensorflow as tf

    numbers = np.arange(images, dtype=np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((numbers, numbers * 2)).batch(batch)
    found = [tuple(tensor.numpy() for tensor in part) for part in mirrored.parts(dataset, count)]
    assert len(found) == count * -(-images // batch)
    shown = [rows[shares > 0] for rows, _, shares in found]
    assert np.concatenate(shown).tolist() == numbers.tolist()
    for first in range(0, len(found), count):
        whole = min(batch, images - first // count * batch)
        sizes = [len(rows) for rows in shown[first : first + count]]
        assert max(sizes) - min(sizes) <= 1
        for rows, doubled, shares in found[first : first + count]:
            assert len(rows) == len(doubled) == len(shares) >= 1
            assert (doubled == rows * 2).all()
            assert set(shares.tolist()) <= {0.0, float(np.float32(1 / whole))}


def test_a_variable_on_one_device_is_its_own_copy():
    variable = keras.Variable(np.arange(3, dtype=np.float32), name="one")
    assert len(copies(variable)) == 1
    assign_each(variable, [3, 2, 1])
    assert first_copy(variable).tolist() == [3, 2, 1]
    assert differing([variable]) == []
    assert first_copy(keras.Variable(4, dtype="int32")).shape == ()


def test_a_machine_without_gpus_refuses_several_devices_and_says_how_to_try(monkeypatch):
    monkeypatch.delenv(mirrored.VIRTUAL_CPUS, raising=False)
    assert mirrored.chosen_devices("auto") == mirrored.chosen_devices("all") == mirrored.chosen_devices(1) == ["CPU:0"]
    with pytest.raises(ZooError) as refused:
        mirrored.chosen_devices(2)
    assert str(refused.value) == (
        "--devices is 2, and TensorFlow has no GPU here; type --devices 1, or try it on the CPU: set ZOO_VIRTUAL_CPUS=2"
    )
    monkeypatch.setenv(mirrored.VIRTUAL_CPUS, "two")
    with pytest.raises(ZooError, match="ZOO_VIRTUAL_CPUS is 'two'; expected a whole number"):
        mirrored.chosen_devices("all")
    keras.ops.ones(2)  # TensorFlow computes
    monkeypatch.setenv(mirrored.VIRTUAL_CPUS, "2")
    with pytest.raises(ZooError, match="TensorFlow has computed here already; start Python anew"):
        mirrored.chosen_devices(2)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two cpus")
    environment = {**os.environ, "ZOO_VIRTUAL_CPUS": "2", "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-m", "tests.distribution.two_cpus", str(folder)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=HERE)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


def model_of(found, name):
    return load_file(f"{found[name]['run']}/model/model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "rich"])
def test_two_devices_come_to_the_losses_of_one(found, name):
    one, two = found[f"{name} 1"], found[f"{name} 2"]
    assert len(one["losses"]) == 8 * -(-IMAGES // BATCH)  # 56 batches
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    for before, after in zip(one["history"], two["history"], strict=True):
        assert (before["accuracy"], before["val_accuracy"]) == (after["accuracy"], after["val_accuracy"])
        assert after["val_loss"] == pytest.approx(before["val_loss"], abs=1e-5)
    assert one["metrics"]["accuracy"] == two["metrics"]["accuracy"]
    assert one["placement"] is None
    assert two["placement"] == {
        "processes": 1,
        "devices": 2,
        "engine": "tf.distribute.MirroredStrategy",
        "batchnorm": "device",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain 2", "rich 2", "drawn 2"])
def test_what_validates_is_what_is_saved_and_what_a_reload_gives(found, name):
    run = RunFolder.open(Path(found[name]["run"]))
    kept = run.record().kept
    with np.load(f"{found[name]['run']}/../images.npz") as images:
        pixels, labels = images["x_val"], images["y_val"]
    (best,) = [row for row in found[name]["history"] if row["step"] == kept.step]
    model = zoo.load(run.path).model
    given = np.asarray(model(pixels[..., np.newaxis].astype(np.float32), training=False))
    assert np.mean(given.argmax(-1) == labels) == pytest.approx(best["val_accuracy"], abs=1e-7)
    if "rich" not in name:  # whose loss is smoothed
        loss = -np.log(given[np.arange(len(labels)), labels]).mean()
        assert loss == pytest.approx(best["val_loss"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2 to 1", "1 to 2"])
def test_a_run_goes_on_on_another_number_of_devices(found, name):
    whole, goes_on = found["plain 1"], found[name]
    np.testing.assert_allclose(goes_on["losses"], whole["losses"][-len(goes_on["losses"]) :], rtol=0, atol=1e-5)
    assert len(goes_on["losses"]) == 5 * -(-IMAGES // BATCH)
    assert goes_on["claim"] == "equivalent, not bitwise"
    for path, array in model_of(found, "plain 1").items():
        np.testing.assert_allclose(model_of(found, name)[path], array, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_run_that_was_left_inside_of_epochs_goes_on_to_the_same_bytes(found):
    whole, left = model_of(found, "drawn 2"), model_of(found, "left")
    assert {path: array.tobytes() for path, array in left.items()} == {p: a.tobytes() for p, a in whole.items()}
    assert found["left"]["history"] == found["drawn 2"]["history"]
    assert any("moving_variance" in path for path in whole)
    assert found["left"]["claim"] == found["drawn 2"]["claim"] == "bitwise"


@pytest.mark.slow
def test_both_devices_together_show_each_image_once_an_epoch_in_the_order_of_one(found):
    from zoo.data.batches import permutation

    assert found["shown"] == [permutation(IMAGES, 0, epoch).tolist() for epoch in range(2)]


@pytest.mark.slow
def test_devices_draw_apart_and_the_same_again(found):
    made, apart, again = found["draws"]
    assert made == [[7, 0], [7, 0]]
    assert apart == again
    assert apart[0] == made[0]
    assert apart[1] != apart[0]


@pytest.mark.slow
def test_a_call_in_python_trains_on_several_devices_too(found):
    assert found["called"] == found["plain 2"]["placement"]


@pytest.mark.slow
def test_what_several_devices_cannot_do_is_refused_in_a_line(found):
    assert (
        found["three"]
        == "--devices is 3, and TensorFlow has 2 virtual CPUs here (ZOO_VIRTUAL_CPUS=2); type --devices 2"
    )
    assert 'train.xla is "on", and 2 devices train' in found["xla"]
    assert "train.batch_size is 1, and 2 devices share a batch" in found["small"]
