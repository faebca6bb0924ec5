"""How fast a card could multiply at most, by its name: what `mfu` is a share of.

Dense matrix products, whose sums are kept in float32, as the vendor's data sheet has them for the boost clock; the
figures "with sparsity" that stand first in newer sheets are twice these. A card that is not listed has no peak: a
figure of another card would be a wrong share that nobody notices.

Sources, all NVIDIA's: the data sheets of H100 (SXM, PCIe, NVL), H200 (SXM, NVL), A100, A10, L4, L40S, T4 and V100; for
GeForce cards the appendices of the white papers "NVIDIA Ampere GA102 GPU Architecture" (v2) and "NVIDIA Ada GPU
Architecture" (v2), in the lines with FP32 accumulate.
"""

import re
from dataclasses import dataclass

from zoo.backend.compute.precision import uses_tf32
from zoo.backend.devices import Accelerator

_TERA = 1e12


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """A card's highest rates, in TFLOP/s; None where it has no units for a type.

    Attributes:
        card: What a backend calls it, as a regular expression for all of the name but NVIDIA in front.
        bfloat16: Products of bfloat16.
        float16: Products of float16.
        tf32: Products of float32 that keep 10 of its 23 bits.
        float32: Products of float32.
    """

    card: str
    bfloat16: float | None
    float16: float | None
    tf32: float | None
    float32: float


def _tensor_cores(card: str, half: float, tf32: float, float32: float) -> Peaks:
    """Returns the peaks of a card from Ampere on, where bfloat16 and float16 are as fast."""
    return Peaks(card=card, bfloat16=half, float16=half, tf32=tf32, float32=float32)


def _before_ampere(card: str, float16: float, float32: float) -> Peaks:
    return Peaks(card=card, bfloat16=None, float16=float16, tf32=None, float32=float32)


PEAKS = (
    _tensor_cores(r"H200", 989.5, 494.7, 66.9),
    _tensor_cores(r"H200 NVL", 835.5, 417.5, 60.0),
    _tensor_cores(r"H100(-SXM5)?( 80GB HBM3)", 989.5, 494.7, 66.9),
    _tensor_cores(r"H100 PCIe", 756.5, 378.0, 51.2),
    _tensor_cores(r"H100 NVL", 835.5, 417.5, 60.0),
    _tensor_cores(r"A100-(SXM4|SXM|PCIE)-(40|80)GB|A100 80GB PCIe", 312.0, 156.0, 19.5),
    _tensor_cores(r"A10", 125.0, 62.5, 31.2),
    _tensor_cores(r"L40S", 362.0, 183.0, 91.6),
    _tensor_cores(r"L4", 121.0, 60.0, 30.3),
    _tensor_cores(r"GeForce RTX 4090", 165.2, 82.6, 82.6),
    _tensor_cores(r"GeForce RTX 4080", 97.5, 48.7, 48.7),
    _tensor_cores(r"GeForce RTX 4070 Ti", 80.2, 40.1, 40.1),
    _tensor_cores(r"GeForce RTX 3090 Ti", 80.0, 40.0, 40.0),
    _tensor_cores(r"GeForce RTX 3090", 71.0, 35.6, 35.6),
    _tensor_cores(r"GeForce RTX 3080", 59.5, 29.8, 29.8),
    _tensor_cores(r"GeForce RTX 3070", 40.6, 20.3, 20.3),
    _tensor_cores(r"GeForce RTX 3060 Ti", 32.4, 16.2, 16.2),
    _before_ampere(r"(Tesla )?T4", 65.0, 8.1),
    _before_ampere(r"(Tesla )?V100S-PCIE-32GB", 130.0, 16.4),
    _before_ampere(r"(Tesla )?V100-SXM[23](-\d+GB)?", 125.0, 15.7),
    _before_ampere(r"(Tesla )?V100-PCIE-\d+GB", 112.0, 14.0),
)
_POLICIES = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


@dataclass(frozen=True, kw_only=True)
class Peak:
    """How fast a device could compute a model.

    Attributes:
        flops: Floating-point operations a second at most.
        kind: What it multiplies: `bfloat16`, `float16`, `TF32` or `float32`.
    """

    flops: float
    kind: str


def peak_of(device: Accelerator, policy: str) -> Peak | None:
    """Returns a device's peak for a dtype policy; None of a CPU, a card that is not listed, or a type it has not."""
    if device.kind != "gpu":
        return None
    name = device.name.removeprefix("NVIDIA ")
    row = next((each for each in PEAKS if re.fullmatch(each.card, name)), None)
    if row is None:
        return None
    if policy in _POLICIES:
        kind = _POLICIES[policy]
        rate = row.bfloat16 if kind == "bfloat16" else row.float16
    elif uses_tf32(device):
        kind, rate = "TF32", row.tf32
    else:
        kind, rate = "float32", row.float32
    return None if rate is None else Peak(flops=rate * _TERA, kind=kind)
