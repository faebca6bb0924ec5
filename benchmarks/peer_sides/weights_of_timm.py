"""Writes the toolkit's weights as timm's tf_efficientnet_lite0, and compares the logits of both.

    python weights_of_timm.py FOLDER

It runs in an environment with timm, after weights_of_toolkit.py. timm/model.pth is the whole net's state,
timm/pytorch_model.bin that without a classifier, beside the config.json of a local timm model.
"""

import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from command import BACKBONE

# Of logits that are up to 10 or so, by other orders of the same sums.
TOLERANCE = 1e-3
BATCHNORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def state_of(arrays: dict[str, np.ndarray], names: list[str]) -> dict[str, torch.Tensor]:
    """Gives arrays the names of timm's weights, whose layers come in the same order.

    Args:
        arrays: By "NUMBER KIND OF LAYER WEIGHT", as weights_of_toolkit.py has them.
        names: Of timm's weights, in order.
    """
    wanted = [name for name in names if not name.endswith("num_batches_tracked")]
    state: dict[str, torch.Tensor] = {}
    for (name, array), theirs in zip(sorted(arrays.items()), wanted, strict=True):
        _, kind, weight = name.split()
        expected = {**BATCHNORM, "bias": "bias"}.get(weight, "weight")
        if not theirs.endswith(f".{expected}"):
            raise ValueError(f"{theirs}: found {name}; expected a layer's {expected}")
        if kind == "Dense" and weight == "kernel":
            array = array.T
        elif kind == "DepthwiseConv2D":
            array = array.transpose(2, 3, 0, 1)
        elif kind == "Conv2D":
            array = array.transpose(3, 2, 0, 1)
        state[theirs] = torch.from_numpy(np.ascontiguousarray(array))
    return state


def main(folder: Path) -> None:
    """Writes timm/, if both nets say the same of some images."""
    with np.load(folder / "arrays.npz") as kept:
        arrays = dict(kept)
    images, logits = arrays.pop("images"), arrays.pop("logits")
    model = timm.create_model(BACKBONE).eval()
    state = state_of(arrays, list(model.state_dict()))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    with torch.no_grad():
        theirs = model((torch.from_numpy(images).float().permute(0, 3, 1, 2) - 127) / 128).numpy()
    largest = float(np.abs(theirs - logits).max())
    if largest > TOLERANCE:
        raise ValueError(f"logits differ by up to {largest:.3g}; expected at most {TOLERANCE}")
    print(f"logits of up to {np.abs(logits).max():.3g} differ by at most {largest:.3g}")
    (folder / "timm").mkdir(exist_ok=True)
    torch.save(model.state_dict(), folder / "timm" / "model.pth")
    config = {
        "architecture": BACKBONE,
        "num_classes": 1000,
        "num_features": model.num_features,
        "pretrained_cfg": {
            name: model.pretrained_cfg[name]
            for name in ("input_size", "interpolation", "crop_pct", "mean", "std", "first_conv", "classifier")
        },
    }
    (folder / "timm" / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    model.reset_classifier(0)
    torch.save(model.state_dict(), folder / "timm" / "pytorch_model.bin")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
