"""ResNet-50 in PyTorch, with the layers of Keras': channels_last, autocast to bfloat16, torch.compile, fused AdamW."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gpu_steps import photos
from gpu_steps.bare_jax import DECAY, EPSILON, EXPANSION, MEAN, MOMENTUM, RATE, WIDTHS
from gpu_steps.plan import Sizes
from gpu_steps.running import say

TRIED = 5


def resnet(blocks: tuple[int, ...], classes: int) -> Any:
    """Returns the net: strides and biases where Keras has them."""
    import torch
    from torch import nn

    def convolution(before: int, after: int, side: int, stride: int = 1) -> list[nn.Module]:
        return [
            nn.Conv2d(before, after, side, stride, padding=side // 2),
            nn.BatchNorm2d(after, eps=EPSILON, momentum=1 - MOMENTUM),
        ]

    class Block(nn.Module):
        def __init__(self, before: int, width: int, stride: int, is_first: bool) -> None:
            super().__init__()
            after = EXPANSION * width
            self.shortcut = nn.Sequential(*convolution(before, after, 1, stride)) if is_first else nn.Identity()
            self.body = nn.Sequential(
                *convolution(before, width, 1, stride),
                nn.ReLU(inplace=True),
                *convolution(width, width, 3),
                nn.ReLU(inplace=True),
                *convolution(width, after, 1),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.shortcut(x) + self.body(x))

    parts: list[nn.Module] = [*convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)]
    before = 64
    for stack, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True)):
        for block in range(count):
            parts.append(Block(before, width, 2 if stack and not block else 1, is_first=not block))
            before = EXPANSION * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def main(sizes: Sizes, _work: Path, net: str) -> None:
    """Measures a training step on a batch that lies on the card: bfloat16, then float32 by TF32 as JAX has it."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    batch = sizes.batches[net]
    labels = np.arange(batch) % photos.CLASSES
    drawn = np.stack([photos.pixels(number, label, sizes.side)[:, : sizes.side] for number, label in enumerate(labels)])
    pixels, targets = torch.from_numpy(drawn).to(device), torch.from_numpy(labels).to(device)
    for compiled, precision in ((True, "bfloat16"), (False, "bfloat16"), (True, "float32")):
        what = {"net": "resnet50", "precision": precision, "batch": batch, "device": device, "compiled": compiled}
        try:
            say(**what, source="synthetic", **_measured(sizes, pixels, targets, precision, compiled))
        except Exception as fault:  # a machine without a C compiler can measure what is not compiled
            say(**what, error=f"{type(fault).__name__}: {fault}"[:300])


def _measured(sizes: Sizes, pixels: Any, targets: Any, precision: str, compiled: bool) -> dict[str, Any]:
    import torch

    device = pixels.device.type
    torch.manual_seed(0)
    began = time.perf_counter()
    model = resnet(sizes.blocks, photos.CLASSES).to(device, memory_format=torch.channels_last).train()
    step = _step(model, pixels, targets, device, is_half=precision == "bfloat16", compiled=compiled)
    first = float(step())
    built = time.perf_counter() - began
    speeds, last = _speeds(step, len(pixels), sizes)
    return {
        "built_and_compiled_in": round(built, 1),
        "images_per_second": statistics.median(speeds),
        "parameters": sum(one.numel() for one in model.parameters()),
        "loss": [round(first, 4), round(last, 4)],
        "runs": speeds,
    }


def _step(model: Any, pixels: Any, targets: Any, device: str, *, is_half: bool, compiled: bool) -> Callable[[], Any]:
    import torch

    mean = torch.tensor(MEAN, device=device)
    # As for the toolkit's: vectors do not decay.
    matrices = [one for one in model.parameters() if one.ndim > 1]
    vectors = [one for one in model.parameters() if one.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)

    def loss_of(images: Any) -> Any:
        # Of NHWC this is a view in channels_last.
        x = (images.flip(-1).float() - mean).permute(0, 3, 1, 2)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=is_half):
            logits = model(x)
        return torch.nn.functional.cross_entropy(logits.float(), targets)

    run = torch.compile(loss_of) if compiled else loss_of

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = run(pixels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _speeds(step: Callable[[], Any], batch: int, sizes: Sizes) -> tuple[list[float], float]:
    """Returns images a second of each round, and the last loss, whose reading waits for the card."""
    speeds: list[float] = []
    count, last = TRIED, 0.0
    for number in range(1 + sizes.rounds):
        began = time.perf_counter()
        for _ in range(count):
            loss = step()
        last = float(loss)
        taken = time.perf_counter() - began
        if number:
            speeds.append(round(batch * count / taken, 1))
        else:
            count = max(2, round(sizes.seconds * count / taken))
    return speeds, last
