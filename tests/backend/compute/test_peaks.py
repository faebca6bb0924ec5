"""Peaks of cards: a hand's look at data sheets, and no figure for what no sheet is known of."""

import re

import pytest

from zoo.backend.compute import peaks
from zoo.backend.compute.peaks import PEAKS, Peak, peak_of
from zoo.backend.devices import Accelerator


def gpu(name, capability=(9, 0)):
    return Accelerator("gpu", name, capability)


@pytest.mark.parametrize(
    ("name", "policy", "teraflops"),
    [
        # "1,979 teraFLOPS with sparsity", of which dense matrices have half.
        ("NVIDIA H100 80GB HBM3", "mixed_bfloat16", 1979 / 2),
        ("NVIDIA H200", "mixed_bfloat16", 1979 / 2),
        ("NVIDIA H100 PCIe", "mixed_bfloat16", 1513 / 2),
        ("NVIDIA H100 NVL", "mixed_bfloat16", 1671 / 2),
        ("NVIDIA A100-SXM4-80GB", "mixed_bfloat16", 312),
        ("A100-PCIE-40GB", "mixed_float16", 312),
        ("NVIDIA A100 80GB PCIe", "mixed_bfloat16", 312),
        ("NVIDIA L4", "mixed_bfloat16", 121),
        ("NVIDIA GeForce RTX 4090", "mixed_bfloat16", 165.2),
        ("NVIDIA GeForce RTX 3090", "mixed_float16", 71),
        ("Tesla T4", "mixed_float16", 65),
        ("Tesla V100-SXM2-16GB", "mixed_float16", 125),
    ],
)
def test_a_known_card_has_the_dense_rate_of_its_data_sheet(name, policy, teraflops):
    kind = policy.removeprefix("mixed_")
    assert peak_of(gpu(name), policy) == Peak(flops=teraflops * 1e12, kind=kind)


@pytest.mark.parametrize(("uses", "expected"), [(True, Peak(flops=156e12, kind="TF32")), (False, 19.5e12)])
def test_float32_is_as_fast_as_the_bits_it_is_multiplied_with(monkeypatch, uses, expected):
    monkeypatch.setattr(peaks, "uses_tf32", lambda device: uses)
    found = peak_of(gpu("NVIDIA A100-SXM4-40GB", (8, 0)), "float32")
    assert found == (expected if uses else Peak(flops=expected, kind="float32"))


@pytest.mark.parametrize(
    "device",
    [
        Accelerator("cpu", "cpu"),
        Accelerator("tpu", "TPU v5e"),
        gpu("NVIDIA H100 80GB HBM3 MIG 1g.10gb"),
        gpu("NVIDIA GeForce RTX 4090 Laptop GPU"),
        gpu("NVIDIA GeForce RTX 4080 SUPER"),
        gpu("NVIDIA A100-SXM-64GB"),
        gpu("AMD Instinct MI250"),
    ],
)
def test_of_another_device_nothing_is_made_up(device):
    assert peak_of(device, "mixed_float16") is None


def test_a_card_without_bfloat16_has_no_peak_in_it():
    assert peak_of(gpu("Tesla T4", (7, 5)), "mixed_bfloat16") is None


def test_no_name_is_that_of_two_rows():
    names = ["H200", "H100 PCIe", "H100 80GB HBM3", "A100-SXM4-40GB", "A10", "L4", "L40S", "T4", "Tesla V100-SXM2-32GB"]
    for name in names:
        assert sum(bool(re.fullmatch(row.card, name)) for row in PEAKS) == 1, name
