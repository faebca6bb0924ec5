"""A worker that trains the same net by a loop of PyTorch's, in channels_last, as it is or compiled."""

import json
import sys
import time
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from driver import Driver
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def resnet50(classes: int) -> nn.Module:
    """Returns torchvision's, whose strides are moved to where the paper and Keras have them."""
    model = torchvision.models.resnet50(num_classes=classes)
    for block in model.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return model


def mnist_conv(classes: int) -> nn.Module:
    """Returns the toolkit's net, layer by layer; its "same" padding is symmetric here."""

    def block(before: int, filters: int, kernel_size: int, stride: int) -> tuple[nn.Module, ...]:
        convolution = nn.Conv2d(before, filters, kernel_size, stride, padding=kernel_size // 2, bias=False)
        return convolution, nn.BatchNorm2d(filters, eps=1e-3), nn.ReLU(inplace=True)

    blocks = (block(1, 32, 5, 2), block(32, 32, 3, 1), block(32, 64, 3, 2), block(64, 64, 3, 1), block(64, 128, 3, 2))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, classes))
    return nn.Sequential(*(layer for layers in blocks for layer in layers), *head)


NETS = {
    "resnet50": resnet50,
    "mobilenet_v2": lambda classes: torchvision.models.mobilenet_v2(num_classes=classes),
    "efficientnet_lite0": lambda classes: timm.create_model("tf_efficientnet_lite0", num_classes=classes),
    # Without stochastic depth, which Keras' has none of either.
    "convnext_tiny": lambda classes: timm.create_model("convnext_tiny", num_classes=classes, drop_path_rate=0.0),
    "mnist_conv": mnist_conv,
}


def optimizer_of(model: nn.Module, spec: dict[str, Any]) -> torch.optim.Optimizer:
    """Returns the optimizer in its fused form, which is its fastest."""
    if spec["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=spec["rate"], fused=True)
    return torch.optim.Adam(model.parameters(), lr=spec["rate"], fused=True)


def main(spec: dict[str, Any]) -> None:
    """Trains as many epochs as rounds after a first one, and tells the seconds of each."""
    driver = Driver()
    torch.set_num_threads(spec["threads"])
    with np.load(spec["images"]) as arrays:
        images, labels = (torch.from_numpy(arrays[name]) for name in ("x", "y"))
    model = NETS[spec["net"]](spec["classes"]).to(memory_format=torch.channels_last)
    optimizer = optimizer_of(model, spec)

    def pixels(chosen: torch.Tensor) -> torch.Tensor:
        # Of NHWC arrays this is a view in channels_last.
        return (images[chosen].float() / 127.5 - 1).permute(0, 3, 1, 2)

    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model.eval()(pixels(torch.arange(1)))
    multiply_adds = counted.get_total_flops() // 2
    trained = torch.compile(model) if spec["compiled"] else model
    model.train()
    seconds: list[float] = []
    for epoch in range(spec["rounds"] + 1):
        began = time.perf_counter()
        total, right = torch.zeros(()), torch.zeros(())
        for chosen in torch.randperm(len(images)).split(spec["batch"]):
            optimizer.zero_grad()
            logits = trained(pixels(chosen))
            loss = nn.functional.cross_entropy(logits, labels[chosen])
            loss.backward()
            optimizer.step()
            # As Keras' `fit` does: what an epoch came to is known at its end.
            total += loss.detach() * len(chosen)
            right += (logits.detach().argmax(dim=1) == labels[chosen]).sum()
        float(total), float(right)
        seconds.append(time.perf_counter() - began)
        driver.answer(epoch=epoch)
        if epoch < spec["rounds"]:
            driver.wait()
    driver.answer(
        seconds=seconds[1:],
        parameters=sum(one.numel() for one in model.parameters() if one.requires_grad),
        multiply_adds=multiply_adds,
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
