"""The speed of an epoch, by hand."""

import keras
import pytest

from zoo.backend import devices
from zoo.backend.compute.peaks import Peak
from zoo.backend.devices import Accelerator
from zoo.training.feeding.throughput import Throughput, throughput_of

A100 = Accelerator("gpu", "NVIDIA A100-SXM4-80GB", (8, 0))


def test_an_epochs_figures_by_hand():
    # 1,000 images in 2 s are 500 a second; 3 x 4e9 multiply-adds each are 12e12 operations a second.
    speed = Throughput(images_per_epoch=1000, madds_per_image=12_000_000_000, peak=Peak(flops=120e12, kind="bfloat16"))
    assert speed.of_epoch(2.0, 0.5) == {"images_per_second": 500.0, "data_wait_share": 0.25, "mfu": 0.1}
    # Clocks of several threads may add up to more.
    assert speed.of_epoch(2.0, 3.0)["data_wait_share"] == 1.0


@pytest.mark.parametrize("known", [{"madds_per_image": 5}, {"peak": Peak(flops=1e12, kind="TF32")}])
def test_without_a_peak_or_a_count_no_share_is_made_up(known):
    assert "mfu" not in Throughput(images_per_epoch=10, **known).of_epoch(1.0, 0.0)


def test_the_share_is_of_the_cards_peak_in_the_models_precision(monkeypatch):
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(7, dtype="mixed_bfloat16")(inputs))
    assert throughput_of(model, 3) == Throughput(images_per_epoch=3)
    monkeypatch.setattr(devices, "accelerator", lambda: A100)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Model(inputs, keras.layers.Dense(7)(inputs))
    finally:
        keras.config.set_dtype_policy("float32")
    expected = Throughput(images_per_epoch=3, madds_per_image=3 * 35, peak=Peak(flops=312e12, kind="bfloat16"))
    assert throughput_of(model, 3) == expected
